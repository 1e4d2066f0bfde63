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
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

/// What the product counts for a passage: a vector of 1536 numbers of four bytes.
const CHUNK: i64 = 6_144;
/// What the keys of an owner's metadata are preceded by in the search.
pub const PREFIX: &str = "md_";

/// A type of datasources in short.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = DatasourceTypeName)]
pub struct BriefType {
    id: u64,
    slug: &'static str,
    name: &'static str,
    description: &'static str,
    /// Whether it lies elsewhere.
    is_external_datasource: bool,
}

/// A type of datasources, with what their entries are made of.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DatasourceTypeDetail)]
pub struct FullType {
    #[serde(flatten)]
    brief: BriefType,
    /// JSON schema of an entry's data.
    #[schema(value_type = Object)]
    entry_config_schema: Value,
    /// Always empty.
    #[schema(value_type = Object)]
    entry_config_ui_schema: Map<String, Value>,
    /// Always `null`.
    #[schema(value_type = Option<Object>)]
    sync_config: (),
}

/// A datasource of the caller's.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Datasource {
    #[schema(value_type = Uuid)]
    uuid: String,
    name: String,
    r#type: BriefType,
    type_slug: &'static str,
    /// Bytes, about.
    size: i64,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    updated_at: String,
    /// Always 0: only its owner sees it.
    visibility: u8,
    owner_email: Option<String>,
    /// Always `null`: nothing is fetched anew by itself.
    #[schema(value_type = Option<String>)]
    refresh_interval: (),
    has_source: bool,
    is_destination_only: bool,
    has_read_permission: bool,
    has_write_permission: bool,
    is_user_owned: bool,
    /// Always 1: its owner may change it.
    access_permission: u8,
}

/// An entry of a datasource.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Entry)]
pub struct ShownEntry {
    #[schema(value_type = Uuid)]
    uuid: String,
    datasource: Option<Datasource>,
    config: Config,
    name: String,
    /// Bytes, about; 0 until it is ready.
    size: i64,
    status: EntryStatus,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    updated_at: String,
    /// Always `null`.
    #[schema(value_type = Option<Object>)]
    sync_config: (),
}

/// How far an entry is.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum EntryStatus {
    /// It is being read.
    Processing,
    /// It can be found.
    Ready,
    /// It cannot be read; `config.errors` says why.
    Failed,
}

/// What came of an entry.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EntryConfig)]
pub struct Config {
    input: Input,
    /// Its id, as soon as it is ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Option<[Uuid; 1]>)]
    document_ids: Option<[String; 1]>,
    /// Why it cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    errors: Option<Reason>,
}

/// Why an entry cannot be read.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EntryErrors)]
pub struct Reason {
    message: String,
}

/// What an entry was made of.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EntryInput)]
pub struct Input {
    #[schema(value_type = Uuid)]
    uuid: String,
    name: String,
    /// Always empty.
    #[schema(value_type = Object)]
    config: Map<String, Value>,
    size: i64,
    /// What its owner said of it.
    #[schema(value_type = Object)]
    metadata: Map<String, Value>,
    /// `urls`, `name`, or `name` and `mime_type`.
    #[schema(value_type = Object)]
    data: Value,
}

/// An id of the log as clients know it.
pub fn uuid(id: &str) -> String {
    id.parse::<Uuid>().map_or_else(|_| id.to_owned(), |id| id.to_string())
}

fn brief_type(kind: Type) -> BriefType {
    BriefType {
        id: kind.id(),
        slug: kind.slug(),
        name: kind.name(),
        description: description(kind),
        is_external_datasource: kind.is_external(),
    }
}

/// A type with what its entries are made of.
pub fn full_type(kind: Type) -> FullType {
    let text = json!({"type": "string"});
    let properties = match kind {
        Type::Text => json!({"name": text, "content": text}),
        Type::Url => json!({"urls": text}),
        Type::Pdf | Type::File => json!({"name": text, "file": text}),
        Type::Weaviate => json!({}),
    };
    FullType {
        brief: brief_type(kind),
        entry_config_schema: json!({"type": "object", "properties": properties}),
        entry_config_ui_schema: Map::new(),
        sync_config: (),
    }
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
pub fn datasource(row: &Row, holder: &Holder) -> Datasource {
    let kind = row.kind();
    Datasource {
        uuid: uuid(&row.id),
        name: row.name.clone(),
        r#type: brief_type(kind),
        type_slug: kind.slug(),
        size: row.passages * CHUNK,
        created_at: iso(row.created_at),
        updated_at: iso(row.updated_at),
        visibility: 0,
        owner_email: holder.email().map(str::to_owned),
        refresh_interval: (),
        has_source: !kind.is_external(),
        is_destination_only: kind.is_external(),
        has_read_permission: true,
        has_write_permission: true,
        is_user_owned: true,
        access_permission: 1,
    }
}

/// An entry of this datasource.
pub fn entry(entry: &Entry, datasource: Option<Datasource>) -> ShownEntry {
    ShownEntry {
        uuid: uuid(&entry.id),
        datasource,
        config: config(entry),
        name: entry.name.clone(),
        size: size(entry),
        status: status(entry),
        created_at: iso(entry.created_at),
        updated_at: iso(entry.updated_at),
        sync_config: (),
    }
}

fn status(entry: &Entry) -> EntryStatus {
    match entry.status {
        documents::SUCCESS => EntryStatus::Ready,
        documents::FAILED => EntryStatus::Failed,
        _ => EntryStatus::Processing,
    }
}

fn size(entry: &Entry) -> i64 {
    match entry.status {
        documents::SUCCESS => i64::from(entry.passages) * CHUNK,
        _ => 0,
    }
}

fn config(entry: &Entry) -> Config {
    let reason = || entry.reason.as_deref().unwrap_or("it could not be read").to_owned();
    let input = Input {
        uuid: uuid(&entry.id),
        name: entry.name.clone(),
        config: Map::new(),
        size: size(entry),
        metadata: said(entry),
        data: data(entry),
    };
    let ready = entry.status == documents::SUCCESS;
    let failed = entry.status == documents::FAILED;
    Config {
        input,
        document_ids: ready.then(|| [uuid(&entry.id)]),
        errors: failed.then(|| Reason { message: reason() }),
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
