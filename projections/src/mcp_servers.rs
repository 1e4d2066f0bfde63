//! Read model: MCP servers and the tools they told last.

use crate::{ApplyError, Projection, column};
use chrono::{DateTime, Utc};
use domain::{
    Recorded, codec,
    ids::UserId,
    mcp_server::{Event, Protocol, Tool},
};
use futures::future::BoxFuture;
use sqlx::{FromRow, PgConnection, PgPool, types::Json};
use uuid::Uuid;

/// Servers listed at most.
const SERVERS: i64 = 500;

/// The projection.
pub struct McpServers;

impl Projection for McpServers {
    fn name(&self) -> &'static str {
        "mcp_servers"
    }

    fn tables(&self) -> &'static [&'static str] {
        &["mcp_servers"]
    }

    fn categories(&self) -> &'static [&'static str] {
        &["mcp_server"]
    }

    fn apply<'a>(
        &'a self,
        db: &'a mut PgConnection,
        recorded: &'a Recorded,
    ) -> BoxFuture<'a, Result<(), ApplyError>> {
        Box::pin(async move {
            let (id, at) = (recorded.stream.key(), recorded.recorded_at);
            let revision = column(recorded.revision.0);
            let statement = match codec::decode::<Event>(&recorded.kind, &recorded.data)? {
                Event::McpServerAdded { owner, name, connection } => sqlx::query(
                    "insert into mcp_servers (server_id, updated_at, revision, owner, name,
                         protocol, url, api_key, saved_by, position, created_at, connected,
                         disabled, tools)
                     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $2, $3, false, '[]')",
                )
                .bind(id)
                .bind(at)
                .bind(revision)
                .bind(owner.map(|owner| owner.0))
                .bind(name)
                .bind(protocol(connection.endpoint.protocol))
                .bind(connection.endpoint.url)
                .bind(connection.api_key.map(|key| key.0))
                .bind(connection.saved_by.0)
                .bind(column(recorded.position.0)),
                Event::ConnectionChanged { connection } => sqlx::query(
                    "update mcp_servers
                     set updated_at = $2, revision = $3, connected = $3, protocol = $4, url = $5,
                         api_key = $6, saved_by = $7
                     where server_id = $1",
                )
                .bind(id)
                .bind(at)
                .bind(revision)
                .bind(protocol(connection.endpoint.protocol))
                .bind(connection.endpoint.url)
                .bind(connection.api_key.map(|key| key.0))
                .bind(connection.saved_by.0),
                Event::ToolsListed { tools } => sqlx::query(
                    "update mcp_servers set updated_at = $2, revision = $3, tools = $4
                     where server_id = $1",
                )
                .bind(id)
                .bind(at)
                .bind(revision)
                .bind(Json(tools)),
                Event::McpServerDisabled {} => switch(true).bind(id).bind(at).bind(revision),
                Event::McpServerEnabled {} => switch(false).bind(id).bind(at).bind(revision),
                Event::McpServerDeleted {} => {
                    sqlx::query("delete from mcp_servers where server_id = $1").bind(id)
                }
                Event::CreationAbandoned {} => return Ok(()),
            };
            statement.execute(db).await?;
            Ok(())
        })
    }
}

type Statement<'q> = sqlx::query::Query<'q, sqlx::Postgres, sqlx::postgres::PgArguments>;

fn switch<'q>(disabled: bool) -> Statement<'q> {
    sqlx::query(match disabled {
        true => {
            "update mcp_servers set updated_at = $2, revision = $3, disabled = true
             where server_id = $1"
        }
        false => {
            "update mcp_servers set updated_at = $2, revision = $3, disabled = false
             where server_id = $1"
        }
    })
}

/// As clients and rows spell it.
pub fn protocol(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::StreamableHttp => "streamable_http",
        Protocol::Sse => "sse",
    }
}

/// An MCP server.
#[derive(Debug, Clone, FromRow)]
pub struct McpServer {
    /// 32 hex digits.
    pub server_id: String,
    /// Whose; `None` for everybody's.
    pub owner: Option<String>,
    /// Unique among its owner's.
    pub name: String,
    /// `streamable_http` or `sse`.
    pub protocol: String,
    /// Where it is.
    pub url: String,
    /// Reference to its key.
    pub api_key: Option<Uuid>,
    /// Who saved URL and key.
    pub saved_by: String,
    /// Whether its tools are out of use.
    pub disabled: bool,
    /// The tools it told last.
    pub tools: Json<Vec<Tool>>,
    /// When it was added.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
    /// Changes whenever it is reached in another way.
    pub connected: i64,
}

impl McpServer {
    /// How it is spoken to.
    pub fn protocol(&self) -> Protocol {
        match self.protocol.as_str() {
            "sse" => Protocol::Sse,
            _ => Protocol::StreamableHttp,
        }
    }
}

/// Whose servers are wanted.
#[derive(Debug, Clone, Copy)]
pub enum Scope<'a> {
    /// This person's and everybody's.
    Of(&'a UserId),
    /// All there are, this person's first.
    All(&'a UserId),
}

/// Servers in the order in which their names count: one's own, everybody's, others'; the older ones first.
///
/// # Errors
/// When the database does not answer.
pub async fn visible(db: &PgPool, scope: Scope<'_>) -> sqlx::Result<Vec<McpServer>> {
    select(db, scope, None).await
}

/// As [`visible`], those of this name.
///
/// # Errors
/// When the database does not answer.
pub async fn named(db: &PgPool, scope: Scope<'_>, name: &str) -> sqlx::Result<Vec<McpServer>> {
    select(db, scope, Some(name)).await
}

async fn select(db: &PgPool, scope: Scope<'_>, name: Option<&str>) -> sqlx::Result<Vec<McpServer>> {
    let (user, all) = match scope {
        Scope::Of(user) => (user, false),
        Scope::All(user) => (user, true),
    };
    sqlx::query_as(
        "select server_id, owner, name, protocol, url, api_key, saved_by, disabled, tools,
             created_at, updated_at, connected
         from mcp_servers
         where ($2 or owner is null or owner = $1) and ($3::text is null or name = $3)
         order by owner is distinct from $1, owner is not null, position
         limit $4",
    )
    .bind(&user.0)
    .bind(all)
    .bind(name)
    .bind(SERVERS)
    .fetch_all(db)
    .await
}
