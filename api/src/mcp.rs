//! MCP servers for this node: what people have saved, brought together with the connections to it.

use crate::app::PATIENCE;
use commands::{
    effects::{
        fetch::Reach,
        mcp::{Clients, Listener, Pool, Target, Times},
        tools::{
            Place, ToolsUnavailable,
            mcp::{Directory, McpTools, Server},
            mcp_run::{RunTools, Wanted},
        },
        vault::{Vault, VaultError},
    },
    execute::Failure,
    log::EventLog,
    mcp::{Error, McpServers},
};
use domain::{
    Metadata,
    ids::{McpServerId, SecretId, UserId},
    mcp_server::{Command, Connection, Endpoint, RunServer, Tool},
    user::Status,
};
use futures::future::BoxFuture;
use projections::{
    Projections,
    mcp_servers::{self as read_model, McpServer, Scope},
    users,
};
use sqlx::PgPool;
use std::sync::Arc;
use uuid::Uuid;

/// Everything about MCP servers that handlers and runs need. Cheap to clone.
#[derive(Clone)]
pub struct Mcp {
    /// Adding, changing, deleting.
    pub servers: McpServers,
    /// For connections outside the pool.
    pub clients: Clients,
    /// How long things may take.
    pub times: Times,
    /// The connections.
    pub pool: Pool,
    saved: Arc<Saved>,
}

impl Mcp {
    /// Over this log and these read models. Connects to nothing.
    pub fn new(
        servers: McpServers,
        log: Arc<dyn EventLog>,
        db: PgPool,
        projections: Projections,
        allow_private_urls: bool,
    ) -> Self {
        let (clients, times) = (Clients::default(), Times::default());
        let saved =
            Arc::new(Saved { servers: servers.clone(), log, db, projections, allow_private_urls });
        let pool = Pool::new(clients.clone(), times, Some(saved.clone()));
        Self { servers, clients, times, pool, saved }
    }

    /// The tools of all saved servers.
    pub fn tools(&self) -> McpTools {
        McpTools::new(self.pool.clone(), self.saved.clone(), self.times)
    }

    /// How far the URLs of somebody who administers, or does not, may lead.
    pub fn reach(&self, admin: bool) -> Reach {
        self.saved.reach(admin)
    }

    /// Servers that a request names for its run alone, their keys put away: what the log may hold of them.
    ///
    /// # Errors
    /// When the secret store does not answer.
    pub async fn keep_for_run(
        &self,
        vault: &Vault,
        wanted: Vec<Wanted>,
    ) -> Result<Vec<RunServer>, VaultError> {
        let mut servers = Vec::new();
        for Wanted { name, endpoint, api_key } in wanted {
            let api_key = match api_key {
                Some(key) => {
                    let secret = SecretId(Uuid::now_v7());
                    vault.put(&run_subject(secret), secret, &key).await?;
                    Some(secret)
                }
                None => None,
            };
            servers.push(RunServer { name, endpoint, api_key });
        }
        Ok(servers)
    }

    /// The tools of such servers. They reach no further than anybody's URLs, whoever asks.
    ///
    /// # Errors
    /// When the secret store does not answer.
    pub async fn of_run(
        &self,
        vault: &Vault,
        owner: &UserId,
        servers: &[RunServer],
    ) -> Result<RunTools, VaultError> {
        let mut with_keys = Vec::new();
        for server in servers {
            let key = match server.api_key {
                Some(secret) => vault.get(&run_subject(secret), secret).await?,
                None => None,
            };
            with_keys.push((server.clone(), key));
        }
        let (clients, reach) = (self.clients.clone(), self.reach(false));
        Ok(RunTools::new(clients, self.times, owner.clone(), reach, with_keys))
    }

    /// How this server is reached now.
    ///
    /// # Errors
    /// When the database or the secret store does not answer.
    pub async fn target(&self, row: McpServer) -> Result<Target, ToolsUnavailable> {
        self.saved.target(&server(row)).await
    }
}

