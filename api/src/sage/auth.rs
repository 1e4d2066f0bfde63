//! Registration, login, session, logout, password: `/api/auth/*`, and the older names under `/api/user/*`.

pub mod cookie;
pub mod providers;
mod registration;
mod upstream;

use super::{Fault, Reply, Result, text};
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
};
use axum::{
    Router,
    extract::{FromRequestParts, State},
    http::{HeaderMap, HeaderValue, header, request::Parts},
    middleware::map_response,
    response::{AppendHeaders, IntoResponse, Response},
    routing::{get, post},
};
use chrono::Utc;
use commands::{
    effects::{Sensitive, passwords::PasswordError},
    identity::{self, Authenticated, OpenedLogin},
};
use domain::{
    login::{Audience, CloseReason},
    user::Role,
};
use projections::{agents, llm_providers};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The table of contents.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/api/auth/register/send-code", post(registration::send_code))
        .route("/api/auth/register", post(registration::register))
        .route("/api/auth/login", post(login))
        .route("/api/auth/session", get(session))
        .route("/api/auth/upstream/login", get(upstream::default))
        .route("/api/auth/upstream/login/{provider_id}", get(upstream::named))
        .route("/api/auth/upstream/callback/{provider_id}", get(upstream::back))
        .route("/api/auth/logout", post(logout))
        .route("/api/auth/providers", get(providers::show))
        .route("/api/user/auth-providers", get(providers::show))
        .route("/api/user/register/send-code", post(registration::send_code))
        .route("/api/user/register", post(registration::register))
        .route("/api/user/login", post(login))
        .route("/api/user/check_login", get(session))
        .route("/api/user/logout", post(logout))
        .route("/api/user/oauth/login", get(upstream::default))
        .route("/api/user/oauth/login/{provider_id}", get(upstream::named))
        .route("/api/user/oauth/callback/{provider_id}", get(upstream::back))
        .route("/api/user/change-password", post(change_password))
        .layer(map_response(unkept))
}

/// What is about people and their logins stays in no cache on the way.
pub(super) async fn unkept(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

#[derive(Deserialize)]
struct LoginBody {
    username_or_email: String,
    password: String,
}

#[derive(Serialize)]
struct LoggedIn {
    access_token: String,
    refresh_token: String,
    expires_in: i64,
}

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

#[derive(Serialize)]
struct Session {
    user: Value,
    has_provider: bool,
    has_agent: bool,
}

async fn session(State(app): State<App>, SignedIn(caller): SignedIn) -> Result<Session> {
    let has_agent = agents::has_any(&app.db, &caller.user).await?;
    let has_provider = llm_providers::count(&app.db, &caller.user).await? > 0;
    let mut user = json!({
        "userid": caller.user,
        "username": caller.username,
        "nickname": caller.username,
        "role": role(caller.role),
    });
    if let Some(person) = &caller.person {
        user["phonenum"] = json!(person.phone.as_deref().unwrap_or_default());
        user["email"] = json!(person.email.as_deref().unwrap_or_default());
        user["avatar"] = json!("");
        user["avatar_url"] = json!("");
    }
    if let Some(expires) = caller.token_expires {
        user["exp"] = json!(expires);
    }
    Ok(Reply("success".into(), Session { user, has_provider, has_agent }))
}

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
    let reply = Reply(text("退出成功", "Signed out successfully"), json!({}));
    Ok((AppendHeaders([cookie::clear()]), reply))
}

#[derive(Deserialize)]
struct Passwords {
    old_password: String,
    new_password: String,
}

async fn change_password(
    State(app): State<App>,
    SignedIn(caller): SignedIn,
    peer: Peer,
    Json(body): Json<Passwords>,
) -> Result<Value> {
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
    Ok(Reply(text("密码修改成功", "Password changed successfully"), json!({})))
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
