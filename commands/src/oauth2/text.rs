//! What codes and tokens look like: kind, grant, serial, 256 random bits, and a seal that only this installation can make.
//!
//! The seal tells what was once issued here from what somebody made up, without asking the log: a refresh token that is
//! genuine but not the newest is one that comes a second time.

use crate::effects::{Sensitive, keys::Keys, secret::same};
use domain::ids::GrantId;
use uuid::Uuid;

/// What a text is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Code,
    Access,
    Refresh,
}

/// What a code or token says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Handle {
    pub kind: Kind,
    pub grant: GrantId,
    /// With which issue of the grant it was given out; 0 for codes.
    pub serial: u32,
}

const SECRET_BYTES: usize = 32;
/// One letter, 32 digits of grant, 8 of serial.
const HEAD: usize = 1 + 32 + 8;
const BODY: usize = HEAD + 2 * SECRET_BYTES;
const SEAL: usize = 32;

impl Kind {
    fn letter(self) -> char {
        match self {
            Self::Code => 'c',
            Self::Access => 'a',
            Self::Refresh => 'r',
        }
    }
}

/// A new code or token.
pub(super) fn mint(keys: &Keys, handle: Handle) -> Sensitive {
    let Handle { kind, grant, serial } = handle;
    let secret = Sensitive::random(SECRET_BYTES);
    let body = format!("{}{}{serial:08x}{}", kind.letter(), grant.0.simple(), secret.expose());
    let sealed = format!("{body}{}", seal(keys, &body));
    Sensitive::from(sealed)
}

/// What a text of this kind says of itself; `None` when it was not issued here.
pub(super) fn read(keys: &Keys, kind: Kind, text: &str) -> Option<Handle> {
    if text.len() != BODY + SEAL || !text.is_ascii() || !text.starts_with(kind.letter()) {
        return None;
    }
    let (body, sealed) = text.split_at(BODY);
    if !same(&seal(keys, body), sealed) {
        return None;
    }
    let grant = GrantId(Uuid::try_parse(body.get(1..33)?).ok()?);
    let serial = u32::from_str_radix(body.get(33..HEAD)?, 16).ok()?;
    Some(Handle { kind, grant, serial })
}

fn seal(keys: &Keys, body: &str) -> String {
    let mut seal = keys.lookup_hash("oauth2 code or token", body);
    seal.truncate(SEAL);
    seal
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::effects::keys::MasterKey;

    fn keys(first: char) -> Keys {
        let key = format!("{first}AECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
        Keys::derive(&MasterKey::parse(&key[..44], "test").unwrap())
    }

    const HANDLE: Handle =
        Handle { kind: Kind::Refresh, grant: GrantId(Uuid::from_u128(7)), serial: 1_000 };

    #[test]
    fn what_was_issued_is_understood() {
        let keys = keys('A');
        let text = mint(&keys, HANDLE);
        assert!(text.expose().len() >= 48);
        assert_eq!(read(&keys, Kind::Refresh, text.expose()), Some(HANDLE));
        assert_ne!(text.expose(), mint(&keys, HANDLE).expose());
    }

    #[test]
    fn nothing_else_is() {
        let keys = keys('A');
        let text = mint(&keys, HANDLE);
        let text = text.expose();
        assert_eq!(read(&keys, Kind::Access, text), None);
        assert_eq!(read(&keys, Kind::Access, &text.replacen('r', "a", 1)), None);
        assert_eq!(read(&self::keys('B'), Kind::Refresh, text), None);
        assert_eq!(read(&keys, Kind::Refresh, &text.to_uppercase()), None);
        assert_eq!(read(&keys, Kind::Refresh, ""), None);
        assert_eq!(read(&keys, Kind::Refresh, &"é".repeat(68)), None);
        let later = text.replacen("000003e8", "000003e9", 1);
        assert_eq!(read(&keys, Kind::Refresh, &later), None);
    }
}
