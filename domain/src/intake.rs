//! What comes into a knowledge base. However many files an upload has, its acceptance is one fact: either all of its
//! documents come to be or none, also when the server dies in the next moment.
//!
//! There is one stream for each knowledge base, so two uploads at the same moment know of each other: a file that both bring
//! is taken once.

use crate::{
    Decider, Kind,
    document::{BlobHash, Labels, MAX_NAME, MAX_URL, Origin},
    ids::{DocumentId, KnowledgeBaseId, UserId},
};
use serde::{Deserialize, Serialize};

/// Most files of one upload.
pub const MAX_FILES: usize = 50;

/// What happened at the door of a knowledge base.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// An upload was taken as a whole; its documents follow from it.
    FilesAccepted {
        /// Owner of the knowledge base.
        owner: UserId,
        /// The upload. 32 hex digits.
        task: String,
        /// Its files; their bytes are in the blob store.
        files: Vec<File>,
        /// The documents that they take the place of.
        #[serde(default)]
        replaced: Vec<DocumentId>,
    },
}

/// A file of an upload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// The document it becomes.
    pub document: DocumentId,
    /// Its name.
    pub name: String,
    /// Its bytes.
    pub blob: BlobHash,
    /// How many.
    pub size: u64,
    /// Media type as the client gave it; a hint only.
    pub media_type: String,
    /// What filters may ask about it besides its name.
    #[serde(default, skip_serializing_if = "Labels::is_empty")]
    pub metadata: Labels,
    /// What its bytes are.
    #[serde(default, skip_serializing_if = "Origin::is_file")]
    pub origin: Origin,
}

/// What becomes of files that are there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Twins {
    /// The same bytes are not taken twice.
    Refuse,
    /// Documents of the same names give way.
    Replace,
    /// They stand beside each other.
    Keep,
}

/// A document that is there already, with the name or the bytes of a file that comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Present {
    /// The document.
    pub document: DocumentId,
    /// Its name.
    pub name: String,
    /// Its bytes.
    pub blob: BlobHash,
    /// Whether its ingestion was given up.
    pub failed: bool,
}

/// What somebody wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Take an upload.
    Accept {
        /// Owner of the knowledge base.
        owner: UserId,
        /// The upload.
        task: String,
        /// Its files.
        files: Vec<File>,
        /// What becomes of what is there already.
        twins: Twins,
        /// What is there already, looked up.
        present: Vec<Present>,
        /// How many uploads of [`Intake::uploads`] the look-up reflects.
        seen: usize,
    },
}

/// The door of a knowledge base: the uploads its reader knows of, which need not be all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Intake {
    /// Their files, in order.
    pub uploads: Vec<Vec<File>>,
}

/// Why not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No file, or more than [`MAX_FILES`].
    #[error("an upload has 1 to {MAX_FILES} files")]
    BadCount,
    /// A name is needed, of at most [`MAX_NAME`] characters.
    #[error("a file needs a name of 1 to {MAX_NAME} characters")]
    BadName,
    /// A blob's name is no hash.
    #[error("not a SHA-256 in lower-case hex")]
    BadBlob,
    /// Too much metadata, or a NUL character in them.
    #[error("{}", Labels::RULE)]
    BadMetadata,
    /// An address longer than [`MAX_URL`], or with a NUL character.
    #[error("an address has at most {MAX_URL} characters")]
    BadUrl,
    /// The same bytes are there already, or come twice.
    #[error("{name:?} is the same file as {other:?}")]
    Duplicate {
        /// The file that is not taken.
        name: String,
        /// What it is the same as.
        other: String,
    },
}

impl crate::Refusal for Refusal {
    fn kind(&self) -> Kind {
        match self {
            Self::BadCount | Self::BadName | Self::BadBlob | Self::BadMetadata | Self::BadUrl => {
                Kind::Invalid
            }
            Self::Duplicate { .. } => Kind::Conflict,
        }
    }
}

impl Decider for Intake {
    const CATEGORY: &'static str = "intake";
    type Id = KnowledgeBaseId;
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Refusal> {
        let Command::Accept { owner, task, files, twins, present, seen } = command;
        if !(1..=MAX_FILES).contains(&files.len()) {
            return Err(Refusal::BadCount);
        }
        for file in files {
            let letters = file.name.chars().count();
            if !(1..=MAX_NAME).contains(&letters) || file.name.contains('\0') {
                return Err(Refusal::BadName);
            }
            if !file.blob.is_valid() {
                return Err(Refusal::BadBlob);
            }
            if !file.metadata.fits() {
                return Err(Refusal::BadMetadata);
            }
            if !file.origin.fits() {
                return Err(Refusal::BadUrl);
            }
        }
        let meanwhile = self.uploads.iter().skip(*seen).flatten().map(File::present);
        let present: Vec<Present> = present.iter().cloned().chain(meanwhile).collect();
        let mut taken: Vec<File> = Vec::with_capacity(files.len());
        for file in files {
            let same = taken.iter().find(|other| file.is_same(&other.blob));
            match (same, twins) {
                (Some(other), Twins::Refuse) => return Err(file.duplicate_of(&other.name)),
                (Some(other), Twins::Replace) if other.name == file.name => continue,
                _ => taken.push(file.clone()),
            }
        }
        let mut replaced = Vec::new();
        match twins {
            Twins::Keep => {}
            Twins::Replace => {
                let gives_way = |held: &&Present| files.iter().any(|file| file.name == held.name);
                replaced.extend(present.iter().filter(gives_way).map(|held| held.document.clone()));
            }
            Twins::Refuse => {
                for file in files {
                    // Who repairs a file, or the embedder, may bring it again.
                    let held = present.iter().find(|held| !held.failed && file.is_same(&held.blob));
                    if let Some(held) = held {
                        return Err(file.duplicate_of(&held.name));
                    }
                }
            }
        }
        let (owner, task) = (owner.clone(), task.clone());
        Ok(vec![Event::FilesAccepted { owner, task, files: taken, replaced }])
    }

    fn evolve(mut self, event: &Event) -> Self {
        let Event::FilesAccepted { files, .. } = event;
        self.uploads.push(files.clone());
        self
    }
}

impl File {
    /// Nothing is in an empty file that could be the same.
    fn is_same(&self, blob: &BlobHash) -> bool {
        self.size > 0 && self.blob == *blob
    }

    fn duplicate_of(&self, other: &str) -> Refusal {
        Refusal::Duplicate { name: self.name.clone(), other: other.to_owned() }
    }

    fn present(&self) -> Present {
        Present {
            document: self.document.clone(),
            name: self.name.clone(),
            blob: self.blob.clone(),
            failed: false,
        }
    }
}

#[cfg(test)]
mod tests;
