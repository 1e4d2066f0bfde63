//! Skills.

use super::stored;
use crate::Stored;
use annals_domain::{
    document::BlobHash,
    skill::{self, Content, Event, Folder, Home, Origin, Skill, SkillFile},
};
use anyhow::{Context, Result};

pub fn all() -> Result<Vec<Stored>> {
    let folder = Folder::of("PDF tools").context("a name")?;
    let hash = |digit: &str| BlobHash(digit.repeat(64));
    let file =
        |path: &str, mode| SkillFile { path: path.to_owned(), blob: hash("a"), size: 9, mode };
    let content = Content {
        name: "PDF tools".to_owned(),
        description: "Reads \"PDFs\" 汉".to_owned(),
        files: vec![file("SKILL.md", None), file("scripts/run.py", Some(0o755))],
    };
    let upload = Origin::Upload { name: "pdf.zip".to_owned(), archive: hash("b") };
    let url = Origin::Url { url: "https://example.org/pdf.zip".to_owned(), archive: hash("b") };
    let imported = |home, origin: &Origin| Event::SkillImported {
        home,
        folder: folder.clone(),
        content: content.clone(),
        origin: origin.clone(),
    };
    Ok(stored!(Skill, skill::Event;
        SkillImported => [
            imported(Home::System, &upload),
            imported(Home::User { owner: "ann".into() }, &url),
            imported(Home::Agent { owner: "ann".into(), agent: "agent_0123abcd".into() }, &upload),
        ],
        SkillReplaced => [Event::SkillReplaced { content: content.clone(), origin: url.clone() }],
        SkillEdited => [Event::SkillEdited {
            description: "Reads more".to_owned(),
            blob: hash("c"),
            size: 12,
        }],
        SkillDeleted => [Event::SkillDeleted {}],
    ))
}
