//! A server as clients see it.

use super::{Fault, vault};
use crate::app::App;
use domain::{
    ids::{McpServerId, SecretId},
    mcp_server::{Protocol, Tool},
};
use futures::{StreamExt, TryStreamExt, stream};
use projections::mcp_servers::McpServer;
use serde::Serialize;
use utoipa::ToSchema;

/// Keys read at a time.
const AT_ONCE: usize = 8;

/// What became of a server.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = McpOutcome)]
pub(super) struct Outcome {
    pub server_name: String,
    /// `success`; after a refresh `refreshed` or `failed`.
    pub status: &'static str,
}

/// Servers.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = McpListing)]
pub(super) struct Listing {
    pub servers: Vec<Item>,
}

/// A server that is gone.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = McpDeleted)]
pub(super) struct Deleted {
    pub server_name: String,
}

/// Whether a server is off.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = McpSwitched)]
pub(super) struct Switched {
    pub server_name: String,
    pub disabled: bool,
}

/// An MCP server. Every key is always there; unset ones are null.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = McpServer)]
pub(super) struct Item {
    name: String,
    /// `streamable_http` or `sse`.
    protocol: String,
    disabled: bool,
    streamable_http_url: Option<String>,
    sse_url: Option<String>,
    /// Masked.
    api_key: Option<String>,
    /// Its owner; empty for everybody's.
    user_id: String,
    tools: Vec<Offered>,
    created_at: String,
    updated_at: String,
}

/// A tool of a server.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = McpTool)]
struct Offered {
    name: String,
    description: String,
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
    let tool = |Tool { name, description, .. }| Offered { name, description };
    Item {
        name: server.name,
        protocol: server.protocol,
        disabled: server.disabled,
        streamable_http_url,
        sse_url,
        api_key,
        user_id: server.owner.unwrap_or_default(),
        tools: server.tools.0.into_iter().map(tool).collect(),
        created_at: super::super::conversations::iso(server.created_at),
        updated_at: super::super::conversations::iso(server.updated_at),
    }
}
