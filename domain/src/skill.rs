//! A skill: a folder of instructions and files that a model may load. Its bytes are in the blob store.
//!
//! A skill is addressed by where it belongs and what it is called, so importing it again replaces it.

mod content;

use crate::{Decider, Kind, document::BlobHash, ids::SkillId};
pub use content::{Content, Flaw, Folder, Home, MAIN, MOST_FILES, SkillFile, check_path};
use serde::{Deserialize, Serialize};

/// What happened to a skill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// It came to be.
    SkillImported {
        /// Where it belongs.
        home: Home,
        /// What its folder is called.
        folder: Folder,
        /// What it says and holds.
        content: Content,
        /// Where it came from.
        origin: Origin,
    },
    /// Another import took its place, with all its files.
    SkillReplaced {
        /// What it says and holds now.
        content: Content,
        /// Where that came from.
        origin: Origin,
    },
    /// Somebody rewrote its `SKILL.md`; the other files stayed.
    SkillEdited {
        /// The description in the new text.
        description: String,
        /// The new text.
        blob: BlobHash,
        /// Bytes of the new text.
        size: u64,
    },
    /// It is gone, until it is imported anew.
    SkillDeleted {},
}

/// Where a skill came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Somebody sent an archive.
    Upload {
        /// The archive's name as the client gave it.
        name: String,
        /// The archive as it arrived.
        archive: BlobHash,
    },
    /// It was fetched.
    Url {
        /// From here; without the query, which may hold a key.
        url: String,
        /// The archive as it arrived.
        archive: BlobHash,
    },
}

/// What somebody wants; whether they may, the caller has established.
#[derive(Debug, Clone)]
pub enum Command {
    /// Bring it in, in place of what is there.
    Import {
        /// Where it belongs.
        home: Home,
        /// What its folder is called.
        folder: Folder,
        /// What it says and holds.
        content: Content,
        /// Where it comes from.
        origin: Origin,
    },
    /// Rewrite `SKILL.md`.
    Edit {
        /// The name in the new text, which has to be the old one.
        name: String,
        /// The description in the new text.
        description: String,
        /// The new text.
        blob: BlobHash,
        /// Bytes of the new text.
        size: u64,
    },
    /// Remove it. One that is not there is removed already.
    Delete,
}

/// The state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Skill {
    /// Not there.
    #[default]
    Absent,
    /// There.
    Present(Content),
}

/// Why not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such skill.
    #[error("no such skill")]
    Unknown,
    /// An edit may not rename.
    #[error("Skill name cannot be changed. Expected '{expected}', got '{got}'")]
    Renamed {
        /// What it is called.
        expected: String,
        /// What the new text calls it.
        got: String,
    },
    /// What it says or holds is not a skill.
    #[error(transparent)]
    Flawed(#[from] Flaw),
}

impl crate::Refusal for Refusal {
    fn kind(&self) -> Kind {
        match self {
            Self::Unknown => Kind::Unknown,
            Self::Renamed { .. } => Kind::Conflict,
            Self::Flawed(_) => Kind::Invalid,
        }
    }
}

impl Skill {
    /// What it says and holds; `None` when it is not there.
    pub fn content(&self) -> Option<&Content> {
        match self {
            Self::Absent => None,
            Self::Present(content) => Some(content),
        }
    }
}

impl Decider for Skill {
    const CATEGORY: &'static str = "skill";
    type Id = SkillId;
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Refusal> {
        match (self, command) {
            (Self::Absent, Command::Import { home, folder, content, origin }) => {
                content.check()?;
                let (home, folder) = (home.clone(), folder.clone());
                let (content, origin) = (content.clone(), origin.clone());
                Ok(vec![Event::SkillImported { home, folder, content, origin }])
            }
            (Self::Present(known), Command::Import { content, .. }) if known == content => {
                Ok(vec![])
            }
            (Self::Present(_), Command::Import { content, origin, .. }) => {
                content.check()?;
                let (content, origin) = (content.clone(), origin.clone());
                Ok(vec![Event::SkillReplaced { content, origin }])
            }
            (Self::Present(known), Command::Edit { name, description, blob, size }) => {
                if known.name != *name {
                    let (expected, got) = (known.name.clone(), name.clone());
                    return Err(Refusal::Renamed { expected, got });
                }
                let (description, blob, size) = (description.clone(), blob.clone(), *size);
                let edited = known.edited(&description, &blob, size);
                edited.check()?;
                match edited == *known {
                    true => Ok(vec![]),
                    false => Ok(vec![Event::SkillEdited { description, blob, size }]),
                }
            }
            (Self::Absent, Command::Edit { .. }) => Err(Refusal::Unknown),
            (Self::Present(_), Command::Delete) => Ok(vec![Event::SkillDeleted {}]),
            (Self::Absent, Command::Delete) => Ok(vec![]),
        }
    }

