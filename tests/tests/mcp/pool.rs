//! The pool of connections, with short deadlines.

use annals_tests::mcp_server::McpServer;
use anyhow::Result;
use commands::effects::{
    fetch::Reach,
    mcp::{Clients, Listener, McpError, Pool, Target, Times},
    tools::Outcome,
};
use domain::mcp_server::{Endpoint, Protocol, Tool};
use futures::future::{BoxFuture, join_all};
use serde_json::{Map, json};
use std::{sync::Arc, time::Duration};
use tokio::sync::mpsc;

fn target(id: &str, protocol: Protocol, url: String) -> Target {
    let endpoint = Endpoint { protocol, url };
    Target { id: id.to_owned(), version: 0, endpoint, api_key: None, reach: Reach::Anywhere }
}

fn both(server: &McpServer) -> [Target; 2] {
    [
        target("new", Protocol::StreamableHttp, server.url()),
        target("old", Protocol::Sse, server.sse_url()),
    ]
}

fn tool(name: &str, idempotent: bool) -> Tool {
    let (name, description) = (name.to_owned(), String::new());
    Tool { name, description, parameters: json!({}), idempotent }
}

async fn echo(pool: &Pool, target: &Target) -> Result<Outcome, McpError> {
    let arguments = Map::from_iter([("text".to_owned(), json!("hi"))]);
    pool.call(target, &tool("echo", true), &arguments).await
}

#[tokio::test]
async fn a_slow_tool_meets_its_deadline_and_holds_up_nobody() -> Result<()> {
    let times = Times { call: Duration::from_secs(2), ..Times::default() };
    let pool = Pool::new(Clients::default(), times, None);
    let (slow, quick) = (McpServer::start(None)?, McpServer::start(None)?);
    for target in both(&slow) {
        let nothing = Map::new();
        let slow_tool = tool("slow", false);
        let waiting = pool.call(&target, &slow_tool, &nothing);
        let others = async {
            slow.asked_for("tools/call").await;
            let quick = both(&quick).map(|target| Target { id: "quick".to_owned(), ..target });
            (echo(&pool, &quick[0]).await, echo(&pool, &target).await)
        };
        let (waited, (other, same)) = tokio::join!(waiting, others);
        assert_eq!(waited.err(), Some(McpError::TooSlow(times.call)));
        assert_eq!((other, same), (Ok(Outcome::success("hi")), Ok(Outcome::success("hi"))));
        slow.asked_for("notifications/cancelled").await;
    }
    Ok(())
}

#[tokio::test]
async fn callers_share_one_connection() -> Result<()> {
    let pool = Pool::new(Clients::default(), Times::default(), None);
    let server = McpServer::start(None)?;
    for target in both(&server) {
        let calls = (0..20).map(|_| echo(&pool, &target));
        for answer in join_all(calls).await {
            assert_eq!(answer, Ok(Outcome::success("hi")));
        }
    }
    let handshakes = server.methods().iter().filter(|method| *method == "initialize").count();
    assert_eq!(handshakes, 2);
    Ok(())
}

#[tokio::test]
async fn a_connect_that_hangs_ends_and_is_tried_anew() -> Result<()> {
    let times = Times { connect: Duration::from_millis(300), ..Times::default() };
    let pool = Pool::new(Clients::default(), times, None);
    // It accepts connections and says nothing.
    let mute = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = mute.local_addr()?;
    for protocol in [Protocol::StreamableHttp, Protocol::Sse] {
        let target = target("mute", protocol, format!("http://{address}/"));
        assert_eq!(echo(&pool, &target).await.err(), Some(McpError::TooSlow(times.connect)));
    }
    drop(mute);
    let server = McpServer::listen(address, None)?;
    let target = target("mute", Protocol::StreamableHttp, server.url());
    assert_eq!(echo(&pool, &target).await, Ok(Outcome::success("hi")));
    Ok(())
}

#[tokio::test]
async fn an_inner_address_is_not_reached_without_leave() -> Result<()> {
    let pool = Pool::new(Clients::default(), Times::default(), None);
    let server = McpServer::start(None)?;
    let by_name = format!("http://localhost:{}", server.address().port());
    for (protocol, url) in [
        (Protocol::StreamableHttp, server.url()),
        (Protocol::Sse, server.sse_url()),
        (Protocol::StreamableHttp, format!("{by_name}/mcp")),
        (Protocol::Sse, format!("{by_name}/sse")),
    ] {
        let target = Target { reach: Reach::Public, ..target("inner", protocol, url) };
        let refused = echo(&pool, &target).await.err();
        assert!(matches!(refused, Some(McpError::Refused(_))), "{refused:?}");
    }
    assert!(server.methods().is_empty());
    Ok(())
}

/// Passes on what it is told.
struct Told(mpsc::UnboundedSender<Vec<String>>);

impl Listener for Told {
    fn told<'a>(&'a self, _: &'a str, tools: Vec<Tool>) -> BoxFuture<'a, ()> {
        drop(self.0.send(tools.into_iter().map(|tool| tool.name).collect()));
        Box::pin(async {})
    }
}

#[tokio::test]
async fn news_of_tools_are_heard_while_connected() -> Result<()> {
    let server = McpServer::start(None)?;
    for target in both(&server) {
        let (send, mut heard) = mpsc::unbounded_channel();
        let times = Times { pause: Duration::from_millis(1), ..Times::default() };
        let pool = Pool::new(Clients::default(), times, Some(Arc::new(Told(send))));
        server.change_tools(&["echo", "old"]);
        assert_eq!(echo(&pool, &target).await, Ok(Outcome::success("hi")));
        assert_eq!(heard.recv().await.unwrap(), ["echo", "old"]);
        server.change_tools(&["echo", "new"]);
        while heard.recv().await.unwrap() != ["echo", "new"] {}
    }
    Ok(())
}

/// Every call finds a server that was restarted since the last one, which the connection may not have noticed.
#[tokio::test]
async fn a_restart_between_calls_is_noticed_by_no_idempotent_call() -> Result<()> {
    let pool = Pool::new(Clients::default(), Times::default(), None);
    let mut server = McpServer::start(None)?;
    for _ in 0..10 {
        for target in both(&server) {
            assert_eq!(echo(&pool, &target).await, Ok(Outcome::success("hi")));
        }
        let address = server.address();
        drop(server);
        server = McpServer::listen(address, None)?;
    }
    Ok(())
}
