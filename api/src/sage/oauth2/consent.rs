//! Asking people whether a client may see who they are.

use super::{
    Failed, Refused, Result,
    authorize::{Visitor, Wish, allowed, sent_back},
    issuer::Issuer,
    params::Form,
};
use crate::{
    app::App,
    core::Caller,
    sage::{pages, text},
};
use axum::{extract::State, http::StatusCode, response::Response};
use chrono::{TimeDelta, Utc};
use commands::effects::secret::same;
use maud::html;
use utoipa::ToSchema;

/// How long somebody may think about it.
const PATIENCE: TimeDelta = TimeDelta::minutes(30);

/// The page that asks.
pub fn ask(app: &App, caller: &Caller, wish: &Wish<'_>, query: &str) -> Response {
    let ends = (Utc::now() + PATIENCE).timestamp();
    let proof = proof(app, caller, query, ends);
    let client = wish.client;
    let title = text("授权确认", "Authorize access");
    let body = html! {
        p { strong { (client.name) } " " (text("请求访问您的账号", "asks for access to your account").localized()) }
        @if !client.description.is_empty() { p { (client.description) } }
        p { (text("当前登录：", "Signed in as ").localized()) strong { (caller.username) } }
        ul { @for word in wish.scope.words() { li { (said(word).localized()) } } }
        // Relative, so that it leads to the neighbour of this endpoint below whatever prefix a proxy has put it.
        form method="post" action="consent" {
            input type="hidden" name="request" value=(query);
            input type="hidden" name="ends" value=(ends);
            input type="hidden" name="proof" value=(proof);
            button type="submit" name="decision" value="allow" { (text("允许", "Allow").localized()) }
            button.plain type="submit" name="decision" value="deny" { (text("拒绝", "Deny").localized()) }
        }
    };
    pages::page(StatusCode::OK, &title, &body, pages::Forms::LeadAway)
}

fn said(word: &str) -> crate::sage::Text {
    match word {
        "openid" => text("您的用户标识", "Your user id"),
        "profile" => text("您的名称", "Your name"),
        "email" => text("您的邮箱地址", "Your e-mail address"),
        other => text(other.to_owned(), other.to_owned()),
    }
}

/// What a person says to a client's wish.
#[derive(ToSchema)]
#[schema(as = OAuth2Consent)]
#[expect(dead_code, reason = "parameters are read as the RFC has them: none twice, none empty")]
struct Decision {
    /// As the page has it.
    request: String,
    /// As the page has it.
    ends: String,
    /// As the page has it.
    proof: String,
    /// `allow` or `deny`.
    decision: String,
}

/// Takes what the person at the browser says to a client's wish.
///
/// Only the page that asked them can say it.
#[utoipa::path(
    post,
    path = "/oauth2/consent",
    request_body(content = Decision, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 303, description = "To the client, with `code` or `error`, `state` and `iss`.",
            headers(("Location" = String, description = "Where to go on."))),
        (status = 400, description = "The form is malformed.", body = Failed),
        (status = 403, description = "The page is too old, or was made for another login.", body = Failed),
        (status = "default", description = "Something failed.", body = Failed),
    ),
    security(("session" = [])),
)]
pub async fn decide(
    State(app): State<App>,
    Issuer(issuer): Issuer,
    Visitor(visitor): Visitor,
    Form(form): Form,
) -> Result<Response> {
    let stale = || {
        let why = "the consent form is stale or was not made for this login; please start again";
        Refused::new(StatusCode::FORBIDDEN, "access_denied", why)
    };
    let (query, ends) = (form.need("request")?, form.need("ends")?);
    let ends: i64 = ends.parse().map_err(|_| stale())?;
    // Made for this login and this wish: no other site can have made the form.
    let caller = visitor.ok_or_else(stale)?;
    let genuine = same(&proof(&app, &caller, query, ends), form.need("proof")?);
    if !genuine || ends < Utc::now().timestamp() {
        return Err(stale());
    }
    let wish = Wish::of(&app, query)?;
    match form.need("decision")? {
        "allow" => allowed(&app, &caller, &wish, issuer.as_str(), StatusCode::SEE_OTHER).await,
        "deny" => {
            let answer = [("error", "access_denied")];
            sent_back(&wish, issuer.as_str(), &answer, StatusCode::SEE_OTHER)
        }
        _ => Err(Refused::invalid("decision has to be allow or deny")),
    }
}

fn proof(app: &App, caller: &Caller, query: &str, ends: i64) -> String {
    let login = caller.login.map(|login| login.to_string()).unwrap_or_default();
    let about = format!("{}\n{login}\n{ends}\n{query}", caller.user);
    app.identity.keys().lookup_hash("oauth2 consent form", &about)
}
