//! What no column can hold is replaced before any read model sees it.

use domain::Recorded;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// NUL as JSON writes it; nothing but an escape can stand for it.
const NUL: &str = "\\u0000";
/// U+FFFD, the character for what cannot be shown.
const REPLACEMENT: &str = "\\ufffd";

/// The event without NUL characters. The log keeps every character a client sends, but neither `text` nor `jsonb` takes
/// this one: left in, a single message would stop a read model for everybody.
pub(crate) fn storable(event: &Recorded) -> Cow<'_, Recorded> {
    match without_nul(event.data.get()).map(RawValue::from_string) {
        Some(Ok(data)) => Cow::Owned(Recorded { data, ..event.clone() }),
        // One escape in the place of another: it stays JSON.
        Some(Err(_)) | None => Cow::Borrowed(event),
    }
}

/// The JSON with another character in the place of NUL; `None` when it holds none.
fn without_nul(json: &str) -> Option<String> {
    let mut found = json.find(NUL)?;
    let mut clean = json.to_owned();
    let mut changed = false;
    loop {
        // After an odd number of backslashes the next one is a character, and `u0000` are five more.
        let before = json[..found].bytes().rev().take_while(|&b| b == b'\\').count();
        if before % 2 == 0 {
            clean.replace_range(found..found + NUL.len(), REPLACEMENT);
            changed = true;
        }
        match json[found + NUL.len()..].find(NUL) {
            Some(next) => found += NUL.len() + next,
            None => return changed.then_some(clean),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nul_is_replaced_and_nothing_else() -> Result<(), serde_json::Error> {
        for text in ["a\0b\0\0", "\\\0", "\0\\u0000", "\\\\\0\u{fffd}"] {
            let json = serde_json::to_string(text)?;
            let clean = without_nul(&json).unwrap_or_default();
            assert_eq!(serde_json::from_str::<String>(&clean)?, text.replace('\0', "\u{fffd}"));
        }
        for text in ["", "汉", "\\u0000", "\\\\u0000", "u0000"] {
            assert_eq!(without_nul(&serde_json::to_string(text)?), None, "{text:?}");
        }
        Ok(())
    }
}
