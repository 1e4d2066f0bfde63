//! Where a skill belongs, what it is called, and what it may hold.

use crate::{
    document::BlobHash,
    ids::{AgentId, SkillId, UserId},
};
use serde::{Deserialize, Serialize};
use std::{collections::HashSet, fmt};
use uuid::Uuid;

/// The file every skill has.
pub const MAIN: &str = "SKILL.md";
/// Files of one skill.
pub const MOST_FILES: usize = 500;
/// Characters of a name.
const NAME: usize = 64;
/// Characters of a description.
const DESCRIPTION: usize = 4_096;
/// Bytes of a path.
const PATH: usize = 240;
/// Folders one within the other, and the file.
const DEPTH: usize = 12;
/// Namespace under which skill ids are derived; any fixed value serves.
const SKILLS: Uuid = Uuid::from_u128(0x8f1d_0c6a_52e7_4b1b_9f0b_6c1e_7a90_d3c5);

/// Where a skill belongs.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Home {
    /// To everybody.
    System,
    /// To a person.
    User {
        /// Who.
        owner: UserId,
    },
    /// To one agent of a person.
    Agent {
        /// The agent's owner.
        owner: UserId,
        /// The agent.
        agent: AgentId,
    },
}

impl Home {
    /// `system`, `user` or `agent`.
    pub fn dimension(&self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User { .. } => "user",
            Self::Agent { .. } => "agent",
        }
    }

    /// Whose; `None` for everybody's.
    pub fn owner(&self) -> Option<&UserId> {
        match self {
            Self::System => None,
            Self::User { owner } | Self::Agent { owner, .. } => Some(owner),
        }
    }

    /// Which agent's, if it is one's.
    pub fn agent(&self) -> Option<&AgentId> {
        match self {
            Self::System | Self::User { .. } => None,
            Self::Agent { agent, .. } => Some(agent),
        }
    }
}

impl SkillId {
    /// The skill with this folder in this home.
    pub fn of(home: &Home, folder: &Folder) -> Self {
        let owner = home.owner().map_or("", UserId::as_str);
        let agent = home.agent().map_or("", AgentId::as_str);
        let name = format!("{}\0{owner}\0{agent}\0{folder}", home.dimension());
        Self(Uuid::new_v5(&SKILLS, name.as_bytes()))
    }
}

/// What a skill's folder is called: letters, digits, `_` and `-`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Folder(String);

impl Folder {
    /// The folder for a name: spaces become `-`, and of the rest word characters and `-` remain; `None` when none do, or
    /// too many. A folder's own name leads to the same folder.
    pub fn of(name: &str) -> Option<Self> {
        let dashed = name.trim().chars().map(|c| if c == ' ' { '-' } else { c });
        let kept: String =
            dashed.filter(|c| c.is_alphanumeric() || matches!(c, '_' | '-')).collect();
        let named = kept.chars().any(|c| c != '-') && kept.chars().count() <= NAME;
        named.then_some(Self(kept))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a skill says and holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// As its front matter has it.
    pub name: String,
    /// As its front matter has it: when to load the skill.
    pub description: String,
    /// Its files, [`MAIN`] among them.
    pub files: Vec<SkillFile>,
}

/// A file of a skill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkillFile {
    /// Where within the skill, with `/`; see [`check_path`].
    pub path: String,
    /// Its bytes.
    pub blob: BlobHash,
    /// How many.
    pub size: u64,
    /// Unix permissions, as far as the archive had them.
    #[serde(default)]
    pub mode: Option<u32>,
}

/// Why something is no skill.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// Its name does not make a folder.
    #[error("a skill's name has 1 to {NAME} characters, letters or digits among them")]
    Name,
    /// It does not say what it is for.
    #[error("a skill's description has 1 to {DESCRIPTION} characters")]
    Description,
    /// [`MAIN`] is missing.
    #[error("{MAIN} is missing")]
    NoMain,
    /// Too many files.
    #[error("a skill has at most {MOST_FILES} files")]
    TooManyFiles,
    /// A path leads out of the skill, or nowhere, or is too long.
    #[error("unsafe path in the skill: {0:?}")]
    Path(String),
    /// Two files at one place, or a file where a folder is.
    #[error("{0:?} is in the skill twice")]
    Twice(String),
}

impl Content {
    /// Whether this makes a skill.
    ///
    /// # Errors
    /// The first [`Flaw`].
    pub fn check(&self) -> Result<(), Flaw> {
        if Folder::of(&self.name).is_none() || self.name.chars().any(char::is_control) {
            return Err(Flaw::Name);
        }
        if self.name.chars().count() > NAME {
            return Err(Flaw::Name);
        }
        let description = self.description.chars().count();
        if self.description.trim().is_empty() || description > DESCRIPTION {
            return Err(Flaw::Description);
        }
        if self.files.len() > MOST_FILES {
            return Err(Flaw::TooManyFiles);
        }
        if self.main().is_none() {
            return Err(Flaw::NoMain);
        }
        self.check_paths()
    }

