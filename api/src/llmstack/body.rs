//! Bodies: the same fields as JSON, YAML or a form.

use super::Fault;
use crate::core::{Error, extract};
use axum::{
    extract::{FromRequest, Multipart, Request},
    http::{StatusCode, header},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use commands::apps::yaml::{self, Lines};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error as _},
};
use serde_json::{Map, Value};
use std::time::Duration;

/// Most bytes of a body.
const LARGEST: usize = 25 << 20;
/// Most bytes of a body with files in it: 25 MB of them are a third more in base64.
const WITH_FILES: usize = 36 << 20;
/// How long a form may take.
const TIME: Duration = Duration::from_secs(120);

/// The fields of a body, and where they stand in it.
#[derive(Debug, Default)]
pub struct Fields {
    /// The fields.
    pub fields: Map<String, Value>,
    source: String,
    /// Type of the body.
    pub content_type: String,
}

impl<S: Send + Sync> FromRequest<S> for Fields {
    type Rejection = Fault;

    async fn from_request(request: Request, state: &S) -> Result<Self, Fault> {
        Self::read(request, state, LARGEST, true).await
    }
}

/// The fields of a body that is no YAML and may have files in it.
#[derive(Debug, Default)]
pub struct Form(pub Fields);

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = Fault;

    async fn from_request(request: Request, state: &S) -> Result<Self, Fault> {
        Fields::read(request, state, WITH_FILES, false).await.map(Self)
    }
}

impl From<Map<String, Value>> for Fields {
    fn from(fields: Map<String, Value>) -> Self {
        Self { fields, ..Self::default() }
    }
}

impl Fields {
    async fn read<S: Send + Sync>(
        request: Request,
        state: &S,
        largest: usize,
        yaml: bool,
    ) -> Result<Self, Fault> {
        let sent = request.headers().get(header::CONTENT_TYPE);
        let sent = sent.map(|value| value.to_str().unwrap_or_default().to_owned());
        let essence = sent.as_deref().unwrap_or("application/json").split(';').next();
        let essence = essence.unwrap_or_default().trim().to_ascii_lowercase();
        let (fields, source) = match essence.as_str() {
            "multipart/form-data" => (form(request, state, largest).await?, String::new()),
            "application/json" => {
                let bytes = extract::read(request.into_body(), largest).await?;
                let value = if bytes.iter().all(u8::is_ascii_whitespace) {
                    Value::Object(Map::new())
                } else {
                    extract::parse(&bytes)?
                };
                // Only apps are long and by hand enough for anybody to ask for a line.
                let source = if yaml { String::from_utf8_lossy(&bytes) } else { "".into() };
                (value, source.into_owned())
            }
            "application/yaml" | "application/x-yaml" | "text/yaml" if yaml => {
                let bytes = extract::read(request.into_body(), largest).await?;
                let text =
                    std::str::from_utf8(&bytes).map_err(|error| no_yaml(error.to_string()))?;
                let (value, _) = yaml::read(text).map_err(no_yaml)?;
                (value, text.to_owned())
            }
            "application/x-www-form-urlencoded" => {
                let bytes = extract::read(request.into_body(), largest).await?;
                let pairs = form_urlencoded::parse(&bytes);
                let fields = pairs.map(|(key, text)| (key.into_owned(), worth(&text)));
                (Value::Object(fields.collect()), String::new())
            }
            _ => return Err(Error::MediaType(sent.unwrap_or_default()).into()),
        };
        let Value::Object(fields) = fields else {
            return Err(Fault::bad_body("Invalid data. Expected a dictionary."));
        };
        Ok(Self { fields, source, content_type: essence })
    }
}

impl Fields {
    /// The fields as a `T`.
    ///
    /// # Errors
    /// With the path and the line of the first that does not fit.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, Fault> {
        let value = Value::Object(self.fields.clone());
        serde_path_to_error::deserialize(&value).map_err(|error| {
            let path = error.path().to_string();
            self.flawed(&path, &format!("{path}: {}", error.inner()))
        })
    }

    /// Whether it came as a form, whose fields are flat.
    pub fn is_form(&self) -> bool {
        matches!(
            self.content_type.as_str(),
            "multipart/form-data" | "application/x-www-form-urlencoded"
        )
    }

    /// What is wrong with what is at this path, with its line.
    pub fn flawed(&self, path: &str, text: &str) -> Fault {
        let lines =
            || yaml::read(&self.source).map_or_else(|_| Lines::default(), |(_, lines)| lines);
        let line = if path.is_empty() { None } else { lines().of(path) };
        Fault::error(match line {
            Some(line) => format!("{text} (line {line})"),
            None => text.to_owned(),
        })
    }
}

/// A number that may be left out; forms have it as a text.
///
/// # Errors
/// When it is no whole number from 0.
pub fn number<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    let said = Value::deserialize(from)?;
    let number = match &said {
        Value::Null => return Ok(None),
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number.map(Some).ok_or_else(|| D::Error::custom(format!("{said} is no whole number from 0")))
}

fn no_yaml(reason: String) -> Fault {
    Fault::bad_body(format!("YAML parse error - {reason}"))
}

/// Forms know texts only: what is written as an object, a list or a flag is one.
fn worth(text: &str) -> Value {
    let trimmed = text.trim();
    let written = trimmed.starts_with(['{', '[']) && !domain::json::is_too_deep(trimmed.as_bytes());
    match trimmed {
        "true" | "True" => true.into(),
        "false" | "False" => false.into(),
        _ if written => serde_json::from_str(trimmed).unwrap_or_else(|_| text.into()),
        _ => text.into(),
    }
}

/// A media type that a data URL may hold: no parameters, nothing unusual.
fn essence(kind: &str) -> String {
    let kind = kind.split(';').next().unwrap_or_default().trim();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/-._".contains(c);
    match !kind.is_empty() && kind.chars().all(plain) {
        true => kind.to_owned(),
        false => "application/octet-stream".to_owned(),
    }
}

/// The parts of a form; files become data URLs.
async fn form<S: Send + Sync>(request: Request, state: &S, largest: usize) -> Result<Value, Fault> {
    let bad = |error: String| Fault::bad_body(format!("Multipart form parse error - {error}"));
    let read = async {
        let parts = Multipart::from_request(request, state).await;
        let mut parts = parts.map_err(|error| bad(error.body_text()))?;
        let (mut fields, mut size) = (Map::new(), 0);
        while let Some(mut part) =
            parts.next_field().await.map_err(|error| bad(error.body_text()))?
        {
            let name = part.name().unwrap_or_default().to_owned();
            let file = part.file_name().map(str::to_owned);
            let kind = essence(part.content_type().unwrap_or_default());
            let mut bytes = Vec::new();
            while let Some(chunk) = part.chunk().await.map_err(|error| bad(error.body_text()))? {
                size += chunk.len();
                if size > largest {
                    return Err(Error::TooLarge { limit: largest }.into());
                }
                bytes.extend_from_slice(&chunk);
            }
            let value = match file {
                Some(file) => {
                    format!("data:{kind};name={file};base64,{}", STANDARD.encode(&bytes)).into()
                }
                None => worth(&String::from_utf8_lossy(&bytes)),
            };
            fields.insert(name, value);
        }
        Ok(Value::Object(fields))
    };
    let late =
        |_| Fault::Detail(StatusCode::REQUEST_TIMEOUT, "The body did not arrive in time.".into());
    tokio::time::timeout(TIME, read).await.map_err(late)?
}
