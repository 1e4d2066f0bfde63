//! The gate before the tracing UI: who may pass, and where to. What it guards runs elsewhere, behind a proxy that asks
//! `/auth` for every request.

use super::{Fault, envelope::Failed, text};
use crate::{
    app::App,
    config::AuthMode,
    core::{
        Caller, Error, Query, local_path,
        site::{RESERVED, visible},
    },
    openapi::Documented,
};
use axum::{
    extract::{FromRequestParts, OriginalUri, Request, State},
    http::{HeaderMap, HeaderName, Method, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use percent_encoding::{percent_decode_str, utf8_percent_encode};
use serde::Deserialize;
use utoipa_axum::{router::OpenApiRouter, routes};

const ROOT: &str = "/api/observability/jaeger";

/// The routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(root))
        .also("/api/observability/jaeger/", routes!(root))
        .also("/api/observability/jaeger/login", routes!(login, beside))
        .also("/api/observability/jaeger/auth", routes!(auth, beside))
        .routes(routes!(forward))
        .tagged("Tracing")
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

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct Next {
    /// Where to go afterwards; a path here.
    #[serde(default)]
    next: Option<String>,
}

/// Sends whoever wants to see traces on, or to log in first.
#[utoipa::path(
    get,
    path = "/api/observability/jaeger/login",
    params(
        Next,
        ("X-Original-URI" = Option<String>, Header, description = "Where a proxy stopped somebody; the default of `next`."),
    ),
    responses(
        (status = 302, description = "To where an administrator wants to go, or to the login page.",
            headers(("Location" = String, description = "Where to go on."))),
        (status = 403, description = "Somebody is logged in who does not administer.", body = Failed),
        (status = 503, description = "Nobody is logged in, and there are no logins by password.", body = Failed),
        (status = "default", description = "Something failed.", body = Failed),
    ),
    security((), ("session" = [])),
)]
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

/// Tells a proxy whether the caller may see traces. The status says it all.
#[utoipa::path(
    get,
    path = "/api/observability/jaeger/auth",
    responses(
        (status = 204, description = "They may.", headers(
            ("X-Sage-UserId" = String, description = "The caller's id."),
            ("X-Sage-Username" = String, description = "The caller's name."),
            ("X-Sage-Role" = String, description = "Always `admin`."),
        )),
        (status = 401, description = "Nobody is logged in."),
        (status = 403, description = "They do not administer.", body = Failed),
        (status = "default", description = "Something failed.", body = Failed),
    ),
)]
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

/// Leads to the tracing UI.
#[utoipa::path(
    get,
    path = "/api/observability/jaeger",
    responses((status = 307, description = "To it.",
        headers(("Location" = String, description = "Where it is.")))),
    security(()),
)]
async fn root(State(app): State<App>, request: Request) -> Response {
    elsewhere(&app, "", request.uri().query())
}

/// Leads to the tracing UI, to what has a name there that is taken here.
#[utoipa::path(
    method(post, put, patch, delete, options),
    path = "/api/observability/jaeger/login",
    responses((status = 307, description = "To it.",
        headers(("Location" = String, description = "Where it is.")))),
    security(()),
)]
async fn beside(app: State<App>, request: Request) -> Result<Response, Error> {
    forward(app, request).await
}

/// Leads to a page or file of the tracing UI.
///
/// The first level below is open to everybody, as the UI's own files are; whatever lies deeper asks for a login.
#[utoipa::path(
    method(get, post, put, patch, delete, options),
    path = "/api/observability/jaeger/{*path}",
    params(("path" = String, Path, description = "Where it is in there.")),
    responses((status = 307, description = "To it.",
        headers(("Location" = String, description = "Where it is.")))),
    security((), ("bearer" = []), ("session" = []), ("token" = [])),
)]
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
