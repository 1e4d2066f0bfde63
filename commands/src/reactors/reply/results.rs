//! What is shown and told of a tool's result.

use crate::effects::tools::Outcome;
use domain::{message::Message, run::OpenCall};
use serde_json::{Map, Value, json};

/// Characters of a result at most, for clients and for the model.
const LONGEST: usize = 50_000;
/// Characters of a text within a list of results, for clients.
const LONGEST_TEXT: usize = 5_000;

/// A result as clients see it, and what the model reads where that is more.
pub(super) fn result(
    call: &OpenCall,
    outcome: &Outcome,
    message: Message,
) -> (Message, Option<String>) {
    let told = clipped(&outcome.content);
    let shown = clipped(&cleaned(&outcome.content));
    let metadata =
        Map::from_iter([("tool_execution_status".to_owned(), outcome.status.to_string().into())]);
    let message = Message {
        role: "tool".to_owned(),
        kind: "tool_call_result".to_owned(),
        tool_call_id: Some(call.id.clone()),
        content: Some(shown.as_str().into()),
        metadata,
        ..message
    };
    (message, (told != shown).then_some(told))
}

/// At most [`LONGEST`] characters, with a mark where something was left out.
fn clipped(content: &str) -> String {
    match content.char_indices().nth(LONGEST) {
        None => content.to_owned(),
        Some((end, _)) => {
            let left_out = content[end..].chars().count();
            format!("{}\n...[TRUNCATED: {left_out} more characters]", &content[..end])
        }
    }
}

/// As upstream shows results: a JSON object within the `content` of a JSON object stands for it, long texts in `results`
/// are cut, images there are left out. Anything else stays as it is, byte for byte.
fn cleaned(content: &str) -> String {
    if !content.trim_start().starts_with('{') {
        return content.to_owned();
    }
    let Ok(mut value @ Value::Object(_)) = serde_json::from_str::<Value>(content) else {
        return content.to_owned();
    };
    let inner = value["content"].as_str().filter(|inner| inner.starts_with('{'));
    let inner = inner.and_then(|inner| serde_json::from_str::<Value>(inner).ok());
    let mut changed = inner.is_some();
    if let Some(inner) = inner {
        value = inner;
    }
    for result in value.get_mut("results").and_then(Value::as_array_mut).into_iter().flatten() {
        for key in ["snippet", "description", "content"] {
            let cut = result[key].as_str().and_then(|text| {
                let (end, _) = text.char_indices().nth(LONGEST_TEXT)?;
                Some(format!("{}...[TRUNCATED]", &text[..end]))
            });
            if let Some(cut) = cut {
                result[key] = cut.into();
                changed = true;
            }
        }
        if result["image"].as_str().is_some_and(|image| image.starts_with("data:")) {
            result["image"] = json!("[BASE64_IMAGE_REMOVED_FOR_DISPLAY]");
            changed = true;
        }
    }
    if changed { value.to_string() } else { content.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(content: &str) -> (String, Option<String>) {
        let call = OpenCall {
            id: "c".to_owned(),
            name: "look".to_owned(),
            arguments: String::new(),
            begun: None,
        };
        let (message, told) = result(&call, &Outcome::success(content), Message::default());
        (message.text(), told)
    }

    #[test]
    fn what_needs_no_cleaning_stays_as_it_is() {
        for content in ["plain", " { not json", "{\"a\" : 1}", "[1]", "", "{\"content\":\"{x\"}"] {
            assert_eq!(shown(content), (content.to_owned(), None));
        }
    }

    #[test]
    fn an_object_within_an_object_stands_for_it() {
        let content = json!({"content": "{\"a\": 1}", "b": 2}).to_string();
        assert_eq!(shown(&content), ("{\"a\":1}".to_owned(), Some(content)));
    }

    #[test]
    fn long_texts_and_images_are_not_shown_but_told() {
        let long = "汉".repeat(LONGEST_TEXT + 1);
        let one = json!({"snippet": long, "title": long, "image": "data:image/png;base64,AA"});
        let content = json!({"results": [one, "odd"]}).to_string();
        let (text, told) = shown(&content);
        let text: Value = serde_json::from_str(&text).unwrap_or_default();
        let expected = format!("{}...[TRUNCATED]", "汉".repeat(LONGEST_TEXT));
        assert_eq!(text["results"][0]["snippet"], expected);
        assert_eq!(text["results"][0]["title"], long);
        assert_eq!(text["results"][0]["image"], "[BASE64_IMAGE_REMOVED_FOR_DISPLAY]");
        assert_eq!(told, Some(content));
    }

    #[test]
    fn a_result_without_end_is_cut_visibly() {
        let (text, told) = shown(&"x".repeat(LONGEST + 7));
        assert!(text.ends_with("x\n...[TRUNCATED: 7 more characters]") && told.is_none());
    }
}
