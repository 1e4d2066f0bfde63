//! The token endpoint, and revocation (RFC 7009).

use super::{
    Refused, Result,
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
use serde_json::{Value, json};

pub async fn token(
    State(app): State<App>,
    peer: Peer,
    headers: HeaderMap,
    Form(params): Form,
) -> Result<Json<Value>> {
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
    Ok(Json(reply(&issued)))
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

fn reply(issued: &Issued) -> Value {
    let mut reply = json!({
        "token_type": "Bearer",
        "access_token": issued.access.expose(),
        "expires_in": ACCESS_LIFE.num_seconds(),
        "scope": issued.scope,
    });
    if let Some(refresh) = &issued.refresh {
        reply["refresh_token"] = json!(refresh.expose());
    }
    reply
}

/// Answers the same whether there was such a token or not.
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
