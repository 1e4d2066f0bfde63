//! `/api/impersonate`: an administrator acts as somebody else for half an hour.

use super::{
    Failed, Fault, Result,
    answers::{Done, Nothing, done},
    auth::{access_token, told},
    ids::{self, shown},
};
use crate::{
    app::App,
    core::{Caller, Error, Json},
    openapi::Documented,
};
use axum::{extract::State, http::StatusCode};
use chrono::{TimeDelta, Utc};
use commands::identity;
use domain::{
    ids::UserId,
    login::{Audience, CloseReason},
    user::EmailAddress,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// How long it lasts at most.
const LIFE: TimeDelta = TimeDelta::minutes(30);
/// Characters of a reason.
const REASON: usize = 500;

/// The table of contents.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(begin, end)).tagged("Logins")
}

/// As whom to act.
#[derive(Deserialize, ToSchema)]
#[schema(as = Impersonation)]
struct Body {
    /// Also as `targetUserId` or `user_id`.
    #[serde(default, rename = "userId", alias = "targetUserId", alias = "user_id")]
    #[schema(value_type = Option<String>)]
    user: Option<UserId>,
    /// Instead of `userId`.
    #[serde(default)]
    email: Option<String>,
    /// Why.
    #[serde(default)]
    #[schema(max_length = 500)]
    reason: Option<String>,
}

/// A token to act with.
#[derive(Serialize, ToSchema)]
#[schema(as = ImpersonationToken)]
struct Begun {
    access_token: String,
    /// For how many milliseconds it is good.
    expires: i64,
    impersonating: Impersonated,
    /// The administrator.
    impersonated_by: String,
}

/// Whom somebody acts as.
#[derive(Serialize, ToSchema)]
struct Impersonated {
    id: String,
    email: Option<String>,
    first_name: String,
    role: &'static str,
    tier: String,
}

/// Lets an administrator act as somebody else for half an hour.
#[utoipa::path(
    post,
    path = "/api/impersonate",
    request_body = Body,
    responses((status = 200, description = "What to act with.", body = Done<Begun>)),
)]
async fn begin(
    State(app): State<App>,
    caller: Caller,
    Json(body): Json<Body>,
) -> Result<Done<Begun>> {
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
    let impersonating = Impersonated {
        id: shown(&who.user),
        email: who.account.email.map(|email| email.to_string()),
        first_name: who.account.username.to_string(),
        role: who.role.as_str(),
        tier: who.account.tier.to_string(),
    };
    let (expires, impersonated_by) = (LIFE.num_milliseconds(), shown(&caller.user));
    Ok(done(Begun { access_token: token, expires, impersonating, impersonated_by }))
}

/// Ends acting as somebody else.
#[utoipa::path(
    delete,
    path = "/api/impersonate",
    responses(
        (status = 200, description = "The token is good for nothing any more.", body = Done<Nothing>),
        (status = 400, description = "The token acts as nobody else.", body = Failed),
    ),
)]
async fn end(State(app): State<App>, caller: Caller) -> Result<Done<Nothing>> {
    let Some(login) = caller.login.filter(|_| caller.impersonator.is_some()) else {
        return Err(Fault::invalid("This token acts as nobody else"));
    };
    let closed = app.identity.close_login(login, CloseReason::SignedOut, &caller.metadata()).await;
    app.caught_up("logins", closed.map_err(told)?).await;
    Ok(done(Nothing {}))
}
