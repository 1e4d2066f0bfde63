//! Base URLs as people paste them.

use crate::effects::{
    fetch::Reach,
    outbound::{self, PublicOnly, Refused},
};
use reqwest::{Url, dns::Resolve};
use std::time::Duration;
use tokio::time::timeout;

/// How long a name may take to resolve; one that takes longer is looked at again when it is called.
const RESOLVED_WITHIN: Duration = Duration::from_secs(3);
/// What the protocol appends to a base URL.
const ENDPOINT: &str = "/chat/completions";

/// Why a URL cannot be saved. The texts may be told to the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadUrl {
    /// It may not be called.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The log keeps URLs for ever, and queries are where keys are put.
    #[error("a base URL has no query and no fragment")]
    Query,
}

/// The base URL that is meant: without blanks around it, trailing slashes, or the endpoint that calls append.
///
/// # Errors
/// When it cannot be called with this reach. A name that does not resolve now passes: it is resolved again by each call.
pub async fn base_url(text: &str, reach: Reach) -> Result<String, BadUrl> {
    let text = text.trim();
    let url = Url::parse(text).map_err(|_| Refused::NotAUrl)?;
    match outbound::check(text) {
        Err(Refused::NotPublic) if reach == Reach::Anywhere && url.has_host() => {}
        checked => drop(checked?),
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(BadUrl::Query);
    }
    if reach == Reach::Public
        && let Some(Ok(name)) = url.domain().map(str::parse)
        && let Ok(Err(error)) = timeout(RESOLVED_WITHIN, PublicOnly.resolve(name)).await
        && let Some(refused) = error.downcast_ref::<Refused>()
    {
        return Err((*refused).into());
    }
    let base = text.trim_end_matches('/');
    let base = base.strip_suffix(ENDPOINT).unwrap_or(base);
    Ok(base.trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_calls_append_is_cut_off() {
        for pasted in [
            "https://1.1.1.1/v1",
            " https://1.1.1.1/v1/ ",
            "https://1.1.1.1/v1/chat/completions",
            "https://1.1.1.1/v1//chat/completions/",
        ] {
            let base = base_url(pasted, Reach::Public).await;
            assert_eq!(base.as_deref(), Ok("https://1.1.1.1/v1"), "{pasted}");
        }
    }

    #[tokio::test]
    async fn inner_addresses_are_for_the_far_reaching() {
        for inner in ["http://127.0.0.1:11434/v1", "http://localhost:11434/v1"] {
            let refused = Err(BadUrl::Refused(Refused::NotPublic));
            assert_eq!(base_url(inner, Reach::Public).await, refused, "{inner}");
            assert_eq!(base_url(inner, Reach::Anywhere).await.as_deref(), Ok(inner));
        }
    }

    #[tokio::test]
    async fn what_could_hold_a_secret_or_is_no_url_is_refused() {
        for (url, why) in [
            ("https://key@example.org/v1", BadUrl::Refused(Refused::Credentials)),
            ("https://example.org/v1?key=abc", BadUrl::Query),
            ("https://example.org/v1#abc", BadUrl::Query),
            ("file:///etc/passwd", BadUrl::Refused(Refused::Scheme)),
            ("example.org", BadUrl::Refused(Refused::NotAUrl)),
        ] {
            for reach in [Reach::Public, Reach::Anywhere] {
                assert_eq!(base_url(url, reach).await, Err(why), "{url}");
            }
        }
    }
}
