//! `POST /api/register`: with an invitation, at most ten times in a quarter of an hour from one address.

use super::{Failed, Fault, Result, auth, ids::shown};
use crate::{
    app::App,
    core::{Context, Error, Json, peer::Peer, throttle::Told},
    openapi::Documented,
};
use axum::{
    extract::{FromRequestParts, State},
    http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use chrono::Utc;
use commands::{
    effects::Sensitive,
    identity::{self, Registration, mint_user_id},
    invites,
};
use domain::{
    Decider,
    ids::UserId,
    invite::Refusal,
    profile::{self, Field, Profile, Wish},
    user::{EmailAddress, NotAName, Role, Username},
};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv6Addr};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// Requests from one address within the window.
pub const MOST: u32 = 10;
/// Characters of a long address in a name: with an id there is room for no more.
const BEGIN: usize = 31;

/// The table of contents.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(register)).tagged("People")
}

/// How many sign-ups an address has left. Every request counts, good or bad, and every answer tells.
struct Allowance(Told);

impl FromRequestParts<App> for Allowance {
    type Rejection = Response;

    async fn from_request_parts(
        parts: &mut Parts,
        app: &App,
    ) -> std::result::Result<Self, Response> {
        let peer = Peer::of(parts, app);
        let allowance = Self(app.access.sign_ups.count(network(peer.address)));
        match allowance.0.allowed {
            true => Ok(allowance),
            false => {
                let late = Error::Throttled { retry_after: allowance.0.resets_in };
                Err(allowance.on(late.into_response()))
            }
        }
    }
}

impl Allowance {
    fn on(&self, mut response: Response) -> Response {
        let Self(told) = self;
        let seconds = told.resets_in.as_secs_f64().ceil().max(1.0);
        #[expect(clippy::cast_possible_truncation, reason = "a window is a few minutes")]
        let (delta, now) = (seconds as i64, Utc::now().timestamp());
        let headers: &mut HeaderMap = response.headers_mut();
        for (name, value) in [
            ("x-ratelimit-limit", i64::from(MOST)),
            ("x-ratelimit-remaining", i64::from(told.left)),
            ("x-ratelimit-reset", now + delta),
            ("ratelimit-limit", i64::from(MOST)),
            ("ratelimit-remaining", i64::from(told.left)),
            ("ratelimit-reset", delta),
        ] {
            headers.insert(name, HeaderValue::from(value));
        }
        if !told.allowed {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(delta));
        }
        response
    }
}

/// Whoever has one address of version 6 has the whole network.
pub(super) fn network(address: Option<IpAddr>) -> Option<IpAddr> {
    address.map(|address| match address {
        IpAddr::V6(six) => IpAddr::V6(Ipv6Addr::from_bits(six.to_bits() & !u128::from(u64::MAX))),
        four => four,
    })
}

/// Somebody who wants to have an account.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Registration)]
struct Body {
    /// Where to reach them; also their name.
    #[serde(default)]
    #[schema(required, format = Email)]
    email: String,
    /// Eight characters or more.
    #[serde(default)]
    #[schema(required, value_type = String, format = Password, min_length = 8)]
    password: Option<Sensitive>,
    /// Also as `first_name`.
    #[serde(default, alias = "first_name")]
    first_name: Option<String>,
    /// Also as `invite_code` or `code`.
    #[serde(default, alias = "invite_code", alias = "code")]
    #[schema(required)]
    invite_code: String,
}

/// A new account, and the tokens of its first login.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Registered {
    ok: bool,
    success: bool,
    user_id: String,
    #[serde(flatten)]
    tokens: auth::Tokens,
}

