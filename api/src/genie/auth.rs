//! `/auth/*` and `/users/me`, as the identity provider of this API's clients serves them; also below its proxy's prefix.

use super::{Failed, Fault, Result, answers::Data, ids::shown};
use crate::{
    app::App,
    config::AuthMode,
    core::{Caller, Context, Error, Json, extract::OptionalJson, peer::Peer},
    openapi::Documented,
};
use axum::{
    extract::{FromRequestParts, Request, State},
    http::StatusCode,
};
use chrono::{DateTime, TimeDelta, Utc};
use commands::{
    effects::Sensitive,
    identity::{self, Authenticated, OpenedLogin},
};
use domain::{
    ids::{LoginId, UploadId, UserId},
    login::{Audience, CloseReason},
    profile::Profile,
};
use projections::profiles;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// How long an access token lives.
const ACCESS: TimeDelta = TimeDelta::minutes(15);
/// How long a refresh token lives.
const REFRESH: TimeDelta = TimeDelta::days(7);

/// The table of contents.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(login))
        .routes(routes!(refresh))
        .routes(routes!(logout))
        .routes(routes!(me))
        .also("/api/directus/auth/login", routes!(login))
        .also("/api/directus/auth/refresh", routes!(refresh))
        .also("/api/directus/auth/logout", routes!(logout))
        .also("/api/directus/users/me", routes!(me))
        .tagged("Logins")
}

/// Who logs in.
#[derive(Deserialize, ToSchema)]
#[schema(as = Login)]
struct LoginBody {
    /// Their address, or their name.
    #[serde(default)]
    #[schema(required)]
    email: String,
    #[serde(default)]
    #[schema(required, value_type = String, format = Password)]
    password: Option<Sensitive>,
}

/// The tokens of a login.
#[derive(Serialize, ToSchema)]
pub(super) struct Tokens {
    /// Goes into `Authorization`, after `Bearer`.
    access_token: String,
    /// Good for new tokens, once.
    refresh_token: String,
    /// For how many milliseconds the access token is good.
    expires: i64,
}

/// Logs somebody in.
#[utoipa::path(
    post,
    path = "/auth/login",
    request_body = LoginBody,
    responses(
        (status = 200, description = "They are logged in.", body = Data<Tokens>),
        (status = 401, description = "Name or password are wrong, or the account is suspended.", body = Failed),
    ),
    security(()),
)]
async fn login(
    State(app): State<App>,
    peer: Peer,
    Json(body): Json<LoginBody>,
) -> Result<Data<Tokens>> {
    let Some(password) = body.password.filter(|_| !body.email.trim().is_empty()) else {
        return Err(Fault::invalid("email and password are required"));
    };
    if app.config.auth_mode == AuthMode::Oauth {
        return Err(Error::Forbidden.into());
    }
    let guess = app.access.guesses.attempt(&body.email, peer.address).await?;
    let who = app.identity.authenticate(&body.email, &password).await;
    if matches!(who, Ok(_) | Err(identity::Error::Suspended)) {
        guess.forgive();
    }
    let who = who.map_err(told)?;
    if app.config.auth_mode == AuthMode::TrustedProxy && !who.role.is_admin() {
        return Err(Error::Forbidden.into());
    }
    Ok(axum::Json(Data { data: open(&app, &who).await? }))
}

/// Begins a login for this dialect's clients, and waits until the next request will find it.
///
/// # Errors
/// When the log does not answer.
pub(super) async fn open(app: &App, who: &Authenticated) -> std::result::Result<Tokens, Fault> {
    let (metadata, now) = (Context::current().metadata(who.user.clone()), Utc::now());
    let opened = app.identity.open_login(who, Audience::Genie, now + REFRESH, &metadata).await;
    tokens(app, who, &opened.map_err(told)?, now).await
}

async fn tokens(
    app: &App,
    who: &Authenticated,
    opened: &OpenedLogin,
    now: DateTime<Utc>,
) -> std::result::Result<Tokens, Fault> {
    app.caught_up("users", Some(opened.position)).await;
    app.caught_up("logins", Some(opened.position)).await;
    Ok(Tokens {
        access_token: access_token(app, who, opened.login, None, now + ACCESS)?,
        refresh_token: opened.cookie.expose().to_owned(),
        expires: ACCESS.num_milliseconds(),
    })
}

/// What clients of the identity provider read in its tokens. None of it is believed when it comes back.
#[derive(Serialize)]
struct Claims<'a> {
    id: &'a str,
    role: &'a str,
    app_access: bool,
    admin_access: bool,
    iat: i64,
    iss: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    act: Option<Act>,
}

/// Who acts as the subject (RFC 8693).
#[derive(Serialize)]
struct Act {
    sub: String,
}

/// A signed access token of this login, with whoever acts as its person.
///
/// # Errors
/// When it cannot be signed.
pub fn access_token(
    app: &App,
    who: &Authenticated,
    login: LoginId,
    actor: Option<&UserId>,
    expires_at: DateTime<Utc>,
) -> std::result::Result<String, Fault> {
    let claims = Claims {
        id: &shown(&who.user),
        role: who.role.as_str(),
        app_access: true,
        admin_access: who.role.is_admin(),
        iat: Utc::now().timestamp(),
        iss: "annals",
        act: actor.map(|actor| Act { sub: shown(actor) }),
    };
    let signed = app.access.tokens.access(&claims, login, Audience::Genie, expires_at);
    let token = signed.map_err(|error| Error::Internal(error.to_string()))?;
    Ok(token.expose().to_owned())
}

