//! A node, an administrator, and two people with an agent each.

pub use annals_tests::sage::{answer, data, raised};
use annals_tests::{
    app::{Person, TestApp},
    audit::audit,
};
use anyhow::{Context, Result};
use commands::log::Filter;
use domain::{Position, user::Role};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

pub struct Room {
    pub node: TestApp,
    pub admin: Person,
    pub ann: Person,
    pub bob: Person,
    /// Ann's agent.
    pub agent: String,
}

impl Room {
    pub async fn open() -> Result<Self> {
        Self::open_with(&[]).await
    }

    pub async fn open_with(settings: &[(&str, &str)]) -> Result<Self> {
        let node = TestApp::start_with(settings).await?;
        let admin = node.user("root", Role::Administrator).await?;
        let ann = node.user("ann", Role::Creator).await?;
        let bob = node.user("bob", Role::Creator).await?;
        let create = ann.post("/api/agent/create").json(&json!({"name": "Helper"}));
        let agent = data(create).await?["agent_id"].as_str().unwrap().to_owned();
        Ok(Self { node, admin, ann, bob, agent })
    }

    /// Nothing of what was done has left log and read models apart.
    pub async fn close(self) -> Result<()> {
        self.node.settled().await?;
        audit(&self.node.database_url()).await?;
        self.node.stop().await
    }

    /// A path below the workspace of Ann's agent.
    pub fn at(&self, rest: &str) -> String {
        format!("/api/agent/{}/file_workspace{rest}", self.agent)
    }

    /// Types of the events since `after`, in order.
    pub async fn news(&self, after: Position) -> Result<Vec<String>> {
        let page = self.node.app.log.read_all(after, 1_000, &Filter::default()).await?;
        Ok(page.events.iter().map(|event| event.kind.to_string()).collect())
    }

    /// Ann writes a text file with a tool.
    pub async fn write(&self, path: &str, content: &str) -> Result<Value> {
        let arguments = json!({"file_path": path, "content": content});
        data(self.tool(&self.ann, "file_write", arguments)).await
    }

    /// A direct call in the workspace of Ann's agent.
    pub fn tool(&self, person: &Person, name: &str, arguments: Value) -> RequestBuilder {
        let body = json!({"tool_name": name, "tool_params": arguments, "agent_id": self.agent});
        person.post("/api/tools/exec").json(&body)
    }

    /// What a listing of Ann's shows.
    pub async fn paths(&self, query: &str) -> Result<Vec<String>> {
        let listing = data(self.ann.post(&self.at(query)).json(&json!({}))).await?;
        let files = listing["files"].as_array().context("no files")?;
        Ok(files.iter().map(|file| file["path"].as_str().unwrap().to_owned()).collect())
    }
}

/// Sends a file with a form.
pub fn upload(
    person: &Person,
    path: &str,
    name: &str,
    folder: &str,
    bytes: &[u8],
) -> RequestBuilder {
    let mut body = format!(
        "--line\r\ncontent-disposition: form-data; name=\"target_path\"\r\n\r\n{folder}\r\n--line\r\n\
         content-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n"
    )
    .into_bytes();
    body.extend_from_slice(bytes);
    body.extend_from_slice(b"\r\n--line--\r\n");
    person.post(path).header("content-type", "multipart/form-data; boundary=line").body(body)
}

pub fn delete(person: &Person, path: &str) -> RequestBuilder {
    person.request(Method::DELETE, path)
}
