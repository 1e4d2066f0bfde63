//! Registration, login, session, logout, password: `/api/auth/*`, and the older names under `/api/user/*`.

pub mod cookie;
pub mod providers;
mod registration;
mod upstream;

use super::{
    Fault, Reply, Result,
    envelope::{Failed, Nothing, Replied, Told},
    text,
};
use crate::{
    app::App,
    config::AuthMode,
    core::{
        Caller, Context, Error, Json,
        caller::by_cookie,
        error::Login,
        peer::Peer,
        tokens::{ACCESS_TOKEN_LIFE, Claims},
    },
    openapi::Documented,
};
use axum::{
    extract::{FromRequestParts, State},
    http::{HeaderMap, HeaderValue, header, request::Parts},
    middleware::map_response,
    response::{AppendHeaders, IntoResponse, Response},
};
use chrono::Utc;
use commands::{
    effects::{Sensitive, passwords::PasswordError},
    identity::{self, Authenticated, OpenedLogin},
};
use domain::{
    ids::UserId,
    login::{Audience, CloseReason},
    user::Role,
};
use projections::{agents, llm_providers};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The table of contents.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(registration::send_code))
        .routes(routes!(registration::register))
        .routes(routes!(login))
        .routes(routes!(session))
        .routes(routes!(upstream::default))
        .routes(routes!(upstream::named))
        .routes(routes!(upstream::back))
        .routes(routes!(logout))
        .routes(routes!(providers::show))
        .routes(routes!(change_password))
        .older("/api/user/register/send-code", routes!(registration::send_code))
        .older("/api/user/register", routes!(registration::register))
        .older("/api/user/login", routes!(login))
        .older("/api/user/check_login", routes!(session))
        .older("/api/user/oauth/login", routes!(upstream::default))
        .older("/api/user/oauth/login/{provider_id}", routes!(upstream::named))
        .older("/api/user/oauth/callback/{provider_id}", routes!(upstream::back))
        .older("/api/user/logout", routes!(logout))
        .older("/api/user/auth-providers", routes!(providers::show))
        .layer(map_response(unkept))
        .tagged("Logins")
}

/// What is about people and their logins stays in no cache on the way.
pub(super) async fn unkept(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Who logs in.
#[derive(Deserialize, ToSchema)]
#[schema(as = Login)]
struct LoginBody {
    username_or_email: String,
    #[schema(format = Password)]
    password: String,
}

/// The tokens of a login.
#[derive(Serialize, ToSchema)]
struct LoggedIn {
    /// Goes into `Authorization`, after `Bearer`.
    access_token: String,
    refresh_token: String,
    /// For how many seconds the access token is good.
    expires_in: i64,
}

/// Logs somebody in, by tokens and by cookie.
///
/// Wrong names and passwords are told with HTTP status 500, as clients of this dialect know it. Where this is not a way to log in
/// (`GET /api/system/info` tells), the code is 400 or 403.
#[utoipa::path(
    post,
    path = "/api/auth/login",
    request_body = LoginBody,
    responses(
        (status = 200, description = "They are logged in; or, with another code, nobody may log in so.", body = Told<LoggedIn>,
            headers(("Set-Cookie" = Option<String>, description = "The session."))),
        (status = 403, description = "The account is suspended.", body = Failed),
        (status = 429, description = "Too many attempts; see the header `Retry-After`.", body = Failed),
    ),
    security(()),
)]
async fn login(
    State(app): State<App>,
    peer: Peer,
    Json(body): Json<LoginBody>,
) -> std::result::Result<impl IntoResponse, Fault> {
    let (name, password) = (body.username_or_email, Sensitive::from(body.password));
    let (who, opened) = sign_in(&app, peer, &name, &password).await?;
    let (claims, tokens, now) = (claims(&who), &app.access.tokens, Utc::now());
    let token_ends = now + ACCESS_TOKEN_LIFE;
    let unsigned = |error: jsonwebtoken::errors::Error| Error::Internal(error.to_string());
    let access =
        tokens.access(&claims, opened.login, Audience::Sage, token_ends).map_err(unsigned)?;
    let refresh = tokens.refresh(&who.user, opened.login, Audience::Sage, now).map_err(unsigned)?;
    let reply = LoggedIn {
        access_token: access.expose().to_owned(),
        refresh_token: refresh.expose().to_owned(),
        expires_in: ACCESS_TOKEN_LIFE.num_seconds(),
    };
    let cookie = AppendHeaders([cookie::set(&opened.cookie, peer.secure)]);
    Ok((cookie, Reply(text("登录成功", "Signed in successfully"), reply)))
}

