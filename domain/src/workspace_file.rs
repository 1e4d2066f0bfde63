//! A file in a workspace. Its bytes lie in the blob store; the log says which, and who put them there.
//!
//! A workspace belongs to one person and one agent, so two people who share an agent never see each other's files. A
//! folder is what paths have in common; there are no empty ones.

mod path;

pub use path::{BadPath, DEEPEST, FilePath, LONGEST_NAME, LONGEST_PATH};

use crate::{
    Decider, Kind,
    document::BlobHash,
    ids::{AgentId, UserId},
};
use serde::{Deserialize, Serialize};
use std::fmt;
use uuid::Uuid;

/// Most bytes of one file.
pub const MAX_FILE: u64 = 256 << 20;
/// Most files of one workspace.
pub const MAX_FILES: u64 = 5_000;
/// Most bytes of all files of one workspace.
pub const MAX_WORKSPACE: u64 = 2 << 30;

/// Where files are kept: one person's, for one agent.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Workspace {
    /// Whose.
    pub owner: UserId,
    /// For which agent; `None` for what is done without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentId>,
}

/// One path in one workspace; derived from both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileId(Uuid);

/// Namespace under which file ids are derived; any fixed value serves.
const FILES: Uuid = Uuid::from_u128(0x0d3a_6d0c_41a5_4f0e_9a4e_53d1_7c2b_8e19);

impl FileId {
    /// The id of the file at `path`.
    pub fn of(workspace: &Workspace, path: &FilePath) -> Self {
        // Neither user ids nor agent ids hold NUL; the letter tells an agent without a name from none.
        let agent = workspace.agent.as_ref().map(|agent| format!("a{agent}")).unwrap_or_default();
        let name = format!("{}\0{agent}\0{path}", workspace.owner);
        Self(Uuid::new_v5(&FILES, name.as_bytes()))
    }
}

impl fmt::Display for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What happened to a file. Kept for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// The file has this content from now on.
    FileWritten {
        /// Where.
        workspace: Workspace,
        /// Under which name.
        path: FilePath,
        /// Its bytes.
        blob: BlobHash,
        /// How many.
        size: u64,
        /// What it is, guessed from its name; may be empty.
        #[serde(default)]
        media_type: String,
    },
    /// The file is gone.
    FileDeleted {},
}

/// What somebody wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Give the file this content.
    Write {
        /// Where.
        workspace: Workspace,
        /// Under which name.
        path: FilePath,
        /// Its content.
        content: Content,
        /// What the new content was made from.
        basis: Basis,
    },
    /// Remove the file.
    Delete,
}

/// What a new content was made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Basis {
    /// Nothing: it replaces whatever is there.
    Anything,
    /// The absence of the file.
    Absence,
    /// This content; a file that has another one by now was changed by somebody else.
    Content(BlobHash),
}

/// What is in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// Its bytes.
    pub blob: BlobHash,
    /// How many.
    pub size: u64,
    /// What it is, guessed from its name; may be empty.
    pub media_type: String,
}

/// The state: what is in the file, if there is one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WorkspaceFile(pub Option<Content>);

/// Why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such file.
    #[error("there is no such file")]
    Unknown,
    /// Somebody else changed the file in the meantime.
    #[error("the file was changed in the meantime")]
    Changed,
    /// Larger than [`MAX_FILE`].
    #[error("a file has at most {MAX_FILE} bytes")]
    TooLarge,
}

impl crate::Refusal for Refusal {
    fn kind(&self) -> Kind {
        match self {
            Self::Unknown => Kind::Unknown,
            Self::Changed => Kind::Conflict,
            Self::TooLarge => Kind::Invalid,
        }
    }
}

