//! Logging in through an upstream provider: there, and back.

use super::{Failed, Fault, cookie, open, providers, text, worded};
use crate::{
    app::App,
    core::{
        Context, Error, Path, Problem, Query, caller::cookie_value, local_path, peer::Peer,
        site::Site,
    },
};
use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header::LOCATION},
    response::{AppendHeaders, IntoResponse, Response},
};
use chrono::Utc;
use commands::effects::{
    Sensitive,
    flows::Flow,
    upstream::{Provider, Returned, UpstreamError, who},
};
use domain::ids::UserId;
use reqwest::Url;
use serde::Deserialize;
use serde_json::{Value, json};

/// Where people go who did not say where.
const NEXT: &str = "/agent/chat";
/// Bytes of the longest address a provider is told to send people back to.
const LONGEST_URL: usize = 2_048;

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct There {
    /// Where to go afterwards; a path here.
    next: Option<String>,
    /// Where the provider is to send the browser: a URL of this host, by default that of the callback.
    #[param(format = "uri")]
    redirect_uri: Option<String>,
}

/// Sends a browser to log in at the first provider.
#[utoipa::path(
    get,
    path = "/api/auth/upstream/login",
    params(There),
    responses(
        (status = 200, description = "No provider is configured (code 404).", body = Failed),
        (status = 302, description = "To the provider.", headers(
            ("Location" = String, description = "Where the provider asks people to log in."),
            ("Set-Cookie" = String, description = "Binds the login to this browser."),
        )),
        (status = 400, description = "The redirect address is not allowed.", body = Failed),
        (status = 429, description = "Too many attempts; see the header `Retry-After`.", body = Failed),
        (status = 502, description = "The provider is not available.", body = Failed),
    ),
    security(()),
)]
pub async fn default(
    State(app): State<App>,
    peer: Peer,
    site: Site,
    headers: HeaderMap,
    Query(query): Query<There>,
) -> Result<Response, Fault> {
    let Some(provider) = providers::upstream(&app.config).first() else {
        let message = text("未配置可用的 OAuth Provider", "No OAuth provider is configured");
        return Err(Fault::Returned(404, message));
    };
    go(&app, provider, peer, &site, &headers, query).await
}

/// Sends a browser to log in at a provider.
#[utoipa::path(
    get,
    path = "/api/auth/upstream/login/{provider_id}",
    params(("provider_id" = String, Path, description = "The provider, as `GET /api/auth/providers` names it."), There),
    responses(
        (status = 302, description = "To the provider.", headers(
            ("Location" = String, description = "Where the provider asks people to log in."),
            ("Set-Cookie" = String, description = "Binds the login to this browser."),
        )),
        (status = 400, description = "The redirect address is not allowed.", body = Failed),
        (status = 429, description = "Too many attempts; see the header `Retry-After`.", body = Failed),
        (status = 502, description = "The provider is not available.", body = Failed),
    ),
    security(()),
)]
pub async fn named(
    State(app): State<App>,
    Path(id): Path<String>,
    peer: Peer,
    site: Site,
    headers: HeaderMap,
    Query(query): Query<There>,
) -> Result<Response, Fault> {
    go(&app, find(&app, &id)?, peer, &site, &headers, query).await
}

fn find<'a>(app: &'a App, id: &str) -> Result<&'a Provider, Fault> {
    let found = providers::upstream(&app.config).iter().find(|provider| provider.id == id);
    found.ok_or_else(|| {
        Fault::Raised(404, text("OAuth Provider 不存在", "There is no such OAuth provider"))
    })
}

async fn go(
    app: &App,
    provider: &Provider,
    peer: Peer,
    site: &Site,
    headers: &HeaderMap,
    query: There,
) -> Result<Response, Fault> {
    let redirect_uri = callback(&provider.id, site, query.redirect_uri)?;
    app.access.entries.attempt(peer.address)?;
    let next = local_path(query.next.as_deref(), NEXT);
    // Flows in several tabs of one browser share what proves the browser.
    let browser = browser(headers).unwrap_or_else(|| Sensitive::random(cookie::FLOW_BYTES));
    let flow = Flow { provider: provider.id.clone(), redirect_uri, next };
    let proofs = app.access.flows.begin(&browser, &flow, Utc::now()).await?;
    let url = app.access.upstreams.authorize_url(provider, &flow.redirect_uri, &proofs).await;
    let cookie = AppendHeaders([cookie::flow(&browser, peer.secure)]);
    Ok((cookie, found_at(url.map_err(failed)?.as_str())?).into_response())
}

/// Where the provider sends the browser: to this site, whatever it is called for that browser.
fn callback(provider: &str, site: &Site, wish: Option<String>) -> Result<String, Fault> {
    let illegal = || {
        let message = text("OAuth 回调地址非法", "The OAuth redirect address is not allowed");
        Fault::Raised(400, message)
    };
    let root = site.root.as_deref().ok_or_else(illegal)?;
    let Some(wish) = wish.filter(|wish| !wish.is_empty()) else {
        return Ok(format!("{}/api/auth/upstream/callback/{provider}", site.base()));
    };
    let here = Url::parse(root).map_err(|_| illegal())?;
    let url = Url::parse(&wish).map_err(|_| illegal())?;
    let same = (url.host_str(), url.port()) == (here.host_str(), here.port())
        && matches!(url.scheme(), "http" | "https")
        && url.username().is_empty()
        && url.password().is_none()
        && url.fragment().is_none();
    if !same || wish.len() > LONGEST_URL {
        return Err(illegal());
    }
    Ok(url.into())
}

