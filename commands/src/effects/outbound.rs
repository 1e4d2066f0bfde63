//! Where URLs from users may lead: to public addresses only.
//!
//! Two halves, both needed: [`check`] refuses addresses written into the URL, and [`PublicOnly`] resolves names, leaving
//! out what is not public. Resolving and connecting use the same answer, so a name cannot change its mind in between.

use reqwest::{
    Url,
    dns::{Addrs, Name, Resolve, Resolving},
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Why a URL is not called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is no URL.
    #[error("not a URL")]
    NotAUrl,
    /// Only http and https are called.
    #[error("only http and https URLs are allowed")]
    Scheme,
    /// The URL carries a user name or password.
    #[error("a URL may not carry credentials")]
    Credentials,
    /// The address is loopback, private, link-local or otherwise not public.
    #[error("the URL does not lead to a public address")]
    NotPublic,
}

/// Whether this URL may be called with a client that resolves through [`PublicOnly`].
///
/// # Errors
/// With the reason, which may be told to the user.
pub fn check(url: &str) -> Result<Url, Refused> {
    let url = Url::parse(url).map_err(|_| Refused::NotAUrl)?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Refused::Scheme);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Refused::Credentials);
    }
    // Hosts of http(s) URLs are normalised by the parser: `0x7f.1`, `2130706433` and `[::ffff:7f00:1]` come out as what
    // they are.
    let host = url.host_str().unwrap_or_default();
    let literal = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    if literal.is_ok_and(|address| !is_public(address)) || host.is_empty() {
        return Err(Refused::NotPublic);
    }
    Ok(url)
}

/// Whether packets to this address leave for the public internet.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

/// The special-purpose blocks of RFC 6890 and its successors.
fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = address.is_unspecified()
        || address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_broadcast()
        || address.is_documentation()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && (18..20).contains(&b));
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    if let Some(mapped) = address.to_ipv4() {
        return is_public_v4(mapped);
    }
    let [first, second, third, ..] = address.segments();
    match (first, second) {
        // 64:ff9b:1::/48 is for translation within a site, to whatever the site likes.
        (0x64, 0xff9b) if third != 0 => false,
        // 64:ff9b::/96 and 2002::/16 carry an IPv4 address that a gateway would reach.
        (0x64, 0xff9b) => {
            let [.., a, b] = address.segments();
            let [[a, b], [c, d]] = [a.to_be_bytes(), b.to_be_bytes()];
            is_public_v4(Ipv4Addr::new(a, b, c, d))
        }
        (0x2002, _) => {
            let [_, a, b, ..] = address.segments();
            let [[a, b], [c, d]] = [a.to_be_bytes(), b.to_be_bytes()];
            is_public_v4(Ipv4Addr::new(a, b, c, d))
        }
        // Only 2000::/3 is handed out. Of it 2001::/23 is for protocols (Teredo carries an IPv4 address), 2001:db8::/32 and
        // 3fff::/20 are for documentation.
        (0x2001, 0..0x200 | 0xdb8) | (0x3fff, 0..0x1000) => false,
        _ => first & 0xe000 == 0x2000,
    }
}

/// Resolves names to public addresses only.
#[derive(Debug, Clone, Copy)]
pub struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Vec<SocketAddr> = found.filter(|found| is_public(found.ip())).collect();
            if public.is_empty() {
                return Err(Box::new(Refused::NotPublic) as _);
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_addresses_are_refused_in_every_spelling() {
        for url in [
            "http://127.0.0.1/",
            "http://127.1/",
            "http://2130706433/",
            "http://0x7f000001/",
            "http://[::1]/",
            "http://[::ffff:127.0.0.1]/",
            "http://[64:ff9b::7f00:1]/",
            "http://[2002:7f00:1::]/",
            "http://[64:ff9b:1::808:808]/",
            "http://[2001:0:7f00:1::]/",
            "http://[2001:2::1]/",
            "http://[3fff:fff::1]/",
            "http://10.1.2.3/",
            "http://172.31.0.1/",
            "http://192.168.1.1/",
            "http://169.254.169.254/latest/meta-data",
            "http://100.64.0.1/",
            "http://0.0.0.0:8000/",
            "http://[fd00::1]/",
            "http://[fe80::1]/",
        ] {
            assert_eq!(check(url), Err(Refused::NotPublic), "{url}");
        }
    }

    #[test]
    fn other_schemes_and_credentials_are_refused() {
        assert_eq!(check("file:///etc/passwd"), Err(Refused::Scheme));
        assert_eq!(check("http://user:pw@example.org/"), Err(Refused::Credentials));
        assert_eq!(check("no url"), Err(Refused::NotAUrl));
    }

    #[test]
    fn public_addresses_and_names_pass() {
        for url in [
            "https://example.org/v1",
            "http://1.1.1.1/",
            "http://[2606:4700::1111]/",
            "http://[2001:4860:4860::8888]/",
        ] {
            assert!(check(url).is_ok(), "{url}");
        }
    }

    #[tokio::test]
    async fn a_name_that_leads_home_resolves_to_nothing() -> Result<(), Box<dyn std::error::Error>>
    {
        let resolved = PublicOnly.resolve("localhost".parse()?).await;
        assert!(resolved.is_err());
        Ok(())
    }
}