impl Decider for WorkspaceFile {
    const CATEGORY: &'static str = "file";
    type Id = FileId;
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Refusal> {
        match command {
            Command::Write { content, .. } if content.size > MAX_FILE => Err(Refusal::TooLarge),
            Command::Write { workspace, path, content, basis } => {
                let there = self.0.as_ref().map(|content| &content.blob);
                let founded = match basis {
                    Basis::Anything => true,
                    Basis::Absence => there.is_none(),
                    Basis::Content(blob) => there == Some(blob),
                };
                match (founded, there == Some(&content.blob)) {
                    (false, _) => Err(Refusal::Changed),
                    (true, true) => Ok(vec![]),
                    (true, false) => Ok(vec![Event::FileWritten {
                        workspace: workspace.clone(),
                        path: path.clone(),
                        blob: content.blob.clone(),
                        size: content.size,
                        media_type: content.media_type.clone(),
                    }]),
                }
            }
            Command::Delete if self.0.is_none() => Err(Refusal::Unknown),
            Command::Delete => Ok(vec![Event::FileDeleted {}]),
        }
    }

    fn evolve(self, event: &Event) -> Self {
        Self(match event {
            Event::FileWritten { blob, size, media_type, .. } => {
                Some(Content { blob: blob.clone(), size: *size, media_type: media_type.clone() })
            }
            Event::FileDeleted {} => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::given;

    fn workspace(agent: Option<&str>) -> Workspace {
        Workspace { owner: "ann".into(), agent: agent.map(Into::into) }
    }

    fn path() -> FilePath {
        FilePath::parse("a/b.txt").unwrap_or_else(|bad| panic!("{bad}"))
    }

    fn blob(text: &str) -> BlobHash {
        BlobHash(text.to_owned())
    }

    fn write(text: &str, basis: Basis) -> Command {
        let media_type = "text/plain".to_owned();
        let content = Content { blob: blob(text), size: 3, media_type };
        Command::Write { workspace: workspace(None), path: path(), content, basis }
    }

    fn written(text: &str) -> Event {
        Event::FileWritten {
            workspace: workspace(None),
            path: path(),
            blob: blob(text),
            size: 3,
            media_type: "text/plain".to_owned(),
        }
    }

    #[test]
    fn a_file_is_written_once_per_content() {
        given::<WorkspaceFile>([]).when(write("x", Basis::Anything)).then([written("x")]);
        given::<WorkspaceFile>([written("x")]).when(write("x", Basis::Anything)).then_nothing();
        given::<WorkspaceFile>([written("x")])
            .when(write("y", Basis::Anything))
            .then([written("y")]);
    }

    #[test]
    fn a_change_made_from_an_old_content_loses_nothing() {
        let history = || [written("x"), written("y")];
        let from = |old: &str| write("z", Basis::Content(blob(old)));
        given::<WorkspaceFile>(history()).when(from("x")).then_refused(Refusal::Changed);
        given::<WorkspaceFile>(history()).when(from("y")).then([written("z")]);
        given::<WorkspaceFile>([written("y"), Event::FileDeleted {}])
            .when(from("y"))
            .then_refused(Refusal::Changed);
        given::<WorkspaceFile>(history())
            .when(write("z", Basis::Absence))
            .then_refused(Refusal::Changed);
    }

    #[test]
    fn only_what_is_there_is_deleted() {
        given::<WorkspaceFile>([written("x")]).when(Command::Delete).then([Event::FileDeleted {}]);
        given::<WorkspaceFile>([written("x"), Event::FileDeleted {}])
            .when(Command::Delete)
            .then_refused(Refusal::Unknown);
    }

    #[test]
    fn a_file_has_a_largest_size() {
        let content = Content { blob: blob("x"), size: MAX_FILE + 1, media_type: String::new() };
        let basis = Basis::Anything;
        let write = Command::Write { workspace: workspace(None), path: path(), content, basis };
        given::<WorkspaceFile>([]).when(write).then_refused(Refusal::TooLarge);
    }

    #[test]
    fn workspaces_never_meet() {
        let bob = Workspace { owner: "bob".into(), agent: None };
        let all = [workspace(None), workspace(Some("")), workspace(Some("agent_1")), bob];
        let ids: std::collections::HashSet<_> =
            all.iter().map(|workspace| FileId::of(workspace, &path())).collect();
        assert_eq!(ids.len(), 4);
        assert_eq!(FileId::of(&all[0], &path()), FileId::of(&workspace(None), &path()));
    }
}
