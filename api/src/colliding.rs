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
        && matches!(*request.method(), Method::GET | Method::HEAD)
        && is_genies(&request)
    {
        return genie.oneshot(request).await.into_response();
    }
    next.run(request).await
}

/// Genie's single skills, but for those who speak Sage, which has none. Who shows no login at all speaks to whoever has them.
pub async fn one(request: Request, next: Next) -> Response {
    match is_genies(&request) || is_nobodys(request.headers()) {
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
    audience(headers) == Some(Audience::Genie)
}

/// Whether nothing tells of a login: no cookie, and no token, or a bearer's that is none of ours.
fn is_nobodys(headers: &HeaderMap) -> bool {
    let sent = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let scheme = sent.and_then(|sent| sent.split_ascii_whitespace().next());
    let bearers = scheme.is_none_or(|scheme| scheme.eq_ignore_ascii_case("bearer"));
    bearers && audience(headers).is_none() && !headers.contains_key(header::COOKIE)
}

/// Whom the token is for, as it says itself.
fn audience(headers: &HeaderMap) -> Option<Audience> {
    #[derive(Deserialize)]
    struct Claims {
        aud: Audience,
    }
    let sent = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let payload = URL_SAFE_NO_PAD.decode(sent.split('.').nth(1)?).ok()?;
    let claims: Claims = serde_json::from_slice(&payload).ok()?;
    Some(claims.aud)
}
