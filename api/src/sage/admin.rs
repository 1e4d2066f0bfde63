//! Callers who administer; others are told so in the dialect's words.

use super::{Fault, text};
use crate::{app::App, core::Caller};
use axum::{extract::FromRequestParts, http::request::Parts};

/// A caller who administers. Others get HTTP 200 with code 403 (contracts: family A).
pub(super) struct Admin(pub Caller);

impl FromRequestParts<App> for Admin {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Fault> {
        let caller = Caller::from_request_parts(parts, app).await?;
        if !caller.admin {
            return Err(Fault::Returned(403, text("权限不足", "Permission denied")));
        }
        Ok(Self(caller))
    }
}