/// Registers somebody who has an invitation.
///
/// Ten times in a quarter of an hour from one address; `RateLimit-Remaining` and `RateLimit-Reset` tell how it stands.
#[utoipa::path(
    post,
    path = "/api/register",
    request_body = Body,
    responses(
        (status = 200, description = "They have an account and are logged in.", body = Registered),
        (status = 409, description = "Somebody else has that address.", body = Failed),
    ),
    security(()),
)]
async fn register(
    State(app): State<App>,
    allowance: Allowance,
    body: std::result::Result<Json<Body>, Error>,
) -> Response {
    let registered = match body {
        Ok(Json(body)) => registered(&app, body).await,
        Err(error) => Err(error.into()),
    };
    allowance.on(registered.into_response())
}

async fn registered(app: &App, body: Body) -> Result<Registered> {
    let empty = |text: &str| text.trim().is_empty();
    let Some(password) = body.password.filter(|_| !empty(&body.email) && !empty(&body.invite_code))
    else {
        return Err(Fault::invalid("email, password and inviteCode are required"));
    };
    let bad = |error: String| Fault::invalid(error);
    let email = EmailAddress::parse(&body.email).map_err(|error| bad(error.to_string()))?;
    if password.expose().chars().count() < 8 {
        return Err(bad("password has 8 characters or more".to_owned()));
    }
    let profile = profile::Command::Change(vec![Wish::Text(Field::FirstName, body.first_name)]);
    Profile::default().decide(&profile).map_err(|error| bad(error.to_string()))?;
    let (now, user) = (Utc::now(), mint_user_id());
    let username = username(&email, &user).map_err(|error| bad(error.to_string()))?;
    let metadata = Context::current().metadata(user.clone());
    let invite = app.invites.settled(&body.invite_code, &metadata).await.map_err(told)?;
    if !invite.counts(now) {
        return Err(told(Refusal::NotValid.into()));
    }
    // Looked for before the invitation is claimed: a known address leaves no trace.
    if app.identity.reached_at(&email).await.map_err(auth::told)?.is_some() {
        return Err(told(identity::Error::EmailTaken.into()));
    }
    let wanted = Registration {
        user,
        username,
        password: password.clone(),
        email: Some(email),
        phone: None,
        role: Role::Creator,
    };
    let registered = app.invites.register(&body.invite_code, wanted, now, &metadata).await;
    let registered = registered.map_err(told)?;
    app.caught_up("users", registered.position).await;
    match app.execute::<Profile>(&registered.user, &profile, &metadata).await {
        Ok(named) => app.caught_up("profiles", named.position).await,
        // The person is there, and can say again what they are called.
        Err(error) => tracing::warn!(%error, user = %registered.user, "the first name is lost"),
    }
    let who = app.identity.authenticate(&body.email, &password).await.map_err(auth::told)?;
    let tokens = auth::open(app, &who).await?;
    let user_id = shown(&registered.user);
    Ok(axum::Json(Registered { ok: true, success: true, user_id, tokens }))
}

/// The address is the name, unless it is too long for one: then it begins like the address, and nobody else's ends like it.
fn username(email: &EmailAddress, user: &UserId) -> std::result::Result<Username, NotAName> {
    Username::parse(email.as_str(), Some(email)).or_else(|_| {
        let begin: String = email.as_str().replace('@', "_").chars().take(BEGIN).collect();
        Username::parse(&format!("{begin}-{user}"), None)
    })
}

/// Why nobody was registered or invited, in the dialect's words.
pub fn told(error: invites::Error) -> Fault {
    match error {
        invites::Error::Refused(Refusal::Uses) => Fault::invalid(Refusal::Uses.to_string()),
        invites::Error::Refused(refusal) => {
            Fault::new(StatusCode::BAD_REQUEST, "invalid_invite", refusal.to_string())
        }
        invites::Error::Identity(identity::Error::EmailTaken | identity::Error::UsernameTaken) => {
            let message = "An account with this e-mail address exists";
            Fault::new(StatusCode::CONFLICT, "email_exists", message)
        }
        invites::Error::Identity(error) => auth::told(error),
        invites::Error::Failed(failure) => failure.into(),
    }
}
