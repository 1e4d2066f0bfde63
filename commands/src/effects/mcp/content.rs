//! What a tool answered, as a model reads it.

use crate::effects::{Sensitive, tools::Outcome};
use rmcp::model::{CallToolResult, ContentBlock, ResourceContents};
use std::fmt::Write;

/// Most bytes of an answer that are passed on.
const MOST: usize = 256 * 1024;

/// The answer as text: texts are joined, structured content is JSON, of everything else it says what it was. The key is left
/// out: everybody's servers are called by people whom it is hidden from.
pub(super) fn outcome(answer: CallToolResult, key: Option<&Sensitive>) -> Outcome {
    let parts: Vec<String> = answer.content.iter().map(part).collect();
    let text = match (parts.is_empty(), answer.structured_content) {
        (true, Some(structured)) => structured.to_string(),
        _ => parts.join("\n"),
    };
    let text = shortened(match key {
        Some(key) => key.hidden_in(text),
        None => text,
    });
    match answer.is_error {
        Some(true) => Outcome::error(text),
        _ => Outcome::success(text),
    }
}

fn part(block: &ContentBlock) -> String {
    match block {
        ContentBlock::Text(text) => text.text.clone(),
        ContentBlock::Image(image) => binary("image", &image.mime_type, &image.data),
        ContentBlock::Audio(audio) => binary("audio", &audio.mime_type, &audio.data),
        ContentBlock::Resource(embedded) => match &embedded.resource {
            ResourceContents::TextResourceContents { text, .. } => text.clone(),
            ResourceContents::BlobResourceContents { uri, mime_type, blob, .. } => {
                let what = binary("resource", mime_type.as_deref().unwrap_or("binary"), blob);
                format!("{what} {uri}")
            }
            _ => "[resource]".to_owned(),
        },
        ContentBlock::ResourceLink(link) => format!("[resource {}] {}", link.name, link.uri),
        _ => "[content of an unknown kind]".to_owned(),
    }
}

/// Models read no base64, and logs need not keep it.
fn binary(what: &str, mime_type: &str, base64: &str) -> String {
    format!("[{what} {mime_type}, {} bytes]", base64.len() / 4 * 3)
}

fn shortened(mut text: String) -> String {
    if text.len() > MOST {
        let rest = text.len() - MOST;
        text.truncate(text.floor_char_boundary(MOST));
        // Writing to a string does not fail.
        let _written = write!(text, "\n[… {rest} bytes more]");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effects::tools::Status;
    use serde_json::{Value, json};

    fn answer(value: Value) -> Outcome {
        outcome(serde_json::from_value(value).expect("an answer"), None)
    }

    #[test]
    fn texts_are_joined_and_pictures_are_named() {
        let told = answer(json!({"content": [
            {"type": "text", "text": "one"},
            {"type": "image", "data": "AAAAAAAA", "mimeType": "image/png"},
            {"type": "resource", "resource": {"uri": "file:///a", "text": "two"}},
            {"type": "resource_link", "uri": "file:///b", "name": "b"},
        ]}));
        let text = "one\n[image image/png, 6 bytes]\ntwo\n[resource b] file:///b";
        assert_eq!(told, Outcome::success(text));
    }

    #[test]
    fn structured_content_stands_for_missing_text_only() {
        let told = answer(json!({"content": [], "structuredContent": {"sum": 3}}));
        assert_eq!(told, Outcome::success("{\"sum\":3}"));
        let content = json!([{"type": "text", "text": "3"}]);
        let told = answer(json!({"content": content, "structuredContent": {"sum": 3}}));
        assert_eq!(told, Outcome::success("3"));
    }

    #[test]
    fn an_error_is_an_error() {
        let told = answer(json!({"content": [{"type": "text", "text": "no"}], "isError": true}));
        assert_eq!((told.status, &*told.content), (Status::Error, "no"));
    }

    #[test]
    fn long_answers_are_cut_between_characters() {
        let long = "汉".repeat(MOST);
        let told = answer(json!({"content": [{"type": "text", "text": long}]}));
        assert!(told.content.len() < MOST + 50 && told.content.ends_with(" bytes more]"));
    }
}
