//! Answers of the Sage dialect, taken apart.

use anyhow::{Context, Result, ensure};
use reqwest::RequestBuilder;
use serde_json::Value;

/// Status and JSON body.
///
/// # Errors
/// When there is no answer, or no JSON in it.
pub async fn answer(request: RequestBuilder) -> Result<(u16, Value)> {
    let response = request.send().await?;
    let status = response.status().as_u16();
    let text = response.text().await?;
    let body = serde_json::from_str(&text).with_context(|| format!("{status}: {text}"))?;
    Ok((status, body))
}

/// `data` of an answer that is a success.
///
/// # Errors
/// When it is none.
pub async fn data(request: RequestBuilder) -> Result<Value> {
    let (status, mut body) = answer(request).await?;
    ensure!(status == 200 && body["code"] == 200, "{status}: {body}");
    Ok(body["data"].take())
}

/// The message of a failure of family A: HTTP 200, code 500.
///
/// # Errors
/// When it is anything else.
pub async fn returned(request: RequestBuilder) -> Result<String> {
    message(request, 200).await
}

/// The message of a failure of family B with its usual code 500.
///
/// # Errors
/// When it is anything else.
pub async fn raised(request: RequestBuilder) -> Result<String> {
    message(request, 500).await
}

async fn message(request: RequestBuilder, wanted: u16) -> Result<String> {
    let (status, body) = answer(request).await?;
    let as_wanted = status == wanted && body["code"] == 500 && body["data"].is_null();
    ensure!(as_wanted, "{status}: {body}");
    Ok(body["message"].as_str().context("no message")?.to_owned())
}
