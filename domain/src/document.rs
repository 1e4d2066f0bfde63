//! A document of a knowledge base: a file, and what its ingestion made of it.
//!
//! Ingestion is performed by one node at a time. Starting an attempt hands out its number, and everything the attempt
//! reports carries that number: a node that lost its claim is refused, so that no passage is ever stored twice.

mod event;
mod filter;
mod labels;
mod origin;
mod passage;

pub use event::Event;
pub use filter::{Comparison, Filter};
pub use labels::{Label, Labels};
pub use origin::{MAX_URL, Origin};
pub use passage::{BlobHash, Passage};

use crate::{
    Decider, Kind,
    ids::{DocumentId, KnowledgeBaseId, NodeId, UserId},
    knowledge_base::Authority,
};

/// Failures with a passing cause before a document is given up.
pub const MAX_FAILURES: u32 = 3;
/// Attempts, interrupted ones included, before a document is given up.
pub const MAX_ATTEMPTS: u32 = 6;
/// Longest file name, in characters.
pub const MAX_NAME: usize = 512;

/// What somebody wants of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Put it into a knowledge base. The fields are those of [`Event::DocumentUploaded`].
    Upload {
        /// Where it belongs.
        knowledge_base: KnowledgeBaseId,
        /// Owner of the knowledge base.
        owner: UserId,
        /// The upload it came with.
        task: String,
        /// The file's name.
        name: String,
        /// Its bytes.
        blob: BlobHash,
        /// How many.
        size: u64,
        /// Media type as the client gave it.
        media_type: String,
        /// What filters may ask about it.
        metadata: Labels,
        /// What its bytes are.
        origin: Origin,
    },
    /// Claim it for `node`.
    Begin {
        /// Who claims.
        node: NodeId,
        /// The claimant that is known to work on it no more.
        instead_of: Option<NodeId>,
    },
    /// Keep these passages.
    Store {
        /// The claim.
        attempt: u32,
        /// Number of the first of them.
        first: u32,
        /// Model of their vectors.
        model: String,
        /// The passages.
        passages: Vec<Passage>,
    },
    /// Everything is stored.
    Finish {
        /// The claim.
        attempt: u32,
        /// Bytes of the extracted text.
        text_bytes: u64,
        /// What it was recognised as.
        media_type: String,
        /// The extracted text in the blob store.
        text: BlobHash,
    },
    /// The attempt came to nothing.
    Fail {
        /// The claim.
        attempt: u32,
        /// Why.
        reason: String,
        /// Milliseconds to wait before the next attempt, when the cause may pass.
        retry_in_ms: Option<u64>,
    },
    /// Read it again.
    Reread {
        /// Who asks.
        by: Authority,
    },
    /// Remove it.
    Delete {
        /// Who asks.
        by: Authority,
    },
}

/// How far a document has come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Stage {
    /// Never heard of.
    #[default]
    Unknown,
    /// Nobody works on it yet, or not again yet.
    Waiting,
    /// A node works on it.
    Ingesting {
        /// Who.
        node: NodeId,
        /// Passages stored so far in this attempt.
        stored: u32,
    },
    /// Searchable.
    Ingested,
    /// Given up.
    Failed,
    /// Gone.
    Deleted,
}

/// A document as its history leaves it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Document {
    /// How far it has come.
    pub stage: Stage,
    /// The file; `None` while unknown.
    pub file: Option<File>,
    /// Attempts started so far.
    pub attempts: u32,
    /// Those of them that do not count any more, because somebody asked for new ones.
    pub forgiven: u32,
    /// Failures so far that count.
    pub failures: u32,
}

/// The file behind a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Where it belongs.
    pub knowledge_base: KnowledgeBaseId,
    /// Whose it is.
    pub owner: UserId,
    /// Its name.
    pub name: String,
    /// Its bytes.
    pub blob: BlobHash,
    /// How many.
    pub size: u64,
    /// Media type as the client gave it.
    pub media_type: String,
    /// What its bytes are.
    pub origin: Origin,
}

