//! The gate before the tracing UI: who may pass, and where to. What it guards runs elsewhere, behind a proxy that asks
//! `/auth` for every request.

use super::{Fault, text};
use crate::{
    app::App,
    config::AuthMode,
    core::{
        Caller, Error, Query, local_path,
        site::{RESERVED, visible},
    },
};
use axum::{
    Router,
    extract::{FromRequestParts, OriginalUri, Request, State},
    http::{HeaderMap, HeaderName, Method, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
    routing::{MethodFilter, get, on},
};
use percent_encoding::{percent_decode_str, utf8_percent_encode};
use serde::Deserialize;

const ROOT: &str = "/api/observability/jaeger";

/// The routes.
pub fn routes() -> Router<App> {
    let any = MethodFilter::GET
        .or(MethodFilter::POST)
        .or(MethodFilter::PUT)
        .or(MethodFilter::PATCH)
        .or(MethodFilter::DELETE)
        .or(MethodFilter::OPTIONS)
        .or(MethodFilter::HEAD);
    let others = MethodFilter::POST
        .or(MethodFilter::PUT)
        .or(MethodFilter::PATCH)
        .or(MethodFilter::DELETE)
        .or(MethodFilter::OPTIONS);
    Router::new()
        .route("/api/observability/jaeger", get(root))
        .route("/api/observability/jaeger/", get(root))
        .route("/api/observability/jaeger/login", get(login).on(others, forward))
        .route("/api/observability/jaeger/auth", get(auth).on(others, forward))
        .route("/api/observability/jaeger/{*path}", on(any, forward))
}

/// Whoever calls, or nobody.
struct Maybe(Option<Caller>);

impl FromRequestParts<App> for Maybe {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Error> {
        match Caller::from_request_parts(parts, app).await {
            Ok(caller) => Ok(Self(Some(caller))),
            Err(Error::Unauthenticated(_)) => Ok(Self(None)),
            Err(error) => Err(error),
        }
    }
}

#[derive(Deserialize)]
struct Next {
    #[serde(default)]
    next: Option<String>,
}

async fn login(
    State(app): State<App>,
    Maybe(caller): Maybe,
    OriginalUri(here): OriginalUri,
    headers: HeaderMap,
    Query(Next { next }): Query<Next>,
) -> Result<Response, Fault> {
    let original = headers.get("x-original-uri").and_then(|value| value.to_str().ok());
    let wish = next.as_deref().filter(|next| !next.trim().is_empty()).or(original);
    match caller {
        Some(caller) if caller.admin => {
            // Sent back here, an administrator would go round in circles.
            let next = local_path(wish, here.path().trim_end_matches("/login"));
            Ok(redirect(StatusCode::FOUND, &next))
        }
        Some(_) => Err(Error::Forbidden.into()),
        None if app.config.auth_mode == AuthMode::Oauth => Err(Fault::Raised(
            503,
            text("当前服务未启用本地账号密码登录", "Local password login is disabled"),
        )),
        None => {
            let next = local_path(wish, here.path());
            let next = utf8_percent_encode(&next, RESERVED);
            let page = format!("{}/login?next={next}&local_only=1", app.config.web_base_path);
            Ok(redirect(StatusCode::FOUND, &page))
        }
    }
}

/// For a proxy's sub-request: the status says it all.
async fn auth(Maybe(caller): Maybe) -> Response {
    match caller {
        None => StatusCode::UNAUTHORIZED.into_response(),
        Some(caller) if !caller.admin => Error::Forbidden.into_response(),
        Some(caller) => {
            let header = |name, value: &str| (HeaderName::from_static(name), visible(value));
            let headers = [
                header("x-sage-userid", caller.user.as_str()),
                header("x-sage-username", &caller.username),
                header("x-sage-role", "admin"),
            ];
            (StatusCode::NO_CONTENT, headers).into_response()
        }
    }
}

async fn root(State(app): State<App>, request: Request) -> Response {
    elsewhere(&app, "", request.uri().query())
}

/// The first level below is open to everybody, as the UI's own files are; whatever lies deeper asks for a login.
async fn forward(State(app): State<App>, request: Request) -> Result<Response, Error> {
    let (mut parts, _) = request.into_parts();
    let rest = parts.uri.path().strip_prefix(ROOT).unwrap_or_default().to_owned();
    let rest = rest.trim_start_matches('/');
    let decoded = percent_decode_str(rest).decode_utf8_lossy();
    let mut steps = decoded.split(['/', '\\']);
    if steps.clone().any(|step| matches!(step, "." | "..")) {
        return Err(Error::NotFound);
    }
    // A browser asks beforehand without saying who it is.
    if steps.nth(1).is_some() && parts.method != Method::OPTIONS {
        Caller::from_request_parts(&mut parts, &app).await?;
    }
    Ok(elsewhere(&app, rest, parts.uri.query()))
}

fn elsewhere(app: &App, path: &str, query: Option<&str>) -> Response {
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    let target = format!("{}/{path}{query}", app.config.jaeger_url);
    redirect(StatusCode::TEMPORARY_REDIRECT, &target)
}

fn redirect(status: StatusCode, target: &str) -> Response {
    let headers = [(header::LOCATION, visible(target)), (header::CACHE_CONTROL, "no-store".into())];
    (status, headers).into_response()
}
