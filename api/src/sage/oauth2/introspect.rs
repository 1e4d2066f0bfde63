//! RFC 7662: what a token stands for, told to the client that it was issued to.

use super::{Failed, Refused, Result, client_auth::client, issuer::Issuer, params::Form};
use crate::{app::App, core::peer::Peer};
use axum::{Json, extract::State, http::HeaderMap};
use chrono::Utc;
use commands::oauth2::clients::Method;
use domain::grant::Scope;
use serde::Serialize;
use utoipa::ToSchema;

/// A token of which a client asks what it stands for.
#[derive(ToSchema)]
#[schema(as = OAuth2Introspect)]
#[expect(dead_code, reason = "parameters are read as the RFC has them: none twice, none empty")]
struct Asked {
    token: String,
    /// Unless it authenticates by header.
    client_id: Option<String>,
    /// Unless it authenticates by header.
    #[schema(format = Password)]
    client_secret: Option<String>,
}

/// What a token stands for.
#[derive(Default, Serialize, ToSchema)]
#[schema(as = OAuth2Introspection)]
pub struct Known {
    /// Whether it is good, and the client's; of others nothing else is told.
    #[schema(required)]
    active: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String)]
    scope: Option<Scope>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    client_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    username: Option<String>,
    /// The person's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    sub: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    iss: Option<String>,
    /// Seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    iat: Option<i64>,
    /// Seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    exp: Option<i64>,
    /// `Bearer`; access tokens only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    token_type: Option<&'static str>,
}

/// Tells a client what one of its tokens stands for (RFC 7662).
#[utoipa::path(
    post,
    path = "/oauth2/introspect",
    request_body(content = Asked, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "What it stands for.", body = Known),
        (status = 400, description = "The form is malformed.", body = Failed),
        (status = 401, description = "The client cannot prove who it is, or has no secret to do so.", body = Failed,
            headers(("WWW-Authenticate" = String, description = "How to."))),
        (status = 429, description = "Too many failures; see the header `Retry-After`.", body = Failed),
        (status = "default", description = "Something failed.", body = Failed),
    ),
    security((), ("client" = [])),
)]
pub async fn introspect(
    State(app): State<App>,
    peer: Peer,
    Issuer(issuer): Issuer,
    headers: HeaderMap,
    Form(params): Form,
) -> Result<Json<Known>> {
    let client = client(&app, peer, &headers, &params)?;
    if client.method == Method::None {
        return Err(Refused::client("public clients may not introspect"));
    }
    let token = params.need("token")?;
    let Some(active) = app.oauth2.inspect(token, client, Utc::now()).await? else {
        return Ok(Json(Known::default()));
    };
    Ok(Json(Known {
        active: true,
        scope: Some(active.scope),
        client_id: Some(active.client.to_string()),
        username: Some(active.subject.username),
        sub: Some(active.subject.user.0),
        iss: Some(issuer.as_str().to_owned()),
        iat: Some(active.issued_at.timestamp()),
        exp: Some(active.expires_at.timestamp()),
        token_type: active.access.then_some("Bearer"),
    }))
}
