//! What changed from one text to the next, as the delta text form of diff-match-patch has it: `=N` keep, `-N` delete, `+text`
//! insert, with tabs in between; lengths in UTF-16 units, inserted text percent-encoded as by `encodeURI`.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What stands for itself.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b' ')
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b'-')
    .remove(b'.')
    .remove(b'/')
    .remove(b':')
    .remove(b';')
    .remove(b'=')
    .remove(b'?')
    .remove(b'@')
    .remove(b'_')
    .remove(b'~');

/// How `new` comes from `old`; `None` when they are the same. What both begin and end with is kept.
pub fn delta(old: &str, new: &str) -> Option<String> {
    if old == new {
        return None;
    }
    let start: usize =
        old.chars().zip(new.chars()).take_while(|(a, b)| a == b).map(|(c, _)| c.len_utf8()).sum();
    let (gone, come) = (&old[start..], &new[start..]);
    let ends = gone.chars().rev().zip(come.chars().rev());
    let end: usize = ends.take_while(|(a, b)| a == b).map(|(c, _)| c.len_utf8()).sum();
    let (gone, come) = (&gone[..gone.len() - end], &come[..come.len() - end]);
    let mut parts = Vec::new();
    for (sign, text) in [('=', &old[..start]), ('-', gone)] {
        if !text.is_empty() {
            parts.push(format!("{sign}{}", units(text)));
        }
    }
    if !come.is_empty() {
        parts.push(format!("+{}", utf8_percent_encode(come, PLAIN)));
    }
    if end > 0 {
        parts.push(format!("={}", units(&old[old.len() - end..])));
    }
    Some(parts.join("\t"))
}

fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_grow_are_kept_and_continued() {
        for (old, new, expected) in [
            ("", "Thir", "+Thir"),
            ("Thir", "Thirty days", "=4\t+ty days"),
            ("a 😀", "a 😀b\t%", "=4\t+b%09%25"),
            ("[]", "[x]", "=1\t+x\t=1"),
            ("abc", "axc", "=1\t-1\t+x\t=1"),
            ("gone", "", "-4"),
            ("aa", "a", "=1\t-1"),
            ("é", "ü", "-1\t+%C3%BC"),
        ] {
            assert_eq!(delta(old, new).as_deref(), Some(expected), "{old} {new}");
        }
        assert_eq!(delta("x", "x"), None);
    }
}
