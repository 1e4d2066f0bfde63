//! A version of the desktop client that people can download: one stream per version.

use crate::{Decider, Kind};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Longest version, in bytes.
pub const MAX_VERSION: usize = 64;
/// Longest release notes, in characters.
pub const MAX_NOTES: usize = 200_000;
/// Most artifacts of one version.
pub const MAX_ARTIFACTS: usize = 64;
/// Longest platform, in bytes.
pub const MAX_PLATFORM: usize = 64;
/// Longest URL, in bytes.
pub const MAX_URL: usize = 2_048;
/// Longest signature, in bytes.
pub const MAX_SIGNATURE: usize = 16 * 1024;

/// Names that are paths of their own beside `/api/system/version/{version}`.
const RESERVED: [&str; 3] = ["latest", "check", "import_github"];

/// What a version is called, e.g. `1.4.0-beta.2`: letters, digits, `.`, `-`, `+` and `_`, beginning with a letter or digit.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version(String);

impl Version {
    /// The version of this name.
    ///
    /// # Errors
    /// [`Refusal::BadVersion`] when it cannot be one.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b".-+_".contains(&b);
        let first = text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
        let short = text.len() <= MAX_VERSION;
        if first && short && text.bytes().all(plain) && !RESERVED.contains(&text) {
            return Ok(Self(text.to_owned()));
        }
        Err(Refusal::BadVersion)
    }

    /// Its name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A text that sorts, byte by byte, as semantic versioning orders versions. What is no semantic version comes before
    /// all that are.
    pub fn rank(&self) -> String {
        let text = self.0.strip_prefix('v').unwrap_or(&self.0);
        let text = text.split('+').next().unwrap_or_default();
        let (core, before) =
            text.split_once('-').map_or((text, None), |(core, before)| (core, Some(before)));
        let numbers: Option<Vec<u64>> = core.split('.').map(|part| part.parse().ok()).collect();
        let Some(numbers) = numbers.filter(|numbers| numbers.len() <= 3) else {
            return String::new();
        };
        let padded = |n: u64| format!("{n:020}");
        let mut parts: Vec<String> =
            numbers.into_iter().chain(std::iter::repeat(0)).take(3).map(padded).collect();
        match before {
            // A release comes after everything that was before it.
            None => parts.push("~".to_owned()),
            Some(before) => parts.extend(before.split('.').map(|part| match part.parse() {
                Ok(number) => format!("0{}", padded(number)),
                Err(_) => format!("1{part}"),
            })),
        }
        // Lower than everything in a part, so that fewer parts come first.
        parts.join(" ")
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What there is to download for one platform.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// For example `darwin-aarch64`, `windows-x86_64`.
    pub platform: String,
    /// What people download.
    #[serde(default)]
    pub installer_url: Option<String>,
    /// What installed clients update themselves from.
    #[serde(default)]
    pub updater_url: Option<String>,
    /// Signature of the latter.
    #[serde(default)]
    pub updater_signature: Option<String>,
}

/// What is known of a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// What is new.
    pub notes: String,
    /// When it came out.
    pub published_at: DateTime<Utc>,
    /// What there is to download.
    pub artifacts: Vec<Artifact>,
}

/// What happened. Kept for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// It came out.
    VersionPublished {
        /// What it is.
        release: Release,
    },
    /// It is something else now than what was published.
    VersionReplaced {
        /// What it is now.
        release: Release,
    },
    /// It is no longer offered.
    VersionWithdrawn {},
}

/// What somebody wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Offer it; refused when it is offered already.
    Publish(Release),
    /// Offer it like this, whether or not it was offered before.
    Import(Release),
    /// Offer it no longer.
    Withdraw,
}

