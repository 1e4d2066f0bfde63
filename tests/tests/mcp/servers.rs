//! Adding, listing, changing, deleting.

use super::room::{Room, add, add_sse, answer, data, delete, listed, put};
use annals_tests::mcp_server::McpServer;
use anyhow::Result;
use domain::mcp_server::Event;
use reqwest::Method;
use serde_json::json;

const KEY: &str = "sk-very-secret-key";

#[tokio::test]
async fn a_server_is_added_listed_with_its_key_masked_and_deleted() -> Result<()> {
    let room = Room::open(&[]).await?;
    let server = McpServer::start(Some(KEY))?;
    let (status, body) = answer(add(&room.ann, "docs", &server.url(), Some(KEY))).await?;
    assert_eq!(status, 200, "{body}");
    assert_eq!(body["message"], "MCP server docs 添加成功");
    assert_eq!(body["data"], json!({"server_name": "docs", "status": "success"}));

    let shown = listed(&room.ann).await?;
    assert_eq!(shown.len(), 1);
    for (key, value) in [
        ("name", json!("docs")),
        ("protocol", json!("streamable_http")),
        ("disabled", json!(false)),
        ("streamable_http_url", json!(server.url())),
        ("sse_url", json!(null)),
        ("api_key", json!("sk-v***-key")),
        ("user_id", json!(room.ann.user)),
    ] {
        assert_eq!(shown[0][key], value, "{key}");
    }
    let events = room.events().await?;
    assert!(
        matches!(&events[..], [Event::McpServerAdded { .. }, Event::ToolsListed { tools }]
        if tools.len() == 3),
        "{events:?}"
    );
    assert!(!room.log().await?.contains(KEY));

    assert_eq!(data(delete(&room.ann, "docs")).await?, json!({"server_name": "docs"}));
    assert!(listed(&room.ann).await?.is_empty() && room.names(&room.ann).await?.is_empty());
    let kept: i64 = sqlx::query_scalar("select count(*) from secrets where subject like 'mcp-%'")
        .fetch_one(&room.app.app.db)
        .await?;
    assert_eq!(kept, 0);
    let (status, body) = answer(delete(&room.ann, "docs")).await?;
    assert_eq!((status, &body["message"]), (500, &json!("MCP服务器 'docs' 不存在")));
    // The name is free again.
    data(add(&room.ann, "docs", &server.url(), Some(KEY))).await?;
    room.close().await
}

#[tokio::test]
async fn what_does_not_work_is_not_stored() -> Result<()> {
    let room = Room::open(&[]).await?;
    let server = McpServer::start(Some(KEY))?;
    let nothing = format!("http://{}/nothing", server.address());
    for request in [
        add(&room.ann, "docs", "http://127.0.0.1:1/mcp", None),
        add(&room.ann, "docs", &nothing, None),
        add(&room.ann, "docs", &server.url(), Some("wrong")),
        add_sse(&room.ann, "docs", &server.sse_url(), Some("wrong")),
        add_sse(&room.ann, "docs", &nothing, None),
    ] {
        let (status, body) = answer(request).await?;
        assert_eq!((status, &body["code"]), (500, &json!(500)), "{body}");
        assert_eq!(body["message"], "MCP server docs 注册失败");
        assert_ne!(body["error_detail"], "");
    }
    data(add(&room.ann, "docs", &server.url(), Some(KEY))).await?;
    let (status, body) = answer(add(&room.ann, "docs", &server.url(), Some(KEY))).await?;
    assert_eq!((status, &body["message"]), (500, &json!("MCP服务器 'docs' 已存在")));
    assert_eq!(room.events().await?.len(), 2);
    room.close().await
}

#[tokio::test]
async fn malformed_requests_say_where() -> Result<()> {
    let room = Room::open(&[]).await?;
    let url = "https://mcp.example.com";
    for (body, field) in [
        (json!({"protocol": "sse", "sse_url": url}), "name"),
        (json!({"name": "a"}), "protocol"),
        (json!({"name": "a", "protocol": "stdio", "command": "sh"}), "protocol"),
        (json!({"name": "a", "protocol": "sse", "streamable_http_url": url}), "sse_url"),
        (
            json!({"name": "a", "protocol": "streamable_http", "sse_url": url}),
            "streamable_http_url",
        ),
        (json!({"name": "a", "protocol": "sse", "sse_url": "file:///etc/passwd"}), "sse_url"),
        (json!({"name": "a", "protocol": "sse", "sse_url": "http://u:p@e.com"}), "sse_url"),
        (json!({"name": "a/b", "protocol": "sse", "sse_url": url}), "name"),
        (json!({"name": "", "protocol": "sse", "sse_url": url}), "name"),
        (json!({"name": "a", "protocol": "sse", "sse_url": url, "api_key": "a\nb"}), "api_key"),
    ] {
        let (status, told) = answer(room.ann.post("/api/mcp/add").json(&body)).await?;
        assert_eq!((status, &told["detail"][0]["loc"][1]), (422, &json!(field)), "{body}: {told}");
    }
    for inner in ["http://127.0.0.1:9/", "http://169.254.169.254/", "http://[::1]/"] {
        let (status, _) = answer(add(&room.bob, "a", inner, None)).await?;
        assert_eq!(status, 422, "{inner}");
    }
    // A name leads home, too; that shows when it is resolved.
    let (status, body) = answer(add(&room.bob, "a", "http://localhost:9/", None)).await?;
    assert_eq!((status, &body["message"]), (500, &json!("MCP server a 注册失败")));
    let (status, _) = answer(room.app.nobody()?.get("/api/mcp/list")).await?;
    assert_eq!(status, 401);
    assert!(room.events().await?.is_empty());
    room.close().await
}

