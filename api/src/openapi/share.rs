//! Schemas that are written out where they have a name become references to it: utoipa writes out what generic types hold.

use serde_json::{Map, Value, json};
use std::collections::HashMap;

/// The document with one place for every named schema.
pub(super) fn shared(mut document: Value) -> Value {
    let named = document.pointer("/components/schemas").and_then(Value::as_object);
    let names: HashMap<String, String> = named
        .into_iter()
        .flatten()
        .filter(|(_, schema)| schema.get("properties").is_some() || schema.get("allOf").is_some())
        .map(|(name, schema)| (shape(schema), name.clone()))
        .collect();
    if let Some(Value::Object(paths)) = document.get_mut("paths") {
        paths.values_mut().for_each(|item| refer(item, &names));
    }
    if let Some(Value::Object(schemas)) = document.pointer_mut("/components/schemas") {
        schemas.values_mut().for_each(|schema| below(schema, &names));
    }
    document
}

/// What a schema says, but for its description: every place has its own.
fn shape(schema: &Value) -> String {
    let mut schema = schema.clone();
    if let Value::Object(fields) = &mut schema {
        fields.remove("description");
    }
    schema.to_string()
}

fn refer(value: &mut Value, names: &HashMap<String, String>) {
    let schema = value.get("properties").is_some() || value.get("allOf").is_some();
    match names.get(&shape(value)).filter(|_| schema) {
        None => below(value, names),
        Some(name) => {
            let described = value.get("description").cloned();
            let mut reference = Map::new();
            reference.insert("$ref".into(), json!(format!("#/components/schemas/{name}")));
            reference.extend(described.map(|text| ("description".to_owned(), text)));
            *value = Value::Object(reference);
        }
    }
}

fn below(value: &mut Value, names: &HashMap<String, String>) {
    match value {
        Value::Array(list) => list.iter_mut().for_each(|value| refer(value, names)),
        Value::Object(fields) => fields.values_mut().for_each(|value| refer(value, names)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_schema_is_referred_to_wherever_it_is_written_out() {
        let fan = json!({"type": "object", "properties": {"name": {"type": "string"}}});
        let told = json!({"description": "Whom.", "type": "object", "properties": {"name": {"type": "string"}}});
        let page =
            json!({"type": "object", "properties": {"data": {"type": "array", "items": told}}});
        let document = shared(json!({
            "paths": {"/fans": {"get": {"schema": page}}},
            "components": {"schemas": {"Fan": fan, "Page": page}},
        }));
        assert_eq!(
            document["paths"]["/fans"]["get"]["schema"],
            json!({"$ref": "#/components/schemas/Page"})
        );
        assert_eq!(document["components"]["schemas"]["Fan"], fan);
        let items = &document["components"]["schemas"]["Page"]["properties"]["data"]["items"];
        assert_eq!(*items, json!({"$ref": "#/components/schemas/Fan", "description": "Whom."}));
    }
}
