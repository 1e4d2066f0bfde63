//! Filters that definitions use beside Liquid's own.

use super::{add, json, liquid};
use liquid_core::{
    Display_filter, Filter, FilterReflection, Language, ParseFilter, Result, Runtime, Value,
    ValueView,
};
use std::fmt::Write;

pub(super) fn register(language: &mut Language) {
    add(language, UrlPlus);
    add(language, ToJson);
    add(language, ToJsonToo);
    add(language, ToDict);
    add(language, ToDictToo);
    add(language, ToText);
    add(language, ToTextToo);
    add(language, EscapeUnicode);
}

/// A filter without arguments: its names, its type, and what it does.
macro_rules! filters {
    ($($name:literal $filter:ident $parsed:ident $does:path;)+) => {$(
        #[derive(Clone, ParseFilter, FilterReflection)]
        #[filter(name = $name, description = "", parsed($parsed))]
        struct $filter;

        #[derive(Debug, Default, Display_filter)]
        #[name = $name]
        struct $parsed;

        impl Filter for $parsed {
            fn evaluate(&self, input: &dyn ValueView, _: &dyn Runtime) -> Result<Value> {
                Ok($does(input))
            }
        }
    )+};
}

filters! {
    "urlencode" UrlPlus UrlPlusParsed url_plus;
    "tojson" ToJson ToJsonParsed to_json;
    "to_json" ToJsonToo ToJsonTooParsed to_json;
    "todict" ToDict ToDictParsed to_dict;
    "to_dict" ToDictToo ToDictTooParsed to_dict;
    "tostring" ToText ToTextParsed to_text;
    "to_string" ToTextToo ToTextTooParsed to_text;
    "escape_unicode" EscapeUnicode EscapeUnicodeParsed escape_unicode;
}

fn url_plus(input: &dyn ValueView) -> Value {
    let text = input.to_kstr();
    let encoded: String = form_urlencoded::byte_serialize(text.as_bytes()).collect();
    Value::scalar(encoded)
}

fn to_json(input: &dyn ValueView) -> Value {
    Value::scalar(json(input).to_string())
}

/// What is no JSON is an empty object.
fn to_dict(input: &dyn ValueView) -> Value {
    if input.is_array() || input.is_object() {
        return input.to_value();
    }
    let text = input.to_kstr();
    let parsed = match domain::json::is_too_deep(text.as_bytes()) {
        true => None,
        false => serde_json::from_str(&text).ok(),
    };
    liquid(&parsed.unwrap_or_else(|| serde_json::json!({})))
}

fn to_text(input: &dyn ValueView) -> Value {
    match input.is_array() || input.is_object() {
        true => to_json(input),
        false => Value::scalar(input.to_kstr().into_owned()),
    }
}

fn escape_unicode(input: &dyn ValueView) -> Value {
    let mut escaped = String::new();
    for unit in input.to_kstr().encode_utf16() {
        match u8::try_from(unit) {
            Ok(byte) if byte.is_ascii() => escaped.push(char::from(byte)),
            // Writing to a string does not fail.
            _ => drop(write!(escaped, "\\u{unit:04x}")),
        }
    }
    Value::scalar(escaped)
}
