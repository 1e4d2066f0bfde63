//! What this server calls itself in answers.

use super::Refused;
use crate::{app::App, config, core::site::Site};
use axum::{extract::FromRequestParts, http::request::Parts};

/// The configured issuer; without one, where clients reach this server.
#[derive(Debug, Clone)]
pub struct Issuer(pub config::Issuer);

impl FromRequestParts<App> for Issuer {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Refused> {
        if let Some(issuer) = &app.config.oauth2_issuer {
            return Ok(Self(issuer.clone()));
        }
        let Ok(Site { root, .. }) = Site::from_request_parts(parts, app).await;
        let issuer = root.and_then(|root| config::Issuer::parse(&format!("{root}/oauth2")));
        issuer.map(Self).ok_or_else(|| Refused::invalid("the Host header names no host"))
    }
}