    fn check_paths(&self) -> Result<(), Flaw> {
        let mut places = HashSet::new();
        for file in &self.files {
            check_path(&file.path)?;
            if !places.insert(file.path.as_str()) {
                return Err(Flaw::Twice(file.path.clone()));
            }
        }
        let folders = |path: &'_ str| -> Vec<String> {
            path.match_indices('/').map(|(end, _)| path[..end].to_owned()).collect()
        };
        let taken = self.files.iter().flat_map(|file| folders(&file.path));
        match taken.into_iter().find(|folder| places.contains(folder.as_str())) {
            Some(twice) => Err(Flaw::Twice(twice)),
            None => Ok(()),
        }
    }

    /// The file [`MAIN`].
    pub fn main(&self) -> Option<&SkillFile> {
        self.files.iter().find(|file| file.path == MAIN)
    }

    /// The same with another [`MAIN`].
    #[must_use]
    pub fn edited(&self, description: &str, blob: &BlobHash, size: u64) -> Self {
        let mut edited = self.clone();
        description.clone_into(&mut edited.description);
        for file in edited.files.iter_mut().filter(|file| file.path == MAIN) {
            file.blob.clone_from(blob);
            file.size = size;
        }
        edited
    }
}

/// Whether a path stays within its skill on every system: relative, of named parts, without anything that some system takes
/// for a separator, a drive or a parent.
///
/// # Errors
/// [`Flaw::Path`] otherwise.
pub fn check_path(path: &str) -> Result<(), Flaw> {
    let part = |part: &str| {
        !matches!(part, "" | "." | "..") && !part.contains(['\\', ':']) && part.trim() == part
    };
    let good = path.len() <= PATH
        && path.split('/').count() <= DEPTH
        && path.split('/').all(part)
        && !path.chars().any(char::is_control);
    good.then_some(()).ok_or_else(|| Flaw::Path(path.chars().take(PATH).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_within_the_skill() {
        for path in ["a", "a/b.txt", "说明/文件.md", ".hidden", "a b/c", "..a/b..", "a/...", "é"]
        {
            assert_eq!(check_path(path), Ok(()), "{path}");
        }
        for path in [
            "",
            "/",
            "/a",
            "a/",
            "a//b",
            ".",
            "..",
            "../a",
            "a/../b",
            "a/./b",
            "a\\b",
            "..\\a",
            "C:/a",
            "c:",
            "a\0b",
            "a\nb",
            " a",
            "a ",
            "\\\\host\\a",
        ] {
            assert!(check_path(path).is_err(), "{path:?}");
        }
        assert!(check_path(&"a/".repeat(12)).is_err());
        assert!(check_path(&"a".repeat(241)).is_err());
    }

    #[test]
    fn names_become_folders() {
        for (name, folder) in [
            ("PDF tools", Some("PDF-tools")),
            ("PDF-tools", Some("PDF-tools")),
            (" a_b ", Some("a_b")),
            ("市场 研究", Some("市场-研究")),
            ("../etc", Some("etc")),
            ("a/b\\c\0", Some("abc")),
            ("..", None),
            (" - ", None),
            ("", None),
        ] {
            assert_eq!(Folder::of(name).as_ref().map(Folder::as_str), folder, "{name:?}");
        }
        assert_eq!(Folder::of(&"a".repeat(65)), None);
    }

    #[test]
    fn the_same_folder_in_two_homes_is_two_skills() {
        let folder = Folder::of("a").expect("a name");
        let user = |owner: &str| Home::User { owner: owner.into() };
        let agent = Home::Agent { owner: "ann".into(), agent: "agent_1".into() };
        let homes = [Home::System, user("ann"), user("bob"), agent];
        let ids: HashSet<_> = homes.iter().map(|home| SkillId::of(home, &folder)).collect();
        assert_eq!(ids.len(), homes.len());
    }

    #[test]
    fn a_place_is_taken_once() {
        let file = |path: &str| SkillFile {
            path: path.to_owned(),
            blob: BlobHash("a".repeat(64)),
            size: 0,
            mode: None,
        };
        let with = |paths: &[&str]| Content {
            name: "a".to_owned(),
            description: "b".to_owned(),
            files: paths.iter().map(|path| file(path)).collect(),
        };
        assert_eq!(with(&[MAIN, "a/b", "a/c"]).check(), Ok(()));
        assert_eq!(with(&[MAIN, "a", "a"]).check(), Err(Flaw::Twice("a".to_owned())));
        assert_eq!(with(&[MAIN, "a/b", "a"]).check(), Err(Flaw::Twice("a".to_owned())));
        assert_eq!(with(&["a/SKILL.md"]).check(), Err(Flaw::NoMain));
        let many: Vec<_> = (0..MOST_FILES).map(|n| n.to_string()).collect();
        let mut many = with(&many.iter().map(String::as_str).collect::<Vec<_>>());
        many.files.push(file(MAIN));
        assert_eq!(many.check(), Err(Flaw::TooManyFiles));
    }
}
