//! What is known of archives that people bring along: `persona.json` (or `profile.json`), `fans.json` and `fans.csv` (or
//! `subscribers`), `user_nodes.json` (or `nodes`), in whatever folder.

use crate::{
    effects::archive::{Archive, Entry, Limits, Unpackable},
    fans::Record,
};
use domain::profile::{Field, Wish};
use serde_json::{Map, Value};

/// Bytes of an archive.
pub const ARCHIVE: u64 = 64 << 20;
/// What an archive may hold.
const LIMITS: Limits = Limits { entries: 5_000, total: 256 << 20 };
/// Bytes of one file that is read.
const FILE: u64 = 64 << 20;
/// Fans of one export.
const MOST_FANS: usize = 100_000;
/// Nodes of one export.
const MOST_NODES: usize = 10_000;
/// Reasons that are gathered why something was left out; beyond that, only fans are counted.
const MOST_REASONS: usize = 10_000;

/// What was found.
#[derive(Debug, Default)]
pub struct Export {
    /// What the person says of themselves.
    pub persona: Vec<Wish>,
    /// Their fans.
    pub fans: Vec<Record>,
    /// What is to be known of them, besides.
    pub nodes: Vec<Map<String, Value>>,
    /// Names of the files that were read.
    pub files: Vec<String>,
    /// Why something was left out.
    pub left_out: Vec<String>,
}

/// Why an archive is no export.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// It cannot be unpacked.
    #[error(transparent)]
    Archive(#[from] Unpackable),
    /// Nothing in it is known.
    #[error(
        "the archive holds none of persona.json, profile.json, fans.json, fans.csv, subscribers.json, subscribers.csv, user_nodes.json"
    )]
    Nothing,
    /// A file is not what its name says.
    #[error("{0:?} cannot be read: {1}")]
    File(String, String),
    /// Too many nodes.
    #[error("an export holds at most {MOST_NODES} nodes")]
    TooManyNodes,
    /// Too many fans.
    #[error("an export holds at most {MOST_FANS} fans")]
    TooManyFans,
}

/// What a file is, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Persona,
    FansJson,
    FansCsv,
    Nodes,
}

impl Kind {
    fn of(path: &str) -> Option<Self> {
        match path.rsplit('/').next().unwrap_or_default().to_lowercase().as_str() {
            "persona.json" | "profile.json" => Some(Self::Persona),
            "fans.json" | "subscribers.json" | "fan_profiles.json" => Some(Self::FansJson),
            "fans.csv" | "subscribers.csv" | "fan_profiles.csv" => Some(Self::FansCsv),
            "user_nodes.json" | "nodes.json" | "knowledge_nodes.json" => Some(Self::Nodes),
            _ => None,
        }
    }
}

/// Looks at the directory of an archive and inflates nothing.
///
/// # Errors
/// [`Unusable`].
pub fn check(archive: &[u8]) -> Result<(), Unusable> {
    let mut archive = Archive::open(archive, LIMITS)?;
    let files = archive.files()?;
    archive.weigh(&files)?;
    if known(files).is_empty() { Err(Unusable::Nothing) } else { Ok(()) }
}

/// Reads an archive. Takes processor time in proportion to what is inflated: call it away from the async threads.
///
/// # Errors
/// [`Unusable`].
pub fn read(archive: &[u8]) -> Result<Export, Unusable> {
    let mut archive = Archive::open(archive, LIMITS)?;
    let files = archive.files()?;
    archive.weigh(&files)?;
    let mut export = Export::default();
    for (kind, file) in known(files) {
        let bytes = archive.inflate(&file, FILE)?;
        let bad = |why: String| Unusable::File(file.path.clone(), why);
        match kind {
            Kind::Persona => export.persona.extend(persona(&json(&bytes).map_err(bad)?)),
            Kind::FansJson => fans(&mut export, list(json(&bytes).map_err(bad)?))?,
            Kind::FansCsv => fans(&mut export, table(&bytes).map_err(bad)?)?,
            Kind::Nodes => nodes(&mut export, list(json(&bytes).map_err(bad)?))?,
        }
        export.files.push(file.path);
    }
    if export.files.is_empty() { Err(Unusable::Nothing) } else { Ok(export) }
}

