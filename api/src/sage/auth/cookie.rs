//! The session cookie, and the one that binds a login through a provider to its browser.

use crate::core::caller::SESSION_COOKIE;
use axum::http::{HeaderName, header::SET_COOKIE};
use chrono::TimeDelta;
use commands::effects::{Sensitive, flows};

/// How long a login lasts.
pub const LIFE: TimeDelta = TimeDelta::days(14);

/// Name of the cookie that a login through a provider is bound to.
pub const FLOW: &str = "sage_upstream";
/// Random bytes in it, hexadecimal there.
pub const FLOW_BYTES: usize = 32;

/// Keeps a login; `secure` when the browser speaks TLS.
pub fn set(value: &Sensitive, secure: bool) -> (HeaderName, String) {
    keep(SESSION_COOKIE, value, LIFE, secure)
}

/// Binds a login through a provider to this browser.
pub fn flow(value: &Sensitive, secure: bool) -> (HeaderName, String) {
    keep(FLOW, value, flows::LIFE, secure)
}

fn keep(name: &str, value: &Sensitive, life: TimeDelta, secure: bool) -> (HeaderName, String) {
    let (value, life) = (value.expose(), life.num_seconds());
    let secure = if secure { "; secure" } else { "" };
    (SET_COOKIE, format!("{name}={value}; path=/; Max-Age={life}; httponly; samesite=lax{secure}"))
}

/// Forgets it.
pub fn clear() -> (HeaderName, String) {
    let past = "expires=Thu, 01 Jan 1970 00:00:00 GMT";
    (SET_COOKIE, format!("{SESSION_COOKIE}=null; path=/; {past}; httponly; samesite=lax"))
}
