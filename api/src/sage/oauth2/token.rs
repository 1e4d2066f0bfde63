//! The token endpoint, and revocation (RFC 7009).

use super::{
    Failed, Refused, Result,
    client_auth::{Unknown, client},
    params::{Form, Params},
};
use crate::{
    app::App,
    core::{Context, peer::Peer},
};
use axum::{Json, extract::State, http::HeaderMap};
use chrono::Utc;
use commands::oauth2::{
    ACCESS_LIFE, Issued, Presented,
    clients::{Client, Method},
};
use domain::grant::Scope;
use serde::Serialize;
use utoipa::ToSchema;

/// What a client has, and wants tokens for.
#[derive(ToSchema)]
#[schema(as = OAuth2TokenRequest)]
#[expect(dead_code, reason = "parameters are read as the RFC has them: none twice, none empty")]
struct Wanted {
    /// `authorization_code` or `refresh_token`.
    grant_type: String,
    /// For `authorization_code`.
    code: Option<String>,
    /// As it was in the request for the code, if it was.
    redirect_uri: Option<String>,
    /// What the challenge was made of, if there was one.
    code_verifier: Option<String>,
    /// For `refresh_token`.
    refresh_token: Option<String>,
    /// For `refresh_token`: less than before, if less is wanted.
    scope: Option<String>,
    /// Unless it authenticates by header.
    client_id: Option<String>,
    /// Unless it authenticates by header, or has none.
    #[schema(format = Password)]
    client_secret: Option<String>,
}

/// The tokens of a client.
#[derive(Serialize, ToSchema)]
#[schema(as = OAuth2Tokens)]
pub struct Tokens {
    /// Always `Bearer`.
    token_type: &'static str,
    access_token: String,
    /// For how many seconds the access token is good.
    expires_in: i64,
    #[schema(value_type = String)]
    scope: Scope,
    /// Good for new tokens, once.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    refresh_token: Option<String>,
}

/// Gives a client tokens for a code or a refresh token.
#[utoipa::path(
    post,
    path = "/oauth2/token",
    request_body(content = Wanted, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "The tokens.", body = Tokens),
        (status = 400, description = "The form is malformed, or code or token are not good.", body = Failed),
        (status = 401, description = "The client cannot prove who it is.", body = Failed,
            headers(("WWW-Authenticate" = String, description = "How to."))),
        (status = 429, description = "Too many failures; see the header `Retry-After`.", body = Failed),
        (status = "default", description = "Something failed.", body = Failed),
    ),
    security((), ("client" = [])),
)]
pub async fn token(
    State(app): State<App>,
    peer: Peer,
    headers: HeaderMap,
    Form(params): Form,
) -> Result<Json<Tokens>> {
    let what = match params.need("grant_type")? {
        "authorization_code" => "code",
        "refresh_token" => "refresh_token",
        _ => {
            let client = client(&app, peer, &headers, &params).map(|_| ());
            return Err(client.map_or_else(Refused::from, |()| {
                Refused::bad("unsupported_grant_type", "this grant_type is not supported")
            }));
        }
    };
    let client = match client(&app, peer, &headers, &params) {
        Ok(client) => client,
        Err(Unknown::Silent) => silent(&app, params.get(what)).await?,
        Err(unknown) => {
            if let (Unknown::Unproven(_), Some(code)) = (&unknown, params.get("code")) {
                app.oauth2.burn(code, |user| Context::current().metadata(user)).await?;
            }
            return Err(unknown.into());
        }
    };
    let issued = match what {
        "code" => exchange(&app, client, &params).await?,
        _ => refresh(&app, client, &params).await?,
    };
    Ok(Json(reply(issued)))
}

/// The seed's example names no client. A public one need not: the code or token knows whose it is.
async fn silent<'a>(app: &'a App, code_or_token: Option<&str>) -> Result<&'a Client> {
    let bound = match code_or_token {
        Some(text) => app.oauth2.bearer_of(text).await?,
        None => None,
    };
    let public = bound.filter(|client| client.method == Method::None);
    public.ok_or_else(|| Unknown::Silent.into())
}

async fn exchange(app: &App, client: &Client, params: &Params) -> Result<Issued> {
    let code = params.need("code")?;
    if !client.may_exchange {
        return Err(Refused::bad("unauthorized_client", "the client may not exchange codes"));
    }
    let (redirect_uri, verifier) = (params.get("redirect_uri"), params.get("code_verifier"));
    let presented = Presented { code, client, redirect_uri, verifier };
    let metadata = |user| Context::current().metadata(user);
    Ok(app.oauth2.exchange(presented, Utc::now(), metadata).await?)
}

async fn refresh(app: &App, client: &Client, params: &Params) -> Result<Issued> {
    let token = params.need("refresh_token")?;
    if !client.may_refresh {
        return Err(Refused::bad("unauthorized_client", "the client may not refresh"));
    }
    let scope = params.get("scope").map(Scope::parse).transpose();
    let scope = scope.map_err(|error| Refused::bad("invalid_scope", error.to_string()))?;
    let scope = scope.filter(|scope| !scope.is_empty());
    let metadata = |user| Context::current().metadata(user);
    Ok(app.oauth2.refresh(token, client, scope, Utc::now(), metadata).await?)
}

fn reply(issued: Issued) -> Tokens {
    Tokens {
        token_type: "Bearer",
        access_token: issued.access.expose().to_owned(),
        expires_in: ACCESS_LIFE.num_seconds(),
        scope: issued.scope,
        refresh_token: issued.refresh.map(|token| token.expose().to_owned()),
    }
}

/// A token that is not to be good any more.
#[derive(ToSchema)]
#[schema(as = OAuth2Revoke)]
#[expect(dead_code, reason = "parameters are read as the RFC has them: none twice, none empty")]
struct Unwanted {
    token: String,
    /// Unless it authenticates by header.
    client_id: Option<String>,
    /// Unless it authenticates by header, or has none.
    #[schema(format = Password)]
    client_secret: Option<String>,
}

/// Revokes a token of a client (RFC 7009). Answers the same whether there was such a token or not.
#[utoipa::path(
    post,
    path = "/oauth2/revoke",
    request_body(content = Unwanted, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "It is not good any more."),
        (status = 400, description = "The form is malformed.", body = Failed),
        (status = 401, description = "The client cannot prove who it is.", body = Failed,
            headers(("WWW-Authenticate" = String, description = "How to."))),
        (status = 429, description = "Too many failures; see the header `Retry-After`.", body = Failed),
        (status = "default", description = "Something failed.", body = Failed),
    ),
    security((), ("client" = [])),
)]
pub async fn revoke(
    State(app): State<App>,
    peer: Peer,
    headers: HeaderMap,
    Form(params): Form,
) -> Result<()> {
    let client = client(&app, peer, &headers, &params)?;
    let token = params.need("token")?;
    Ok(app.oauth2.revoke(token, client, |user| Context::current().metadata(user)).await?)
}
