//! By what a secret is known: the name of its field, the header or cookie it is sent in, its own looks.

use serde_json::{Map, Value};

/// Words in names of fields that hold secrets.
const WORDS: &[&str] = &[
    "password",
    "passwd",
    "pwd",
    "passphrase",
    "secret",
    "token",
    "apikey",
    "authorization",
    "auth",
    "credential",
    "credentials",
    "cookie",
    "jwt",
    "signature",
    "sig",
];
/// Names made of several words that do, written together.
const NAMES: &[&str] = &[
    "apikey",
    "accesskey",
    "secretkey",
    "privatekey",
    "authkey",
    "signingkey",
    "encryptionkey",
    "appkey",
    "subscriptionkey",
];
/// Names of inputs that leave no doubt.
const SURE: &[&str] = &[
    "password",
    "passwd",
    "secret",
    "clientsecret",
    "apikey",
    "accesstoken",
    "authtoken",
    "authorization",
    "privatekey",
];
/// Headers that tell nothing.
const HARMLESS: &[&str] = &[
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-type",
    "date",
    "expect",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "origin",
    "pragma",
    "prefer",
    "range",
    "referer",
    "user-agent",
    "x-request-id",
    "x-requested-with",
];
/// How keys of well-known services begin, and how long they are at least.
const KEYS: &[(&str, usize)] = &[
    ("sk-", 20),
    ("xoxb-", 20),
    ("xoxp-", 20),
    ("xapp-", 20),
    ("ghp_", 30),
    ("gho_", 30),
    ("github_pat_", 30),
    ("glpat-", 20),
    ("hf_", 20),
    ("AKIA", 20),
    ("AIza", 35),
    ("SG.", 30),
];
/// Words before a key in an `Authorization` header.
const SCHEMES: &[&str] = &["bearer", "basic", "token", "apikey", "key"];

/// What is known of where a value is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Place {
    /// Nothing.
    #[default]
    Anywhere,
    /// Among headers.
    Headers,
    /// Among cookies.
    Cookies,
}

/// Calls `found` on every secret in these fields.
pub fn each(fields: &mut Map<String, Value>, place: Place, found: &mut dyn FnMut(&mut Value)) {
    let text = |name: &str| fields.get(name).and_then(Value::as_str);
    let named = text("key").or_else(|| text("name")).map(str::to_owned);
    let asked = asks_for_a_password(fields);
    let place = match text("location") {
        Some("header") => Place::Headers,
        Some("cookie") => Place::Cookies,
        _ => place,
    };
    for (key, value) in fields.iter_mut() {
        let secret = match (&named, key.as_str()) {
            (Some(name), "value" | "default") => asked || names_a_secret(name, place),
            // The pair's own words, and what is said of it.
            (
                Some(_),
                "key" | "name" | "title" | "type" | "location" | "description" | "domain",
            ) => false,
            (None, name) if place == Place::Headers => names_a_secret(name, place),
            (_, name) => is_secret(name),
        };
        walk(value, secret, around(key), found);
    }
}

fn walk(value: &mut Value, secret: bool, place: Place, found: &mut dyn FnMut(&mut Value)) {
    match value {
        Value::Object(fields) => each(fields, place, found),
        Value::Array(items) => items.iter_mut().for_each(|item| walk(item, secret, place, found)),
        Value::String(text) if is_key(text) => found(value),
        _ if secret && is_typed(value) => found(value),
        _ => {}
    }
}

fn around(key: &str) -> Place {
    match key.to_ascii_lowercase().as_str() {
        "headers" => Place::Headers,
        "cookies" => Place::Cookies,
        _ => Place::Anywhere,
    }
}

fn names_a_secret(name: &str, place: Place) -> bool {
    match place {
        Place::Anywhere => is_secret(name) || name.eq_ignore_ascii_case("key"),
        Place::Headers => !HARMLESS.iter().any(|harmless| harmless.eq_ignore_ascii_case(name)),
        Place::Cookies => true,
    }
}

