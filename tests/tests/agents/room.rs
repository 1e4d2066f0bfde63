//! A node with a scripted model of the operator's, an administrator, and three people.

pub use annals_tests::sage::{answer, data, raised as refused};
use annals_tests::{
    app::{Person, TestApp},
    audit::audit,
    model_server::{ModelServer, Script},
};
use anyhow::Result;
use domain::user::Role;
use serde_json::{Value, json};

pub struct Room {
    pub model: ModelServer,
    pub node: TestApp,
    pub root: Person,
    pub ann: Person,
    pub bob: Person,
    pub cid: Person,
}

impl Room {
    pub async fn open() -> Result<Self> {
        let model = ModelServer::start(Script::default()).await?;
        let url = model.base_url();
        let settings = [("ANNALS_LLM_BASE_URL", url.as_str()), ("ANNALS_LLM_MODEL", "test-model")];
        let node = TestApp::start_with(&settings).await?;
        Self::around(model, node).await
    }

    /// Without any model.
    pub async fn offline() -> Result<Self> {
        let model = ModelServer::start(Script::default()).await?;
        let node = TestApp::start().await?;
        Self::around(model, node).await
    }

    async fn around(model: ModelServer, node: TestApp) -> Result<Self> {
        let root = node.user("root", Role::Administrator).await?;
        let ann = node.user("ann", Role::Creator).await?;
        let bob = node.user("bob", Role::Creator).await?;
        let cid = node.user("cid", Role::Creator).await?;
        Ok(Self { model, node, root, ann, bob, cid })
    }

    pub async fn close(self) -> Result<()> {
        self.node.settled().await?;
        audit(&self.node.database_url()).await?;
        self.node.stop().await
    }
}

/// Makes an agent and tells its path.
pub async fn agent(who: &Person, config: &Value) -> Result<String> {
    let made = data(who.post("/api/agent/create").json(config)).await?;
    Ok(format!("/api/agent/{}", made["agent_id"].as_str().unwrap()))
}

/// An answer of the scripted model with just this text.
pub fn says(text: &str) -> Script {
    let message = json!({"role": "assistant", "content": text});
    let completion = json!({"object": "chat.completion",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]});
    Script { raw: Some(completion.to_string()), ..Script::default() }
}
