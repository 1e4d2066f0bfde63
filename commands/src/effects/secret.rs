//! Text that must not be seen.

use sha2::{Digest, Sha256};
use std::fmt;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// What stands for the hidden part of a key.
const HIDDEN: &str = "***";
/// Bytes of a secret that is one wherever it stands.
const TELLING: usize = 6;

/// A password, a token, a key: never printed, wiped from memory when dropped.
#[derive(Clone, Default)]
pub struct Sensitive(Zeroizing<String>);

impl<'de> serde::Deserialize<'de> for Sensitive {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}

impl Sensitive {
    /// The text itself.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// `bytes` random bytes, hexadecimal.
    pub fn random(bytes: usize) -> Self {
        let mut raw = Zeroizing::new(vec![0_u8; bytes]);
        rand::fill(raw.as_mut_slice());
        Self::from(hex(&raw))
    }

    /// SHA-256 of the text, hexadecimal: what is kept of a random secret.
    pub fn digest(&self) -> String {
        hex(&Sha256::digest(self.0.as_bytes()))
    }

    /// What is shown of a key: its ends, or nothing of a short one.
    pub fn masked(&self) -> String {
        let characters: Vec<char> = self.expose().chars().collect();
        match characters.len() {
            ..=8 => HIDDEN.to_owned(),
            length => {
                let end = |range: &[char]| range.iter().collect::<String>();
                format!("{}{HIDDEN}{}", end(&characters[..4]), end(&characters[length - 4..]))
            }
        }
    }

    /// What somebody else wrote, without this secret. One of a few characters may be a word like any other and stays.
    pub fn hidden_in(&self, text: String) -> String {
        match self.0.len() >= TELLING && text.contains(self.expose()) {
            true => text.replace(self.expose(), "[key]"),
            false => text,
        }
    }

    /// Whether both are the same; takes the same time wherever they differ.
    pub fn matches(&self, other: &str) -> bool {
        same(self.expose(), other)
    }
}

impl From<String> for Sensitive {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl From<&str> for Sensitive {
    fn from(text: &str) -> Self {
        Self::from(text.to_owned())
    }
}

impl fmt::Debug for Sensitive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Whether this is what is shown of a key instead of one.
pub fn is_masked(text: &str) -> bool {
    let length = text.chars().count();
    text == HIDDEN || (length == 11 && text.chars().skip(4).take(3).eq(HIDDEN.chars()))
}

/// Whether two texts are the same. Time depends on the first one's length only.
pub fn same(left: &str, right: &str) -> bool {
    // Digests make the lengths equal, so that the comparison tells nothing about them either.
    let digest = |text: &str| Sha256::digest(text.as_bytes());
    digest(left).as_slice().ct_eq(digest(right).as_slice()).into()
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_printed() {
        assert_eq!(format!("{:?}", Sensitive::from("hunter2".to_owned())), "[redacted]");
    }

    #[test]
    fn a_key_shows_its_ends_only() {
        let masked = |key: &str| Sensitive::from(key.to_owned()).masked();
        assert_eq!(masked("sk-0123456789"), "sk-0***6789");
        for short in ["", "12345678", "密钥"] {
            assert_eq!(masked(short), "***");
        }
        assert_eq!(masked("密钥一二三四五六七"), "密钥一二***四五六七");
        assert!(is_masked(&masked("sk-0123456789")) && is_masked(&masked("short")));
        for key in ["sk-0123456789", "", "a***b", "sk-***-long-key"] {
            assert!(!is_masked(key), "{key}");
        }
    }

    #[test]
    fn what_others_write_loses_the_key() {
        let hidden = |key: &str, text: &str| Sensitive::from(key.to_owned()).hidden_in(text.into());
        assert_eq!(hidden("sk-012", "Bearer sk-012, sk-012"), "Bearer [key], [key]");
        assert_eq!(hidden("sk-012", "sk-01"), "sk-01");
        assert_eq!(hidden("a", "a cat"), "a cat");
        assert_eq!(hidden("", "text"), "text");
    }

    #[test]
    fn texts_are_compared_whole() {
        let secret = Sensitive::from("abc".to_owned());
        assert!(secret.matches("abc"));
        for other in ["", "ab", "abd", "abcd"] {
            assert!(!secret.matches(other), "{other}");
        }
    }

    #[test]
    fn random_secrets_are_long_and_differ() {
        let (one, other) = (Sensitive::random(20), Sensitive::random(20));
        assert_eq!(one.expose().len(), 40);
        assert_ne!(one.expose(), other.expose());
    }

    #[test]
    fn digests_are_sha256_in_hexadecimal() {
        assert_eq!(
            Sensitive::from("abc".to_owned()).digest(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
