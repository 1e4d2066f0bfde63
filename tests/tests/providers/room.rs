//! A node without a model of its own, a scripted model beside it, an administrator and two people.

pub use annals_tests::sage::{answer, data, returned as refused};
use annals_tests::{
    app::{Person, TestApp},
    audit::audit,
    lines::Lines,
    model_server::{ModelServer, Script},
};
use anyhow::{Context, Result};
use domain::user::Role;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use sqlx::PgPool;

pub const KEY: &str = "sk-very-secret-key-0123456789";
pub const MASKED: &str = "sk-v***6789";

pub struct Room {
    pub model: ModelServer,
    pub node: TestApp,
    pub root: Person,
    pub ann: Person,
    pub bob: Person,
}

impl Room {
    pub async fn open() -> Result<Self> {
        Self::with(&[]).await
    }

    pub async fn with(settings: &[(&str, &str)]) -> Result<Self> {
        let model = ModelServer::start(Script::default()).await?;
        let node = TestApp::start_with(settings).await?;
        let root = node.user("root", Role::Administrator).await?;
        let ann = node.user("ann", Role::Creator).await?;
        let bob = node.user("bob", Role::Creator).await?;
        Ok(Self { model, node, root, ann, bob })
    }

    /// A body that saves the scripted model.
    pub fn local(&self) -> Value {
        json!({"name": "Local", "base_url": self.model.base_url(), "api_keys": [KEY],
            "model": "test-model"})
    }

    /// Saves it as an administrator, who may have a local one.
    pub async fn saved(&self) -> Result<Value> {
        data(self.root.post("/api/llm-provider/create").json(&self.local())).await
    }

    /// The lines of one answer.
    pub async fn said(&self, who: &Person, request: &Value) -> Result<Vec<Value>> {
        let stream = who.post("/api/web-stream").json(request).send().await?;
        let mut lines: Vec<String> = Vec::new();
        Lines::of(stream).await?.rest(&mut lines).await?;
        lines.iter().map(|line| serde_json::from_str(line).context("a line")).collect()
    }

    /// The whole log as text.
    pub async fn log(&self) -> Result<String> {
        let db = PgPool::connect(&self.node.database_url()).await?;
        let events: Vec<String> =
            sqlx::query_scalar("select data::text || metadata::text from events")
                .fetch_all(&db)
                .await?;
        db.close().await;
        Ok(events.join("\n"))
    }

    /// Nothing of what was done has left log and read models apart, or a key in the log.
    pub async fn close(self) -> Result<()> {
        self.node.settled().await?;
        anyhow::ensure!(!self.log().await?.contains("very-secret"), "a key is in the log");
        audit(&self.node.database_url()).await?;
        self.node.stop().await
    }
}

/// A request for the provider of this answer.
pub fn at(who: &Person, method: Method, what: &str, provider: &Value) -> RequestBuilder {
    who.request(method, &format!("/api/llm-provider/{what}/{}", provider["id"].as_str().unwrap()))
}

pub fn hello(more: Value) -> Value {
    let mut request = json!({"messages": [{"role": "user", "content": "hello"}]});
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    request
}

/// The words of these lines.
pub fn words(lines: &[Value]) -> String {
    lines.iter().filter_map(|line| line["content"].as_str()).collect()
}