/// Why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It does not exist, or not for this person.
    #[error("document not found")]
    Unknown,
    /// The id is in use.
    #[error("document already exists")]
    Exists,
    /// A file name is needed, of at most [`MAX_NAME`] characters.
    #[error("a file needs a name of 1 to {MAX_NAME} characters")]
    BadName,
    /// The blob's name is no hash.
    #[error("not a SHA-256 in lower-case hex")]
    BadBlob,
    /// Too much metadata, or a NUL character in them.
    #[error("{}", Labels::RULE)]
    BadMetadata,
    /// An address longer than [`MAX_URL`], or with a NUL character.
    #[error("an address has at most {MAX_URL} characters")]
    BadUrl,
    /// There is nothing to do any more: searchable already, or given up.
    #[error("the document's ingestion has ended")]
    Settled,
    /// Another node works on it.
    #[error("another node works on this document")]
    Claimed(NodeId),
    /// The attempt is not the current one: another node took over, or the passages are out of order.
    #[error("this attempt is over")]
    Superseded,
}

impl crate::Refusal for Refusal {
    fn kind(&self) -> Kind {
        match self {
            Self::Unknown => Kind::Unknown,
            Self::BadName | Self::BadBlob | Self::BadMetadata | Self::BadUrl => Kind::Invalid,
            Self::Exists | Self::Settled | Self::Claimed(_) | Self::Superseded => Kind::Conflict,
        }
    }
}

impl Decider for Document {
    const CATEGORY: &'static str = "document";
    type Id = DocumentId;
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Refusal> {
        match command {
            Command::Upload {
                knowledge_base,
                owner,
                task,
                name,
                blob,
                size,
                media_type,
                metadata,
                origin,
            } => {
                if self.stage != Stage::Unknown {
                    return Err(Refusal::Exists);
                }
                if !(1..=MAX_NAME).contains(&name.chars().count()) || name.contains('\0') {
                    return Err(Refusal::BadName);
                }
                if !blob.is_valid() {
                    return Err(Refusal::BadBlob);
                }
                if !metadata.fits() {
                    return Err(Refusal::BadMetadata);
                }
                if !origin.fits() {
                    return Err(Refusal::BadUrl);
                }
                Ok(vec![Event::DocumentUploaded {
                    knowledge_base: knowledge_base.clone(),
                    owner: owner.clone(),
                    task: task.clone(),
                    name: name.clone(),
                    blob: blob.clone(),
                    size: *size,
                    media_type: media_type.chars().filter(|c| *c != '\0').take(128).collect(),
                    metadata: metadata.clone(),
                    origin: origin.clone(),
                }])
            }
            Command::Begin { node, instead_of } => self.begin(*node, *instead_of),
            Command::Store { attempt, first, model, passages } => {
                let stored = self.claimed(*attempt)?;
                if *first != stored {
                    return Err(Refusal::Superseded);
                }
                let (attempt, model, passages) = (*attempt, model.clone(), passages.clone());
                Ok(vec![Event::PassagesStored { attempt, first: stored, model, passages }])
            }
            Command::Finish { attempt, text_bytes, media_type, text } => {
                self.claimed(*attempt)?;
                let (attempt, text_bytes) = (*attempt, *text_bytes);
                let (media_type, text) = (media_type.clone(), Some(text.clone()));
                Ok(vec![Event::DocumentIngested { attempt, text_bytes, media_type, text }])
            }
            Command::Fail { attempt, reason, retry_in_ms } => {
                self.claimed(*attempt)?;
                let retry_in_ms = retry_in_ms.filter(|_| self.failures + 1 < MAX_FAILURES);
                let (attempt, reason) = (*attempt, reason.clone());
                Ok(vec![Event::IngestionFailed { attempt, reason, retry_in_ms }])
            }
            Command::Reread { by } => {
                self.own(by)?;
                match self.stage {
                    // Whoever reads it has just begun.
                    Stage::Ingesting { .. } => Ok(Vec::new()),
                    Stage::Waiting if self.failures == 0 => Ok(Vec::new()),
                    _ => Ok(vec![Event::RereadRequested {}]),
                }
            }
            Command::Delete { by } => {
                self.own(by)?;
                Ok(vec![Event::DocumentDeleted {}])
            }
        }
    }

