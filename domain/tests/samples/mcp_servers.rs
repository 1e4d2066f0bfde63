//! MCP servers.

use super::{SECRET, stored};
use crate::Stored;
use annals_domain::{
    ids::McpServerId,
    mcp_server::{self, Connection, Endpoint, McpServer, Protocol, Tool},
    name::{self, McpServerNames, Name},
};
use anyhow::Result;
use serde_json::json;

type McpServerName = name::Event<McpServerId>;

pub fn all() -> Result<Vec<Stored>> {
    let connection = |protocol, url: &str, api_key| Connection {
        endpoint: Endpoint { protocol, url: url.to_owned() },
        api_key,
        saved_by: "alice".into(),
    };
    let streamed = || connection(Protocol::StreamableHttp, "https://mcp.example.com", Some(SECRET));
    let by_events = || connection(Protocol::Sse, "https://mcp.example.com/sse", None);
    let added = |owner, connection| mcp_server::Event::McpServerAdded {
        owner,
        name: "docs-mcp".to_owned(),
        connection,
    };
    let tool = Tool {
        name: "find".to_owned(),
        description: "Finds a page.".to_owned(),
        parameters: json!({"type": "object", "properties": {"query": {"type": "string"}}}),
        idempotent: true,
    };
    let mut all = stored!(McpServer, mcp_server::Event;
        McpServerAdded => [added(Some("alice".into()), streamed()), added(None, by_events())],
        ConnectionChanged => [E::ConnectionChanged { connection: by_events() }],
        ToolsListed => [E::ToolsListed { tools: vec![tool.clone()] }],
        McpServerDisabled => [E::McpServerDisabled {}],
        McpServerEnabled => [E::McpServerEnabled {}],
        McpServerDeleted => [E::McpServerDeleted {}],
        CreationAbandoned => [E::CreationAbandoned {}],
    );
    let holder = || McpServerId::from("0123456789abcdef0123456789abcdef");
    all.extend(stored!(Name<McpServerNames>, McpServerName;
        NameReserved => [E::NameReserved { holder: holder() }],
        NameReleased => [E::NameReleased { holder: holder() }],
    ));
    Ok(all)
}