/// Logs somebody in who knows a password, as far as the deployment mode allows that.
pub async fn sign_in(
    app: &App,
    peer: Peer,
    name: &str,
    password: &Sensitive,
) -> std::result::Result<(Authenticated, OpenedLogin), Fault> {
    if app.config.auth_mode == AuthMode::Oauth {
        return Err(disabled("当前服务未启用本地账号密码登录", "Local password login is disabled"));
    }
    let guess = app.access.guesses.attempt(name, peer.address).await?;
    let who = app.identity.authenticate(name, password).await;
    if matches!(who, Ok(_) | Err(identity::Error::Suspended)) {
        guess.forgive();
    }
    let who = who.map_err(worded)?;
    if app.config.auth_mode == AuthMode::TrustedProxy && !who.role.is_admin() {
        let only = text(
            "当前服务仅允许管理员通过账号密码登录",
            "Only administrators can sign in with a password",
        );
        return Err(Fault::Returned(403, only));
    }
    let opened = open(app, &who).await?;
    Ok((who, opened))
}

/// Begins a browser's login, and waits until the next request will find it.
async fn open(app: &App, who: &Authenticated) -> std::result::Result<OpenedLogin, Fault> {
    let metadata = Context::current().metadata(who.user.clone());
    let ends = Utc::now() + cookie::LIFE;
    let opened = app.identity.open_login(who, Audience::Sage, ends, &metadata).await;
    let opened = opened.map_err(Error::from)?;
    // Also a person who has just registered.
    app.caught_up("users", Some(opened.position)).await;
    app.caught_up("logins", Some(opened.position)).await;
    Ok(opened)
}

fn claims(who: &Authenticated) -> Claims {
    let name = who.account.username.to_string();
    let email = who.account.email.as_ref().map(ToString::to_string);
    Claims {
        userid: who.user.clone(),
        nickname: name.clone(),
        username: name,
        phonenum: who.account.phone.clone().unwrap_or_default(),
        email: email.unwrap_or_default(),
        role: role(who.role).to_owned(),
        avatar: String::new(),
        avatar_url: String::new(),
    }
}

/// This dialect knows administrators and others.
pub(super) fn role(role: Role) -> &'static str {
    if role.is_admin() { "admin" } else { "user" }
}

/// Who is logged in.
#[derive(Serialize, ToSchema)]
struct Session {
    user: SessionUser,
    /// Whether they have a model provider of their own.
    has_provider: bool,
    /// Whether they have an agent of their own.
    has_agent: bool,
}

/// Somebody who is logged in.
#[derive(Serialize, ToSchema)]
struct SessionUser {
    #[schema(value_type = String)]
    userid: UserId,
    username: String,
    /// The same as `username`.
    nickname: String,
    /// `admin` or `user`.
    role: &'static str,
    #[serde(flatten)]
    person: Option<SessionPerson>,
    /// When the access token ends, if it is one, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    exp: Option<i64>,
}

/// What is known of somebody who has an account here; nothing is known of those for whom a proxy vouches.
#[derive(Serialize, ToSchema)]
struct SessionPerson {
    /// Empty if there is none.
    phonenum: String,
    /// Empty if there is none.
    email: String,
    /// Always empty.
    avatar: &'static str,
    /// Always empty.
    avatar_url: &'static str,
}

/// Tells who is logged in.
#[utoipa::path(
    get,
    path = "/api/auth/session",
    responses((status = 200, description = "They are.", body = Replied<Session>)),
)]
async fn session(State(app): State<App>, SignedIn(caller): SignedIn) -> Result<Session> {
    let has_agent = agents::has_any(&app.db, &caller.user).await?;
    let has_provider = llm_providers::count(&app.db, &caller.user).await? > 0;
    let user = SessionUser {
        userid: caller.user,
        username: caller.username.clone(),
        nickname: caller.username,
        role: role(caller.role),
        person: caller.person.map(|person| SessionPerson {
            phonenum: person.phone.unwrap_or_default(),
            email: person.email.unwrap_or_default(),
            avatar: "",
            avatar_url: "",
        }),
        exp: caller.token_expires,
    };
    Ok(Reply("success".into(), Session { user, has_provider, has_agent }))
}

