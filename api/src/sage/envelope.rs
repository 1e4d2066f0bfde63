//! `{code, message, data, timestamp}`, and the three families in which failures arrive.

use crate::core::{Context, Error, Locale, Problem, error::Login};
use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use chrono::Utc;
use domain::{Kind, Refusal};
use serde::Serialize;
use serde_json::json;
use std::borrow::Cow;
use utoipa::{
    ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, schema::Type},
};

/// A message in both languages of the dialect.
#[derive(Debug, Clone, Default)]
pub struct Text {
    zh: Cow<'static, str>,
    en: Cow<'static, str>,
}

/// A message: Chinese, English.
pub fn text(zh: impl Into<Cow<'static, str>>, en: impl Into<Cow<'static, str>>) -> Text {
    Text { zh: zh.into(), en: en.into() }
}

impl Text {
    /// In the language of the request.
    pub fn localized(&self) -> &str {
        match Context::current().locale {
            Locale::Chinese => &self.zh,
            Locale::English => &self.en,
        }
    }
}

impl Text {
    /// The same behind a beginning of its own.
    #[must_use]
    pub fn prefixed(self, zh: &str, en: &str) -> Self {
        text(format!("{zh}{}", self.zh), format!("{en}{}", self.en))
    }
}

impl From<&'static str> for Text {
    fn from(same: &'static str) -> Self {
        text(same, same)
    }
}

/// A success: message and data.
#[derive(Debug)]
pub struct Reply<T>(pub Text, pub T);

/// What handlers of this dialect return.
pub type Result<T> = std::result::Result<Reply<T>, Fault>;

/// Float seconds since the epoch, as every envelope and stream line carries it.
pub fn timestamp() -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "microseconds since 1970 fit in 53 bits")]
    let micros = Utc::now().timestamp_micros() as f64;
    micros / 1e6
}

/// A success as clients see it.
#[derive(Serialize, ToSchema)]
#[schema(as = Reply)]
pub(super) struct Replied<T> {
    /// Always 200.
    #[schema(minimum = 200, maximum = 200)]
    code: u16,
    /// For people, in their language.
    message: String,
    data: T,
    /// Seconds since the epoch.
    timestamp: f64,
}

/// What went wrong.
#[derive(Serialize, ToSchema)]
pub(super) struct Failed<'a> {
    /// The HTTP status, unless that is 200.
    #[schema(minimum = 400, maximum = 599)]
    code: u16,
    /// For people, in their language.
    message: &'a str,
    /// Always null.
    #[schema(value_type = (), nullable)]
    data: (),
    /// More for developers, in English; may be empty.
    error_detail: &'a str,
    /// Seconds since the epoch.
    timestamp: f64,
}

/// No data: null.
#[derive(Debug, Serialize)]
pub(super) struct Null;

impl utoipa::PartialSchema for Null {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::Null).into()
    }
}

impl ToSchema for Null {}

/// What is wrong with the input.
#[derive(Serialize, ToSchema)]
pub(super) struct Rejected<'a> {
    #[schema(value_type = Vec<Problem>)]
    detail: &'a [Problem],
}

