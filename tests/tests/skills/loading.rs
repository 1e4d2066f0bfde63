//! What a model gets to load.

use super::hall::{Hall, data, delete, edit, put, skill, text, upload, zip};
use annals_tests::app::Person;
use anyhow::{Context, Result};
use commands::effects::tools::{Call, Outcome, Place, Status, Tool};
use serde_json::json;

pub fn place(person: &Person, agent: Option<&str>, skills: &[&str]) -> Place {
    Place {
        owner: person.user.clone(),
        admin: false,
        agent: agent.map(Into::into),
        conversation: None,
        session_id: String::new(),
        run: None,
        knowledge_bases: vec![],
        skills: skills.iter().map(|name| (*name).to_owned()).collect(),
    }
}

pub async fn tools(hall: &Hall, place: &Place) -> Result<Vec<Tool>> {
    let all = hall.node.app.tools.list(place).await?;
    Ok(all.into_iter().filter(|tool| tool.name == "load_skill").collect())
}

async fn load(hall: &Hall, place: &Place, skill: &str, file: Option<&str>) -> Option<Outcome> {
    let mut arguments = json!({"skill_name": skill});
    if let Some(file) = file {
        arguments["file"] = json!(file);
    }
    let arguments = arguments.as_object().cloned().unwrap_or_default();
    let call = Call { id: "1".to_owned(), name: "load_skill".to_owned(), arguments };
    hall.node.app.tools.call(place, &call).await
}

async fn file_read(hall: &Hall, place: &Place, path: &str) -> Result<Outcome> {
    let arguments = json!({"file_path": path}).as_object().cloned().unwrap_or_default();
    let call = Call { id: "2".to_owned(), name: "file_read".to_owned(), arguments };
    hall.node.app.tools.call(place, &call).await.context("a tool")
}

#[tokio::test]
async fn a_model_loads_a_skill_and_then_its_files() -> Result<()> {
    let hall = Hall::open().await?;
    let ann = &hall.ann;
    let main = text("PDF tools", "Reads PDFs");
    let files =
        [("SKILL.md", main.as_bytes()), ("scripts/run.py", b"print(1)\n"), ("a.bin", b"\xff")];
    data(upload(ann, "a.zip", &zip(&files)?, &[])).await?;
    let place = place(ann, None, &["PDF tools", "no such"]);
    let listed = tools(&hall, &place).await?;
    let tool = listed.first().context("a tool")?;
    assert!(tool.description.contains("- PDF tools: Reads PDFs"), "{}", tool.description);
    assert_eq!(tool.parameters["properties"]["skill_name"]["enum"], json!(["PDF tools"]));

    let loaded = load(&hall, &place, "PDF tools", None).await.context("a tool")?;
    assert_eq!(loaded.status, Status::Success);
    assert!(loaded.content.starts_with(&main), "{}", loaded.content);
    assert!(loaded.content.contains("- scripts/run.py (9 bytes)"), "{}", loaded.content);
    assert!(loaded.content.contains("below skills/PDF-tools/"), "{}", loaded.content);
    let read = file_read(&hall, &place, "skills/PDF-tools/scripts/run.py").await?;
    assert!(read.content.contains("print(1)"), "{}", read.content);
    let script = load(&hall, &place, "PDF-tools", Some("scripts/run.py")).await;
    assert_eq!(script, Some(Outcome::success("print(1)\n")));
    for (skill, file) in [
        ("other", None),
        ("", None),
        ("PDF tools", Some("../../etc/passwd")),
        ("PDF tools", Some("nothing")),
        ("PDF tools", Some("a.bin")),
    ] {
        let refused = load(&hall, &place, skill, file).await.context("a tool")?;
        assert_eq!(refused.status, Status::Error, "{skill} {file:?}: {}", refused.content);
    }
    hall.close().await
}

#[tokio::test]
async fn what_was_laid_out_follows_the_skill_and_is_the_callers_own() -> Result<()> {
    let hall = Hall::open().await?;
    let (ann, bob) = (&hall.ann, &hall.bob);
    put(&hall.root, "tool", "of all", &[("is_system", "true")]).await?;
    let (hers, his) = (place(ann, None, &["tool"]), place(bob, None, &["tool"]));
    load(&hall, &hers, "tool", None).await.context("a tool")?;
    let before = hall.node.settled().await?;
    load(&hall, &hers, "tool", None).await.context("a tool")?;
    assert_eq!(hall.node.settled().await?, before);
    assert_eq!(file_read(&hall, &his, "skills/tool/SKILL.md").await?.status, Status::Error);
    assert_eq!(file_read(&hall, &hers, "skills/tool/SKILL.md").await?.status, Status::Success);

    let new = json!({"name": "tool", "content": text("tool", "changed")});
    data(edit(&hall.root, &new)).await?;
    let loaded = load(&hall, &hers, "tool", None).await.context("a tool")?;
    assert!(loaded.content.contains("changed"), "{}", loaded.content);
    let read = file_read(&hall, &hers, "skills/tool/SKILL.md").await?;
    assert!(read.content.contains("changed"), "{}", read.content);
    hall.close().await
}

#[tokio::test]
async fn only_attached_skills_of_the_agents_owner_are_loaded() -> Result<()> {
    let hall = Hall::open().await?;
    let (ann, bob) = (&hall.ann, &hall.bob);
    let agent = hall.agent(ann, "Helper", &["a", "b"]).await?;
    put(ann, "a", "of ann", &[]).await?;
    put(bob, "a", "of bob", &[]).await?;
    put(bob, "b", "of bob", &[]).await?;
    data(upload(&hall.root, "c.zip", &skill("c", "of all")?, &[("is_system", "true")])).await?;

    assert_eq!(tools(&hall, &place(ann, None, &[])).await?, []);
    assert_eq!(load(&hall, &place(ann, None, &[]), "a", None).await, None);
    assert_eq!(tools(&hall, &place(ann, None, &["b"])).await?, []);
    // Bob talks to Ann's agent: her skills count.
    let shared = place(bob, Some(&agent), &["a", "b", "c"]);
    let listed = tools(&hall, &shared).await?;
    let names = &listed.first().context("a tool")?.parameters["properties"]["skill_name"]["enum"];
    assert_eq!(names, &json!(["a", "c"]));
    let loaded = load(&hall, &shared, "a", None).await.context("a tool")?;
    assert!(loaded.content.contains("of ann"), "{}", loaded.content);
    let not_attached = load(&hall, &place(bob, Some(&agent), &["c"]), "a", None).await;
    assert_eq!(not_attached.context("a tool")?.status, Status::Error);
    data(delete(ann, "name=a")).await?;
    let gone = load(&hall, &shared, "a", None).await.context("a tool")?;
    assert_eq!(gone.status, Status::Error);
    hall.close().await
}
