//! Where clients reach this server, and texts on their way into URLs and headers.

use super::peer::Peer;
use crate::app::App;
use axum::{
    extract::{FromRequestParts, OriginalUri},
    http::{HeaderMap, header, request::Parts, uri::Authority},
};
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};
use std::convert::Infallible;

/// Everything that may not stand in a URL as it is.
const UNPRINTABLE: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'\\');

/// All but what stands for itself everywhere in a URL (RFC 3986, unreserved).
pub const RESERVED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What the paths of this dialect follow, as the client sees it: `https://host/sage`. Empty when the client did not say
/// which host it asked; then paths are relative to wherever it found us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base(pub String);

impl FromRequestParts<App> for Base {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        if let Some(url) = &app.config.public_url {
            return Ok(Self(url.clone()));
        }
        let peer = Peer::of(parts, app);
        let scheme = if peer.secure { "https" } else { "http" };
        // A dialect may be mounted below a prefix, which has been taken off by now.
        let original = parts.extensions.get::<OriginalUri>();
        let prefix = original.and_then(|uri| uri.path().strip_suffix(parts.uri.path()));
        let prefix = prefix.unwrap_or_default();
        Ok(Self(match host(&parts.headers, peer.proxied) {
            Some(host) => format!("{scheme}://{host}{prefix}"),
            None => prefix.to_owned(),
        }))
    }
}

fn host(headers: &HeaderMap, proxied: bool) -> Option<Authority> {
    let forwarded = proxied.then(|| headers.get("x-forwarded-host")).flatten();
    let host = forwarded.or_else(|| headers.get(header::HOST))?.to_str().ok()?;
    let nearest = host.rsplit(',').next().unwrap_or_default().trim();
    nearest.parse().ok().filter(|host: &Authority| !host.as_str().contains('@'))
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

    #[test]
    fn only_a_trusted_proxy_names_another_host() {
        let mut headers = HeaderMap::new();
        let mut set = |name: &'static str, value: &'static str| {
            headers.insert(name, header::HeaderValue::from_static(value));
            [true, false].map(|proxied| host(&headers, proxied).map(|host| host.to_string()))
        };
        let both = |first: &str, second: &str| [Some(first.to_owned()), Some(second.to_owned())];
        assert_eq!(set("host", "a.example:8000"), both("a.example:8000", "a.example:8000"));
        assert_eq!(set("x-forwarded-host", "b.example"), both("b.example", "a.example:8000"));
        assert_eq!(set("host", "user@c.example"), [Some("b.example".to_owned()), None]);
    }
}
