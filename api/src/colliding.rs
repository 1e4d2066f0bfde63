//! Two dialects serve `GET /api/skills` and what is below it. At the root Sage answers, unless the token was issued by a
//! Genie login, or the request carries parameters that only Genie has. Which dialect answers decides nothing else, so the
//! token is only read here, not checked.

use crate::{core::Error, sage};
use axum::{
    Router,
    extract::Request,
    http::{HeaderMap, Method, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::login::Audience;
use serde::Deserialize;
use tower::ServiceExt;

/// Parameters that Sage does not know.
const PARAMETERS: &[&str] = &[
    "category",
    "tags",
    "limit",
    "offset",
    "sort",
    "include_related",
    "includeRelated",
    "related",
];

/// Sage's routes, but for the list of skills where it is Genie's.
pub async fn list(genie: Router, request: Request, next: Next) -> Response {
    if request.uri().path() == "/api/skills"
        && *request.method() == Method::GET
        && is_genies(&request)
    {
        return genie.oneshot(request).await.into_response();
    }
    next.run(request).await
}

/// Genie's single skills, but for those who speak Sage, which has none.
pub async fn one(request: Request, next: Next) -> Response {
    match is_genies(&request) {
        true => next.run(request).await,
        false => sage::envelope::render(Error::NoSuchPath),
    }
}

fn is_genies(request: &Request) -> bool {
    let query = request.uri().query().unwrap_or_default();
    let mut names = form_urlencoded::parse(query.as_bytes()).map(|(name, _)| name);
    names.any(|name| PARAMETERS.contains(&&*name)) || is_genies_token(request.headers())
}

fn is_genies_token(headers: &HeaderMap) -> bool {
    #[derive(Deserialize)]
    struct Claims {
        aud: Audience,
    }
    let sent = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let payload = sent.and_then(|text| text.split('.').nth(1));
    let claims = payload.and_then(|payload| URL_SAFE_NO_PAD.decode(payload).ok());
    let claims = claims.and_then(|json| serde_json::from_slice::<Claims>(&json).ok());
    claims.is_some_and(|claims| claims.aud == Audience::Genie)
}