    fn evolve(self, event: &Event) -> Self {
        match (self, event) {
            (_, Event::SkillImported { content, .. } | Event::SkillReplaced { content, .. }) => {
                Self::Present(content.clone())
            }
            (Self::Present(known), Event::SkillEdited { description, blob, size }) => {
                Self::Present(known.edited(description, blob, *size))
            }
            (Self::Absent, Event::SkillEdited { .. }) | (_, Event::SkillDeleted {}) => Self::Absent,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::given;

    fn file(path: &str, hash: char) -> SkillFile {
        let blob = BlobHash(hash.to_string().repeat(64));
        SkillFile { path: path.to_owned(), blob, size: 9, mode: None }
    }

    fn content(hash: char) -> Content {
        Content {
            name: "PDF tools".to_owned(),
            description: "Reads PDFs".to_owned(),
            files: vec![file(MAIN, hash), file("scripts/run.py", 'b')],
        }
    }

    fn origin() -> Origin {
        Origin::Upload { name: "pdf.zip".to_owned(), archive: BlobHash("c".repeat(64)) }
    }

    fn import(content: Content) -> Command {
        let folder = Folder::of(&content.name).expect("a name");
        Command::Import { home: Home::System, folder, content, origin: origin() }
    }

    fn imported() -> Event {
        let folder = Folder::of("PDF tools").expect("a name");
        let (content, origin) = (content('a'), origin());
        Event::SkillImported { home: Home::System, folder, content, origin }
    }

    fn edit(name: &str, description: &str, hash: char) -> Command {
        let (name, description) = (name.to_owned(), description.to_owned());
        Command::Edit { name, description, blob: BlobHash(hash.to_string().repeat(64)), size: 9 }
    }

    #[test]
    fn importing_again_replaces_unless_nothing_is_new() {
        given::<Skill>([]).when(import(content('a'))).then([imported()]);
        given::<Skill>([imported()]).when(import(content('a'))).then_nothing();
        let replaced = Event::SkillReplaced { content: content('d'), origin: origin() };
        given::<Skill>([imported()]).when(import(content('d'))).then([replaced]);
        given::<Skill>([imported(), Event::SkillDeleted {}])
            .when(import(content('a')))
            .then([imported()]);
    }

    #[test]
    fn what_is_no_skill_is_not_imported() {
        let mut escaping = content('a');
        escaping.files.push(file("../x", 'b'));
        let flaw = Flaw::Path("../x".to_owned());
        given::<Skill>([]).when(import(escaping)).then_refused(flaw.into());
        let mut empty = content('a');
        empty.files.remove(0);
        given::<Skill>([imported()]).when(import(empty)).then_refused(Flaw::NoMain.into());
    }

    #[test]
    fn an_edit_changes_the_text_and_never_the_name() {
        let edited = Event::SkillEdited {
            description: "More".to_owned(),
            blob: BlobHash("d".repeat(64)),
            size: 9,
        };
        given::<Skill>([imported()]).when(edit("PDF tools", "More", 'd')).then([edited.clone()]);
        given::<Skill>([imported(), edited]).when(edit("PDF tools", "More", 'd')).then_nothing();
        let renamed =
            Refusal::Renamed { expected: "PDF tools".to_owned(), got: "pdf tools".to_owned() };
        given::<Skill>([imported()]).when(edit("pdf tools", "More", 'd')).then_refused(renamed);
        given::<Skill>([imported()])
            .when(edit("PDF tools", " ", 'd'))
            .then_refused(Flaw::Description.into());
        given::<Skill>([]).when(edit("PDF tools", "More", 'd')).then_refused(Refusal::Unknown);
    }

    #[test]
    fn deleting_twice_is_deleting_once() {
        given::<Skill>([imported()]).when(Command::Delete).then([Event::SkillDeleted {}]);
        given::<Skill>([imported(), Event::SkillDeleted {}]).when(Command::Delete).then_nothing();
        given::<Skill>([]).when(Command::Delete).then_nothing();
    }
}
