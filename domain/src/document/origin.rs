//! What a document's bytes are.

use serde::{Deserialize, Serialize};

/// Longest address of a page, in characters.
pub const MAX_URL: usize = 2_048;

/// What the bytes of a document are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Origin {
    /// A file; its name tells something of its format.
    #[default]
    File,
    /// A text that somebody typed; its name is a title.
    Text,
    /// The address of a page, which is fetched whenever the document is read.
    Page {
        /// The address.
        url: String,
    },
}

impl Origin {
    /// Whether it is a file.
    pub fn is_file(&self) -> bool {
        *self == Self::File
    }

    /// The address, of a page.
    pub fn url(&self) -> Option<&str> {
        match self {
            Self::Page { url } => Some(url),
            Self::File | Self::Text => None,
        }
    }

    /// Whether this may be kept.
    pub fn fits(&self) -> bool {
        self.url().is_none_or(|url| url.chars().count() <= MAX_URL && !url.contains('\0'))
    }
}