/// Why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is not offered.
    #[error("version not found")]
    Unknown,
    /// It is offered already.
    #[error("the version exists already")]
    Exists,
    /// No version is called so.
    #[error("a version has 1 to {MAX_VERSION} letters, digits and characters of .-+_")]
    BadVersion,
    /// More than [`MAX_NOTES`].
    #[error("release notes may have at most {MAX_NOTES} characters")]
    LongNotes,
    /// More than [`MAX_ARTIFACTS`].
    #[error("a version may have at most {MAX_ARTIFACTS} artifacts")]
    ManyArtifacts,
    /// No platform is called so.
    #[error("a platform has 1 to {MAX_PLATFORM} letters, digits and characters of .-_")]
    BadPlatform,
    /// Neither http nor https, or not a URL, or longer than [`MAX_URL`].
    #[error("artifacts need http(s) URLs of at most {MAX_URL} bytes")]
    BadUrl,
    /// Longer than [`MAX_SIGNATURE`].
    #[error("a signature may have at most {MAX_SIGNATURE} bytes")]
    LongSignature,
}

impl crate::Refusal for Refusal {
    fn kind(&self) -> Kind {
        match self {
            Self::Unknown => Kind::Unknown,
            Self::Exists => Kind::Conflict,
            Self::BadVersion
            | Self::LongNotes
            | Self::ManyArtifacts
            | Self::BadPlatform
            | Self::BadUrl
            | Self::LongSignature => Kind::Invalid,
        }
    }
}

/// A version as its history leaves it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Offer {
    /// What is offered; `None` before it came out and after it was withdrawn.
    pub release: Option<Release>,
}

impl Decider for Offer {
    const CATEGORY: &'static str = "version";
    type Id = Version;
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Refusal> {
        match (command, &self.release) {
            (Command::Publish(_), Some(_)) => Err(Refusal::Exists),
            (Command::Publish(release) | Command::Import(release), None) => {
                check(release)?;
                Ok(vec![Event::VersionPublished { release: release.clone() }])
            }
            (Command::Import(release), Some(current)) if release == current => Ok(vec![]),
            (Command::Import(release), Some(_)) => {
                check(release)?;
                Ok(vec![Event::VersionReplaced { release: release.clone() }])
            }
            (Command::Withdraw, Some(_)) => Ok(vec![Event::VersionWithdrawn {}]),
            (Command::Withdraw, None) => Err(Refusal::Unknown),
        }
    }

    fn evolve(self, event: &Event) -> Self {
        let release = match event {
            Event::VersionPublished { release } | Event::VersionReplaced { release } => {
                Some(release.clone())
            }
            Event::VersionWithdrawn {} => None,
        };
        Self { release }
    }
}

fn check(release: &Release) -> Result<(), Refusal> {
    if release.notes.chars().count() > MAX_NOTES {
        return Err(Refusal::LongNotes);
    }
    if release.artifacts.len() > MAX_ARTIFACTS {
        return Err(Refusal::ManyArtifacts);
    }
    for artifact in &release.artifacts {
        let platform = &artifact.platform;
        let plain = |b: u8| b.is_ascii_alphanumeric() || b".-_".contains(&b);
        if !(1..=MAX_PLATFORM).contains(&platform.len()) || !platform.bytes().all(plain) {
            return Err(Refusal::BadPlatform);
        }
        if [&artifact.installer_url, &artifact.updater_url]
            .into_iter()
            .flatten()
            .any(|u| !is_web(u))
        {
            return Err(Refusal::BadUrl);
        }
        if artifact.updater_signature.as_ref().is_some_and(|text| text.len() > MAX_SIGNATURE) {
            return Err(Refusal::LongSignature);
        }
    }
    Ok(())
}

/// Whether this is an absolute http or https URL.
fn is_web(url: &str) -> bool {
    let Some((scheme, rest)) = url.split_once("://") else { return false };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let known = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
    let clean = |c: char| !c.is_control() && !c.is_whitespace() && !"<>\"\\".contains(c);
    known && !host.is_empty() && url.len() <= MAX_URL && url.chars().all(clean)
}

#[cfg(test)]
#[path = "version_tests.rs"]
mod tests;