/// Whose secret the key is that a run's server is shown: its own.
fn run_subject(secret: SecretId) -> String {
    format!("run-mcp-{secret}")
}

/// What people have saved.
struct Saved {
    servers: McpServers,
    log: Arc<dyn EventLog>,
    db: PgPool,
    projections: Projections,
    allow_private_urls: bool,
}

impl Saved {
    fn reach(&self, admin: bool) -> Reach {
        if admin || self.allow_private_urls { Reach::Anywhere } else { Reach::Public }
    }

    async fn settled(&self) -> Result<(), ToolsUnavailable> {
        let head = self.log.head().await.map_err(unavailable)?;
        if let Err(lagging) = self.projections.wait_for("mcp_servers", head, PATIENCE).await {
            tracing::warn!(%lagging, "tools are listed from an old read model");
        }
        Ok(())
    }
}

/// The person who asked reads the reason, so it says nothing of the machine.
fn unavailable(error: impl std::fmt::Display) -> ToolsUnavailable {
    tracing::warn!(%error, "MCP servers cannot be looked up");
    ToolsUnavailable("a part of the server does not answer".into())
}

fn server(row: McpServer) -> Server {
    let endpoint = Endpoint { protocol: row.protocol(), url: row.url };
    let api_key = row.api_key.map(SecretId);
    Server {
        id: McpServerId(row.server_id),
        name: row.name,
        owner: row.owner.map(UserId),
        connection: Connection { endpoint, api_key, saved_by: UserId(row.saved_by) },
        version: row.connected,
        tools: row.tools.0,
    }
}

impl Directory for Saved {
    fn servers<'a>(
        &'a self,
        place: &'a Place,
    ) -> BoxFuture<'a, Result<Vec<Server>, ToolsUnavailable>> {
        Box::pin(async move {
            self.settled().await?;
            // Administrators may look at and try everybody's tools, but their agents work with their own.
            let scope = match place.admin && place.run.is_none() {
                true => Scope::All(&place.owner),
                false => Scope::Of(&place.owner),
            };
            let rows = read_model::visible(&self.db, scope).await.map_err(unavailable)?;
            Ok(rows.into_iter().filter(|row| !row.disabled).map(server).collect())
        })
    }

    fn target<'a>(&'a self, server: &'a Server) -> BoxFuture<'a, Result<Target, ToolsUnavailable>> {
        Box::pin(async move {
            let Server { id, connection, version, .. } = server;
            let saver = users::by_id(&self.db, &connection.saved_by).await.map_err(unavailable)?;
            let admin =
                saver.is_some_and(|saver| saver.role.is_admin() && saver.status == Status::Active);
            let api_key = self.servers.key(id, connection.api_key).await.map_err(unavailable)?;
            Ok(Target {
                id: id.0.clone(),
                // What its saver may reach is part of how it is reached: with the role, open connections end.
                version: version * 2 + i64::from(admin),
                endpoint: connection.endpoint.clone(),
                api_key,
                reach: self.reach(admin),
            })
        })
    }
}

impl Listener for Saved {
    fn told<'a>(&'a self, server: &'a str, tools: Vec<Tool>) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let metadata = Metadata::system(Uuid::now_v7());
            let (id, command) = (McpServerId::from(server), Command::ListTools(tools));
            match self.servers.execute(&id, command, &metadata).await {
                // Deleted in the meantime.
                Ok(_) | Err(Error::Refused(_)) => {}
                Err(error) => tracing::warn!(%error, "the tools of an MCP server are not recorded"),
            }
        })
    }
}

impl From<Error> for crate::core::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Refused(refusal) => {
                commands::execute::Error::<domain::mcp_server::Refusal>::Refused(refusal).into()
            }
            Error::Failed(failure) => Failure::into(failure),
            Error::Vault(error) => Self::Unavailable(error.to_string()),
        }
    }
}
