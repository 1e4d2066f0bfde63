//! What a client may see.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Words separated by single spaces, none twice, in the order in which they were given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Scope(String);

/// A scope holds a character that no scope may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a scope consists of printable ASCII without quotes and backslashes")]
pub struct NotAScope;

impl Scope {
    /// The scope in this text.
    ///
    /// # Errors
    /// [`NotAScope`] on characters that RFC 6749 (section 3.3) rules out.
    pub fn parse(text: &str) -> Result<Self, NotAScope> {
        if !text.bytes().all(|byte| matches!(byte, b' '..=b'~') && !b"\"\\".contains(&byte)) {
            return Err(NotAScope);
        }
        let mut words: Vec<&str> = Vec::new();
        for word in text.split(' ').filter(|word| !word.is_empty()) {
            if !words.contains(&word) {
                words.push(word);
            }
        }
        Ok(Self(words.join(" ")))
    }

    /// The words.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        self.0.split(' ').filter(|word| !word.is_empty())
    }

    /// Whether this word is among them.
    pub fn has(&self, word: &str) -> bool {
        self.words().any(|own| own == word)
    }

    /// Whether nothing is asked for that is not here.
    pub fn covers(&self, asked: &Self) -> bool {
        asked.words().all(|word| self.has(word))
    }

    /// Whether there are no words.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The words, separated by spaces.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_kept_once_and_in_order() {
        let scope = Scope::parse("  openid profile  openid ").unwrap_or_default();
        assert_eq!(scope.as_str(), "openid profile");
        assert!(Scope::parse("").is_ok_and(|scope| scope.is_empty()));
    }

    #[test]
    fn less_is_covered_and_more_is_not() {
        let scope = |text| Scope::parse(text).unwrap_or_default();
        assert!(scope("openid email").covers(&scope("email")));
        assert!(scope("openid").covers(&scope("")));
        assert!(!scope("openid").covers(&scope("open")));
        assert!(!scope("").covers(&scope("openid")));
    }

    #[test]
    fn what_would_break_a_header_is_no_scope() {
        for text in ["a\"b", "a\\b", "a\nb", "a\tb", "ä"] {
            assert_eq!(Scope::parse(text), Err(NotAScope), "{text}");
        }
    }
}
