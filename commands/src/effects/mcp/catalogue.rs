//! What is remembered of the tools a server tells: bounded, because a stranger wrote it and it goes into the log and into prompts.

use domain::{
    json,
    mcp_server::{TOOLS, Tool},
};
use rmcp::model;
use serde_json::{Value, json};

/// Longest tool name, in characters.
const NAME: usize = 128;
/// Longest description, in characters.
const DESCRIPTION: usize = 4_096;
/// Largest schema, in bytes of JSON.
const SCHEMA: usize = 32 * 1024;
/// Largest catalogue, in bytes of descriptions and schemas.
const CATALOGUE: usize = 512 * 1024;

/// Tools as they are remembered. Nameless ones, and those beyond the limits, are left out.
pub(super) fn remembered(told: Vec<model::Tool>) -> Vec<Tool> {
    let mut room = CATALOGUE;
    let usable = |tool: &Tool| !tool.name.is_empty() && tool.name.chars().count() <= NAME;
    let fits = |(tool, size): &(Tool, usize)| {
        let fits = *size <= room;
        room -= if fits { *size } else { 0 };
        if !fits {
            tracing::info!(tool = tool.name, "an MCP server has more tools than are remembered");
        }
        fits
    };
    told.into_iter()
        .map(tool)
        .filter(|(tool, _)| usable(tool))
        .filter(fits)
        .take(TOOLS)
        .map(|(tool, _)| tool)
        .collect()
}

/// The tool and about how many bytes it takes.
fn tool(told: model::Tool) -> (Tool, usize) {
    let parameters = Value::Object((*told.input_schema).clone());
    let text = parameters.to_string();
    let (parameters, size) = match text.len() > SCHEMA || json::is_too_deep(text.as_bytes()) {
        true => (json!({"type": "object"}), 0),
        false => (parameters, text.len()),
    };
    let description = told.description.or(told.title.map(Into::into)).unwrap_or_default();
    let description: String = description.chars().take(DESCRIPTION).collect();
    let hints = told.annotations.unwrap_or_default();
    let idempotent =
        hints.idempotent_hint.unwrap_or_default() || hints.read_only_hint.unwrap_or_default();
    let size = size + description.len() + told.name.len();
    (Tool { name: told.name.into_owned(), description, parameters, idempotent }, size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rmcp::model::JsonObject;
    use std::sync::Arc;

    fn told(name: &str, description: &str, schema: Value) -> model::Tool {
        let schema: JsonObject = schema.as_object().cloned().unwrap_or_default();
        model::Tool::new(name.to_owned(), description.to_owned(), Arc::new(schema))
    }

    #[test]
    fn what_a_stranger_writes_is_bounded() {
        let deep = (0..70).fold(json!({}), |inner, _| json!({"properties": {"a": inner}}));
        let tools = remembered(vec![
            told("", "nameless", json!({})),
            told(&"n".repeat(NAME + 1), "long name", json!({})),
            told("long", &"汉".repeat(DESCRIPTION + 1), json!({})),
            told("wide", "", json!({"description": "x".repeat(SCHEMA)})),
            told("deep", "", deep),
        ]);
        let names: Vec<_> = tools.iter().map(|tool| &*tool.name).collect();
        assert_eq!(names, ["long", "wide", "deep"]);
        assert_eq!(tools[0].description.chars().count(), DESCRIPTION);
        assert_eq!(tools[1].parameters, json!({"type": "object"}));
        assert_eq!(tools[2].parameters, json!({"type": "object"}));
    }

    #[test]
    fn a_catalogue_has_a_size() {
        let large = json!({"description": "x".repeat(SCHEMA - 100)});
        let many = (0..40).map(|n| told(&format!("t{n}"), "", large.clone())).collect();
        assert_eq!(remembered(many).len(), CATALOGUE / SCHEMA);
        let small = (0..TOOLS + 9).map(|n| told(&format!("t{n}"), "", json!({}))).collect();
        assert_eq!(remembered(small).len(), TOOLS);
    }
}
