//! A node with three people, and shorthands for what they do.

use annals_tests::app::{Person, TestApp};
pub use annals_tests::sage::{answer, data};
use anyhow::Result;
use commands::effects::tools::{Call, Outcome, Place, Source, Tool};
use domain::{mcp_server::Event, user::Role};
use reqwest::{Method, RequestBuilder};
use serde_json::{Map, Value, json};

/// Ann administers, so her servers may be on this machine.
pub struct Room {
    pub app: TestApp,
    pub ann: Person,
    pub bob: Person,
    pub cid: Person,
}

impl Room {
    pub async fn open(settings: &[(&str, &str)]) -> Result<Self> {
        let app = TestApp::start_with(settings).await?;
        let ann = app.user("ann", Role::Administrator).await?;
        let bob = app.user("bob", Role::Creator).await?;
        let cid = app.user("cid", Role::Creator).await?;
        Ok(Self { app, ann, bob, cid })
    }

    pub async fn close(self) -> Result<()> {
        self.app.stop().await
    }

    /// The tools of MCP servers that somebody may call.
    pub async fn tools(&self, person: &Person) -> Result<Vec<Tool>> {
        foreign(&self.app, person).await
    }

    pub async fn names(&self, person: &Person) -> Result<Vec<String>> {
        Ok(self.tools(person).await?.into_iter().map(|tool| tool.name).collect())
    }

    pub async fn call(&self, person: &Person, tool: &str, text: &str) -> Option<Outcome> {
        self.app.app.tools.call(&place(person), &call(tool, text)).await
    }

    /// All events of the log as text.
    pub async fn log(&self) -> Result<String> {
        let rows: Vec<String> =
            sqlx::query_scalar("select data::text from events order by position")
                .fetch_all(&self.app.app.db)
                .await?;
        Ok(rows.join("\n"))
    }

    /// Events about servers, in order.
    pub async fn events(&self) -> Result<Vec<Event>> {
        let rows: Vec<(String, String)> = sqlx::query_as(
            "select type, data::text from events where stream like 'mcp\\_server-%' order by position",
        )
        .fetch_all(&self.app.app.db)
        .await?;
        let event = |(kind, data): (String, String)| {
            let data = serde_json::value::RawValue::from_string(data)?;
            Ok(domain::codec::decode(&kind, &data)?)
        };
        rows.into_iter().map(event).collect()
    }
}

/// As [`Room::tools`], at some node.
pub async fn foreign(app: &TestApp, person: &Person) -> Result<Vec<Tool>> {
    let mut tools = app.app.tools.list(&place(person)).await?;
    tools.retain(|tool| matches!(tool.source, Source::Mcp { .. }));
    Ok(tools)
}

pub fn call(tool: &str, text: &str) -> Call {
    let arguments = Map::from_iter([("text".to_owned(), json!(text))]);
    Call { id: "1".to_owned(), name: tool.to_owned(), arguments }
}

pub fn place(person: &Person) -> Place {
    Place::outside(person.user.clone(), false)
}

pub fn add(person: &Person, name: &str, url: &str, key: Option<&str>) -> RequestBuilder {
    person.post("/api/mcp/add").json(&json!({"name": name, "protocol": "streamable_http",
        "streamable_http_url": url, "sse_url": null, "api_key": key}))
}

pub fn add_sse(person: &Person, name: &str, url: &str, key: Option<&str>) -> RequestBuilder {
    person
        .post("/api/mcp/add")
        .json(&json!({"name": name, "protocol": "sse", "sse_url": url, "api_key": key}))
}

pub fn delete(person: &Person, name: &str) -> RequestBuilder {
    person.request(Method::DELETE, &format!("/api/mcp/{name}"))
}

pub fn put(person: &Person, path: &str) -> RequestBuilder {
    person.request(Method::PUT, path)
}

pub async fn listed(person: &Person) -> Result<Vec<Value>> {
    Ok(data(person.get("/api/mcp/list")).await?["servers"].as_array().unwrap().clone())
}
