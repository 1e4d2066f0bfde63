//! What all processors do that call a URL. Definitions and inputs are anybody's, so URLs lead to public addresses only,
//! unless the operator has it otherwise.

use super::{super::steps::Task, fields};
use crate::effects::fetch::{Fetched, Limits};
use reqwest::{
    Method, Request, Url,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, SET_COOKIE},
};
use serde_json::{Map, Value};
use std::time::Duration;

/// Bytes of an answer at most.
const LARGEST: usize = 2 << 20;
/// Seconds that a call may take at most.
const LONGEST: f64 = 100.0;
/// Headers that say how the call is made, and are none of a definition's business.
const OURS: &[&str] =
    &["host", "content-length", "transfer-encoding", "connection", "upgrade", "te"];

/// A call in the making.
pub struct Call {
    pub method: Method,
    pub url: Url,
    pub headers: HeaderMap,
    pub body: Option<String>,
    pub seconds: f64,
    pub redirects: bool,
}

/// A method of this name among those that processors may use.
pub fn method(name: &str) -> Result<Method, String> {
    match name.trim().to_ascii_uppercase().as_str() {
        "" | "GET" => Ok(Method::GET),
        "POST" => Ok(Method::POST),
        "PUT" => Ok(Method::PUT),
        "PATCH" => Ok(Method::PATCH),
        "DELETE" => Ok(Method::DELETE),
        "HEAD" => Ok(Method::HEAD),
        other => Err(format!("method {other} is not supported")),
    }
}

/// Adds a header.
pub fn header(headers: &mut HeaderMap, name: &str, value: &str) -> Result<(), String> {
    if OURS.iter().any(|ours| name.eq_ignore_ascii_case(ours)) {
        return Ok(());
    }
    let bad = || format!("header {name:?} cannot be sent");
    let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?;
    headers.insert(header, HeaderValue::from_str(value).map_err(|_| bad())?);
    Ok(())
}

/// Makes the call.
pub async fn send(task: &Task, call: Call) -> Result<Fetched, String> {
    let workshop = task.ports.workshop.as_ref().ok_or("nothing can be called here")?;
    let fetcher = if call.redirects { &workshop.following } else { &workshop.direct };
    let mut request = Request::new(call.method, call.url);
    *request.headers_mut() = call.headers;
    *request.body_mut() = call.body.map(Into::into);
    let seconds = if call.seconds > 0.0 { call.seconds.min(LONGEST) } else { LONGEST };
    let limits = Limits { bytes: LARGEST, time: Duration::from_secs_f64(seconds) };
    fetcher.send(request, limits).await.map_err(|error| error.to_string())
}

/// The answer's headers, the last of several of one name.
pub fn headers(fetched: &Fetched) -> Map<String, Value> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = fetched.headers.iter();
    headers.map(|(name, value)| (name.as_str().to_owned(), text(value).into())).collect()
}

/// The cookies that the answer sets.
pub fn cookies(fetched: &Fetched) -> Map<String, Value> {
    let set = fetched.headers.get_all(SET_COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = set.filter_map(|cookie| cookie.split(';').next()?.split_once('='));
    pairs.map(|(name, value)| (name.trim().to_owned(), value.trim().into())).collect()
}

/// The answer's text.
pub fn text(fetched: &Fetched) -> String {
    String::from_utf8_lossy(&fetched.body).into_owned()
}

/// The answer as JSON, if it is any.
pub fn json(fetched: &Fetched) -> Option<Value> {
    fields::json(std::str::from_utf8(&fetched.body).ok()?)
}

/// Says what the body is, unless that was said already.
pub fn content_type(headers: &mut HeaderMap, kind: &str) -> Result<(), String> {
    match headers.contains_key(CONTENT_TYPE) || kind.is_empty() {
        true => Ok(()),
        false => header(headers, CONTENT_TYPE.as_str(), kind),
    }
}
