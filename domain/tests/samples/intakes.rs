//! What comes into knowledge bases.

use super::stored;
use crate::Stored;
use annals_domain::{
    document::{self, BlobHash, Label, Labels, Origin},
    intake::{Event, File, Intake},
};
use anyhow::Result;

pub fn all() -> Result<Vec<Stored>> {
    let file = File {
        document: "0123456789abcdef0123456789abcdee".into(),
        name: "报告.docx".to_owned(),
        blob: BlobHash("ab".repeat(32)),
        size: 4096,
        media_type: String::new(),
        metadata: Labels::default(),
        origin: Origin::File,
    };
    let described = File { metadata: labels(), origin: Origin::Text, ..file.clone() };
    let with = |files, replaced| Event::FilesAccepted {
        owner: "ann".into(),
        task: "fedcba9876543210fedcba9876543210".to_owned(),
        files,
        replaced,
    };
    let accepted = |replaced| with(vec![file.clone()], replaced);
    Ok(stored!(Intake, Event;
        FilesAccepted => [
            accepted(vec!["0123456789abcdef0123456789abcded".into()]),
            accepted(Vec::new()),
            with(vec![described], Vec::new()),
        ],
    ))
}

/// A document that is a file.
pub fn file() -> document::Event {
    uploaded("manual.md", "text/markdown", Labels::default(), Origin::File)
}

/// A document that is a page, of which something is said.
pub fn page() -> document::Event {
    let url = "https://example.org/returns";
    uploaded(url, "text/uri-list", labels(), Origin::Page { url: url.to_owned() })
}

fn uploaded(name: &str, media_type: &str, metadata: Labels, origin: Origin) -> document::Event {
    document::Event::DocumentUploaded {
        knowledge_base: "0123456789abcdef0123456789abcdef".into(),
        owner: "ann".into(),
        task: "fedcba9876543210fedcba9876543210".to_owned(),
        name: name.to_owned(),
        blob: BlobHash("ab".repeat(32)),
        size: 4096,
        media_type: media_type.to_owned(),
        metadata,
        origin,
    }
}

fn labels() -> Labels {
    Labels(
        [
            ("md_current".to_owned(), Label::Flag(true)),
            ("md_region".to_owned(), Label::Text("eu".to_owned())),
            ("md_year".to_owned(), Label::Number(2024.into())),
        ]
        .into(),
    )
}
