//! What is said of a document, so that a search may choose among documents before it looks at them.

use serde::{Deserialize, Serialize};
use serde_json::Number;
use std::collections::BTreeMap;

/// Values by key, small enough to lie beside every document.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Labels(pub BTreeMap<String, Label>);

/// A value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Label {
    /// True or false.
    Flag(bool),
    /// A number.
    Number(Number),
    /// A text.
    Text(String),
}

/// Most keys.
const KEYS: usize = 64;
/// Longest key, in characters.
const KEY: usize = 128;
/// Longest text, in characters.
const TEXT: usize = 4_096;
/// Most bytes of everything.
const BYTES: usize = 16 << 10;

impl Labels {
    /// What fits, for people.
    pub const RULE: &str = "metadata have at most 64 keys of 1 to 128 characters, texts of at most 4096 characters \
                            and 16 KB in all";

    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this may be kept: not too much, and no NUL character, which no database stores.
    pub fn fits(&self) -> bool {
        let fits = |(key, label): (&String, &Label)| {
            (1..=KEY).contains(&key.chars().count()) && !key.contains('\0') && label.fits()
        };
        let bytes: usize = self.0.iter().map(|(key, label)| key.len() + label.bytes()).sum();
        self.0.len() <= KEYS && bytes <= BYTES && self.0.iter().all(fits)
    }
}

impl Label {
    fn fits(&self) -> bool {
        match self {
            Self::Text(text) => text.chars().count() <= TEXT && !text.contains('\0'),
            Self::Flag(_) | Self::Number(_) => true,
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Flag(_) | Self::Number(_) => 8,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(all: impl IntoIterator<Item = (String, Label)>) -> Labels {
        Labels(all.into_iter().collect())
    }

    fn text(text: impl Into<String>) -> Label {
        Label::Text(text.into())
    }

    #[test]
    fn values_keep_their_types() -> Result<(), serde_json::Error> {
        let json = r#"{"a":true,"b":7,"c":0.5,"d":"7"}"#;
        let read: Labels = serde_json::from_str(json)?;
        assert_eq!(read.0["d"], text("7"));
        assert_eq!(read.0["a"], Label::Flag(true));
        assert_eq!(serde_json::to_string(&read)?, json);
        for wrong in [r#"{"a":null}"#, r#"{"a":[1]}"#, r#"{"a":{}}"#, "[]"] {
            assert!(serde_json::from_str::<Labels>(wrong).is_err(), "{wrong}");
        }
        Ok(())
    }

    #[test]
    fn there_is_a_limit_to_everything() {
        let many = |n: usize| labels((0..n).map(|i| (i.to_string(), Label::Flag(true))));
        assert!(many(KEYS).fits() && !many(KEYS + 1).fits());
        let one = |key: &str, value: Label| labels([(key.to_owned(), value)]);
        assert!(
            one("k", text("x".repeat(TEXT))).fits() && !one("k", text("x".repeat(TEXT + 1))).fits()
        );
        assert!(!one("", text("x")).fits() && !one(&"k".repeat(KEY + 1), text("x")).fits());
        assert!(!one("a\0", text("x")).fits() && !one("a", text("\0")).fits());
        let large = labels((0..5).map(|i| (i.to_string(), text("x".repeat(TEXT)))));
        assert!(!large.fits());
    }
}
