//! Extractors whose rejections speak the dialect of the route.

use super::{Error, Problem, shape};
use axum::{
    body::{Body, Bytes},
    extract::{FromRequest, FromRequestParts, Request, path},
    http::{header, request::Parts},
};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::{collections::BTreeMap, time::Duration};

/// Most bytes of a JSON body: enough for a conversation with a few images as data URLs.
pub const JSON_LIMIT: usize = 16 * 1024 * 1024;

/// How long a JSON body may take: the largest one needs less on a slow line.
const BODY_TIME: Duration = Duration::from_secs(120);

/// A JSON body; a missing one is an error, see [`OptionalJson`].
#[derive(Debug)]
pub struct Json<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Error;

    async fn from_request(request: Request, _: &S) -> Result<Self, Error> {
        let typed = is_json(request.headers().get(header::CONTENT_TYPE));
        let bytes = read(request.into_body(), JSON_LIMIT).await?;
        match typed {
            Ok(()) => parse(&bytes).map(Self),
            Err(other) => Err(Error::MediaType(other)),
        }
    }
}

/// A JSON body that may be left out; then `T::default()`.
#[derive(Debug)]
pub struct OptionalJson<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Default> FromRequest<S> for OptionalJson<T> {
    type Rejection = Error;

    async fn from_request(request: Request, _: &S) -> Result<Self, Error> {
        Self::of(&read(request.into_body(), JSON_LIMIT).await?)
    }
}

impl<T: DeserializeOwned + Default> OptionalJson<T> {
    /// The value in a body that was read.
    ///
    /// # Errors
    /// [`Error::Invalid`] with one problem.
    pub fn of(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.iter().all(u8::is_ascii_whitespace) || bytes == b"null" {
            return Ok(Self(T::default()));
        }
        parse(bytes).map(Self)
    }
}

/// The whole body, up to `limit` bytes.
///
/// # Errors
/// [`Error::TooLarge`] beyond the limit, [`Error::Invalid`] when the client breaks off.
pub async fn read(body: Body, limit: usize) -> Result<Bytes, Error> {
    let collected = tokio::time::timeout(BODY_TIME, Limited::new(body, limit).collect()).await;
    let late = |_| Error::Invalid(vec![incomplete("the body did not arrive in time")]);
    match collected.map_err(late)? {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Error::TooLarge { limit }),
        Err(error) => Err(Error::Invalid(vec![incomplete(error.to_string())])),
    }
}

fn incomplete(msg: impl Into<String>) -> Problem {
    let (kind, loc) = ("body_incomplete", vec![json!("body")]);
    Problem { kind, loc, msg: msg.into(), input: Value::Null }
}

/// Clients of these APIs often forget the content type, so none at all counts as JSON.
fn is_json(content_type: Option<&axum::http::HeaderValue>) -> Result<(), String> {
    let Some(value) = content_type else { return Ok(()) };
    let text = value.to_str().unwrap_or_default();
    let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if essence == "application/json" || essence.ends_with("+json") { Ok(()) } else { Err(essence) }
}

/// Parses JSON with the place of the first mistake.
///
/// # Errors
/// [`Error::Invalid`] with one problem.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    if domain::json::is_too_deep(bytes) {
        let msg = format!("JSON nests deeper than {} levels", domain::json::DEEPEST);
        let (kind, loc, input) = ("json_invalid", vec![json!("body")], Value::Null);
        return Err(Error::Invalid(vec![Problem { kind, loc, msg, input }]));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let problem = match serde_path_to_error::deserialize::<_, T>(&mut deserializer) {
        Ok(value) => match deserializer.end() {
            Ok(()) if !(is_list(bytes) && shape::has_fields::<T>()) => return Ok(value),
            Ok(()) => {
                let msg = "invalid type: sequence, expected an object".to_owned();
                let (kind, loc) = (kind_of("expected struct"), vec![json!("body")]);
                Problem { kind, loc, msg, input: Value::Null }
            }
            Err(error) => syntax(&error, bytes),
        },
        Err(error) if error.inner().is_data() => misfit(&error, bytes),
        Err(error) => syntax(error.inner(), bytes),
    };
    Err(Error::Invalid(vec![problem]))
}

fn is_list(bytes: &[u8]) -> bool {
    bytes.trim_ascii_start().starts_with(b"[")
}

fn syntax(error: &serde_json::Error, bytes: &[u8]) -> Problem {
    let lines = bytes.split_inclusive(|&b| b == b'\n');
    let before: usize = lines.take(error.line().saturating_sub(1)).map(<[u8]>::len).sum();
    let offset = before + error.column().saturating_sub(1);
    Problem {
        kind: "json_invalid",
        loc: vec![json!("body"), json!(offset)],
        msg: format!("JSON decode error: {error}"),
        input: json!({}),
    }
}

