//! `/api/impersonate`: an administrator acts as somebody else for half an hour.

use super::{
    Fault, Result,
    auth::{access_token, told},
    ids::{self, shown},
};
use crate::{
    app::App,
    core::{Caller, Error, Json},
};
use axum::{Router, extract::State, http::StatusCode, routing::post};
use chrono::{TimeDelta, Utc};
use commands::identity;
use domain::{
    ids::UserId,
    login::{Audience, CloseReason},
    user::EmailAddress,
};
use serde::Deserialize;
use serde_json::{Value, json};

/// How long it lasts at most.
const LIFE: TimeDelta = TimeDelta::minutes(30);
/// Characters of a reason.
const REASON: usize = 500;

/// The table of contents.
pub fn routes() -> Router<App> {
    Router::new().route("/api/impersonate", post(begin).delete(end))
}

#[derive(Deserialize)]
struct Body {
    #[serde(default, rename = "userId", alias = "targetUserId", alias = "user_id")]
    user: Option<UserId>,
    #[serde(default)]
    email: Option<String>,
    #[serde(default)]
    reason: Option<String>,
}

async fn begin(State(app): State<App>, caller: Caller, Json(body): Json<Body>) -> Result<Value> {
    if caller.impersonator.is_some() {
        let message = "One can act as one person at a time";
        return Err(Fault::new(StatusCode::FORBIDDEN, "impersonation_forbidden", message));
    }
    if !caller.admin {
        return Err(Error::Forbidden.into());
    }
    let user = match (body.user, body.email) {
        (Some(user), _) => ids::user(user),
        (None, Some(email)) => {
            let email =
                EmailAddress::parse(&email).map_err(|error| Fault::invalid(error.to_string()))?;
            let found = app.identity.reached_at(&email).await.map_err(told)?;
            found.ok_or(Error::NotFound)?.0
        }
        (None, None) => return Err(Fault::invalid("userId is required")),
    };
    if user == caller.user {
        return Err(Fault::invalid("You are yourself already"));
    }
    let reason = body.reason.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    if reason.as_ref().is_some_and(|text| text.chars().count() > REASON) {
        return Err(Fault::invalid(format!("reason has at most {REASON} characters")));
    }
    let (metadata, ends) = (caller.metadata(), Utc::now() + LIFE);
    let by = (&caller.user, reason);
    let begun = app.identity.impersonate(by, &user, Audience::Genie, ends, &metadata);
    let (who, opened) = begun.await.map_err(|error| match error {
        identity::Error::Administers => Error::Forbidden.into(),
        other => told(other),
    })?;
    app.caught_up("logins", Some(opened.position)).await;
    let token = access_token(&app, &who, opened.login, Some(&caller.user), ends)?;
    Ok(axum::Json(json!({
        "ok": true,
        "success": true,
        "access_token": token,
        "expires": LIFE.num_milliseconds(),
        "impersonating": {
            "id": shown(&who.user),
            "email": who.account.email,
            "first_name": who.account.username,
            "role": who.role.as_str(),
            "tier": who.account.tier,
        },
        "impersonated_by": shown(&caller.user),
    })))
}

async fn end(State(app): State<App>, caller: Caller) -> Result<Value> {
    let Some(login) = caller.login.filter(|_| caller.impersonator.is_some()) else {
        return Err(Fault::invalid("This token acts as nobody else"));
    };
    let closed = app.identity.close_login(login, CloseReason::SignedOut, &caller.metadata()).await;
    app.caught_up("logins", closed.map_err(told)?).await;
    Ok(axum::Json(json!({ "ok": true, "success": true })))
}
