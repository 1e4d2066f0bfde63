//! `/api/me`, `/api/profiles/me`: what the holder of a token is told of themselves.

use super::{Holder, Reply, Result};
use crate::app::App;
use axum::{
    Router,
    http::{HeaderMap, header},
    routing::get,
};
use serde_json::{Value, json};

/// The routes.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/api/me", get(me))
        .route("/api/profiles/me", get(profile))
        .route("/api/profiles/me/flags", get(flags))
}

async fn me(holder: Holder) -> Result<Value> {
    Ok(Reply::ok(json!({ "user": name(&holder) })))
}

/// The token is the one that was sent with the request: only digests are kept, so no other can be told.
async fn profile(holder: Holder, headers: HeaderMap) -> Result<Value> {
    let sent = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = sent.and_then(|value| value.split_whitespace().nth(1));
    Ok(Reply::ok(json!({
        "name": holder.username,
        "user_email": name(&holder),
        "username": holder.username,
        "token": token,
        "openai_key": null,
        "logo": null,
        "organization": null,
        "avatar": null,
        "provider_configs": {},
    })))
}

/// Nothing here is behind a flag.
async fn flags(_: Holder) -> Result<Value> {
    Ok(Reply::ok(json!({})))
}

/// The e-mail address, or for want of one the name to sign in with.
fn name(holder: &Holder) -> &str {
    holder.email().unwrap_or(&holder.username)
}
