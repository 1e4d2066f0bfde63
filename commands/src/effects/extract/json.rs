//! JSON as people can read it: one value to a line, characters as themselves.
//!
//! Works on the letters alone, so a file that is not quite JSON is still a text.

use super::Extracted;

/// Lines longer than this, on average, are not for people.
const READABLE: usize = 400;
/// Deepest indentation, in levels.
const DEEPEST: usize = 16;

pub(super) fn extract(text: &str) -> Extracted {
    let lines = text.lines().count().max(1);
    let apart = text.len() / lines > READABLE;
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    let mut depth = 0_usize;
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if c == '"' {
            let length = quoted(rest);
            unescape(&rest[..length], &mut out);
            rest = &rest[length..];
            continue;
        }
        rest = &rest[c.len_utf8()..];
        match c {
            _ if !apart => out.push(c),
            '{' | '[' => {
                depth += 1;
                out.push(c);
                indent(&mut out, depth);
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                indent(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                indent(&mut out, depth);
            }
            ':' => out.push_str(": "),
            '\n' => out.push(c),
            c if c.is_whitespace() => {}
            c => out.push(c),
        }
    }
    let whole = 0..out.len();
    let media_type = "application/json".into();
    Extracted { text: out, lines: vec![whole], media_type, ..Extracted::default() }
}

fn indent(out: &mut String, depth: usize) {
    out.push('\n');
    (0..depth.min(DEEPEST)).for_each(|_| out.push_str("  "));
}

/// Length of the string at the beginning, quotes included; of all, when it never ends.
fn quoted(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Letters written as `\u…` are shown as themselves, so that they can be found; all else stays.
fn unescape(string: &str, out: &mut String) {
    let plain = string.contains("\\u").then(|| serde_json::from_str::<String>(string).ok());
    match plain.flatten() {
        Some(plain) if plain.chars().all(|c| !c.is_control() && !matches!(c, '"' | '\\')) => {
            out.push('"');
            out.push_str(&plain);
            out.push('"');
        }
        _ => out.push_str(string),
    }
}