fn browser(headers: &HeaderMap) -> Option<Sensitive> {
    let value = cookie_value(headers, cookie::FLOW)?;
    let ours =
        value.len() == 2 * cookie::FLOW_BYTES && value.bytes().all(|b| b.is_ascii_hexdigit());
    ours.then(|| Sensitive::from(value.to_owned()))
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Back {
    /// What the provider gave; has to be there unless `error` is.
    #[param(value_type = Option<String>)]
    code: Option<Sensitive>,
    /// As it was sent to the provider; has to be there unless `error` is.
    #[param(value_type = Option<String>)]
    state: Option<Sensitive>,
    /// Why the provider gave no code.
    error: Option<String>,
    /// Who the provider is (RFC 9207).
    iss: Option<String>,
}

/// Logs somebody in who comes back from a provider.
#[utoipa::path(
    get,
    path = "/api/auth/upstream/callback/{provider_id}",
    params(("provider_id" = String, Path, description = "The provider."), Back),
    responses(
        (status = 302, description = "They are logged in, and go where they wanted to.", headers(
            ("Location" = String, description = "Where they wanted to go."),
            ("Set-Cookie" = String, description = "The session."),
        )),
        (status = 400, description = "This browser began no such login, or the provider did not agree.", body = Failed),
        (status = 403, description = "The account is suspended.", body = Failed),
        (status = 502, description = "The provider is not available, or its answer is not valid.", body = Failed),
    ),
    security(()),
)]
pub async fn back(
    State(app): State<App>,
    Path(id): Path<String>,
    peer: Peer,
    headers: HeaderMap,
    Query(query): Query<Back>,
) -> Result<Response, Fault> {
    let provider = find(&app, &id)?;
    if query.error.is_none() {
        required(&query)?;
    }
    let lost =
        || Fault::Raised(400, text("OAuth 登录状态已失效", "The OAuth login is no longer valid"));
    let (browser, state) = browser(&headers).zip(query.state).ok_or_else(lost)?;
    let flow = app.access.flows.finish(&browser, state, &provider.id, Utc::now()).await?;
    let (flow, proofs) = flow.ok_or_else(lost)?;
    let Some(code) = query.code.filter(|_| query.error.is_none()) else {
        return Err(declined(query.error.as_deref().unwrap_or_default()));
    };
    let returned = Returned { code, issuer: query.iss, redirect_uri: flow.redirect_uri };
    let claims = app.access.upstreams.claims(provider, &returned, &proofs).await.map_err(failed)?;
    let upstream = who(provider, &claims).map_err(failed)?;
    // Who it is shows only then; each event names them.
    let metadata = Context::current().metadata(UserId::anonymous());
    let (who, position) = app.identity.enter(&upstream, &metadata).await.map_err(worded)?;
    app.caught_up("users", position).await;
    let opened = open(&app, &who).await?;
    let cookie = AppendHeaders([cookie::set(&opened.cookie, peer.secure)]);
    Ok((cookie, found_at(&flow.next)?).into_response())
}

fn required(query: &Back) -> Result<(), Fault> {
    let sent = [("code", query.code.is_some()), ("state", query.state.is_some())];
    let missing: Vec<_> = sent
        .into_iter()
        .filter(|(_, there)| !there)
        .map(|(name, _)| Problem {
            kind: "missing",
            loc: vec![json!("query"), json!(name)],
            msg: "Field required".to_owned(),
            input: Value::Null,
        })
        .collect();
    if missing.is_empty() { Ok(()) } else { Err(Error::Invalid(missing).into()) }
}

/// The person or the provider said no there.
fn declined(error: &str) -> Fault {
    let word = error.len() <= 64 && error.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    let error = if word { error } else { "error" };
    Fault::Raised(
        400,
        text(
            format!("OAuth 登录未完成: {error}"),
            format!("The OAuth login was not completed: {error}"),
        ),
    )
}

fn failed(error: UpstreamError) -> Fault {
    match error {
        UpstreamError::CodeRefused | UpstreamError::Foreign => {
            tracing::debug!(%error, "an upstream login was refused");
            Fault::Raised(
                400,
                text("OAuth 授权码无效", "The OAuth authorization code is not valid"),
            )
        }
        UpstreamError::Unusable(_) => {
            tracing::warn!(%error, "an upstream login failed");
            Fault::Raised(
                502,
                text("OAuth Provider 暂不可用", "The OAuth provider is not available"),
            )
        }
        UpstreamError::Unproven(_) => {
            tracing::warn!(%error, "an upstream login failed");
            let message = text(
                "OAuth Provider 返回的身份信息无效",
                "The OAuth provider's answer is not valid",
            );
            Fault::Raised(502, message)
        }
    }
}

/// 302, never kept by anybody on the way.
fn found_at(url: &str) -> Result<impl IntoResponse, Error> {
    let location = HeaderValue::from_str(url).map_err(|e| Error::Internal(e.to_string()))?;
    let headers = [
        (LOCATION, location),
        (axum::http::header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    Ok((StatusCode::FOUND, headers))
}