fn misfit(error: &serde_path_to_error::Error<serde_json::Error>, bytes: &[u8]) -> Problem {
    use serde_path_to_error::Segment;
    let mut loc = vec![json!("body")];
    loc.extend(error.path().iter().filter_map(|segment| match segment {
        Segment::Seq { index } => Some(json!(index)),
        Segment::Map { key } => Some(json!(key)),
        Segment::Enum { variant } => Some(json!(variant)),
        Segment::Unknown => None,
    }));
    let text = error.inner().to_string();
    let whole: Value = serde_json::from_slice(bytes).unwrap_or_default();
    let at = loc[1..].iter().try_fold(&whole, |value, step| match step {
        Value::String(key) => value.get(key),
        Value::Number(index) => value.get(usize::try_from(index.as_u64()?).ok()?),
        _ => None,
    });
    let input = at.filter(|value| value.to_string().len() <= 1_000).cloned().unwrap_or_default();
    let missing = text.strip_prefix("missing field `").and_then(|rest| rest.split('`').next());
    if let Some(field) = missing {
        loc.push(json!(field));
        return Problem { kind: "missing", loc, msg: "Field required".to_owned(), input };
    }
    // serde_json appends the place; the path says it better.
    let msg = text.split(" at line ").next().unwrap_or_default().to_owned();
    Problem { kind: kind_of(&msg), loc, msg, input }
}

fn kind_of(message: &str) -> &'static str {
    match message.split("expected ").nth(1) {
        Some(e) if e.starts_with("a string") => "string_type",
        Some(e) if e.starts_with("a boolean") => "bool_type",
        Some(e) if e.starts_with("a sequence") => "list_type",
        Some(e) if e.starts_with("a map") || e.starts_with("struct") => "model_attributes_type",
        Some(e) if e.starts_with('i') || e.starts_with('u') => "int_type",
        Some(e) if e.starts_with('f') => "float_type",
        _ => "value_error",
    }
}

/// The query string.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        let query = parts.uri.query().unwrap_or_default();
        let query = &*last_ones(query);
        let pairs = serde_urlencoded::Deserializer::new(form_urlencoded(query));
        serde_path_to_error::deserialize(pairs).map(Self).map_err(|error| {
            let text = error.inner().to_string();
            let name = error.path().to_string();
            let missing = text.strip_prefix("missing field `").and_then(|r| r.split('`').next());
            let input = form_urlencoded(query).find(|(key, _)| *key == name).map(|(_, v)| v);
            let (kind, name, msg) = match missing {
                Some(field) => ("missing", field.to_owned(), "Field required".to_owned()),
                None if ["invalid digit", "integer", "number too"]
                    .iter()
                    .any(|said| text.contains(said)) =>
                {
                    ("int_parsing", name, format!("Input should be a valid integer: {text}"))
                }
                None => ("value_error", name, text),
            };
            let loc = vec![json!("query"), json!(name)];
            Error::Invalid(vec![Problem { kind, loc, msg, input: json!(input) }])
        })
    }
}

/// Of a parameter given several times the last one counts, as upstream has it.
fn last_ones(query: &str) -> String {
    let pairs: BTreeMap<_, _> = form_urlencoded(query).collect();
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

fn form_urlencoded(query: &str) -> form_urlencoded::Parse<'_> {
    form_urlencoded::parse(query.as_bytes())
}

/// Parameters in the path. What does not parse names nothing that exists.
#[derive(Debug)]
pub struct Path<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        match path::Path::<T>::from_request_parts(parts, state).await {
            Ok(path::Path(value)) => Ok(Self(value)),
            Err(_) => Err(Error::NotFound),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    struct Body {
        #[expect(dead_code, reason = "only its absence is looked at")]
        messages: Vec<Message>,
    }

    #[derive(Debug, Deserialize)]
    struct Message {
        #[expect(dead_code, reason = "only its absence is looked at")]
        role: String,
    }

    fn problem(text: &str) -> Problem {
        match parse::<Body>(text.as_bytes()) {
            Err(Error::Invalid(mut problems)) => problems.remove(0),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_missing_field_is_named_with_its_path() {
        let found = problem(r#"{"messages":[{}]}"#);
        assert_eq!(found.kind, "missing");
        assert_eq!(found.loc, [json!("body"), json!("messages"), json!(0), json!("role")]);
    }

    #[test]
    fn a_wrong_type_shows_what_was_sent() {
        let found = problem(r#"{"messages":[{"role":7}]}"#);
        assert_eq!((found.kind, found.input), ("string_type", json!(7)));
    }

    #[test]
    fn a_list_is_no_object_though_its_values_fit() {
        let found = problem(r#" [[{"role":"user"}]]"#);
        assert_eq!((found.kind, found.loc), ("model_attributes_type", vec![json!("body")]));
        assert_eq!(parse::<Vec<u8>>(b"[1]").unwrap_or_default(), [1]);
    }

    #[test]
    fn the_last_of_several_parameters_counts() {
        assert_eq!(last_ones("page=1&q=%26+x&page=%32"), "page=2&q=%26+x");
        assert_eq!(last_ones(""), "");
    }

    #[test]
    fn broken_json_is_located() {
        let found = problem("{\"messages\": oops}");
        assert_eq!(found.kind, "json_invalid");
        assert_eq!(found.loc[0], json!("body"));
    }
}
