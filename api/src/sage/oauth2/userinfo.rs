//! Who the person behind an access token is.

use super::{Refused, Result, issuer::Issuer};
use crate::app::App;
use axum::{
    Json,
    extract::State,
    http::{HeaderMap, header},
};
use chrono::Utc;
use serde_json::{Value, json};

pub async fn userinfo(
    State(app): State<App>,
    Issuer(issuer): Issuer,
    headers: HeaderMap,
) -> Result<Json<Value>> {
    let Some(token) = bearer(&headers) else { return Err(Refused::token(false)) };
    let active = app.oauth2.access(token, Utc::now()).await?;
    let active = active.ok_or_else(|| Refused::token(true))?;
    let (subject, scope) = (active.subject, active.scope);
    let mut claims = json!({
        "sub": subject.user,
        "iss": issuer.as_str(),
        "preferred_username": subject.username,
        "role": if subject.role.is_admin() { "admin" } else { "user" },
    });
    if scope.has("profile") || scope.is_empty() {
        claims["name"] = json!(subject.username);
    }
    if let Some(email) = subject.email.filter(|_| scope.has("email")) {
        claims["email"] = json!(email);
        claims["email_verified"] = json!(true);
    }
    Ok(Json(claims))
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}
