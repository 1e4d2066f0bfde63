//! Who may do what, as extractors.

use super::Fault;
use crate::{
    app::App,
    core::{Caller, Error},
};
use axum::{
    extract::FromRequestParts,
    http::{StatusCode, request::Parts},
};

/// Somebody who may change their own things: everybody but viewers.
#[derive(Debug)]
pub struct Writer(pub Caller);

impl FromRequestParts<App> for Writer {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Error> {
        let caller = Caller::from_request_parts(parts, app).await?;
        if caller.role.may_write() { Ok(Self(caller)) } else { Err(Error::Forbidden) }
    }
}

/// An administrator, as themselves.
#[derive(Debug)]
pub struct Admin(pub Caller);

impl FromRequestParts<App> for Admin {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Fault> {
        let caller = Caller::from_request_parts(parts, app).await?;
        in_person(&caller)?;
        if caller.admin { Ok(Self(caller)) } else { Err(Error::Forbidden.into()) }
    }
}

/// Refuses what nobody may do in another's name.
///
/// # Errors
/// 403 `impersonation_forbidden`.
pub fn in_person(caller: &Caller) -> Result<(), Fault> {
    match caller.impersonator {
        None => Ok(()),
        Some(_) => {
            let message = "Not while acting as somebody else";
            Err(Fault::new(StatusCode::FORBIDDEN, "impersonation_forbidden", message))
        }
    }
}