    fn evolve(mut self, event: &Event) -> Self {
        match event {
            Event::DocumentUploaded {
                knowledge_base,
                owner,
                name,
                blob,
                size,
                media_type,
                origin,
                ..
            } => {
                self.stage = Stage::Waiting;
                self.file = Some(File {
                    knowledge_base: knowledge_base.clone(),
                    owner: owner.clone(),
                    name: name.clone(),
                    blob: blob.clone(),
                    size: *size,
                    media_type: media_type.clone(),
                    origin: origin.clone(),
                });
            }
            Event::IngestionStarted { attempt, node } => {
                self.attempts = *attempt;
                self.stage = Stage::Ingesting { node: *node, stored: 0 };
            }
            Event::PassagesStored { passages, .. } => {
                if let Stage::Ingesting { stored, .. } = &mut self.stage {
                    *stored += u32::try_from(passages.len()).unwrap_or(u32::MAX);
                }
            }
            Event::DocumentIngested { .. } => self.stage = Stage::Ingested,
            Event::IngestionFailed { retry_in_ms, .. } => {
                self.failures += 1;
                self.stage = if retry_in_ms.is_some() { Stage::Waiting } else { Stage::Failed };
            }
            Event::RereadRequested {} => {
                self.stage = Stage::Waiting;
                self.forgiven = self.attempts;
                self.failures = 0;
            }
            Event::DocumentDeleted {} => self.stage = Stage::Deleted,
        }
        self
    }
}

impl Document {
    fn begin(&self, node: NodeId, instead_of: Option<NodeId>) -> Result<Vec<Event>, Refusal> {
        match self.stage {
            Stage::Unknown | Stage::Deleted => return Err(Refusal::Unknown),
            Stage::Ingested | Stage::Failed => return Err(Refusal::Settled),
            Stage::Ingesting { node: claimant, .. } if instead_of != Some(claimant) => {
                return Err(Refusal::Claimed(claimant));
            }
            Stage::Ingesting { .. } | Stage::Waiting => {}
        }
        let counted = self.attempts - self.forgiven;
        if counted >= MAX_ATTEMPTS {
            let reason = format!("reading it was interrupted {counted} times");
            let attempt = self.attempts;
            return Ok(vec![Event::IngestionFailed { attempt, reason, retry_in_ms: None }]);
        }
        Ok(vec![Event::IngestionStarted { attempt: self.attempts + 1, node }])
    }

    /// Whether it is there for this person.
    fn own(&self, by: &Authority) -> Result<(), Refusal> {
        match (&self.stage, &self.file) {
            (Stage::Deleted, _) | (_, None) => Err(Refusal::Unknown),
            (_, Some(file)) if by.covers(&file.owner) => Ok(()),
            (_, Some(_)) => Err(Refusal::Unknown),
        }
    }

    /// The number of passages stored so far by this attempt, which has to be the current one.
    fn claimed(&self, attempt: u32) -> Result<u32, Refusal> {
        match self.stage {
            Stage::Ingesting { stored, .. } if attempt == self.attempts => Ok(stored),
            Stage::Unknown | Stage::Deleted => Err(Refusal::Unknown),
            Stage::Ingesting { .. } | Stage::Waiting | Stage::Ingested | Stage::Failed => {
                Err(Refusal::Superseded)
            }
        }
    }
}

#[cfg(test)]
mod tests;
