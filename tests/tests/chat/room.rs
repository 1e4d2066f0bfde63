//! A node with a scripted model, and two people who do not know each other.

use annals_tests::{
    app::{Person, TestApp},
    audit::audit,
    lines::Lines,
    model_server::{ModelServer, Script},
    tools::Scripted,
};
use anyhow::{Context, Result};
use commands::effects::tools::Tools;
use domain::user::Role;
use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};
use std::sync::Arc;

pub const WEB: &str = "/api/web-stream";
pub const TIED: &str = "/api/stream";

pub struct Room {
    pub model: ModelServer,
    pub node: TestApp,
    pub ann: Person,
    pub bob: Person,
}

impl Room {
    pub async fn open() -> Result<Self> {
        Self::open_with(&[]).await
    }

    pub async fn open_with(more: &[(&str, &str)]) -> Result<Self> {
        let model = ModelServer::start(Script::default()).await?;
        let url = model.base_url();
        let settings = [("ANNALS_LLM_BASE_URL", url.as_str()), ("ANNALS_LLM_MODEL", "test-model")];
        let settings = [&settings, more].concat();
        let tools: Vec<Arc<dyn Tools>> = vec![Arc::new(Scripted::default())];
        let node = TestApp::with_tools(&settings, tools).await?;
        let ann = node.user("ann", Role::Creator).await?;
        let bob = node.user("bob", Role::Creator).await?;
        Ok(Self { model, node, ann, bob })
    }

    /// Nothing of what was done has left log and read models apart.
    pub async fn close(self) -> Result<()> {
        self.node.settled().await?;
        audit(&self.node.database_url()).await?;
        self.node.stop().await
    }

    /// A whole run of Ann's.
    pub async fn said(&self, session: &str, script: &Script) -> Result<Vec<String>> {
        let mut lines = Vec::new();
        self.ann.say(WEB, session, &script.message("hello")).await?.rest(&mut lines).await?;
        Ok(lines)
    }

    /// A run of Ann's that is asked for like this: a script, and what the request says besides.
    pub async fn ask(&self, session: &str, script: &Script, besides: &Value) -> Result<Lines> {
        let mut body = json!({"session_id": session, "messages":
            [{"role": "user", "content": script.message("hello")}]});
        let besides = besides.as_object().context("an object")?;
        body.as_object_mut().context("an object")?.extend(besides.clone());
        Lines::of(self.ann.post(WEB).json(&body).send().await?).await
    }

    /// All lines of such a run.
    pub async fn asked(
        &self,
        session: &str,
        script: &Script,
        besides: &Value,
    ) -> Result<Vec<String>> {
        let mut lines = Vec::new();
        self.ask(session, script, besides).await?.rest(&mut lines).await?;
        Ok(lines)
    }

    /// A run of Ann's that says three words and no more until it is stopped.
    pub async fn stuck(&self, path: &str, session: &str) -> Result<(Lines, Vec<String>)> {
        let script = Script { deltas: 9, stall_after: Some(3), ..Script::default() };
        let mut stream = self.ann.say(path, session, &script.message("hello")).await?;
        let mut lines = Vec::new();
        stream.until(3, &mut lines).await?;
        Ok((stream, lines))
    }
}

/// Status and JSON body.
pub async fn answer(request: RequestBuilder) -> Result<(u16, Value)> {
    let response: Response = request.send().await?;
    let status = response.status().as_u16();
    let text = response.text().await?;
    let body = serde_json::from_str(&text).with_context(|| format!("{status}: {text}"))?;
    Ok((status, body))
}

/// `data` of an answer that is a success.
pub async fn data(request: RequestBuilder) -> Result<Value> {
    let (status, mut body) = answer(request).await?;
    anyhow::ensure!(status == 200 && body["code"] == 200, "{status}: {body}");
    Ok(body["data"].take())
}

/// Checks that an answer is this failure, whole and in the envelope.
pub fn failed((status, body): &(u16, Value), code: u16, message: &str) {
    assert_eq!((*status, &body["code"]), (code, &json!(code)), "{body}");
    assert_eq!((&body["message"], &body["data"]), (&json!(message), &Value::Null), "{body}");
    assert!(body["timestamp"].is_f64(), "{body}");
}

/// Checks that an answer is a 422 about the thing at this place.
pub fn unprocessable((status, body): &(u16, Value), kind: &str, place: &Value) {
    assert_eq!(*status, 422, "{body}");
    assert_eq!((&body["detail"][0]["type"], &body["detail"][0]["loc"]), (&json!(kind), place));
}

/// One message of the user.
pub fn hello(session: &str) -> Value {
    json!({"session_id": session, "messages": [{"role": "user", "content": "hello"}]})
}