/// Which login is meant.
#[derive(Default, Deserialize, ToSchema)]
#[schema(as = Refresh)]
struct RefreshBody {
    /// As the last answer had it.
    #[serde(default)]
    refresh_token: Option<String>,
}

/// Gives new tokens for a refresh token.
///
/// The old one is spent. Whoever shows it again ends the login, since one of the two has stolen it.
#[utoipa::path(
    post,
    path = "/auth/refresh",
    request_body = RefreshBody,
    responses(
        (status = 200, description = "The next tokens.", body = Data<Tokens>),
        (status = 401, description = "The refresh token is not good, or no longer.", body = Failed),
    ),
    security(()),
)]
async fn refresh(State(app): State<App>, Json(body): Json<RefreshBody>) -> Result<Data<Tokens>> {
    let Some(token) = body.refresh_token.filter(|token| !token.is_empty()) else {
        return Err(Fault::invalid("refresh_token is required"));
    };
    let Some((login, secret)) = OpenedLogin::parse_cookie(&token) else {
        return Err(told(identity::Error::BadCredentials));
    };
    let (metadata, now) = (Context::current().metadata(UserId::system()), Utc::now());
    let shown = (login, &secret);
    let renewed =
        app.identity.renew_login(shown, Audience::Genie, now, now + REFRESH, &metadata).await;
    if matches!(renewed, Err(identity::Error::BadCredentials)) {
        // A secret used twice has ended the login: its access tokens end with it.
        app.settled("logins").await?;
    }
    let (who, opened) = renewed.map_err(told)?;
    Ok(axum::Json(Data { data: tokens(&app, &who, &opened, now).await? }))
}

/// Ends a login, by its refresh token or by the access token that calls.
#[utoipa::path(
    post,
    path = "/auth/logout",
    request_body(content = Option<RefreshBody>, content_type = "application/json"),
    responses((status = 204, description = "It has ended.")),
    security((), ("bearer" = [])),
)]
async fn logout(
    State(app): State<App>,
    request: Request,
) -> std::result::Result<StatusCode, Fault> {
    let (mut parts, body) = request.into_parts();
    let body = crate::core::extract::read(body, 64 << 10).await?;
    let sent = OptionalJson::<RefreshBody>::of(&body)?.0.refresh_token;
    let metadata = Context::current().metadata(UserId::system());
    let ended = match sent.filter(|token| !token.is_empty()) {
        Some(token) => {
            let bad = || told(identity::Error::BadCredentials);
            let (login, secret) = OpenedLogin::parse_cookie(&token).ok_or_else(bad)?;
            app.identity.sign_out((login, &secret), &metadata).await.map_err(told)?
        }
        None => {
            let caller = Caller::from_request_parts(&mut parts, &app).await?;
            let Some(login) = caller.login else {
                return Err(Fault::invalid("refresh_token is required"));
            };
            let reason = CloseReason::SignedOut;
            app.identity.close_login(login, reason, &caller.metadata()).await.map_err(told)?
        }
    };
    app.caught_up("logins", ended).await;
    Ok(StatusCode::NO_CONTENT)
}

/// The person who calls.
#[derive(Serialize, ToSchema)]
struct Me {
    id: String,
    email: Option<String>,
    /// Their name for logging in, while they have given none.
    first_name: String,
    last_name: Option<String>,
    /// A file.
    #[schema(value_type = Option<uuid::Uuid>)]
    avatar: Option<UploadId>,
    /// `Administrator`, `Creator` or `Viewer`.
    role: &'static str,
    /// Always `active`: others cannot call.
    status: &'static str,
    /// `null` for those whom only a proxy knows.
    subscription_tier: Option<String>,
    admin_access: bool,
    /// The administrator who acts as this person.
    impersonated_by: Option<String>,
}

/// Tells who is calling.
#[utoipa::path(
    get,
    path = "/users/me",
    responses((status = 200, description = "The person.", body = Data<Me>)),
)]
async fn me(State(app): State<App>, caller: Caller) -> Result<Data<Me>> {
    let Profile { details, avatar } = profiles::of(&app.db, &caller.user).await?;
    let (person, impersonator) = (caller.person, caller.impersonator);
    let data = Me {
        id: shown(&caller.user),
        email: person.as_ref().and_then(|person| person.email.clone()),
        first_name: details.first_name.unwrap_or(caller.username),
        last_name: details.last_name,
        avatar,
        role: caller.role.as_str(),
        status: "active",
        subscription_tier: person.map(|person| person.tier.to_string()),
        admin_access: caller.admin,
        impersonated_by: impersonator.as_ref().map(shown),
    };
    Ok(axum::Json(Data { data }))
}

/// The dialect's words for what the use cases refuse.
pub fn told(error: identity::Error) -> Fault {
    match error {
        // Unknown and wrong are one, and so is suspended: this API has no other word for it.
        identity::Error::BadCredentials | identity::Error::Suspended => {
            Fault::new(StatusCode::UNAUTHORIZED, "invalid_credentials", "Invalid user credentials")
        }
        other => Fault::Core(other.into()),
    }
}
