//! What a client makes of a stream: messages, merged line by line as existing clients do it.
//!
//! Written from the contract's merge rules and on plain JSON, so that it shares nothing with the server.

use serde_json::{Map, Value};

/// Keys of a message that have to be the same however a client came by it.
const COMPARED: [&str; 8] = [
    "role",
    "message_id",
    "content",
    "reasoning_content",
    "tool_calls",
    "tool_call_id",
    "type",
    "metadata",
];

/// The messages that these lines make.
///
/// # Panics
/// When a line is no JSON object.
pub fn fold<S: AsRef<str>>(lines: &[S]) -> Vec<Value> {
    let mut messages: Vec<Map<String, Value>> = Vec::new();
    for line in lines {
        let line: Map<String, Value> =
            serde_json::from_str(line.as_ref()).expect("every line is an object");
        if matches!(line["type"].as_str(), Some("stream_end" | "token_usage")) {
            continue;
        }
        let key = |message: &Map<String, Value>| {
            (message.get("session_id").cloned(), message.get("message_id").cloned())
        };
        let known = messages.iter_mut().find(|known| key(known) == key(&line));
        match known {
            None => messages.push(line),
            Some(known) if line["role"] == "tool" => *known = line,
            Some(known) => merge(known, line),
        }
    }
    messages.into_iter().map(Value::Object).collect()
}

fn merge(known: &mut Map<String, Value>, mut line: Map<String, Value>) {
    for key in ["content", "reasoning_content"] {
        if let (Some(old), Some(new)) = (known.get(key).and_then(Value::as_str), line.get(key)) {
            let joined = format!("{old}{}", new.as_str().unwrap_or_default());
            line.insert(key.to_owned(), joined.into());
        }
    }
    if let Some(Value::Array(pieces)) = line.remove("tool_calls") {
        let mut calls = match known.remove("tool_calls") {
            Some(Value::Array(calls)) => calls,
            _ => vec![],
        };
        pieces.into_iter().for_each(|piece| merge_call(&mut calls, piece));
        line.insert("tool_calls".to_owned(), calls.into());
    }
    known.extend(line);
}

fn merge_call(calls: &mut Vec<Value>, piece: Value) {
    let by_id = |call: &Value| !piece["id"].is_null() && call["id"] == piece["id"];
    let by_index = |call: &Value| piece["id"].is_null() && call["index"] == piece["index"];
    match calls.iter_mut().find(|call| by_id(call) || by_index(call)) {
        None => calls.push(piece),
        Some(call) => {
            let more = piece["function"]["arguments"].as_str().unwrap_or_default();
            let known = call["function"]["arguments"].as_str().unwrap_or_default();
            call["function"]["arguments"] = format!("{known}{more}").into();
        }
    }
}

/// What of these messages has to be the same everywhere; what is absent counts as null.
pub fn essence(messages: &[Value]) -> Vec<Value> {
    let pick = |message: &Value| -> Value {
        COMPARED.iter().map(|key| ((*key).to_owned(), message[*key].clone())).collect()
    };
    messages.iter().map(pick).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn line(content: &str, kind: &str) -> String {
        json!({"role": "assistant", "content": content, "message_id": "m", "type": kind,
            "metadata": {}})
        .to_string()
    }

    #[test]
    fn texts_grow_and_the_last_type_wins() {
        let messages = fold(&[line("a", "x"), line("b", "y")]);
        assert_eq!((&messages[0]["content"], &messages[0]["type"]), (&json!("ab"), &json!("y")));
    }

    #[test]
    fn ends_and_costs_are_no_messages() {
        assert!(
            fold(&[line("", "token_usage"), json!({"type": "stream_end"}).to_string()]).is_empty()
        );
    }
}
