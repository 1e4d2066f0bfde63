//! What may be shown of another machine's words: short, on one line, and never the key.

use serde_json::Value;
use std::{error::Error, sync::Arc};

/// Characters of an excerpt at most.
const LIMIT: usize = 300;
/// How much of a key betrays it: providers like to echo its beginning.
const TELLING: usize = 6;

/// The message inside an error body: that of the usual JSON shapes, else the text without its markup.
pub(super) fn of_body(body: &[u8], key: &str) -> Arc<str> {
    match serde_json::from_slice(body) {
        Ok(json) => of_json(&json, key),
        Err(_) => clean(&without_tags(&String::from_utf8_lossy(body)), key),
    }
}

/// The message inside an error object.
pub(super) fn of_json(json: &Value, key: &str) -> Arc<str> {
    let places = ["/error/message", "/error", "/message", "/detail"];
    let message = places.iter().find_map(|place| json.pointer(place)?.as_str());
    match message {
        Some(message) => clean(message, key),
        None => clean(&json.to_string(), key),
    }
}

/// An error with its causes, without the URL (which may hold a password).
pub(super) fn of_error(error: reqwest::Error, key: &str) -> Arc<str> {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text += &format!(": {inner}");
        cause = inner.source();
    }
    clean(&text, key)
}

/// On one line, without control characters, without the key or its beginning, cut short.
pub(super) fn clean(text: &str, key: &str) -> Arc<str> {
    let hidden = if key.is_empty() { text.to_owned() } else { text.replace(key, "[key]") };
    let words = hidden.split(|c: char| c.is_whitespace() || c.is_control());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    let line = hide_beginnings(&words.join(" "), key);
    let shown = match line.char_indices().nth(LIMIT) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    };
    if shown.is_empty() { "(no text)".into() } else { shown.into() }
}

/// Replaces every word that begins as the key does (`sk-ab***yz`).
fn hide_beginnings(line: &str, key: &str) -> String {
    let Some((end, _)) = key.char_indices().nth(TELLING) else { return line.to_owned() };
    let mut parts = line.split(&key[..end]);
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|c: char| c.is_alphanumeric() || "*-_.…".contains(c));
        shown += "[key]";
        shown += rest;
    }
    shown
}

fn without_tags(text: &str) -> String {
    let mut shown = String::new();
    let mut inside = false;
    for c in text.chars() {
        match c {
            '<' => inside = true,
            '>' if inside => {
                inside = false;
                shown.push(' ');
            }
            _ if !inside => shown.push(c),
            _ => {}
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_message_out_of_the_usual_shapes() {
        for body in [
            r#"{"error": {"message": "no such model", "type": "x"}}"#,
            r#"{"error": "no such model"}"#,
            r#"{"object": "error", "message": "no such model"}"#,
            r#"{"detail": "no such model"}"#,
            "<html><h1>no</h1>\n\n such\tmodel</html>",
        ] {
            assert_eq!(&*of_body(body.as_bytes(), ""), "no such model", "{body}");
        }
        assert_eq!(&*of_body(b"", ""), "(no text)");
    }

    #[test]
    fn never_shows_the_key_nor_its_beginning() {
        let key = "sk-abcdefghijkl";
        let body = "bad key sk-abcdefghijkl, or sk-abc***jkl: or \"sk-abcdefg\" again";
        assert_eq!(&*of_body(body.as_bytes(), key), r#"bad key [key], or [key]: or "[key]" again"#);
    }

    #[test]
    fn a_key_at_the_cut_is_hidden_before_the_cut() {
        let key = "key-0123456789";
        let shown = clean(&format!("{}{key}", "x".repeat(LIMIT - 3)), key);
        assert!(!shown.contains("key-"), "{shown}");
    }

    #[test]
    fn long_bodies_are_cut_between_characters() {
        let shown = of_body("错".repeat(1_000).as_bytes(), "");
        assert_eq!(shown.chars().count(), LIMIT + 1);
    }
}
