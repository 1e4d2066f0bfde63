//! Calling tools by way of the port that runs use.

use super::room::{Room, add, add_sse, data};
use annals_tests::{app::TestApp, mcp_server::McpServer};
use anyhow::Result;
use commands::effects::tools::{Outcome, Source};
use domain::mcp_server::Event;
use futures::StreamExt;
use std::time::Duration;
use tokio::time::timeout;

#[tokio::test]
async fn tools_of_both_transports_answer() -> Result<()> {
    let room = Room::open(&[]).await?;
    let server = McpServer::start(Some("a-key"))?;
    data(add(&room.ann, "new", &server.url(), Some("a-key"))).await?;
    data(add_sse(&room.ann, "old", &server.sse_url(), Some("a-key"))).await?;
    let tools = room.tools(&room.ann).await?;
    let names: Vec<_> = tools.iter().map(|tool| &*tool.name).collect();
    assert_eq!(names, ["echo", "fail", "slow", "old__echo", "old__fail", "old__slow"]);
    assert!(tools[0].idempotent && !tools[1].idempotent);
    let source = Source::Mcp { server: "new".to_owned(), owner: Some(room.ann.user.clone()) };
    assert_eq!((&tools[0].source, &*tools[0].description), (&source, "Does echo."));
    for prefix in ["", "old__"] {
        let call = async |tool: &str| room.call(&room.ann, &format!("{prefix}{tool}"), "hi").await;
        assert_eq!(call("echo").await, Some(Outcome::success("hi")));
        assert_eq!(call("fail").await, Some(Outcome::error("it failed")));
        assert_eq!(call("nothing").await, None);
    }
    room.close().await
}

#[tokio::test]
async fn a_server_that_repeats_its_key_gives_it_away_to_nobody() -> Result<()> {
    let room = Room::open(&[]).await?;
    let key = "key-of-the-server";
    let server = McpServer::start(Some(key))?;
    data(add(&room.ann, "new", &server.url(), Some(key))).await?;
    data(add_sse(&room.ann, "old", &server.sse_url(), Some(key))).await?;
    for tool in ["echo", "old__echo"] {
        let answer = room.call(&room.ann, tool, &format!("Bearer {key}!")).await;
        assert_eq!(answer, Some(Outcome::success("Bearer [key]!")));
    }
    room.close().await
}

#[tokio::test]
async fn a_restarted_server_is_reached_again_by_the_next_call() -> Result<()> {
    let room = Room::open(&[]).await?;
    let mut server = McpServer::start(None)?;
    data(add(&room.ann, "new", &server.url(), None)).await?;
    data(add_sse(&room.ann, "old", &server.sse_url(), None)).await?;
    for _ in 0..3 {
        for tool in ["echo", "old__echo"] {
            assert_eq!(room.call(&room.ann, tool, "hi").await, Some(Outcome::success("hi")));
        }
        let address = server.address();
        drop(server);
        server = McpServer::listen(address, None)?;
    }
    server.forget_sessions();
    assert_eq!(room.call(&room.ann, "echo", "hi").await, Some(Outcome::success("hi")));
    room.close().await
}

#[tokio::test]
async fn a_restarted_node_knows_the_tools_without_asking() -> Result<()> {
    let room = Room::open(&[]).await?;
    let server = McpServer::start(Some("key-of-the-server"))?;
    data(add(&room.ann, "docs", &server.url(), Some("key-of-the-server"))).await?;
    let asked = server.methods().len();
    let other = TestApp::on(&room.app.database_url(), &[]).await?;
    let place = super::room::place(&room.ann);
    assert_eq!(super::room::foreign(&other, &room.ann).await?.len(), 3);
    assert_eq!(server.methods().len(), asked);
    let answer = other.app.tools.call(&place, &super::room::call("echo", "hi")).await;
    assert_eq!(answer, Some(Outcome::success("hi")));
    other.stop().await?;
    room.close().await
}

#[tokio::test]
async fn a_server_that_says_so_has_its_tools_looked_at_again() -> Result<()> {
    for old in [false, true] {
        let room = Room::open(&[]).await?;
        let server = McpServer::start(None)?;
        match old {
            false => data(add(&room.ann, "docs", &server.url(), None)).await?,
            true => data(add_sse(&room.ann, "docs", &server.sse_url(), None)).await?,
        };
        let head = room.app.settled().await?;
        let mut news = room.app.app.log.subscribe(head, Default::default());
        server.change_tools(&["echo", "new"]);
        // The first call connects; what changed before is found then.
        room.call(&room.ann, "echo", "hi").await;
        let listed = timeout(Duration::from_secs(20), news.next()).await?;
        assert!(listed.is_some());
        assert_eq!(room.names(&room.ann).await?, ["echo", "new"]);
        assert!(matches!(room.events().await?.last(), Some(Event::ToolsListed { .. })));
        room.close().await?;
    }
    Ok(())
}

#[tokio::test]
async fn the_reach_of_a_url_is_that_of_its_saver_today() -> Result<()> {
    let room = Room::open(&[]).await?;
    let server = McpServer::start(None)?;
    data(add(&room.ann, "docs", &server.url(), None)).await?;
    assert_eq!(room.call(&room.ann, "echo", "hi").await, Some(Outcome::success("hi")));
    let standing =
        commands::identity::Standing { role: Some(domain::user::Role::Creator), status: None };
    let metadata = domain::Metadata::system(uuid::Uuid::now_v7());
    let ann = std::slice::from_ref(&room.ann.user);
    room.app.app.identity.set_standing(ann, standing, &metadata).await?;
    room.app.settled().await?;
    let outcome = room.call(&room.ann, "echo", "hi").await.unwrap();
    assert_eq!(outcome, Outcome::error("the URL does not lead to a public address"));
    room.close().await
}
