//! What documents are made of: files by their hash, and the passages of their text.

use serde::{Deserialize, Serialize};

/// SHA-256 of a file in lower-case hex; the file lies under this name in the blob store.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BlobHash(pub String);

impl BlobHash {
    /// Whether this is 64 lower-case hex digits, and so safe in a path.
    pub fn is_valid(&self) -> bool {
        self.0.len() == 64 && self.0.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    }
}

/// A piece of a document's text, small enough to be quoted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passage {
    /// The extracted text from `start` to `end`.
    pub text: String,
    /// First byte within the extracted text (UTF-8).
    pub start: u64,
    /// One past the last byte.
    pub end: u64,
    /// The headings it stands under, outermost first, joined by ` > `; empty when there are none.
    #[serde(default)]
    pub heading: String,
    /// The page it begins on, from 1, in formats that have pages (a slide counts as one).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<u32>,
    /// The row of a table it is, from 0, where every row is a passage of its own: questions with answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row: Option<u32>,
}

impl Passage {
    /// What is embedded and searched: the text below its headings.
    pub fn indexed(&self) -> String {
        if self.heading.is_empty() {
            self.text.clone()
        } else {
            format!("{}\n{}", self.heading, self.text)
        }
    }
}
