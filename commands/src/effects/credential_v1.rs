//! Credentials as the upstream product seals them: `v1:iv:tag:ciphertext`, each part hexadecimal, AES-256-GCM under one
//! key for all. Read only, to move them into the vault.

use super::Sensitive;
use aes_gcm::{Aes256Gcm, KeyInit, Nonce, aead::Aead};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;
use zeroize::Zeroizing;

const NONCE: usize = 12;
const TAG: usize = 16;

/// Not sealed so, or with another key: which of the two is nobody's business.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the sealed credentials cannot be opened")]
pub struct Unopened;

/// Whether this is a key: 32 bytes in base64.
pub fn is_key(text: &str) -> bool {
    key(text).is_some()
}

/// The JSON text in a sealed value: an object with the member `enc`, or its text alone.
///
/// # Errors
/// [`Unopened`], whatever the reason.
pub fn open(key_b64: &Sensitive, sealed: &Value) -> Result<Sensitive, Unopened> {
    let text = sealed.as_str().or_else(|| sealed.get("enc")?.as_str()).ok_or(Unopened)?;
    opened(key_b64, text).ok_or(Unopened)
}

fn opened(key_b64: &Sensitive, text: &str) -> Option<Sensitive> {
    let parts: Vec<&str> = text.split(':').collect();
    let ["v1", nonce, tag, sealed] = parts[..] else { return None };
    let nonce = <[u8; NONCE]>::try_from(bytes(nonce)?).ok()?;
    let tag = <[u8; TAG]>::try_from(bytes(tag)?).ok()?;
    let sealed = [bytes(sealed)?, tag.to_vec()].concat();
    let cipher = Aes256Gcm::new(&(*key(key_b64.expose())?).into());
    let plain = cipher.decrypt(&Nonce::from(nonce), sealed.as_slice()).ok().map(Zeroizing::new)?;
    Some(Sensitive::from(std::str::from_utf8(&plain).ok()?.to_owned()))
}

fn key(text: &str) -> Option<Zeroizing<[u8; 32]>> {
    let decoded = STANDARD.decode(text.trim()).map(Zeroizing::new).ok()?;
    <[u8; 32]>::try_from(decoded.as_slice()).ok().map(Zeroizing::new)
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let whole = hex.len().is_multiple_of(2) && hex.bytes().all(|b| b.is_ascii_hexdigit());
    let byte = |at: usize| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok();
    whole.then(|| (0..hex.len()).step_by(2).map(byte).collect())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effects::secret::hex;
    use serde_json::json;

    const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    fn sealed() -> Option<String> {
        let nonce = [7; NONCE];
        let cipher = Aes256Gcm::new(&(*key(KEY)?).into());
        let plain = br#"{"password":"hunter2"}"#;
        let sealed = cipher.encrypt(&Nonce::from(nonce), plain.as_slice()).ok()?;
        let (text, tag) = sealed.split_at(sealed.len() - TAG);
        Some(format!("v1:{}:{}:{}", hex(&nonce), hex(tag), hex(text)))
    }

    #[test]
    fn both_forms_open() {
        let (key, sealed) = (Sensitive::from(KEY.to_owned()), sealed().unwrap_or_default());
        for value in [json!({"enc": sealed}), json!(sealed)] {
            let opened = open(&key, &value).map(|text| text.expose().to_owned());
            assert_eq!(opened.as_deref(), Ok(r#"{"password":"hunter2"}"#));
        }
    }

    #[test]
    fn everything_else_is_refused_in_the_same_way() {
        let key = Sensitive::from(KEY.to_owned());
        let good = sealed().unwrap_or_default();
        let flipped =
            format!("{}{}", &good[..good.len() - 1], if good.ends_with('0') { '1' } else { '0' });
        let other = good.replacen("v1", "v2", 1);
        for text in [flipped.as_str(), &other, "", "v1:::", "v1:00:00:00", &format!("{good}:00")] {
            assert_eq!(open(&key, &json!(text)).err(), Some(Unopened), "{text}");
        }
        assert_eq!(open(&key, &json!({"enc": 7})).err(), Some(Unopened));
        let another = Sensitive::from(KEY.replace('A', "B"));
        assert_eq!(open(&another, &json!(good)).err(), Some(Unopened));
        assert!(!is_key("c2hvcnQ="));
    }
}
