//! A node, an administrator, two people who do not know each other, and their archives.

pub use annals_tests::skill_archive::{upload, zip};
use annals_tests::{
    app::{Person, TestApp},
    audit::audit,
};
use anyhow::{Context, Result};
use commands::log::Direction;
use domain::{
    Decider, Revision, StreamId,
    ids::SkillId,
    skill::{Folder, Home, Skill},
    user::Role,
};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

pub struct Hall {
    pub node: TestApp,
    pub root: Person,
    pub ann: Person,
    pub bob: Person,
}

impl Hall {
    pub async fn open() -> Result<Self> {
        Self::open_with(&[]).await
    }

    pub async fn open_with(settings: &[(&str, &str)]) -> Result<Self> {
        let node = TestApp::start_with(settings).await?;
        let root = node.user("root", Role::Administrator).await?;
        let ann = node.user("ann", Role::Creator).await?;
        let bob = node.user("bob", Role::Creator).await?;
        Ok(Self { node, root, ann, bob })
    }

    /// Nothing of what was done has left log and read models apart.
    pub async fn close(self) -> Result<()> {
        self.node.settled().await?;
        audit(&self.node.database_url()).await?;
        self.node.stop().await
    }

    /// Types of what happened to a skill.
    pub async fn events(&self, home: &Home, name: &str) -> Result<Vec<String>> {
        let id = SkillId::of(home, &Folder::of(name).context("a name")?);
        let stream = StreamId::of::<Skill>(&id);
        let log = &self.node.app.log;
        let read = log.read(&stream, Revision(0), Direction::Forward, 100).await?;
        Ok(read.iter().map(|event| event.kind.to_string()).collect())
    }

    /// How many events of skills there are at all.
    pub async fn written(&self) -> Result<usize> {
        let filter = commands::log::Filter::default();
        let all = self.node.app.log.read_all(domain::Position(0), 10_000, &filter).await?;
        let skills = all.events.iter().filter(|event| event.stream.category() == Skill::CATEGORY);
        Ok(skills.count())
    }

    /// An agent of `person` that has these skills selected.
    pub async fn agent(&self, person: &Person, name: &str, skills: &[&str]) -> Result<String> {
        let config = json!({"name": name, "availableSkills": skills});
        let made = data(person.post("/api/agent/create").json(&config)).await?;
        Ok(made["agent_id"].as_str().context("an id")?.to_owned())
    }
}

/// What belongs to somebody.
pub fn of(person: &Person) -> Home {
    Home::User { owner: person.user.clone() }
}

/// The text of a skill.
pub fn text(name: &str, description: &str) -> String {
    format!("---\nname: {name}\ndescription: {description}\n---\n# {name}\n")
}

/// The archive of a skill with one more file.
pub fn skill(name: &str, description: &str) -> Result<Vec<u8>> {
    let text = text(name, description);
    zip(&[("folder/SKILL.md", text.as_bytes()), ("folder/scripts/run.py", b"print(1)\n")])
}

/// Uploads a skill that is taken.
pub async fn put(
    person: &Person,
    name: &str,
    description: &str,
    fields: &[(&str, &str)],
) -> Result<()> {
    let body = data(upload(person, "skill.zip", &skill(name, description)?, fields)).await?;
    anyhow::ensure!(body == json!({"user_id": person.user}), "{body}");
    Ok(())
}

pub fn delete(person: &Person, query: &str) -> RequestBuilder {
    person.request(Method::DELETE, &format!("/api/skills?{query}"))
}

pub fn edit(person: &Person, body: &Value) -> RequestBuilder {
    person.request(Method::PUT, "/api/skills/content").json(body)
}

/// Status and JSON body.
pub async fn answer(request: RequestBuilder) -> Result<(u16, Value)> {
    let response = request.send().await?;
    let status = response.status().as_u16();
    let text = response.text().await?;
    Ok((status, serde_json::from_str(&text).with_context(|| format!("{status}: {text}"))?))
}

/// `data` of an answer that is a success.
pub async fn data(request: RequestBuilder) -> Result<Value> {
    let (status, mut body) = answer(request).await?;
    anyhow::ensure!(status == 200 && body["code"] == 200, "{status}: {body}");
    Ok(body["data"].take())
}

/// Names and dimensions, as listed.
pub async fn listed(person: &Person, query: &str) -> Result<Vec<(String, String)>> {
    let found = data(person.get(&format!("/api/skills{query}"))).await?;
    let found = found["skills"].as_array().context("a list")?.iter();
    let word = |item: &Value, key: &str| item[key].as_str().unwrap_or_default().to_owned();
    Ok(found.map(|item| (word(item, "name"), word(item, "dimension"))).collect())
}

/// Checks that an answer is this failure, in the envelope.
#[track_caller]
pub fn failed((status, body): &(u16, Value), code: u16, message: &str) {
    assert_eq!((*status, &body["code"]), (code, &json!(code)), "{body}");
    assert_eq!((&body["message"], &body["data"]), (&json!(message), &Value::Null), "{body}");
}
