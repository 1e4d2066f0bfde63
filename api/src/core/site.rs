//! Where clients reach this server, and texts on their way into URLs and headers.

use super::peer::Peer;
use crate::app::App;
use axum::{
    extract::{FromRequestParts, OriginalUri},
    http::{HeaderMap, Uri, header, request::Parts, uri::Authority},
};
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};
use std::convert::Infallible;

/// Everything that may not stand in a URL as it is.
const UNPRINTABLE: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'\\');

/// All but what stands for itself everywhere in a URL (RFC 3986, unreserved).
pub const RESERVED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Where clients reach this server: as configured, or else as the request says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// `https://host`, or the configured URL; `None` when the request does not say which host it asks.
    pub root: Option<String>,
    /// What came before the dialect's paths and has been taken off by now: `/sage`, or empty.
    prefix: String,
}

impl Site {
    /// What the paths of this dialect follow: `https://host/sage`. Without a known host they are relative to wherever
    /// the client found us.
    pub fn base(&self) -> String {
        format!("{}{}", self.root.as_deref().unwrap_or_default(), self.prefix)
    }
}

impl FromRequestParts<App> for Site {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        if let Some(url) = &app.config.public_url {
            return Ok(Self { root: Some(url.clone()), prefix: String::new() });
        }
        let peer = Peer::of(parts, app);
        let scheme = if peer.secure { "https" } else { "http" };
        let original = parts.extensions.get::<OriginalUri>();
        let prefix = original.and_then(|uri| uri.path().strip_suffix(parts.uri.path()));
        Ok(Self {
            root: host(&parts.headers, &parts.uri, peer.proxied)
                .map(|host| format!("{scheme}://{host}")),
            prefix: prefix.unwrap_or_default().to_owned(),
        })
    }
}

/// The host that was asked, by the nearest proxy's word if it is trusted: what stands before it in the header, anybody
/// can have written. Requests of HTTP/2 name the host in their URI.
fn host(headers: &HeaderMap, uri: &Uri, proxied: bool) -> Option<Authority> {
    let forwarded = headers.get_all("x-forwarded-host").iter().next_back().filter(|_| proxied);
    let named = match forwarded.or_else(|| headers.get(header::HOST)) {
        Some(value) => value.to_str().ok()?,
        None => uri.authority()?.as_str(),
    };
    let nearest = named.rsplit(',').next().unwrap_or_default().trim();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]_".contains(&byte);
    nearest.bytes().all(plain).then(|| nearest.parse().ok()).flatten()
}

/// The text as it may stand in a header: what is not visible ASCII is percent-encoded.
pub fn visible(text: &str) -> String {
    utf8_percent_encode(text, UNPRINTABLE).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_hold_visible_characters_only() {
        assert_eq!(visible("/a b/%20/é?\"\r\n"), "/a%20b/%20/%C3%A9?%22%0D%0A");
    }

    fn asked(host_header: &'static str, forwarded: &'static str) -> [Option<String>; 2] {
        let pairs = [("host", host_header), ("x-forwarded-host", forwarded)];
        let mut headers = HeaderMap::new();
        for (name, value) in pairs.into_iter().filter(|(_, value)| !value.is_empty()) {
            headers.append(name, header::HeaderValue::from_static(value));
        }
        let uri = Uri::from_static("https://uri.example/x");
        [true, false].map(|proxied| host(&headers, &uri, proxied).map(|host| host.to_string()))
    }

    #[test]
    fn only_a_trusted_proxy_names_another_host() {
        let both = |first: &str, second: &str| [first, second].map(|host| Some(host.to_owned()));
        let own = "a.example:8000";
        assert_eq!(asked(own, ""), both(own, own));
        assert_eq!(asked(own, "b.example"), both("b.example", own));
        assert_eq!(asked(own, "forged.example, b.example"), both("b.example", own));
        assert_eq!(asked("[::1]:80", "b_c"), both("b_c", "[::1]:80"));
        assert_eq!(asked("", ""), both("uri.example", "uri.example"));
    }

    #[test]
    fn what_names_no_host_is_none() {
        for odd in ["user@c.example", "c.example/x", "c.example?x", "c\"d", "c%2fd"] {
            assert_eq!(asked(odd, ""), [None, None], "{odd}");
        }
    }
}