/// Logs the caller out.
///
/// Ends the login that was shown, and that of the cookie if it is another of the same person.
#[utoipa::path(
    post,
    path = "/api/auth/logout",
    responses((status = 200, description = "They are logged out.", body = Replied<Nothing>,
        headers(("Set-Cookie" = String, description = "Takes the session away.")))),
)]
async fn logout(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
) -> std::result::Result<impl IntoResponse, Fault> {
    // A browser may send a token and a cookie of two logins: neither is to work afterwards.
    let beside = by_cookie(&app, &headers).await?.ok();
    let beside = beside.filter(|other| other.user == caller.user).and_then(|other| other.login);
    let metadata = caller.metadata();
    for login in caller.login.into_iter().chain(beside.filter(|login| Some(*login) != caller.login))
    {
        let closed = app.identity.close_login(login, CloseReason::SignedOut, &metadata).await;
        app.caught_up("logins", closed.map_err(Error::from)?).await;
    }
    let reply = Reply(text("退出成功", "Signed out successfully"), Nothing {});
    Ok((AppendHeaders([cookie::clear()]), reply))
}

/// A password for another.
#[derive(Deserialize, ToSchema)]
struct Passwords {
    #[schema(format = Password)]
    old_password: String,
    /// 1 to 1024 bytes.
    #[schema(format = Password, min_length = 1)]
    new_password: String,
}

/// Changes the caller's password. All their other logins end.
#[utoipa::path(
    post,
    path = "/api/user/change-password",
    request_body = Passwords,
    responses(
        (status = 200, description = "It is changed.", body = Replied<Nothing>),
        (status = 400, description = "The new one is empty or too long.", body = Failed),
        (status = 429, description = "Too many attempts; see the header `Retry-After`.", body = Failed),
    ),
)]
async fn change_password(
    State(app): State<App>,
    SignedIn(caller): SignedIn,
    peer: Peer,
    Json(body): Json<Passwords>,
) -> Result<Nothing> {
    let (old, new) = (Sensitive::from(body.old_password), Sensitive::from(body.new_password));
    let guess = app.access.guesses.attempt(&caller.username, peer.address).await?;
    let changed = app
        .identity
        .change_password(&caller.user, &old, &new, caller.login, &caller.metadata())
        .await;
    if !matches!(changed, Err(identity::Error::WrongOldPassword)) {
        guess.forgive();
    }
    app.caught_up("users", Some(changed.map_err(worded)?)).await;
    Ok(Reply(text("密码修改成功", "Password changed successfully"), Nothing {}))
}

/// A caller of the endpoints that say "not signed in" in words of their own (the seed's error table).
pub(super) struct SignedIn(pub Caller);

impl FromRequestParts<App> for SignedIn {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> std::result::Result<Self, Fault> {
        match Caller::from_request_parts(parts, app).await {
            Ok(caller) => Ok(Self(caller)),
            Err(Error::Unauthenticated(Login::Missing)) => {
                Err(Fault::Raised(401, text("未登录", "Not signed in")))
            }
            Err(error) => Err(error.into()),
        }
    }
}

fn disabled(zh: &'static str, en: &'static str) -> Fault {
    Fault::Returned(400, text(zh, en))
}

/// The dialect's words for what the use cases refuse.
pub(super) fn worded(error: identity::Error) -> Fault {
    use identity::Error as E;
    let message = match error {
        E::BadCredentials => text("用户名或密码错误", "Invalid username or password"),
        E::WrongOldPassword => text("旧密码错误", "The old password is wrong"),
        E::UnknownUser => text("用户不存在", "The user does not exist"),
        E::UsernameTaken => text("用户名已存在", "The username is taken"),
        E::EmailTaken => text("邮箱已存在", "The email address is taken"),
        E::Administers => text("无法删除管理员用户", "Administrators cannot be deleted"),
        E::Suspended => return Fault::Raised(403, text("账号已停用", "The account is suspended")),
        E::Password(PasswordError::Length) => {
            let message = text("密码长度须为 1 到 1024 字节", "A password has 1 to 1024 bytes");
            return Fault::Raised(400, message);
        }
        other => return Fault::Core(other.into()),
    };
    Fault::raised(message)
}
