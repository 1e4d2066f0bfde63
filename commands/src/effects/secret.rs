//! Text that must not be seen.

use sha2::{Digest, Sha256};
use std::fmt;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

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

/// Whether two texts are the same. Time depends on the first one's length only.
pub fn same(left: &str, right: &str) -> bool {
    // Digests make the lengths equal, so that the comparison tells nothing about them either.
    let digest = |text: &str| Sha256::digest(text.as_bytes());
    digest(left).as_slice().ct_eq(digest(right).as_slice()).into()
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
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
