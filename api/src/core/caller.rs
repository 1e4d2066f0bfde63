//! Who is calling.

use super::{Context, Error, error::Login};
use crate::app::App;
use axum::{extract::FromRequestParts, http::request::Parts};
use domain::{Metadata, ids::UserId};

/// An authenticated person, resolved anew on every request from what was sent and from the read models.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Who.
    pub user: UserId,
    /// The name to show.
    pub username: String,
    /// Whether the person administers this installation.
    pub admin: bool,
}

impl Caller {
    /// Metadata of events this caller causes by this request.
    pub fn metadata(&self) -> Metadata {
        Context::current().metadata(self.user.clone())
    }

    /// Whose things lists show: the caller's own, or everybody's to an administrator.
    pub fn scope(&self) -> Option<&UserId> {
        (!self.admin).then_some(&self.user)
    }

    /// As [`Caller::may_access`], for the text in a row.
    pub fn sees(&self, owner: &str) -> bool {
        self.admin || self.user.as_str() == owner
    }

    /// Whether the caller may see and change what `owner` owns.
    pub fn may_access(&self, owner: &UserId) -> bool {
        self.admin || self.user == *owner
    }
}

impl FromRequestParts<App> for Caller {
    type Rejection = Error;

    async fn from_request_parts(_: &mut Parts, _: &App) -> Result<Self, Error> {
        Err(Error::Unauthenticated(Login::Missing))
    }
}
