//! How many tokens something takes, estimated: no tokenizer is known for a model that is only a name.
//!
//! Four ASCII characters, two of another alphabet, or one Chinese, Japanese or Korean character count as one token, every
//! message as four more, every part that is not text as 1,000. Against the common byte-pair tokenizers this is within about
//! a third for prose and code in either language; what is kept free for the answer covers the rest.

use serde_json::Value;

/// What a message costs besides its text.
const MESSAGE: usize = 4;
/// What an image, a sound or a file costs, whatever its size.
const PART: usize = 1_000;

/// Of a text.
pub(crate) fn of_text(text: &str) -> usize {
    let (mut ascii, mut wide, mut other) = (0_usize, 0_usize, 0_usize);
    for c in text.chars() {
        match c {
            '\0'..='\u{7f}' => ascii += 1,
            '\u{1100}'..='\u{11ff}' | '\u{2e80}'..='\u{d7ff}' | '\u{f900}'..='\u{faff}' => {
                wide += 1
            }
            '\u{fe30}'..='\u{fe4f}' | '\u{ff00}'..='\u{ffef}' | '\u{1f000}'.. => wide += 1,
            _ => other += 1,
        }
    }
    ascii.div_ceil(4) + wide + other.div_ceil(2)
}

/// Of a message of the chat protocol.
pub(crate) fn of_message(message: &Value) -> usize {
    let content = match &message["content"] {
        Value::String(text) => of_text(text),
        Value::Array(parts) => parts.iter().map(of_part).sum(),
        _ => 0,
    };
    let calls = message.get("tool_calls").map_or(0, of_json);
    MESSAGE + content + calls
}

/// Of a definition, as its JSON text.
pub(crate) fn of_json(value: &Value) -> usize {
    of_text(&value.to_string())
}

fn of_part(part: &Value) -> usize {
    part["text"].as_str().map_or(PART, of_text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn texts_count_by_their_script() {
        assert_eq!(of_text(""), 0);
        assert_eq!(of_text("four more chars!"), 4);
        assert_eq!(of_text("四个汉字"), 4);
        assert_eq!(of_text("да да"), 3);
    }

    #[test]
    fn an_image_does_not_count_by_its_bytes() {
        let url = format!("data:image/png;base64,{}", "A".repeat(1_000_000));
        let content = json!([{"type": "text", "text": "look"}, {"type": "image_url", "image_url": {"url": url}}]);
        assert_eq!(of_message(&json!({"role": "user", "content": content})), 4 + 1 + 1_000);
    }
}
