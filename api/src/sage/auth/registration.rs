//! Self-registration with a code sent by mail.

use super::{Fault, Reply, Result, disabled, text, worded};
use crate::{
    app::App,
    config::AuthMode,
    core::{Context, Error, Json, peer::Peer},
};
use axum::extract::State;
use chrono::Utc;
use commands::{
    effects::{
        Sensitive,
        codes::{CodeError, RETRY_AFTER, VALID_FOR},
        mail::Mail,
    },
    identity::{self, Registration, mint_user_id},
};
use domain::{
    ids::UserId,
    user::{EmailAddress, Role, Username},
};
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
pub struct SendCodeBody {
    #[serde(default)]
    email: Option<String>,
}

#[derive(Serialize)]
pub struct CodeSent {
    expires_in: u64,
    retry_after: u64,
}

pub async fn send_code(
    State(app): State<App>,
    peer: Peer,
    Json(body): Json<SendCodeBody>,
) -> Result<CodeSent> {
    open(&app).await?;
    let Some(email) = body.email.filter(|email| !email.trim().is_empty()) else {
        return Err(Fault::Raised(400, text("请输入邮箱地址", "Please enter an email address")));
    };
    let email = EmailAddress::parse(&email).map_err(|_| malformed())?;
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

#[derive(Deserialize)]
pub struct RegisterBody {
    username: String,
    password: String,
    #[serde(default)]
    email: Option<String>,
    #[serde(default)]
    phonenum: Option<String>,
    verification_code: String,
}

#[derive(Serialize)]
pub struct Registered {
    user_id: UserId,
}

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
    let email = EmailAddress::parse(&email).map_err(|_| malformed())?;
    let username = Username::parse(&body.username, Some(&email)).map_err(|_| {
        Fault::Raised(400, text("用户名格式不正确", "The username is not possible"))
    })?;
    let phone = body.phonenum.map(|phone| phone.trim().to_owned()).filter(|p| !p.is_empty());
    let bad = |phone: &String| phone.chars().count() > 32 || phone.chars().any(char::is_control);
    if phone.as_ref().is_some_and(bad) {
        return Err(Fault::Raised(
            400,
            text("手机号格式不正确", "The phone number is not possible"),
        ));
    }
    // In the order in which upstream looks; registering checks both again, for good.
    if app.identity.is_taken(&username).await.map_err(worded)? {
        return Err(worded(identity::Error::UsernameTaken));
    }
    if app.identity.reached_at(&email).await.map_err(worded)?.is_some() {
        return Err(worded(identity::Error::EmailTaken));
    }
    let code = Sensitive::from(body.verification_code);
    if !app.access.codes.verify(&email, &code, Utc::now()).await? {
        return Err(Fault::raised(text("验证码错误", "The verification code is wrong")));
    }
    let wanted = Registration {
        user: mint_user_id(),
        username,
        password: Sensitive::from(body.password),
        email: Some(email.clone()),
        phone,
        role: Role::Creator,
    };
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

fn malformed() -> Fault {
    Fault::raised(text("邮箱格式不正确", "The email address is not possible"))
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
