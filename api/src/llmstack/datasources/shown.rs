//! Datasources and entries as clients see them.

use crate::llmstack::{Holder, apps::iso};
use domain::{
    datasource::Type,
    document::{Label, Origin},
};
use projections::{
    datasources::{Entry, Row},
    documents,
};
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// What the product counts for a passage: a vector of 1536 numbers of four bytes.
const CHUNK: i64 = 6_144;
/// What the keys of an owner's metadata are preceded by in the search.
pub const PREFIX: &str = "md_";

/// An id of the log as clients know it.
pub fn uuid(id: &str) -> String {
    id.parse::<Uuid>().map_or_else(|_| id.to_owned(), |id| id.to_string())
}

/// A type in short.
pub fn brief_type(kind: Type) -> Value {
    json!({
        "id": kind.id(),
        "slug": kind.slug(),
        "name": kind.name(),
        "description": description(kind),
        "is_external_datasource": kind.is_external(),
    })
}

/// A type with what its entries are made of.
pub fn full_type(kind: Type) -> Value {
    let text = json!({"type": "string"});
    let properties = match kind {
        Type::Text => json!({"name": text, "content": text}),
        Type::Url => json!({"urls": text}),
        Type::Pdf | Type::File => json!({"name": text, "file": text}),
        Type::Weaviate => json!({}),
    };
    let mut shown = brief_type(kind);
    shown["entry_config_schema"] = json!({"type": "object", "properties": properties});
    shown["entry_config_ui_schema"] = json!({});
    shown["sync_config"] = Value::Null;
    shown
}

fn description(kind: Type) -> &'static str {
    match kind {
        Type::Text => "Texts",
        Type::Url => "Pages by their addresses",
        Type::Pdf => "PDF files",
        Type::File => "Files",
        Type::Weaviate => "A Weaviate store elsewhere",
    }
}

/// A datasource.
pub fn datasource(row: &Row, holder: &Holder) -> Value {
    let kind = row.kind();
    json!({
        "uuid": uuid(&row.id),
        "name": row.name,
        "type": brief_type(kind),
        "type_slug": kind.slug(),
        "size": row.passages * CHUNK,
        "created_at": iso(row.created_at),
        "updated_at": iso(row.updated_at),
        "visibility": 0,
        "owner_email": holder.email(),
        "refresh_interval": null,
        "has_source": !kind.is_external(),
        "is_destination_only": kind.is_external(),
        "has_read_permission": true,
        "has_write_permission": true,
        "is_user_owned": true,
        "access_permission": 1,
    })
}

/// An entry of this datasource.
pub fn entry(entry: &Entry, datasource: &Value) -> Value {
    json!({
        "uuid": uuid(&entry.id),
        "datasource": datasource,
        "config": config(entry),
        "name": entry.name,
        "size": size(entry),
        "status": status(entry),
        "created_at": iso(entry.created_at),
        "updated_at": iso(entry.updated_at),
        "sync_config": null,
    })
}

fn status(entry: &Entry) -> &'static str {
    match entry.status {
        documents::SUCCESS => "READY",
        documents::FAILED => "FAILED",
        _ => "PROCESSING",
    }
}

fn size(entry: &Entry) -> i64 {
    match entry.status {
        documents::SUCCESS => i64::from(entry.passages) * CHUNK,
        _ => 0,
    }
}

fn config(entry: &Entry) -> Value {
    let input = json!({
        "uuid": uuid(&entry.id),
        "name": entry.name,
        "config": {},
        "size": size(entry),
        "metadata": said(entry),
        "data": data(entry),
    });
    match entry.status {
        documents::FAILED => {
            let reason = entry.reason.as_deref().unwrap_or("it could not be read");
            json!({"errors": {"message": reason}, "input": input})
        }
        documents::SUCCESS => json!({"document_ids": [uuid(&entry.id)], "input": input}),
        _ => json!({"input": input}),
    }
}

/// What it was made of, but for the bytes.
fn data(entry: &Entry) -> Value {
    match &entry.origin.0 {
        Origin::Page { url } => json!({"urls": url}),
        Origin::Text => json!({"name": entry.name}),
        Origin::File => json!({"name": entry.name, "mime_type": entry.media_type}),
    }
}

/// What its owner said of it.
fn said(entry: &Entry) -> Map<String, Value> {
    let own = entry.metadata.0.0.iter().filter(|(key, _)| key.starts_with(PREFIX));
    own.map(|(key, label)| (key.clone(), value(label))).collect()
}

/// A value of metadata.
pub fn value(label: &Label) -> Value {
    match label {
        Label::Flag(flag) => json!(flag),
        Label::Number(number) => json!(number),
        Label::Text(text) => json!(text),
    }
}
