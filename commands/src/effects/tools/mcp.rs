//! Tools of the MCP servers that people have added. They are listed from what is remembered; only a call connects.

use super::{
    Call, Outcome, Place, Source, Tool, Tools, ToolsUnavailable,
    mcp_names::{self, Shown},
};
use crate::effects::mcp::{McpError, Pool, Target, Times};
use domain::{
    ids::{McpServerId, UserId},
    mcp_server::{self, Connection},
};
use futures::future::BoxFuture;
use std::sync::Arc;

/// Where servers are found.
pub trait Directory: Send + Sync {
    /// The enabled servers that may be used from this place, in the order in which their names count: the owner's own before
    /// everybody's, older ones before newer ones.
    ///
    /// # Errors
    /// When they cannot be had.
    fn servers<'a>(
        &'a self,
        place: &'a Place,
    ) -> BoxFuture<'a, Result<Vec<Server>, ToolsUnavailable>>;

    /// How this server is reached now: with its key, and as far as whoever saved it may reach today.
    ///
    /// # Errors
    /// When that cannot be found out.
    fn target<'a>(&'a self, server: &'a Server) -> BoxFuture<'a, Result<Target, ToolsUnavailable>>;
}

/// What is remembered of a server.
#[derive(Debug, Clone)]
pub struct Server {
    /// Which.
    pub id: McpServerId,
    /// Its name.
    pub name: String,
    /// Who added it; `None` for everybody's.
    pub owner: Option<UserId>,
    /// How it is reached.
    pub connection: Connection,
    /// Changes whenever it is to be reached in another way.
    pub version: i64,
    /// The tools it told last.
    pub tools: Vec<mcp_server::Tool>,
}

/// See the module.
pub struct McpTools {
    pool: Pool,
    directory: Arc<dyn Directory>,
    times: Times,
}

impl McpTools {
    /// The tools of the servers in `directory`, called by way of `pool`, which was made with these `times`.
    pub fn new(pool: Pool, directory: Arc<dyn Directory>, times: Times) -> Self {
        Self { pool, directory, times }
    }
}

impl Tools for McpTools {
    fn list<'a>(&'a self, place: &'a Place) -> BoxFuture<'a, Result<Vec<Tool>, ToolsUnavailable>> {
        Box::pin(async move {
            let servers = self.directory.servers(place).await?;
            let shown = names(&servers);
            let tool = |Shown { name, server, tool }: Shown| {
                let (server, tool) = (&servers[server], &servers[server].tools[tool]);
                let (at, owner) = (server.name.clone(), server.owner.clone());
                described(name, tool, Source::Mcp { server: at, owner }, self.times)
            };
            Ok(shown.into_iter().map(tool).collect())
        })
    }

    fn call<'a>(&'a self, place: &'a Place, call: &'a Call) -> BoxFuture<'a, Option<Outcome>> {
        Box::pin(async move {
            let servers = match self.directory.servers(place).await {
                Ok(servers) => servers,
                Err(unavailable) => return Some(Outcome::error(unavailable.to_string())),
            };
            let found = names(&servers).into_iter().find(|shown| shown.name == call.name)?;
            let server = &servers[found.server];
            let target = match self.directory.target(server).await {
                Ok(target) => target,
                Err(unavailable) => return Some(Outcome::error(unavailable.to_string())),
            };
            let tool = &server.tools[found.tool];
            Some(told(self.pool.call(&target, tool, &call.arguments).await))
        })
    }
}

fn names(servers: &[Server]) -> Vec<Shown> {
    mcp_names::shown(servers.iter().map(|server| (server.name.as_str(), &*server.tools)))
}

pub(super) fn described(
    name: String,
    tool: &mcp_server::Tool,
    source: Source,
    times: Times,
) -> Tool {
    Tool {
        name,
        description: tool.description.clone(),
        parameters: tool.parameters.clone(),
        source,
        idempotent: tool.idempotent,
        deadline: Some(times.call),
    }
}

/// Whatever goes wrong is for the model to read.
pub(super) fn told(answer: Result<Outcome, McpError>) -> Outcome {
    answer.unwrap_or_else(|error| Outcome::error(error.to_string()))
}