/// In the same HTTP status what worked and what did not: `code` says which.
#[derive(ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "it is only told of")]
pub(super) enum Told<T> {
    /// It worked.
    Replied {
        /// Always 200.
        #[schema(minimum = 200, maximum = 200)]
        code: u16,
        /// For people, in their language.
        message: String,
        data: T,
        /// Seconds since the epoch.
        timestamp: f64,
    },
    /// It did not.
    Failed(Failed<'static>),
}

impl<T: Serialize> IntoResponse for Reply<T> {
    fn into_response(self) -> Response {
        let Self(message, data) = self;
        let message = message.localized().to_owned();
        Json(Replied { code: 200, message, data, timestamp: timestamp() }).into_response()
    }
}

/// A failure in this dialect's shape.
#[derive(Debug)]
pub enum Fault {
    /// A business error that answers HTTP 200 with another `code` (contracts: family A).
    Returned(u16, Text),
    /// A business error that answers its `code` as status, 500 by default (contracts: family B).
    Raised(u16, Text),
    /// As [`Fault::Raised`], with a reason in English beside the message.
    Explained(u16, Text, String),
    /// Everything that is not the dialect's own.
    Core(Error),
}

impl Fault {
    /// A raised business error with the default code 500. Counted as a refusal, not as a failure of the machine.
    pub fn raised(message: Text) -> Self {
        Self::Raised(500, message)
    }
}

impl<E: Into<Error>> From<E> for Fault {
    fn from(error: E) -> Self {
        Self::Core(error.into())
    }
}

impl Fault {
    /// As [`From`], but a refusal for which `message` has words is raised with them.
    pub fn worded<R: Refusal>(
        error: commands::execute::Error<R>,
        message: impl FnOnce(&R) -> Text,
    ) -> Self {
        match error {
            commands::execute::Error::Refused(refusal) => Self::raised(message(&refusal)),
            failed @ commands::execute::Error::Failed(_) => Self::Core(failed.into()),
        }
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        match self {
            Self::Returned(code, message) => failure(StatusCode::OK, code, &message, None),
            Self::Raised(code, message) => raised(code, &message, None),
            Self::Explained(code, message, reason) => raised(code, &message, Some(&reason)),
            Self::Core(error) => error.into_response(),
        }
    }
}

fn raised(code: u16, message: &Text, detail: Option<&str>) -> Response {
    tracing::debug!(code, message = &*message.en, detail, "refused");
    let status = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    failure(status, code, message, detail)
}

fn failure(status: StatusCode, code: u16, message: &Text, detail: Option<&str>) -> Response {
    let (message, error_detail) = (message.localized(), detail.unwrap_or(""));
    let failed = Failed { code, message, data: (), error_detail, timestamp: timestamp() };
    (status, Json(failed)).into_response()
}

/// Failures that are not the dialect's own, in its shape.
pub fn render(error: Error) -> Response {
    let status = error.status();
    let code = status.as_u16();
    let enveloped = |message: Text, detail: &str| failure(status, code, &message, Some(detail));
    match &error {
        // Framework errors carry no envelope upstream either (contracts: family C).
        Error::NoSuchPath => (status, Json(json!({"detail": "Not Found"}))).into_response(),
        Error::MethodNotAllowed => {
            (status, Json(json!({"detail": "Method Not Allowed"}))).into_response()
        }
        Error::Invalid(detail) => (status, Json(Rejected { detail })).into_response(),
        Error::Unauthenticated(login) => match login {
            Login::Missing => enveloped(text("未授权", "Unauthorized"), "missing auth session"),
            Login::Invalid => enveloped(text("Token非法", "Invalid token"), "invalid token"),
            Login::Expired => enveloped(text("登录过期", "Session expired"), "expired"),
            Login::Inactive => enveloped(text("未授权", "Unauthorized"), "account inactive"),
        },
        Error::Forbidden => enveloped(text("权限不足", "Permission denied"), "permission denied"),
        Error::NotFound => enveloped(text("资源不存在", "Not found"), "not found"),
        Error::TooLarge { limit } => enveloped(
            text(
                format!("请求体过大，上限为 {limit} 字节"),
                format!("The body is larger than {limit} bytes"),
            ),
            "body too large",
        ),
        Error::MediaType(sent) => enveloped(
            text(format!("不支持的媒体类型: {sent}"), format!("Unsupported media type: {sent}")),
            "unsupported media type",
        ),
        // Business refusals without words of their own: raised, so 500 unless it is about permission.
        Error::Refused { kind, message } => {
            let code = if *kind == Kind::Forbidden { 403 } else { 500 };
            Fault::Raised(code, text(message.clone(), message.clone())).into_response()
        }
        Error::Throttled { retry_after } => {
            let seconds = retry_after.as_secs().max(1);
            let message = text(
                format!("请求过于频繁，请 {seconds} 秒后重试"),
                format!("Too many requests, try again in {seconds} seconds"),
            );
            let mut response = enveloped(message, "throttled");
            response.headers_mut().insert(axum::http::header::RETRY_AFTER, seconds.into());
            response
        }
        Error::Unavailable(_) => enveloped(
            text("服务暂时不可用，请稍后重试", "Temporarily unavailable, please try again"),
            "unavailable",
        ),
        Error::Internal(_) => enveloped(text("内部服务器错误", "Internal server error"), ""),
    }
}
