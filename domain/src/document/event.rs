//! What happens to documents.

use super::{BlobHash, Labels, Origin, Passage};
use crate::ids::{KnowledgeBaseId, NodeId, UserId};
use serde::{Deserialize, Serialize};

/// What happened to a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// A file was put into a knowledge base; its bytes are in the blob store.
    DocumentUploaded {
        /// Where it belongs.
        knowledge_base: KnowledgeBaseId,
        /// Owner of the knowledge base.
        owner: UserId,
        /// The upload it came with; several files may share one. 32 hex digits.
        task: String,
        /// The file's name as the client gave it.
        name: String,
        /// Its bytes.
        blob: BlobHash,
        /// How many bytes.
        size: u64,
        /// Media type as the client gave it; a hint only.
        media_type: String,
        /// What filters may ask about it besides its name.
        #[serde(default, skip_serializing_if = "Labels::is_empty")]
        metadata: Labels,
        /// What its bytes are.
        #[serde(default, skip_serializing_if = "Origin::is_file")]
        origin: Origin,
    },
    /// A node has begun to read it.
    IngestionStarted {
        /// Which attempt, from 1.
        attempt: u32,
        /// Who.
        node: NodeId,
    },
    /// Some of its passages, in order.
    PassagesStored {
        /// The attempt that made them.
        attempt: u32,
        /// Number of the first of them within the document, from 0.
        first: u32,
        /// Model under which their vectors are remembered.
        model: String,
        /// At most about 256 KB together.
        passages: Vec<Passage>,
    },
    /// It can be searched.
    DocumentIngested {
        /// The attempt that succeeded.
        attempt: u32,
        /// Bytes of the extracted text.
        text_bytes: u64,
        /// What it was recognised as, e.g. `text/markdown`.
        media_type: String,
        /// The extracted text in the blob store, UTF-8: what the passages' offsets count. `None` in old events.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        text: Option<BlobHash>,
    },
    /// An attempt failed.
    IngestionFailed {
        /// Which.
        attempt: u32,
        /// Why, for the person who uploaded it.
        reason: String,
        /// Milliseconds until the next attempt; `None` when there will be none.
        retry_in_ms: Option<u64>,
    },
    /// Somebody wants it read again from the beginning; what is found of it stays until then.
    RereadRequested {},
    /// It is gone.
    DocumentDeleted {},
}
