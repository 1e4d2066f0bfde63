//! What this server calls itself in answers.

use super::Refused;
use crate::{app::App, config, core::peer::Peer};
use axum::{
    extract::FromRequestParts,
    http::{header, request::Parts},
};

/// The configured issuer; without one, where the request says that this server is. What proxies say counts only from
/// trusted ones.
#[derive(Debug, Clone)]
pub struct Issuer(pub config::Issuer);

impl FromRequestParts<App> for Issuer {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Refused> {
        if let Some(issuer) = &app.config.oauth2_issuer {
            return Ok(Self(issuer.clone()));
        }
        let peer = Peer::of(parts, app);
        let text = |name| parts.headers.get(name).and_then(|value| value.to_str().ok());
        // Of several proxies the outermost wrote first.
        let forwarded = text("x-forwarded-host").filter(|_| peer.proxied);
        let forwarded = forwarded.and_then(|hosts| hosts.split(',').next()).map(str::trim);
        let listened = app.config.listen.to_string();
        let host = forwarded
            .or_else(|| text(header::HOST.as_str()))
            .or_else(|| parts.uri.authority().map(|authority| authority.as_str()))
            .unwrap_or(&listened);
        let scheme = if peer.secure { "https" } else { "http" };
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]_".contains(&byte);
        let issuer = host.bytes().all(plain).then(|| format!("{scheme}://{host}/oauth2"));
        let issuer = issuer.and_then(|issuer| config::Issuer::parse(&issuer));
        issuer.map(Self).ok_or_else(|| Refused::invalid("the Host header names no host"))
    }
}
