//! Bodies of datasources and entries, as the document tells of them. They are read field by field, for the sake of all the
//! forms in which clients send them.

use serde_json::{Map, Value};
use utoipa::ToSchema;

/// A datasource to be.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a shape for the document; the body is read field by field")]
pub struct NewDatasource {
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    /// Also as `type_slug`; its number, its name, and a type as it is shown do as well.
    r#type: DatasourceType,
}

/// What a datasource holds.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[expect(dead_code, reason = "a shape for the document; the body is read field by field")]
pub enum DatasourceType {
    /// Texts that somebody typed.
    Text,
    /// Pages.
    Url,
    /// PDF files.
    Pdf,
    /// Files.
    File,
    /// A store elsewhere: nothing is put into it from here.
    Weaviate,
}

/// How a datasource changes.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a shape for the document; the body is read field by field")]
pub struct DatasourceChange {
    /// How often its entries are fetched anew. Never is all there is: `Daily` and `Weekly` are refused.
    refresh_interval: Option<String>,
}

/// Where to look for addresses.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a shape for the document; the body is read field by field")]
pub struct PageWish {
    /// The page; without a scheme it is `https`.
    url: String,
}

/// Entries to be.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a shape for the document; the body is read field by field")]
pub struct NewEntry {
    /// Also as `source_data`.
    entry_data: EntryData,
    /// What is said of them: texts, numbers and flags, which filters know as `md_` and their key.
    #[schema(value_type = Option<Object>)]
    entry_metadata: Option<Map<String, Value>>,
}

/// What entries are made of: a text, files or pages. What belongs to the datasource's type counts first.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a shape for the document; the body is read field by field")]
pub struct EntryData {
    /// Of a text or a file.
    name: Option<String>,
    /// A text.
    content: Option<String>,
    /// Files as data URLs, `data:<type>;name=<name>;base64,<data>`, joined by `|`; plain base64 and lists do as well.
    file: Option<String>,
    /// Addresses of pages, separated by commas or line ends; also as a list.
    urls: Option<String>,
    /// The address of a page.
    url: Option<String>,
}

/// Entries to be, in the fields of a form.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a shape for the document; the body is read field by field")]
pub struct EntryFields {
    #[serde(flatten)]
    data: EntryData,
    /// A JSON object, as in a JSON body.
    entry_metadata: Option<String>,
}

/// Entries to be, in the parts of a form.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a shape for the document; the body is read field by field")]
pub struct EntryForm {
    /// Of a text; a file has its own.
    name: Option<String>,
    /// A text.
    content: Option<String>,
    /// A file.
    #[schema(value_type = Option<String>, format = Binary)]
    file: Option<Vec<u8>>,
    /// Addresses of pages, separated by commas or line ends.
    urls: Option<String>,
    /// The address of a page.
    url: Option<String>,
    /// A JSON object, as in a JSON body.
    entry_metadata: Option<String>,
}

/// An entry that takes the place of those of its name.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a shape for the document; the body is read field by field")]
pub struct UpsertedEntry {
    /// Of which datasource.
    datasource_id: uuid::Uuid,
    input_data: UpsertedData,
    /// As of a new entry; also as `metadata` of `input_data`.
    #[schema(value_type = Option<Object>)]
    entry_metadata: Option<Map<String, Value>>,
}

/// What an entry is made of that takes the place of others.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a shape for the document; the body is read field by field")]
pub struct UpsertedData {
    name: Option<String>,
    /// Also as a text, which is its `content` then.
    data: EntryData,
}
