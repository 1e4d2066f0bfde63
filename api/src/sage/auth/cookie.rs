//! The session cookie.

use crate::core::caller::SESSION_COOKIE;
use axum::http::{HeaderName, header::SET_COOKIE};
use chrono::TimeDelta;
use commands::effects::Sensitive;

/// How long a login lasts.
pub const LIFE: TimeDelta = TimeDelta::days(14);

/// Keeps a login; `secure` when the browser speaks TLS.
pub fn set(value: &Sensitive, secure: bool) -> (HeaderName, String) {
    let (value, life) = (value.expose(), LIFE.num_seconds());
    let secure = if secure { "; secure" } else { "" };
    let attributes = format!("path=/; Max-Age={life}; httponly; samesite=lax{secure}");
    (SET_COOKIE, format!("{SESSION_COOKIE}={value}; {attributes}"))
}

/// Forgets it.
pub fn clear() -> (HeaderName, String) {
    let past = "expires=Thu, 01 Jan 1970 00:00:00 GMT";
    (SET_COOKIE, format!("{SESSION_COOKIE}=null; path=/; {past}; httponly; samesite=lax"))
}
