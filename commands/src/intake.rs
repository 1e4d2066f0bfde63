//! From an upload that was accepted to its documents. Every step may be done again, by anybody.

use crate::{
    execute::{Error, Failure, execute},
    log::EventLog,
};
use domain::{
    Metadata, Position,
    document::{self, Document},
    ids::{DocumentId, KnowledgeBaseId, UserId},
    intake::File,
    knowledge_base::Authority,
};
use futures::{StreamExt, TryStreamExt, stream};

/// Documents that are written at once.
const AT_ONCE: usize = 16;

/// What is left to do of what was decided on a knowledge base.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Due {
    /// A file was accepted, and its document is to be.
    Upload(Upload),
    /// A document has given way, or its knowledge base was cleared.
    Delete {
        /// The document.
        document: DocumentId,
        /// What it would have been, in case it never came to be: it ends as one that did.
        upload: Option<Upload>,
    },
}

/// A document that is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// Where it belongs.
    pub knowledge_base: KnowledgeBaseId,
    /// Whose it is.
    pub owner: UserId,
    /// The upload it came with.
    pub task: String,
    /// The file.
    pub file: File,
}

/// Does what is due; the position of the last new event.
///
/// # Errors
/// When the log does not answer; what was done stays done.
pub async fn settle(
    log: &dyn EventLog,
    due: Vec<Due>,
    metadata: &Metadata,
) -> Result<Option<Position>, Failure> {
    let done = stream::iter(due).map(|due| one(log, due, metadata)).buffer_unordered(AT_ONCE);
    done.try_fold(None, async |last, position| Ok(last.max(position))).await
}

async fn one(
    log: &dyn EventLog,
    due: Due,
    metadata: &Metadata,
) -> Result<Option<Position>, Failure> {
    match due {
        Due::Upload(upload) => {
            let (document, command) = upload.command();
            try_to(log, &document, &command, metadata).await
        }
        Due::Delete { document, upload } => {
            let delete = document::Command::Delete { by: Authority::Admin };
            let deleted = try_to(log, &document, &delete, metadata).await?;
            if let (None, Some(upload)) = (deleted, upload) {
                let (document, command) = upload.command();
                if try_to(log, &document, &command, metadata).await?.is_some() {
                    return try_to(log, &document, &delete, metadata).await;
                }
            }
            Ok(deleted)
        }
    }
}

/// `None` when somebody was faster.
async fn try_to(
    log: &dyn EventLog,
    document: &DocumentId,
    command: &document::Command,
    metadata: &Metadata,
) -> Result<Option<Position>, Failure> {
    match execute::<Document>(log, document, command, metadata).await {
        Ok(decided) => Ok(decided.position),
        Err(Error::Refused(_)) => Ok(None),
        Err(Error::Failed(failure)) => Err(failure),
    }
}

impl Upload {
    fn command(self) -> (DocumentId, document::Command) {
        let Self { knowledge_base, owner, task, file } = self;
        let File { document, name, blob, size, media_type, metadata, origin } = file;
        let command = document::Command::Upload {
            knowledge_base,
            owner,
            task,
            name,
            blob,
            size,
            media_type,
            metadata,
            origin,
        };
        (document, command)
    }
}
