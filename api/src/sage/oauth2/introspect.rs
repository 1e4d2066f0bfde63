//! RFC 7662: what a token stands for, told to the client that it was issued to.

use super::{Refused, Result, client_auth::client, issuer::Issuer, params::Form};
use crate::{app::App, core::peer::Peer};
use axum::{Json, extract::State, http::HeaderMap};
use chrono::Utc;
use commands::oauth2::clients::Method;
use serde_json::{Value, json};

pub async fn introspect(
    State(app): State<App>,
    peer: Peer,
    Issuer(issuer): Issuer,
    headers: HeaderMap,
    Form(params): Form,
) -> Result<Json<Value>> {
    let client = client(&app, peer, &headers, &params)?;
    if client.method == Method::None {
        return Err(Refused::client("public clients may not introspect"));
    }
    let token = params.need("token")?;
    let Some(active) = app.oauth2.inspect(token, client, Utc::now()).await? else {
        return Ok(Json(json!({ "active": false })));
    };
    let mut reply = json!({
        "active": true,
        "scope": active.scope,
        "client_id": active.client,
        "username": active.subject.username,
        "sub": active.subject.user,
        "iss": issuer.as_str(),
        "iat": active.issued_at.timestamp(),
        "exp": active.expires_at.timestamp(),
    });
    if active.access {
        reply["token_type"] = json!("Bearer");
    }
    Ok(Json(reply))
}
