//! A datasource: a knowledge base that apps search, whose documents ("entries") carry metadata for filters.
//!
//! It is a knowledge base like any other to the engine that reads, stores and searches. What makes it a datasource is its
//! kind of content, said when it is created; clients that know knowledge bases do not see it among theirs.

mod filter;

pub use filter::{BadFilter, parse};

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Longest name, in characters.
pub const MAX_NAME: usize = 100;

/// What a datasource holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Type {
    /// Texts that somebody typed.
    Text,
    /// Pages.
    Url,
    /// PDF files.
    Pdf,
    /// Files.
    File,
    /// A store elsewhere: nothing is put into it, and nothing is found in it, from here.
    Weaviate,
}

impl Type {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 5] = [Self::Text, Self::Url, Self::Pdf, Self::File, Self::Weaviate];

    /// Its number, from 1.
    pub fn id(self) -> u64 {
        match self {
            Self::Text => 1,
            Self::Url => 2,
            Self::Pdf => 3,
            Self::File => 4,
            Self::Weaviate => 5,
        }
    }

    /// As programs write it.
    pub fn slug(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Url => "url",
            Self::Pdf => "pdf",
            Self::File => "file",
            Self::Weaviate => "weaviate",
        }
    }

    /// As people read it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "Text",
            Self::Url => "URL",
            Self::Pdf => "PDF",
            Self::File => "File",
            Self::Weaviate => "Weaviate",
        }
    }

    /// Whether it lies elsewhere.
    pub fn is_external(self) -> bool {
        match self {
            Self::Weaviate => true,
            Self::Text | Self::Url | Self::Pdf | Self::File => false,
        }
    }

    /// The type that clients mean: its number, also as text, its slug or name in any case, or an object with one of these.
    /// So whatever a client read, it can send back.
    pub fn meant(value: &Value) -> Option<Self> {
        let numbered = |number: u64| Self::ALL.into_iter().find(|kind| kind.id() == number);
        match value {
            Value::Number(number) => numbered(number.as_u64()?),
            Value::String(text) => {
                let text = text.trim();
                let slug = |kind: &Self| kind.slug().eq_ignore_ascii_case(text);
                Self::ALL.into_iter().find(slug).or_else(|| numbered(text.parse().ok()?))
            }
            Value::Object(fields) => {
                let plain = |key| fields.get(key).filter(|value| !value.is_object());
                ["slug", "id", "name"].into_iter().find_map(|key| Self::meant(plain(key)?))
            }
            Value::Null | Value::Bool(_) | Value::Array(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_type_is_known_by_whatever_was_read() {
        for kind in Type::ALL {
            let shown = json!({"id": kind.id(), "slug": kind.slug(), "name": kind.name()});
            for value in [
                json!(kind.id()),
                json!(kind.id().to_string()),
                json!(kind.slug()),
                json!(kind.name().to_uppercase()),
                shown,
                json!({"name": kind.name()}),
            ] {
                assert_eq!(Type::meant(&value), Some(kind), "{value}");
            }
        }
        for value in
            [json!(0), json!(6), json!(-1), json!("texts"), json!(null), json!([1]), json!({})]
        {
            assert_eq!(Type::meant(&value), None, "{value}");
        }
    }
}
