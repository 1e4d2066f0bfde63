//! Versions and uploads: what an installation offers to everybody who has the link.

use super::stored;
use crate::Stored;
use annals_domain::{
    document::BlobHash,
    upload::{self, Upload},
    version::{self, Artifact, Offer, Release},
};
use anyhow::Result;

pub fn all() -> Result<Vec<Stored>> {
    let full = Artifact {
        platform: "darwin-aarch64".to_owned(),
        installer_url: Some("https://example.org/a.dmg".to_owned()),
        updater_url: Some("https://example.org/a.app.tar.gz".to_owned()),
        updater_signature: Some("c2ln".to_owned()),
    };
    let bare = Artifact { platform: "linux-x86_64".to_owned(), ..Artifact::default() };
    let release = Release {
        notes: "Faster".to_owned(),
        published_at: super::time("2026-02-03T04:05:06.000007Z")?,
        artifacts: vec![full, bare],
    };
    let mut all = stored!(Offer, version::Event;
        VersionPublished => [version::Event::VersionPublished { release: release.clone() }],
        VersionReplaced => [version::Event::VersionReplaced { release }],
        VersionWithdrawn => [version::Event::VersionWithdrawn {}],
    );
    all.extend(stored!(Upload, upload::Event;
        FileUploaded => [upload::Event::FileUploaded {
            owner: "ann".into(),
            key: "uploads/猫.png".to_owned(),
            blob: BlobHash("ab".repeat(32)),
            size: 4096,
            media_type: "image/png".to_owned(),
        }],
        FileRemoved => [upload::Event::FileRemoved {}],
    ));
    Ok(all)
}
