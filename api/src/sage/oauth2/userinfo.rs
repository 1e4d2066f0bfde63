//! Who the person behind an access token is.

use super::{Failed, Refused, Result, issuer::Issuer};
use crate::{app::App, sage::auth::role};
use axum::{
    Json,
    extract::State,
    http::{HeaderMap, header},
};
use chrono::Utc;
use serde::Serialize;
use utoipa::ToSchema;

/// Who somebody is.
#[derive(Serialize, ToSchema)]
#[schema(as = OAuth2Userinfo)]
pub struct Claims {
    /// Their id.
    sub: String,
    iss: String,
    preferred_username: String,
    /// `admin` or `user`.
    role: &'static str,
    /// Tokens of the scope `profile`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    name: Option<String>,
    /// Tokens of the scope `email`, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    email: Option<String>,
    /// Always `true`; beside `email`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    email_verified: Option<bool>,
}

/// Tells who the person behind an access token is.
#[utoipa::path(
    method(get, post),
    path = "/oauth2/userinfo",
    responses(
        (status = 200, description = "Who they are.", body = Claims),
        (status = 401, description = "There is no token, or it is not good.", body = Failed,
            headers(("WWW-Authenticate" = String, description = "What is wrong with it."))),
        (status = "default", description = "Something failed.", body = Failed),
    ),
    security(("access_token" = [])),
)]
pub async fn userinfo(
    State(app): State<App>,
    Issuer(issuer): Issuer,
    headers: HeaderMap,
) -> Result<Json<Claims>> {
    let Some(token) = bearer(&headers) else { return Err(Refused::token(false)) };
    let active = app.oauth2.access(token, Utc::now()).await?;
    let active = active.ok_or_else(|| Refused::token(true))?;
    let (subject, scope) = (active.subject, active.scope);
    let named = scope.has("profile") || scope.is_empty();
    let email = subject.email.filter(|_| scope.has("email"));
    Ok(Json(Claims {
        sub: subject.user.0,
        iss: issuer.as_str().to_owned(),
        preferred_username: subject.username.clone(),
        role: role(subject.role),
        name: named.then_some(subject.username),
        email_verified: email.is_some().then_some(true),
        email,
    }))
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}
