//! What comes into knowledge bases.

use super::stored;
use crate::Stored;
use annals_domain::{
    document::BlobHash,
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
    };
    let accepted = |replaced| Event::FilesAccepted {
        owner: "ann".into(),
        task: "fedcba9876543210fedcba9876543210".to_owned(),
        files: vec![file.clone()],
        replaced,
    };
    Ok(stored!(Intake, Event;
        FilesAccepted => [
            accepted(vec!["0123456789abcdef0123456789abcded".into()]),
            accepted(Vec::new()),
        ],
    ))
}
