//! Bodies of new entries: texts, pages and files in all the forms in which clients send them.

use super::shown::PREFIX;
use crate::llmstack::{Fault, body::Fields};
use commands::app_runs::data_url;
use domain::{
    datasource::Type,
    document::{Label, Labels, MAX_NAME, MAX_URL, Origin},
    intake::MAX_FILES,
};
use reqwest::Url;
use serde_json::{Map, Value};

/// What a text is called that has no name.
const UNTITLED: &str = "Untitled";

/// An entry that is to be.
#[derive(Debug, PartialEq)]
pub struct Draft {
    pub name: String,
    pub bytes: Vec<u8>,
    pub media_type: String,
    pub metadata: Labels,
    pub origin: Origin,
}

/// The entries in a body.
///
/// # Errors
/// With what is wrong, in the words of this dialect.
pub fn drafts(kind: Type, body: &Fields) -> Result<Vec<Draft>, Fault> {
    if kind.is_external() {
        return Err(Fault::error("Cannot add entry to external data source"));
    }
    let (data, missing) = entry_data(body)?;
    let metadata = labels(body.fields.get("entry_metadata"))?;
    let name = match data.get("name") {
        Some(Value::String(name)) => name.trim(),
        Some(Value::Null) | None => "",
        Some(_) => return Err(Fault::error("name: a text is needed")),
    };
    let content = || content(&data, name);
    let urls = || urls(&data);
    let files = || files(&data, name);
    // What belongs to the type first; what else there is rather than nothing.
    let ways: [&dyn Fn() -> Found; 3] = match kind {
        Type::Text => [&content, &urls, &files],
        Type::Url => [&urls, &files, &content],
        Type::Pdf | Type::File | Type::Weaviate => [&files, &content, &urls],
    };
    for way in ways {
        let found = way()?;
        if found.len() > MAX_FILES {
            return Err(Fault::error(format!("At most {MAX_FILES} entries can be added at once")));
        }
        if !found.is_empty() {
            return found.into_iter().map(|draft| draft.described(&metadata)).collect();
        }
    }
    Err(Fault::error(missing))
}

type Found = Result<Vec<Draft>, Fault>;

/// What a body says of its entries, and what is said where that is nothing. Forms are flat, so theirs may be beside.
fn entry_data(body: &Fields) -> Result<(Map<String, Value>, &'static str), Fault> {
    let sent = ["entry_data", "source_data"].into_iter().find(|key| body.fields.contains_key(*key));
    let missing = match sent {
        Some("source_data") => "No source_data provided",
        _ => "No entry_data provided",
    };
    let mut data = match sent.map(|key| (key, &body.fields[key])) {
        Some((_, Value::Object(data))) => data.clone(),
        Some((_, Value::Null)) | None => Map::new(),
        Some((key, _)) => return Err(Fault::error(format!("{key}: an object is needed"))),
    };
    if body.is_form() {
        for key in ["name", "content", "url", "urls", "file"] {
            let beside = [key.to_owned(), format!("entry_data[{key}]")];
            let beside = beside.iter().find_map(|key| body.fields.get(key));
            if let (false, Some(value)) = (data.contains_key(key), beside) {
                data.insert(key.to_owned(), value.clone());
            }
        }
    }
    Ok((data, missing))
}

/// What is said of the entries, as the search knows it.
fn labels(said: Option<&Value>) -> Result<Labels, Fault> {
    let said = match said {
        Some(Value::Object(said)) => said,
        Some(Value::Null) | None => return Ok(Labels::default()),
        Some(_) => return Err(Fault::error("entry_metadata: an object is needed")),
    };
    let mut labels = Labels::default();
    for (key, value) in said {
        let label = match value {
            Value::Bool(flag) => Label::Flag(*flag),
            Value::Number(number) => Label::Number(number.clone()),
            Value::String(text) => Label::Text(text.clone()),
            Value::Null => continue,
            Value::Array(_) | Value::Object(_) => {
                let text = format!("entry_metadata.{key}: a text, a number or a flag is needed");
                return Err(Fault::error(text));
            }
        };
        labels.0.insert(format!("{PREFIX}{key}"), label);
    }
    match labels.fits() {
        true => Ok(labels),
        false => Err(Fault::error(format!("entry_metadata: {}", Labels::RULE))),
    }
}

