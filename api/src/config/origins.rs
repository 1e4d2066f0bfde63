//! Which pages may call from elsewhere.

use axum::http::HeaderValue;
use reqwest::Url;

/// Which other origins browsers may call from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origins {
    /// Every one, with a token only: cookies count where they were set.
    WithToken,
    /// These, for whoever is logged in.
    Listed(Vec<HeaderValue>),
}

/// `*`, `none`, or origins with commas between them.
pub(super) fn origins(text: &str) -> Option<Origins> {
    match text {
        "*" => Some(Origins::WithToken),
        "none" => Some(Origins::Listed(Vec::new())),
        list => list
            .split(',')
            .map(|one| origin(one.trim()))
            .collect::<Option<_>>()
            .map(Origins::Listed),
    }
}

/// An origin as browsers write it.
fn origin(text: &str) -> Option<HeaderValue> {
    let url = Url::parse(text).ok()?;
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    let web = matches!(url.scheme(), "http" | "https") && url.username().is_empty();
    (bare && web).then(|| HeaderValue::from_str(&url.origin().ascii_serialization()).ok()).flatten()
}