/// Whether a field of this name holds a secret: `api_key`, `X-Auth-Token`, `botToken`; not `max_tokens`.
fn is_secret(name: &str) -> bool {
    let (mut words, mut last) = (vec![String::new()], ' ');
    for c in name.chars() {
        if !c.is_alphanumeric() || (c.is_uppercase() && last.is_lowercase()) {
            words.push(String::new());
        }
        if let (true, Some(word)) = (c.is_alphanumeric(), words.last_mut()) {
            word.extend(c.to_lowercase());
        }
        last = c;
    }
    words.iter().any(|word| WORDS.contains(&word.as_str()))
        || NAMES.iter().any(|known| words.concat().contains(known))
}

/// Whether an input of this name holds a secret, beyond doubt.
pub fn is_surely_secret(name: &str) -> bool {
    let plain: String = name.chars().filter(|c| c.is_alphanumeric()).collect();
    SURE.contains(&plain.to_ascii_lowercase().as_str())
}

/// Whether this input field is one whose text is not shown while it is typed.
pub fn asks_for_a_password(field: &Map<String, Value>) -> bool {
    ["type", "widget", "format"]
        .iter()
        .any(|key| field.get(*key).and_then(Value::as_str).is_some_and(|kind| kind == "password"))
}

/// Whether somebody typed something there, and not only said where it will come from.
pub fn is_typed(value: &Value) -> bool {
    match value {
        Value::Number(_) => true,
        Value::String(text) => {
            let literal = literal(text);
            let mut words = literal.split_whitespace();
            words.any(|word| !SCHEMES.iter().any(|scheme| scheme.eq_ignore_ascii_case(word)))
        }
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => false,
    }
}

/// The text without the expressions of its templates.
fn literal(text: &str) -> String {
    let (mut literal, mut rest) = (String::new(), text);
    while let Some(at) = rest.find("{{").into_iter().chain(rest.find("{%")).min() {
        literal.push_str(&rest[..at]);
        let close = if rest[at..].starts_with("{{") { "}}" } else { "%}" };
        let Some(end) = rest[at..].find(close) else { return literal };
        rest = &rest[at + end + 2..];
    }
    literal + rest
}

/// Whether a text is, or has in it, a key by its looks.
fn is_key(text: &str) -> bool {
    let trimmed = text.trim_start();
    if trimmed.contains("PRIVATE KEY-----") || trimmed.split_whitespace().any(is_url_with_key) {
        return true;
    }
    let word = |c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c));
    let known = |word: &str| {
        let fits =
            |(start, length): &(&str, usize)| word.len() >= *length && word.starts_with(start);
        KEYS.iter().any(fits) && word.bytes().any(|byte| byte.is_ascii_alphanumeric())
    };
    trimmed.split(word).any(known) || is_json_with_secret(trimmed)
}

/// `https://user:password@host`, or a query with a key.
fn is_url_with_key(word: &str) -> bool {
    let Some((_, rest)) = word.split_once("://") else { return false };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let login = host.rsplit_once('@').and_then(|(login, _)| login.split_once(':'));
    let typed = |text: &str| is_typed(&text.into());
    if login.is_some_and(|(_, password)| typed(password)) {
        return true;
    }
    let query = rest.split_once('?').map_or("", |(_, query)| query);
    query
        .split(['&', '#'])
        .filter_map(|pair| pair.split_once('='))
        .any(|(name, value)| names_a_secret(name, Place::Anywhere) && typed(value))
}

fn is_json_with_secret(text: &str) -> bool {
    if !text.starts_with(['{', '[']) || crate::json::is_too_deep(text.as_bytes()) {
        return false;
    }
    let Ok(mut value) = serde_json::from_str::<Value>(text) else { return false };
    let mut any = false;
    walk(&mut value, false, Place::Anywhere, &mut |_| any = true);
    any
}
