//! Where a request comes from. Only what trusted proxies say is believed, and only about the hop before them.

use crate::app::App;
use axum::{
    extract::{ConnectInfo, FromRequestParts},
    http::{HeaderMap, request::Parts},
};
use ipnet::IpNet;
use std::{
    convert::Infallible,
    net::{IpAddr, SocketAddr},
};

/// Where a request comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// The client's address; `None` when there is no connection (in tests).
    pub address: Option<IpAddr>,
    /// Whether it came through a trusted proxy.
    pub proxied: bool,
    /// Whether the client speaks TLS: a trusted proxy says so, or everybody does by the configured public URL.
    pub secure: bool,
}

impl Peer {
    /// From the connection's other end and the headers.
    pub fn new(direct: Option<IpAddr>, headers: &HeaderMap, trusted: &[IpNet]) -> Self {
        let is_trusted = |address: &IpAddr| trusted.iter().any(|network| network.contains(address));
        let direct = direct.map(|address| address.to_canonical());
        if !direct.is_some_and(|address| is_trusted(&address)) {
            return Self { address: direct, proxied: false, secure: false };
        }
        let forwarded = headers.get_all("x-forwarded-for").iter();
        let hops = forwarded.filter_map(|value| value.to_str().ok()).flat_map(|v| v.split(','));
        let hops: Vec<Option<IpAddr>> = hops.map(|hop| hop.trim().parse().ok()).collect();
        // From the nearest hop outwards; the first that is no proxy of ours is the client. What is beyond, anybody can
        // have written.
        let mut address = direct;
        for hop in hops.into_iter().rev() {
            let Some(hop) = hop else { break };
            address = Some(hop.to_canonical());
            if !is_trusted(&hop.to_canonical()) {
                break;
            }
        }
        let scheme = headers.get("x-forwarded-proto").and_then(|value| value.to_str().ok());
        let secure = scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"));
        Self { address, proxied: true, secure }
    }

    /// Of this request.
    pub fn of(parts: &Parts, app: &App) -> Self {
        let direct = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        let direct = direct.map(|ConnectInfo(address)| address.ip());
        let peer = Self::new(direct, &parts.headers, &app.config.trusted_proxies);
        let public = app.config.public_url.as_deref().unwrap_or_default();
        Self { secure: peer.secure || public.starts_with("https://"), ..peer }
    }
}

impl FromRequestParts<App> for Peer {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        Ok(Self::of(parts, app))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use axum::http::HeaderValue;

    fn peer(direct: &str, forwarded: &str) -> Peer {
        let trusted = ["10.0.0.0/8".parse().unwrap()];
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", HeaderValue::from_str(forwarded).unwrap());
        headers.insert("x-forwarded-proto", HeaderValue::from_static("https"));
        Peer::new(Some(direct.parse().unwrap()), &headers, &trusted)
    }

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn a_stranger_is_not_believed() {
        let found = peer("203.0.113.5", "198.51.100.1");
        let expected = Peer { address: address("203.0.113.5"), proxied: false, secure: false };
        assert_eq!(found, expected);
    }

    #[test]
    fn a_trusted_proxy_is_believed_about_the_hop_before_it() {
        assert_eq!(peer("10.0.0.1", "1.1.1.1, 203.0.113.5").address, address("203.0.113.5"));
        assert_eq!(peer("10.0.0.1", "203.0.113.5, 10.2.3.4").address, address("203.0.113.5"));
        assert!(peer("10.0.0.1", "203.0.113.5").secure);
    }

    #[test]
    fn a_forwarded_for_that_is_no_address_ends_the_walk() {
        assert_eq!(
            peer("10.0.0.1", "203.0.113.5, nonsense, 10.2.3.4").address,
            address("10.2.3.4")
        );
        assert_eq!(peer("10.0.0.1", "").address, address("10.0.0.1"));
    }

    #[test]
    fn an_address_mapped_into_version_six_is_the_same_address() {
        assert!(peer("::ffff:10.0.0.1", "203.0.113.5").proxied);
    }
}
