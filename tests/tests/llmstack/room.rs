//! A node with a scripted model beside it, and two people.

use annals_tests::{
    app::{Person, TestApp},
    audit::audit,
    model_server::{ModelServer, Script},
};
use anyhow::{Context, Result};
use domain::{app::stitch::stitch, user::Role};
use reqwest::{Method, RequestBuilder};
use serde_json::{Map, Value, json};

pub struct Room {
    pub model: ModelServer,
    pub node: TestApp,
    pub ann: Person,
    pub bob: Person,
}

impl Room {
    pub async fn open() -> Result<Self> {
        Self::with(&[]).await
    }

    pub async fn with(settings: &[(&str, &str)]) -> Result<Self> {
        let model = ModelServer::start(Script::default()).await?;
        let url = model.base_url();
        let mut all =
            vec![("ANNALS_LLM_BASE_URL", url.as_str()), ("ANNALS_LLM_MODEL", "test-model")];
        all.extend_from_slice(settings);
        let node = TestApp::start_with(&all).await?;
        let ann = node.user("ann", Role::Creator).await?;
        let bob = node.user("bob", Role::Creator).await?;
        Ok(Self { model, node, ann, bob })
    }

    /// Takes everything down; read models and log agree.
    pub async fn close(self) -> Result<()> {
        self.node.settled().await?;
        audit(&self.node.database_url()).await?;
        self.node.stop().await
    }
}

/// The status and the JSON body of an answer; `null` where it is empty.
pub async fn answer(request: RequestBuilder) -> Result<(u16, Value)> {
    let response = request.send().await?;
    let status = response.status().as_u16();
    let text = response.text().await?;
    let body = match text.as_str() {
        "" => Value::Null,
        text => serde_json::from_str(text).with_context(|| format!("{status}: {text}"))?,
    };
    Ok((status, body))
}

/// Sends a YAML body.
pub fn yaml(who: &Person, method: Method, path: &str, text: &str) -> RequestBuilder {
    let request = who.request(method, path).header("content-type", "application/yaml");
    request.body(text.to_owned())
}

/// Makes an app; its id.
pub async fn made(who: &Person, definition: &Value) -> Result<String> {
    let (status, app) = answer(who.post("/api/apps").json(definition)).await?;
    anyhow::ensure!(status == 201, "{status} {app}");
    Ok(app["uuid"].as_str().context("no uuid")?.to_owned())
}

/// An app of one step, which says what it is told.
pub fn echo() -> Value {
    json!({
        "name": "Echo", "type_slug": "web", "draft": false,
        "input_fields": [{"name": "word", "default": "nothing"}],
        "output_template": {"markdown": "Said: {{ echo1.output_str }}"},
        "processors": [{"id": "echo1", "provider_slug": "promptly", "processor_slug": "echo",
            "input": {"input_str": "{{ _inputs0.word }}", "stream": true}}],
    })
}

/// Runs an app; its whole answer.
pub async fn run(who: &Person, app: &str, input: Value) -> Result<Value> {
    let (status, body) =
        answer(who.post(&format!("/api/apps/{app}/run")).json(&json!({ "input": input }))).await?;
    anyhow::ensure!(status == 200, "{status} {body}");
    Ok(body)
}

/// Runs an app; the objects of its stream.
pub async fn pieces(who: &Person, app: &str, input: Value) -> Result<Vec<Value>> {
    let body = json!({"input": input, "stream": true});
    let response = who.post(&format!("/api/apps/{app}/run")).json(&body).send().await?;
    anyhow::ensure!(response.status() == 200, "{}", response.status());
    let text = response.text().await?;
    anyhow::ensure!(text.ends_with('\n'), "the last line has no end");
    text.lines().map(|line| serde_json::from_str(line).context(line.to_owned())).collect()
}

/// What a client puts together from a stream: the rendered template, or all that was said where there is none.
pub fn put_together(pieces: &[Value]) -> Result<Value> {
    let mut whole = Value::Object(Map::new());
    pieces[1..].iter().for_each(|piece| stitch(&mut whole, piece.clone()));
    let template = pieces[0]["template"].as_str().context("no template")?;
    if template.is_empty() {
        return Ok(whole);
    }
    let variables = whole.as_object().context("no object")?;
    let context = commands::app_runs::template::Context::new(variables);
    Ok(commands::app_runs::template::render(template, &context).into())
}