fn content(data: &Map<String, Value>, name: &str) -> Found {
    let content = match data.get("content") {
        Some(Value::String(content)) if !content.trim().is_empty() => content,
        Some(Value::String(_) | Value::Null) | None => return Ok(vec![]),
        Some(_) => return Err(Fault::error("content: a text is needed")),
    };
    let name = if name.is_empty() { UNTITLED } else { name };
    let (bytes, media_type) = (content.clone().into_bytes(), "text/plain".to_owned());
    let origin = Origin::Text;
    let draft =
        Draft { name: name.to_owned(), bytes, media_type, metadata: Labels::default(), origin };
    Ok(vec![draft])
}

fn files(data: &Map<String, Value>, name: &str) -> Found {
    let mut found = Vec::new();
    for sent in texts(data, "file")? {
        // A name may hold the separator, too.
        for part in sent.split("|data:").enumerate() {
            let text = match part {
                (0, text) => text.to_owned(),
                (_, rest) => format!("data:{rest}"),
            };
            found.push(file(text.trim(), name)?);
        }
    }
    Ok(found)
}

fn file(text: &str, name: &str) -> Result<Draft, Fault> {
    let name = if name.is_empty() { UNTITLED } else { name };
    let read = match text.starts_with("data:") {
        true => data_url::read(text, name),
        // Programs that write base64 break its lines.
        false => data_url::read(&text.replace(|c: char| c.is_ascii_whitespace(), ""), name),
    };
    let file = read.ok_or_else(|| Fault::error("Invalid data URI"))?;
    let data_url::File { name, media_type, bytes } = file;
    let said = |key: &str, text: &str| (key.to_owned(), Label::Text(text.to_owned()));
    let metadata = Labels([said("file_name", &name), said("mime_type", &media_type)].into());
    Ok(Draft { name, bytes, media_type, metadata, origin: Origin::File })
}

fn urls(data: &Map<String, Value>) -> Found {
    let mut found: Vec<String> = Vec::new();
    for urls in texts(data, "urls")? {
        let parts = urls.split(['\n', ',']).map(str::trim).filter(|url| !url.is_empty());
        found.extend(parts.map(with_scheme));
    }
    // One address may hold commas.
    for urls in texts(data, "url")? {
        let parts = urls.split('\n').map(str::trim).filter(|url| !url.is_empty());
        found.extend(parts.map(with_scheme));
    }
    found.into_iter().map(page).collect()
}

fn page(url: String) -> Result<Draft, Fault> {
    if url.chars().count() > MAX_URL {
        return Err(Fault::error(format!("url: at most {MAX_URL} characters")));
    }
    // The log is no place for passwords, and such an address would not be called.
    let has_secret = |url: Url| !url.username().is_empty() || url.password().is_some();
    if Url::parse(&url).is_ok_and(has_secret) {
        return Err(Fault::error("url: name and password cannot be part of it"));
    }
    let (bytes, media_type) = (url.clone().into_bytes(), "text/uri-list".to_owned());
    let name = url.chars().take(MAX_NAME).collect();
    let (metadata, origin) = (Labels::default(), Origin::Page { url });
    Ok(Draft { name, bytes, media_type, metadata, origin })
}

/// An address with its scheme, also where somebody left it out.
pub fn with_scheme(url: &str) -> String {
    let url = url.trim();
    if url.contains("://") { url.to_owned() } else { format!("https://{url}") }
}

/// The texts of a field: one, or a list.
fn texts<'a>(data: &'a Map<String, Value>, key: &str) -> Result<Vec<&'a str>, Fault> {
    let values = match data.get(key) {
        Some(Value::Array(values)) => values.iter().collect(),
        Some(value) => vec![value],
        None => vec![],
    };
    let mut texts = Vec::new();
    for value in values {
        match value {
            Value::String(text) if text.trim().is_empty() => {}
            Value::String(text) => texts.push(text.as_str()),
            Value::Null => {}
            _ => return Err(Fault::error(format!("{key}: a text is needed"))),
        }
    }
    Ok(texts)
}

impl Draft {
    /// With what is said of all entries of its body.
    fn described(mut self, metadata: &Labels) -> Result<Self, Fault> {
        self.metadata.0.extend(metadata.0.clone());
        // What a file is called is its own metadata, and may be too long for that.
        match self.metadata.fits() {
            true => Ok(self),
            false => Err(Fault::error(Labels::RULE)),
        }
    }
}

#[cfg(test)]
#[path = "incoming_tests.rs"]
mod tests;
