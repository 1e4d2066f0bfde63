//! Self-registration with a code sent by mail.

use super::{Failed, Fault, Reply, Result, Told, disabled, text, worded};
use crate::{
    app::App,
    config::AuthMode,
    core::{Context, Error, Json, peer::Peer},
    sage::users::{details, malformed_email},
};
use axum::extract::State;
use chrono::Utc;
use commands::{
    effects::{
        Sensitive,
        codes::{CodeError, RETRY_AFTER, VALID_FOR},
        mail::Mail,
    },
    identity::{self, Registration},
};
use domain::{ids::UserId, user::EmailAddress};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Where a code is wanted.
#[derive(Deserialize, ToSchema)]
#[schema(as = SendCode)]
pub struct SendCodeBody {
    #[serde(default)]
    #[schema(required, value_type = String, format = Email)]
    email: Option<String>,
}

/// A code is on its way.
#[derive(Serialize, ToSchema)]
pub struct CodeSent {
    /// For how many seconds it is good.
    expires_in: u64,
    /// After how many seconds one can be sent again.
    retry_after: u64,
}

/// Sends a code to an address, to register with.
#[utoipa::path(
    post,
    path = "/api/auth/register/send-code",
    request_body = SendCodeBody,
    responses(
        (status = 200, description = "It is on its way; or, with code 400, nobody may register so.", body = Told<CodeSent>),
        (status = 400, description = "There is no address.", body = Failed),
        (status = 429, description = "Too many attempts; see the header `Retry-After`.", body = Failed),
    ),
    security(()),
)]
pub async fn send_code(
    State(app): State<App>,
    peer: Peer,
    Json(body): Json<SendCodeBody>,
) -> Result<CodeSent> {
    open(&app).await?;
    let Some(email) = body.email.filter(|email| !email.trim().is_empty()) else {
        return Err(Fault::Raised(400, text("请输入邮箱地址", "Please enter an email address")));
    };
    let email = EmailAddress::parse(&email).map_err(|_| malformed_email())?;
    app.access.registrations.attempt(peer.address)?;
    if app.identity.reached_at(&email).await.map_err(worded)?.is_some() {
        return Err(worded(identity::Error::EmailTaken));
    }
    let code = app.access.codes.issue(&email, Utc::now()).await.map_err(too_soon)?;
    let mail = Mail::VerificationCode { to: email.clone(), code, valid_for: VALID_FOR };
    if let Err(error) = app.access.mailer.send(mail).await {
        tracing::warn!(%error, "a verification code could not be sent");
        app.access.codes.forget(&email).await?;
        return Err(Fault::raised(text("邮件发送失败", "The email could not be sent")));
    }
    let sent = CodeSent { expires_in: VALID_FOR.as_secs(), retry_after: RETRY_AFTER.as_secs() };
    Ok(Reply(text("验证码发送成功", "Verification code sent"), sent))
}

/// Somebody who wants to have an account.
#[derive(Deserialize, ToSchema)]
#[schema(as = Register)]
pub struct RegisterBody {
    username: String,
    /// 1 to 1024 bytes.
    #[schema(format = Password, min_length = 1)]
    password: String,
    #[serde(default)]
    #[schema(required, value_type = String, format = Email)]
    email: Option<String>,
    #[serde(default)]
    phonenum: Option<String>,
    /// As it came by mail.
    verification_code: String,
}

/// A new account.
#[derive(Serialize, ToSchema)]
pub struct Registered {
    #[schema(value_type = String)]
    user_id: UserId,
}

/// Registers somebody who has a code. They are not logged in by that.
#[utoipa::path(
    post,
    path = "/api/auth/register",
    request_body = RegisterBody,
    responses(
        (status = 200, description = "They have an account; or, with code 400, nobody may register so.", body = Told<Registered>),
        (status = 400, description = "There is no address, or name, password or phone number are not possible.", body = Failed),
        (status = 429, description = "Too many attempts; see the header `Retry-After`.", body = Failed),
    ),
    security(()),
)]
pub async fn register(
    State(app): State<App>,
    peer: Peer,
    Json(body): Json<RegisterBody>,
) -> Result<Registered> {
    open(&app).await?;
    let Some(email) = body.email.filter(|email| !email.trim().is_empty()) else {
        return Err(Fault::Raised(
            400,
            text("注册必须填写邮箱", "Registration needs an email address"),
        ));
    };
    app.access.registrations.attempt(peer.address)?;
    let typed = details(&body.username, Some(email), body.phonenum)?;
    let email = typed.email.clone().ok_or_else(malformed_email)?;
    // In the order in which upstream looks; registering checks both again, for good.
    if app.identity.is_taken(&typed.username).await.map_err(worded)? {
        return Err(worded(identity::Error::UsernameTaken));
    }
    if app.identity.reached_at(&email).await.map_err(worded)?.is_some() {
        return Err(worded(identity::Error::EmailTaken));
    }
    let code = Sensitive::from(body.verification_code);
    if !app.access.codes.verify(&email, &code, Utc::now()).await? {
        return Err(Fault::raised(text("验证码错误", "The verification code is wrong")));
    }
    let wanted = Registration { password: Sensitive::from(body.password), ..typed };
    let metadata = Context::current().metadata(wanted.user.clone());
    let registered = app.identity.register(wanted, &metadata).await.map_err(worded)?;
    app.access.codes.forget(&email).await?;
    app.caught_up("users", registered.position).await;
    Ok(Reply(text("注册成功", "Registration successful"), Registered { user_id: registered.user }))
}

/// Registration is a matter of the deployment mode first, of the system's flag second.
async fn open(app: &App) -> std::result::Result<(), Fault> {
    if app.config.auth_mode != AuthMode::Native {
        return Err(disabled(
            "当前服务未启用本地账号注册",
            "Local account registration is disabled",
        ));
    }
    let decided = app.identity.registration_allowed().await.map_err(Error::from)?;
    if !decided.unwrap_or(app.config.allow_registration) {
        return Err(Fault::raised(text("系统不允许自注册", "Self-registration is disabled")));
    }
    Ok(())
}

fn too_soon(error: CodeError) -> Fault {
    match error {
        CodeError::TooSoon(wait) => {
            let seconds = wait.as_secs_f64().ceil().max(1.0);
            Fault::raised(text(
                format!("验证码发送过于频繁，请 {seconds} 秒后重试"),
                format!("The code was sent too often, try again in {seconds} seconds"),
            ))
        }
        CodeError::Database(error) => error.into(),
    }
}