#[tokio::test]
async fn a_server_is_its_owners() -> Result<()> {
    let room = Room::open(&[("ANNALS_ALLOW_PRIVATE_URLS", "true")]).await?;
    let server = McpServer::start(None)?;
    data(add(&room.bob, "docs", &server.url(), None)).await?;
    assert!(listed(&room.cid).await?.is_empty() && room.names(&room.cid).await?.is_empty());
    assert_eq!(room.call(&room.cid, "echo", "hi").await, None);
    for request in [
        delete(&room.cid, "docs"),
        room.cid.post("/api/mcp/docs/refresh"),
        put(&room.cid, "/api/mcp/docs/toggle"),
        put(&room.cid, "/api/mcp/docs").json(&json!({"api_key": null})),
    ] {
        let (status, body) = answer(request).await?;
        assert_eq!((status, &body["message"]), (500, &json!("MCP服务器 'docs' 不存在")));
    }
    // Names are each owner's own, so nobody learns of others' by trying.
    data(add(&room.cid, "docs", &server.url(), None)).await?;
    assert_eq!(listed(&room.ann).await?.len(), 2);
    let (_, body) = answer(delete(&room.ann, "docs")).await?;
    assert!(body["message"].as_str().unwrap().contains("user_id"), "{body}");
    let theirs = format!("docs?user_id={}", room.bob.user);
    data(delete(&room.ann, &theirs)).await?;
    assert!(listed(&room.bob).await?.is_empty());
    assert_eq!(listed(&room.cid).await?.len(), 1);
    room.close().await
}

#[tokio::test]
async fn an_administrator_adds_servers_for_everybody() -> Result<()> {
    let room = Room::open(&[]).await?;
    let server = McpServer::start(None)?;
    let body =
        json!({"name": "all", "protocol": "sse", "sse_url": server.sse_url(), "user_id": ""});
    data(room.ann.post("/api/mcp/add").json(&body)).await?;
    assert_eq!(listed(&room.bob).await?[0]["user_id"], "");
    assert_eq!(room.names(&room.bob).await?, ["echo", "fail", "slow"]);
    assert_eq!(room.call(&room.bob, "echo", "hi").await.unwrap().content, "hi");
    for (request, message) in [
        (delete(&room.bob, "all"), "无权删除该MCP服务器"),
        (room.bob.post("/api/mcp/all/refresh"), "无权操作该MCP服务器"),
        (room.bob.request(Method::PUT, "/api/mcp/all/toggle"), "无权操作该MCP服务器"),
    ] {
        let (status, body) = answer(request).await?;
        assert_eq!((status, &body["message"]), (500, &json!(message)));
    }
    data(delete(&room.ann, "all")).await?;
    room.close().await
}

#[tokio::test]
async fn a_masked_key_sent_back_is_the_key() -> Result<()> {
    let room = Room::open(&[]).await?;
    let server = McpServer::start(Some(KEY))?;
    data(add(&room.ann, "docs", &server.url(), Some(KEY))).await?;
    let changed = json!({"name": "docs", "protocol": "sse", "sse_url": server.sse_url(),
        "api_key": "sk-v***-key"});
    data(put(&room.ann, "/api/mcp/docs").json(&changed)).await?;
    let shown = &listed(&room.ann).await?[0];
    assert_eq!((&shown["protocol"], &shown["api_key"]), (&json!("sse"), &json!("sk-v***-key")));
    assert_eq!(room.call(&room.ann, "echo", "hi").await.unwrap().content, "hi");
    // Without the key it does not work, so it is not saved.
    let (status, _) =
        answer(put(&room.ann, "/api/mcp/docs").json(&json!({"api_key": null}))).await?;
    assert_eq!(status, 500);
    let renamed = json!({"name": "other"});
    assert_eq!(answer(put(&room.ann, "/api/mcp/docs").json(&renamed)).await?.0, 422);
    assert_eq!(listed(&room.ann).await?[0]["api_key"], "sk-v***-key");
    assert!(!room.log().await?.contains(KEY));
    room.close().await
}

#[tokio::test]
async fn a_switch_takes_the_tools_out_of_use() -> Result<()> {
    let room = Room::open(&[]).await?;
    let server = McpServer::start(None)?;
    data(add(&room.ann, "docs", &server.url(), None)).await?;
    let toggled = async || data(put(&room.ann, "/api/mcp/docs/toggle")).await;
    assert_eq!(toggled().await?, json!({"server_name": "docs", "disabled": true}));
    assert!(room.names(&room.ann).await?.is_empty());
    assert_eq!(room.call(&room.ann, "echo", "hi").await, None);
    assert_eq!(listed(&room.ann).await?[0]["disabled"], true);
    assert_eq!(toggled().await?["disabled"], false);
    assert_eq!(room.names(&room.ann).await?.len(), 3);
    room.close().await
}

#[tokio::test]
async fn a_refresh_that_fails_keeps_the_tools() -> Result<()> {
    let room = Room::open(&[]).await?;
    let server = McpServer::start(None)?;
    data(add(&room.ann, "docs", &server.url(), None)).await?;
    server.change_tools(&["echo", "new"]);
    let refreshed = data(room.ann.post("/api/mcp/docs/refresh")).await?;
    assert_eq!(refreshed, json!({"server_name": "docs", "status": "refreshed"}));
    assert_eq!(room.names(&room.ann).await?, ["echo", "new"]);
    drop(server);
    let failed = data(room.ann.post("/api/mcp/docs/refresh")).await?;
    assert_eq!(failed, json!({"server_name": "docs", "status": "failed"}));
    assert_eq!(room.names(&room.ann).await?, ["echo", "new"]);
    // The rows are what the log says.
    annals_tests::audit::audit(&room.app.database_url()).await?;
    room.close().await
}
