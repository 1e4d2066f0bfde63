//! MCP servers that a request brings along for its run alone.

use super::room::{Room, WEB, answer, unprocessable};
use annals_tests::{
    lines::{check_snapshot, check_whole, parsed},
    mcp_server::McpServer,
    model_server::{Script, ToolCall},
};
use anyhow::Result;
use serde_json::{Value, json};
use std::net::TcpListener;

const LOCAL: (&str, &str) = ("ANNALS_ALLOW_PRIVATE_URLS", "true");

fn calling(tool: &str) -> Script {
    let arguments = json!({"text": "hello", "say": "installed"});
    let tool_calls = vec![ToolCall { name: tool.to_owned(), arguments }];
    Script { deltas: 1, tool_calls, ..Script::default() }
}

#[tokio::test]
async fn its_tools_are_offered_and_called_and_its_key_is_nowhere() -> Result<()> {
    let room = Room::open_with(&[LOCAL]).await?;
    let server = McpServer::start(Some("a-secret-of-the-server"))?;
    server.change_tools(&["shout", "echo"]);
    let config = json!({"docs": {"url": server.url(), "api_key": "a-secret-of-the-server"},
        "off": {"command": "rm", "disabled": true}});
    let lines = room.asked("s", &calling("shout"), &json!({"extra_mcp_config": config})).await?;
    check_whole(&lines)?;
    let values = parsed(&lines)?;
    let result = values.iter().find(|line| line["role"] == "tool").unwrap();
    assert_eq!(
        (&result["content"], &result["metadata"]["tool_execution_status"]),
        (&json!("hello"), &json!("success"))
    );
    let offered = room.model.calls().all()[0].body["tools"].clone();
    let names: Vec<&str> = offered
        .as_array()
        .unwrap()
        .iter()
        .map(|t| t["function"]["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["shout"], "what is installed keeps its name");
    let log: Vec<String> =
        sqlx::query_scalar("select data::text from events").fetch_all(&room.node.app.db).await?;
    assert!(log.concat().contains(&server.url()) && !log.concat().contains("a-secret"));
    check_snapshot(&room.ann.messages("s").await?, &lines, 0)?;

    // A wrong key, or a server that is away: the run goes on without its tools.
    let away = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let config = json!({"wrong": {"url": server.url(), "api_key": "b"},
        "away": {"url": format!("http://{away}/mcp")}});
    let lines = room.asked("t", &calling("shout"), &json!({"extra_mcp_config": config})).await?;
    check_whole(&lines)?;
    assert!(lines.concat().contains("there is no tool shout"), "{lines:#?}");
    room.close().await
}

#[tokio::test]
async fn what_may_not_be_reached_is_refused_and_leaves_nothing() -> Result<()> {
    let room = Room::open().await?;
    room.node.settled().await?;
    let before = room.node.app.log.head().await?;
    for server in [
        json!({"command": "npx"}),
        json!({"url": "http://127.0.0.1:1/mcp"}),
        json!({"sse_url": "http://169.254.169.254/"}),
        json!({"streamable_http_url": "file:///etc/passwd"}),
        json!({}),
        json!("x"),
    ] {
        let mut body = super::room::hello("s");
        body["extra_mcp_config"] =
            json!({"docs": server, "ok": {"url": "https://a.example", "api_key": "k"}});
        let refused = answer(room.ann.post(WEB).json(&body)).await?;
        unprocessable(&refused, "value_error", &json!(["body", "extra_mcp_config"]));
    }
    let kept: i64 =
        sqlx::query_scalar("select count(*) from secrets where subject like 'run-mcp-%'")
            .fetch_one(&room.node.app.db)
            .await?;
    assert_eq!((room.node.app.log.head().await?, kept), (before, 0));
    let mut body = super::room::hello("s");
    body["extra_mcp_config"] = Value::Null;
    assert_eq!(room.ann.post(WEB).json(&body).send().await?.status(), 200);
    room.close().await
}