fn known(files: Vec<Entry>) -> Vec<(Kind, Entry)> {
    files.into_iter().filter_map(|file| Some((Kind::of(&file.path)?, file))).collect()
}

fn json(bytes: &[u8]) -> Result<Value, String> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if domain::json::is_too_deep(bytes) {
        return Err("it nests too deep".to_owned());
    }
    serde_json::from_slice(bytes).map_err(|error| error.to_string())
}

/// What is known of a person; whatever else stands there is theirs.
fn persona(value: &Value) -> Vec<Wish> {
    let mut wishes = Vec::new();
    for (key, value) in value.as_object().into_iter().flatten() {
        match (key.as_str(), value) {
            ("persona" | "profile", below @ Value::Object(_)) => wishes.extend(persona(below)),
            ("brand_colors" | "brandColors", Value::Array(colors)) => {
                let colors = colors.iter().filter_map(|color| color.as_str().map(str::to_owned));
                wishes.push(Wish::Colors(colors.collect()));
            }
            ("firstName", Value::String(text)) => wishes.push(text_of(Field::FirstName, text)),
            ("lastName", Value::String(text)) => wishes.push(text_of(Field::LastName, text)),
            (name, Value::String(text)) => {
                wishes.extend(Field::named(name).map(|field| text_of(field, text)));
            }
            _ => {}
        }
    }
    wishes
}

fn text_of(field: Field, text: &str) -> Wish {
    Wish::Text(field, Some(text.to_owned()))
}

/// The entries of a list, also of one that is a field of an object.
fn list(value: Value) -> Vec<Value> {
    match value {
        Value::Array(all) => all,
        Value::Object(mut fields) => ["fans", "subscribers", "nodes", "user_nodes", "data"]
            .into_iter()
            .find_map(|name| match fields.remove(name) {
                Some(Value::Array(all)) => Some(all),
                _ => None,
            })
            .unwrap_or_default(),
        _ => vec![],
    }
}

/// The rows of a table, by the names in its first row.
fn table(bytes: &[u8]) -> Result<Vec<Value>, String> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut table =
        csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(bytes);
    let names = table.headers().map_err(|error| error.to_string())?.clone();
    let mut rows = Vec::new();
    for row in table.records() {
        let row = row.map_err(|error| error.to_string())?;
        let fields = names.iter().zip(&row).filter(|(_, text)| !text.is_empty());
        let fields: Map<String, Value> =
            fields.map(|(name, text)| (name.to_lowercase(), Value::from(text))).collect();
        rows.push(Value::Object(fields));
        if rows.len() > MOST_FANS {
            break;
        }
    }
    Ok(rows)
}

fn nodes(export: &mut Export, all: Vec<Value>) -> Result<(), Unusable> {
    if export.nodes.len() + all.len() > MOST_NODES {
        return Err(Unusable::TooManyNodes);
    }
    for node in all {
        match node {
            Value::Object(fields) => export.nodes.push(fields),
            _ => export.left_out.push("a node has to be an object".to_owned()),
        }
    }
    Ok(())
}

fn fans(export: &mut Export, rows: Vec<Value>) -> Result<(), Unusable> {
    if export.fans.len() + rows.len() > MOST_FANS {
        return Err(Unusable::TooManyFans);
    }
    for mut row in rows {
        // Ids of other systems are none of ours, but may be the platform's.
        if let Value::Object(fields) = &mut row
            && let Some(id) = fields.remove("id")
        {
            fields.entry("platform_fan_id").or_insert(id);
        }
        match serde_json::from_value(row) {
            Ok(record) => export.fans.push(record),
            Err(error) if export.left_out.len() < MOST_REASONS => {
                export.left_out.push(error.to_string());
            }
            Err(_) => {}
        }
    }
    Ok(())
}
