//! Who holds the token of this request.

use super::Fault;
use crate::{
    app::App,
    core::{Caller, Context, Error, caller::by_api_token, error::Login},
};
use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, StatusCode, header, request::Parts},
};
use std::ops::Deref;

/// The caller, by `Authorization: Token …` alone, as the dialect knows no other way.
#[derive(Debug, Clone)]
pub struct Holder(Caller);

impl Holder {
    /// Whoever the token in these headers belongs to.
    ///
    /// # Errors
    /// 403 in the words for what is wrong with it.
    pub async fn of(app: &App, headers: &HeaderMap) -> Result<Self, Fault> {
        well_formed(headers)?;
        match by_api_token(app, headers).await? {
            Ok(caller) => {
                // Asked for twice in one request, it is the same person.
                let _known = Context::current().caller.set(caller.user.clone());
                Ok(Self(caller))
            }
            Err(login) => Err(Error::Unauthenticated(login).into()),
        }
    }

    /// How they are reached, if that is known.
    pub fn email(&self) -> Option<&str> {
        self.0.person.as_ref()?.email.as_deref()
    }
}

impl Deref for Holder {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.0
    }
}

impl FromRequestParts<App> for Holder {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Fault> {
        Self::of(app, &parts.headers).await
    }
}

/// The caller of a run. Without any credentials the refusal has no body, as upstream: its view says no, not its framework.
#[derive(Debug, Clone)]
pub struct Runner(pub Holder);

impl FromRequestParts<App> for Runner {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Fault> {
        let holder = Holder::of(app, &parts.headers).await;
        holder.map(Self).map_err(|fault| match fault {
            Fault::Core(Error::Unauthenticated(Login::Missing)) => {
                Fault::Silent(StatusCode::FORBIDDEN)
            }
            other => other,
        })
    }
}

/// Whether there is a scheme and one word after it.
fn well_formed(headers: &HeaderMap) -> Result<(), Fault> {
    let missing = || Fault::Core(Error::Unauthenticated(Login::Missing));
    let refused = |text: &'static str| Err(Fault::Detail(StatusCode::FORBIDDEN, text.into()));
    let value = headers.get(header::AUTHORIZATION).ok_or_else(missing)?;
    let bytes = value.as_bytes().split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let words: Vec<&[u8]> = bytes.collect();
    match words[..] {
        [scheme, ..] if !scheme.eq_ignore_ascii_case(b"token") => Err(missing()),
        [] => Err(missing()),
        [_] => refused("Invalid token header. No credentials provided."),
        [_, key] if !key.is_ascii() => {
            refused("Invalid token header. Token string should not contain invalid characters.")
        }
        [_, _] => Ok(()),
        _ => refused("Invalid token header. Token string should not contain spaces."),
    }
}
