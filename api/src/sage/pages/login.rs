//! The login page: works without script, and signs in as `/api/auth/login` does.

use super::{Forms, page};
use crate::{
    app::App,
    config::AuthMode,
    core::{Caller, Error, Query, caller::cookie_value, extract, local_path, peer::Peer},
    sage::{Fault, Text, auth, envelope::Failed, oauth2, text},
};
use axum::{
    extract::{FromRequestParts, Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{AppendHeaders, IntoResponse, Redirect, Response},
};
use commands::effects::{Sensitive, secret::same};
use maud::{Markup, html};
use serde::Deserialize;
use utoipa::ToSchema;

/// Holds what a form of this page has to match: only somebody who was shown the page can send it.
const FORM_COOKIE: &str = "sage_login_form";
const SECRET_BYTES: usize = 16;
/// Bytes of the largest form: a long way to go next, and a name and password.
const FORM: usize = 64 * 1024;

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Asked {
    /// Where to go afterwards; a path here.
    next: Option<String>,
}

/// Shows the login page.
#[utoipa::path(
    get,
    path = "/login",
    params(Asked),
    responses(
        (status = 200, description = "The page.", body = String, content_type = "text/html",
            headers(("Set-Cookie" = String, description = "Binds the form to this browser."))),
        (status = "default", description = "Something failed.", body = Failed),
    ),
    security((), ("session" = [])),
)]
pub async fn show(
    State(app): State<App>,
    peer: Peer,
    headers: HeaderMap,
    Query(asked): Query<Asked>,
    request: Request,
) -> Result<Response, Fault> {
    let (mut parts, _) = request.into_parts();
    let known = match Caller::from_request_parts(&mut parts, &app).await {
        Ok(caller) => Some(caller.username),
        Err(Error::Unauthenticated(_)) => None,
        Err(error) => return Err(error.into()),
    };
    let next = local_path(asked.next.as_deref(), "");
    let view = View { next: &next, name: "", said: None, known: known.as_deref() };
    Ok(shown(&app, peer, &headers, StatusCode::OK, &view))
}

/// The form of the login page.
#[derive(Default, Deserialize, ToSchema)]
#[schema(as = LoginForm)]
struct Sent {
    #[serde(default)]
    username: String,
    #[serde(default)]
    #[schema(format = Password)]
    password: String,
    /// Where to go afterwards; a path here.
    #[serde(default)]
    next: String,
    /// As the page has it.
    #[serde(default)]
    proof: String,
}

/// Logs somebody in who fills in the login page.
///
/// What does not work is told on the page, shown again.
#[utoipa::path(
    post,
    path = "/login",
    request_body(content = Sent, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 303, description = "They are logged in, and go where they wanted to.", headers(
            ("Location" = String, description = "Where they wanted to go."),
            ("Set-Cookie" = String, description = "The session."),
        )),
        (status = 400, description = "Nobody may log in so.", body = String, content_type = "text/html"),
        (status = 401, description = "Name or password are wrong.", body = String, content_type = "text/html"),
        (status = 403, description = "The page is too old, or they may not log in.", body = String, content_type = "text/html"),
        (status = 429, description = "Too many attempts.", body = String, content_type = "text/html"),
        (status = "default", description = "Something failed.", body = Failed),
    ),
    security(()),
)]
pub async fn sign_in(
    State(app): State<App>,
    peer: Peer,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, Fault> {
    let body = extract::read(request.into_body(), FORM).await?;
    let sent: Sent = serde_urlencoded::from_bytes(&body).unwrap_or_default();
    let next = local_path(Some(&sent.next), "");
    let view = |said| View { next: &next, name: &sent.username, said: Some(said), known: None };
    let kept = form_secret(&headers);
    if !kept.is_some_and(|kept| same(&proof(&app, kept), &sent.proof)) {
        let said = text("页面已过期，请重试", "This page has expired, please try again");
        return Ok(shown(&app, peer, &headers, StatusCode::FORBIDDEN, &view(said)));
    }
    let password = Sensitive::from(sent.password);
    match auth::sign_in(&app, peer, &sent.username, &password).await {
        Ok((_, opened)) => {
            let cookie = AppendHeaders([auth::cookie::set(&opened.cookie, peer.secure)]);
            let here = format!("{}/login", app.config.web_base_path);
            let next = if next.is_empty() { &here } else { &next };
            let quiet = [(header::CACHE_CONTROL, "no-store")];
            Ok((cookie, quiet, Redirect::to(next)).into_response())
        }
        Err(fault) => {
            let (status, said) = told(fault)?;
            Ok(shown(&app, peer, &headers, status, &view(said)))
        }
    }
}

/// The status that browsers and tests expect of a page, for what the API says in its own.
fn told(fault: Fault) -> Result<(StatusCode, Text), Fault> {
    match fault {
        // Wrong passwords are HTTP 500 on the API, and nowhere else.
        Fault::Raised(500, said) => Ok((StatusCode::UNAUTHORIZED, said)),
        Fault::Raised(code, said)
        | Fault::Explained(code, said, _)
        | Fault::Returned(code, said) => {
            Ok((StatusCode::from_u16(code).unwrap_or(StatusCode::BAD_REQUEST), said))
        }
        Fault::Core(error @ Error::Throttled { .. }) => {
            let said =
                text("尝试过于频繁，请稍后再试", "Too many attempts, please try again later");
            Ok((error.status(), said))
        }
        Fault::Core(error) => Err(Fault::Core(error)),
    }
}

/// What the page shows.
struct View<'a> {
    next: &'a str,
    name: &'a str,
    said: Option<Text>,
    known: Option<&'a str>,
}

