//! `promptly/http_api_processor`: calls an API with parameters in path, query, headers, cookies and body.

use super::{
    super::{
        steps::Task,
        template::{self, Context},
    },
    Done, Report, fields, http,
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Method, Url, header::HeaderMap};
use serde_json::{Map, Value, json};
use std::time::Instant;

/// Everything that would be more than one piece of a path.
const PIECE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

pub(super) async fn perform(task: Task) -> Done {
    let (config, input) = (&task.config, &task.input);
    let mut given = match input.get("input_data") {
        Some(Value::Object(given)) => given.clone(),
        Some(Value::String(text)) if !text.trim().is_empty() => match fields::json(text) {
            Some(Value::Object(given)) => given,
            _ => return Err("input_data is not a JSON object".to_owned()),
        },
        _ => Map::new(),
    };
    let declared = fields::list(config, "parameters");
    let body = config.get("request_body").cloned().unwrap_or_default();
    let in_body = body["parameters"].as_array().cloned().unwrap_or_default();
    for parameter in declared.iter().chain(&in_body) {
        let name = parameter["name"].as_str().unwrap_or_default();
        if let (false, value @ (Value::String(_) | Value::Number(_) | Value::Bool(_))) =
            (given.contains_key(name), &parameter["value"])
            && value.as_str() != Some("")
        {
            given.insert(name.to_owned(), value.clone());
        }
        let wanted = parameter["required"].as_bool().unwrap_or(false);
        if wanted && given.get(name).is_none_or(Value::is_null) {
            return Err(format!("Missing required parameter {name}"));
        }
    }
    let mut url = address(config, &declared, &given)?;
    let (mut headers, mut cookies) = (HeaderMap::new(), Vec::new());
    for parameter in &declared {
        let name = parameter["name"].as_str().unwrap_or_default();
        let Some(value) = given.get(name).map(fields::worded) else { continue };
        match parameter["location"].as_str() {
            Some("query") => drop(url.query_pairs_mut().append_pair(name, &value)),
            Some("header") => http::header(&mut headers, name, &value)?,
            Some("cookie") => cookies.push(format!("{name}={value}")),
            _ => {}
        }
    }
    if !cookies.is_empty() {
        http::header(&mut headers, "cookie", &cookies.join("; "))?;
    }
    let method = http::method(&fields::text(config, "method"))?;
    let mut sent = None;
    if method != Method::GET && method != Method::HEAD {
        let payload = body["payload"].as_str().filter(|payload| !payload.trim().is_empty());
        if let Some(payload) = payload {
            let context = Context::new(&known(&given));
            sent = Some(template::render(payload, &context));
            let kind = fields::some(config, "content_type");
            http::content_type(&mut headers, kind.as_deref().unwrap_or("application/json"))?;
        } else if !in_body.is_empty() {
            let mut form = form_urlencoded::Serializer::new(String::new());
            for name in in_body.iter().filter_map(|parameter| parameter["name"].as_str()) {
                if let Some(value) = given.get(name) {
                    form.append_pair(name, &fields::worded(value));
                }
            }
            sent = Some(form.finish());
            http::content_type(&mut headers, "application/x-www-form-urlencoded")?;
        }
    }
    let call = http::Call {
        method,
        url,
        headers,
        body: sent,
        seconds: fields::number(config, "timeout").unwrap_or(5.0),
        redirects: fields::flag(config, "allow_redirects").unwrap_or(true),
    };
    let begun = Instant::now();
    let fetched = http::send(&task, call).await?;
    task.say(json!({
        "code": fetched.status,
        "headers": http::headers(&fetched),
        "text": http::text(&fetched),
        "content_json": http::json(&fetched),
        "is_ok": fetched.status < 400,
        "url": fetched.url.as_str(),
        "encoding": "utf-8",
        "cookies": http::cookies(&fetched),
        "elapsed": begun.elapsed().as_secs_f64(),
    }))
    .await;
    Ok(Report::default())
}

/// URL and path with their parameters, each of which stays one piece of the path.
fn address(
    config: &Map<String, Value>,
    declared: &[Value],
    given: &Map<String, Value>,
) -> Result<Url, String> {
    let piece = |value: &Value| {
        let piece = utf8_percent_encode(&fields::worded(value), PIECE).to_string();
        // Dots stand for themselves, but not for another folder.
        if piece.bytes().all(|byte| byte == b'.') { piece.replace('.', "%2E") } else { piece }
    };
    let encoded: Map<String, Value> =
        given.iter().map(|(name, value)| (name.clone(), piece(value).into())).collect();
    let (base, path) = (fields::text(config, "url"), fields::text(config, "path"));
    let mut text = match path.trim() {
        "" => base.trim().to_owned(),
        path => format!("{}/{}", base.trim().trim_end_matches('/'), path.trim_start_matches('/')),
    };
    text = template::render(&text, &Context::new(&known(&encoded)));
    for parameter in declared.iter().filter(|p| p["location"].as_str() == Some("path")) {
        let name = parameter["name"].as_str().unwrap_or_default();
        if let Some(Value::String(value)) = encoded.get(name) {
            text = text.replace(&format!("{{{name}}}"), value.as_str());
        }
    }
    // The parser would take an encoded dot for a dot.
    if text.contains("%2E%2E") || text.contains("/%2E/") {
        return Err("a path parameter may not be a dot".to_owned());
    }
    Url::parse(&text).map_err(|_| "not a URL".to_owned())
}

fn known(parameters: &Map<String, Value>) -> Map<String, Value> {
    Map::from_iter([
        ("_parameters".to_owned(), parameters.clone().into()),
        ("_connection".to_owned(), json!({})),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(config: Value, given: Value) -> String {
        let declared = vec![json!({"name": "t", "location": "path"})];
        let (Value::Object(config), Value::Object(given)) = (config, given) else {
            return String::new();
        };
        address(&config, &declared, &given).map_or_else(|error| error, String::from)
    }

    #[test]
    fn path_parameters_are_written_either_way_and_stay_one_piece() {
        let config = |path: &str| json!({"url": "https://x.org/", "path": path});
        for path in ["/a/{t}", "/a/{{ _parameters.t }}"] {
            assert_eq!(url(config(path), json!({"t": 7})), "https://x.org/a/7");
            assert_eq!(
                url(config(path), json!({"t": "b/../c?d"})),
                "https://x.org/a/b%2F..%2Fc%3Fd"
            );
            assert!(url(config(path), json!({"t": ".."})).contains("dot"));
        }
        assert_eq!(url(json!({"url": "https://x.org/q"}), json!({})), "https://x.org/q");
        assert_eq!(url(json!({"url": "nope"}), json!({})), "not a URL");
    }
}
