//! Versions of the desktop client as the project releases them on GitHub.

mod assets;

use crate::effects::fetch::{FetchError, Fetched, Fetcher, Limits, Reach};
use assets::{Asset, Offered};
use chrono::{DateTime, Utc};
use domain::version::{Artifact, MAX_SIGNATURE, Refusal, Release, Version};
use futures::future::try_join_all;
use reqwest::{Method, Request, Url, header};
use serde::Deserialize;
use std::{
    str::FromStr,
    time::{Duration, Instant},
};
use tokio::sync::Mutex;

/// How long an answer is good for: GitHub counts the calls of anonymous clients.
const FRESH: Duration = Duration::from_secs(15 * 60);
/// A release with its list of files.
const RELEASE: Limits = Limits { bytes: 4 << 20, time: Duration::from_secs(20) };
/// A signature.
const SIGNATURE: Limits = Limits { bytes: MAX_SIGNATURE, time: Duration::from_secs(20) };

/// Where releases are found.
#[derive(Debug)]
pub struct Releases {
    fetcher: Fetcher,
    url: String,
    known: Mutex<Option<(Instant, Latest)>>,
}

/// The latest release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Latest {
    /// What it is called.
    pub version: Version,
    /// What it is.
    pub release: Release,
}

/// Why it is not known. The texts may be told to an administrator.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No answer.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// An answer that is none.
    #[error("{url} answered {status}")]
    Status {
        /// Who.
        url: Url,
        /// What.
        status: u16,
    },
    /// Not the description of a release.
    #[error("not a release: {0}")]
    NotARelease(#[from] serde_json::Error),
    /// A tag that is no version.
    #[error("the tag {0:?} names no version")]
    BadTag(String),
    /// A signature that is no text.
    #[error("{0} is not a signature")]
    BadSignature(Url),
}

impl Releases {
    /// Those of the repository whose latest release is described at this URL.
    pub fn new(url: &str, reach: Reach) -> Self {
        Self { fetcher: Fetcher::new(reach), url: url.to_owned(), known: Mutex::default() }
    }

    /// The latest release. Asked for again within a quarter of an hour, it is remembered.
    ///
    /// # Errors
    /// See [`Error`]; failures are not remembered.
    pub async fn latest(&self) -> Result<Latest, Error> {
        // Held while asking: of several at once one asks, within the limits of the calls.
        let mut known = self.known.lock().await;
        if let Some((since, latest)) = &*known
            && since.elapsed() < FRESH
        {
            return Ok(latest.clone());
        }
        let latest = self.ask().await?;
        *known = Some((Instant::now(), latest.clone()));
        Ok(latest)
    }

    async fn ask(&self) -> Result<Latest, Error> {
        let described = self.get(&self.url, "application/vnd.github+json", RELEASE).await?;
        let described: Described = serde_json::from_slice(&described.body)?;
        let version = described.version()?;
        let offered = assets::grouped(&described.assets);
        let artifacts = try_join_all(offered.into_iter().map(|it| self.signed(it))).await?;
        let notes = described.body.unwrap_or_default();
        let published_at = described.published_at.unwrap_or_else(Utc::now);
        Ok(Latest { version, release: Release { notes, published_at, artifacts } })
    }

    /// With the signature itself in place of where it is.
    async fn signed(&self, offered: Offered) -> Result<Artifact, Error> {
        let updater_signature = match &offered.signature_url {
            None => None,
            Some(url) => {
                let fetched = self.get(url, "*/*", SIGNATURE).await?;
                match std::str::from_utf8(&fetched.body) {
                    Ok(text) => Some(text.trim().to_owned()),
                    Err(_) => return Err(Error::BadSignature(fetched.url)),
                }
            }
        };
        Ok(Artifact {
            platform: offered.platform,
            installer_url: offered.installer_url,
            updater_url: offered.updater_url,
            updater_signature,
        })
    }

    async fn get(&self, url: &str, accept: &'static str, limits: Limits) -> Result<Fetched, Error> {
        let url = Url::from_str(url)
            .map_err(|_| FetchError::Refused(crate::effects::outbound::Refused::NotAUrl))?;
        let mut request = Request::new(Method::GET, url);
        let accept = header::HeaderValue::from_static(accept);
        request.headers_mut().insert(header::ACCEPT, accept);
        let fetched = self.fetcher.send(request, limits).await?;
        match fetched.status {
            200 => Ok(fetched),
            status => Err(Error::Status { url: without_query(fetched.url), status }),
        }
    }
}

/// A release as GitHub describes it.
#[derive(Debug, Deserialize)]
struct Described {
    tag_name: String,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    published_at: Option<DateTime<Utc>>,
    #[serde(default)]
    assets: Vec<Asset>,
}

impl Described {
    fn version(&self) -> Result<Version, Error> {
        let tag = self.tag_name.trim();
        let tag = tag.strip_prefix("desktop-").unwrap_or(tag);
        let tag = tag.strip_prefix('v').unwrap_or(tag);
        Version::parse(tag).map_err(|_: Refusal| Error::BadTag(self.tag_name.clone()))
    }
}

/// Files lie behind signed URLs.
fn without_query(mut url: Url) -> Url {
    url.set_query(None);
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(tag: &str) -> Option<String> {
        let described =
            Described { tag_name: tag.into(), body: None, published_at: None, assets: vec![] };
        described.version().ok().map(|version| version.as_str().to_owned())
    }

    #[test]
    fn a_tag_names_a_version_with_or_without_its_prefix() {
        for tag in ["1.2.3", "v1.2.3", "desktop-v1.2.3", " desktop-1.2.3 "] {
            assert_eq!(version(tag).as_deref(), Some("1.2.3"), "{tag}");
        }
        assert_eq!(version("v../../x"), None);
        assert_eq!(version(""), None);
    }
}