fn shown(app: &App, peer: Peer, headers: &HeaderMap, status: StatusCode, view: &View) -> Response {
    let kept = form_secret(headers).map(str::to_owned);
    let secret = kept.unwrap_or_else(|| Sensitive::random(SECRET_BYTES).expose().to_owned());
    let secure = if peer.secure { "; secure" } else { "" };
    let cookie = format!("{FORM_COOKIE}={secret}; path=/; httponly; samesite=lax{secure}");
    let forms = if oauth2::leads_there(view.next) { Forms::LeadAway } else { Forms::Stay };
    let title = text("登录", "Sign in");
    let body = html! {
        @if let Some(name) = view.known {
            p { (text("当前登录：", "Signed in as ").localized()) strong { (name) } }
        }
        @if let Some(said) = &view.said { p.error role="alert" { (said.localized()) } }
        @if app.config.auth_mode == AuthMode::Oauth {
            (providers(app, view.next))
        } @else {
            (form(view, &proof(app, &secret)))
        }
    };
    let page = page(status, &title, &body, forms);
    (AppendHeaders([(header::SET_COOKIE, cookie)]), page).into_response()
}

/// Without an action it comes back to the address it was shown at, whatever that is behind a proxy.
fn form(view: &View<'_>, proof: &str) -> Markup {
    html! {
        form method="post" {
            input type="hidden" name="next" value=(view.next);
            input type="hidden" name="proof" value=(proof);
            label {
                (text("用户名或邮箱", "Username or e-mail").localized())
                input type="text" name="username" value=(view.name) autocomplete="username" required autofocus;
            }
            label {
                (text("密码", "Password").localized())
                input type="password" name="password" autocomplete="current-password" required;
            }
            button type="submit" { (text("登录", "Sign in").localized()) }
        }
    }
}

/// A link for each provider that people may log in through.
fn providers(app: &App, next: &str) -> Markup {
    let offered = auth::providers::upstream(&app.config);
    let next: String = form_urlencoded::byte_serialize(next.as_bytes()).collect();
    html! {
        @if offered.is_empty() {
            p { (text("未配置可用的 OAuth Provider", "No OAuth provider is configured").localized()) }
        }
        @for provider in offered {
            @let id: String = form_urlencoded::byte_serialize(provider.id.as_bytes()).collect();
            a.button href={ "/api/auth/upstream/login/" (id) "?next=" (next) } { (provider.button_text) }
        }
    }
}

fn form_secret(headers: &HeaderMap) -> Option<&str> {
    let kept = cookie_value(headers, FORM_COOKIE)?;
    let ours = kept.len() == 2 * SECRET_BYTES && kept.bytes().all(|byte| byte.is_ascii_hexdigit());
    ours.then_some(kept)
}

fn proof(app: &App, secret: &str) -> String {
    app.identity.keys().lookup_hash("login form", secret)
}
