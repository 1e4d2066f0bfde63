//! `promptly/simple_http`: one HTTP request.

use super::{super::steps::Task, Done, Report, fields, http};
use reqwest::{Url, header::HeaderMap};
use serde_json::{Map, Value, json};
use std::time::Instant;

pub(super) async fn perform(task: Task) -> Done {
    let (config, input) = (&task.config, &task.input);
    let address = fields::some(input, "url").or_else(|| fields::some(config, "url"));
    let address = address.ok_or("url is missing")?;
    let mut url = Url::parse(address.trim()).map_err(|_| "not a URL")?;
    for (name, value) in pairs(config, "query_params", "key") {
        url.query_pairs_mut().append_pair(&name, &value);
    }
    for (name, value) in object(input, "query_params")? {
        url.query_pairs_mut().append_pair(&name, &fields::worded(&value));
    }
    let mut headers = HeaderMap::new();
    for (name, value) in pairs(config, "headers", "key") {
        http::header(&mut headers, &name, &value)?;
    }
    if let Some(agent) = fields::some(config, "user_agent") {
        http::header(&mut headers, "user-agent", &agent)?;
    }
    let cookies = pairs(config, "cookies", "name");
    if !cookies.is_empty() {
        let cookies: Vec<String> =
            cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        http::header(&mut headers, "cookie", &cookies.join("; "))?;
    }
    let body = fields::some(input, "body").or_else(|| fields::some(config, "body"));
    if let Some(body) = &body {
        let kind = if fields::json(body).is_some() { "application/json" } else { "text/plain" };
        http::content_type(&mut headers, kind)?;
    }
    let waits = |name, usual| fields::number(config, name).unwrap_or(usual);
    let call = http::Call {
        method: http::method(&fields::text(config, "method"))?,
        url,
        headers,
        body,
        seconds: waits("connect_timeout", 5.0) + waits("read_timeout", 10.0),
        redirects: true,
    };
    let begun = Instant::now();
    let fetched = http::send(&task, call).await?;
    let parsed = match http::json(&fetched) {
        Some(items @ Value::Array(_)) => json!({ "data": items }),
        Some(other) => other,
        None => Value::Null,
    };
    task.say(json!({
        "response": http::text(&fetched),
        "response_json": parsed,
        "response_objref": null,
        "headers": http::headers(&fetched),
        "code": fetched.status,
        "size": fetched.body.len(),
        "time": begun.elapsed().as_secs_f64(),
    }))
    .await;
    Ok(Report::default())
}

/// The pairs in a list of objects.
fn pairs(config: &Map<String, Value>, list: &str, key: &str) -> Vec<(String, String)> {
    let items = fields::list(config, list);
    let pair = |item: &Value| {
        let name = item[key].as_str().filter(|name| !name.is_empty())?;
        Some((name.to_owned(), fields::worded(&item["value"])))
    };
    items.iter().filter_map(pair).collect()
}

/// An object, or JSON text of one.
fn object(input: &Map<String, Value>, name: &str) -> Result<Map<String, Value>, String> {
    match input.get(name) {
        Some(Value::Object(fields)) => Ok(fields.clone()),
        Some(Value::String(text)) if !text.trim().is_empty() => match fields::json(text) {
            Some(Value::Object(fields)) => Ok(fields),
            _ => Err(format!("{name} is not a JSON object")),
        },
        _ => Ok(Map::new()),
    }
}
