//! A server as clients see it.

use super::{Fault, vault};
use crate::app::App;
use domain::{
    ids::{McpServerId, SecretId},
    mcp_server::Protocol,
};
use futures::{StreamExt, TryStreamExt, stream};
use projections::mcp_servers::McpServer;
use serde::Serialize;
use serde_json::{Value, json};

/// Keys read at a time.
const AT_ONCE: usize = 8;

/// Every key is always there; unset ones are null.
#[derive(Debug, Serialize)]
pub(super) struct Item {
    name: String,
    protocol: String,
    disabled: bool,
    streamable_http_url: Option<String>,
    sse_url: Option<String>,
    api_key: Option<String>,
    user_id: String,
    tools: Vec<Value>,
    created_at: String,
    updated_at: String,
}

/// Servers as clients see them, in the same order.
pub(super) async fn items(app: &App, servers: Vec<McpServer>) -> Result<Vec<Item>, Fault> {
    let items = stream::iter(servers).map(|server| shown(app, server));
    items.buffered(AT_ONCE).try_collect().await
}

async fn shown(app: &App, server: McpServer) -> Result<Item, Fault> {
    let id = McpServerId::from(server.server_id.as_str());
    let key = app.mcp.servers.key(&id, server.api_key.map(SecretId)).await.map_err(vault)?;
    Ok(item(server, key.map(|key| key.masked())))
}

fn item(server: McpServer, api_key: Option<String>) -> Item {
    let (streamable_http_url, sse_url) = match server.protocol() {
        Protocol::StreamableHttp => (Some(server.url), None),
        Protocol::Sse => (None, Some(server.url)),
    };
    let tool = |tool: &domain::mcp_server::Tool| json!({"name": tool.name, "description": tool.description});
    Item {
        name: server.name,
        protocol: server.protocol,
        disabled: server.disabled,
        streamable_http_url,
        sse_url,
        api_key,
        user_id: server.owner.unwrap_or_default(),
        tools: server.tools.iter().map(tool).collect(),
        created_at: super::super::conversations::iso(server.created_at),
        updated_at: super::super::conversations::iso(server.updated_at),
    }
}
