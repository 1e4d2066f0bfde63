//! Calls from server to server, proved by a shared secret.

use super::Fault;
use crate::{app::App, core::Caller};
use axum::{
    extract::FromRequestParts,
    http::{HeaderName, StatusCode, request::Parts},
};

/// The header that carries the secret.
static SECRET: HeaderName = HeaderName::from_static("x-rbac-sync-secret");

/// Another server of the same operator. Wrong guesses are not counted: this API limits registrations and nothing else, and
/// nobody at the same address may keep a server out that has the secret.
#[derive(Debug, Clone, Copy)]
pub struct Server;

impl FromRequestParts<App> for Server {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Fault> {
        let Some(secret) = &app.config.rbac_sync_secret else {
            // Fail closed: without a secret nobody can prove to be that server.
            let message = "ANNALS_RBAC_SYNC_SECRET is not set";
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            return Err(Fault::new(status, "server_misconfigured", message));
        };
        let sent = parts.headers.get(&SECRET).and_then(|value| value.to_str().ok());
        if sent.is_some_and(|sent| secret.matches(sent)) {
            Ok(Self)
        } else {
            let message = "Missing or wrong shared secret";
            Err(Fault::new(StatusCode::UNAUTHORIZED, "unauthorized", message))
        }
    }
}

/// A person, or another server.
#[derive(Debug)]
pub enum Either {
    /// A person.
    Person(Box<Caller>),
    /// Another server.
    Server,
}

impl FromRequestParts<App> for Either {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Fault> {
        if parts.headers.contains_key(&SECRET) {
            return Server::from_request_parts(parts, app).await.map(|Server| Self::Server);
        }
        Ok(Self::Person(Box::new(Caller::from_request_parts(parts, app).await?)))
    }
}
