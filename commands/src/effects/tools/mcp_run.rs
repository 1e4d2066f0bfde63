//! Tools of the MCP servers that one request names for itself (`extra_mcp_config`). Connections live as long as the run.

use super::{
    Call, Outcome, Place, Source, Tool, Tools, ToolsUnavailable,
    mcp::{described, told},
    mcp_names::{self, Shown},
};
use crate::effects::{
    Sensitive,
    fetch::Reach,
    mcp::{self, Clients, Pool, Target, Times},
    outbound::Refused,
};
use domain::{
    ids::UserId,
    mcp_server::{self, Endpoint, Protocol, RunServer},
};
use futures::future::{BoxFuture, join_all};
use serde_json::{Map, Value};
use tokio::sync::OnceCell;

/// Most servers of one request.
const SERVERS: usize = 16;

/// A server as a request names it.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub endpoint: Endpoint,
    /// Its key; it goes to the vault, and the log gets the reference, see [`RunServer`].
    pub api_key: Option<Sensitive>,
}

/// Why a request's servers cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// More than a request may name.
    #[error("at most {SERVERS} MCP servers")]
    TooMany,
    /// A server is started by a command, which requests may not do.
    #[error("{0}: servers that are started by a command cannot be used")]
    Command(String),
    /// A server has a name no server can have.
    #[error("{0}: not a name for an MCP server")]
    Name(String),
    /// A server has no URL.
    #[error("{0}: streamable_http_url, url or sse_url is needed")]
    NoUrl(String),
    /// A server's URL may not be called.
    #[error("{0}: {1}")]
    Refused(String, Refused),
}

/// The servers in `extra_mcp_config`: name → `{streamable_http_url | url | sse_url, api_key?, disabled?}`. Disabled ones are left
/// out.
///
/// # Errors
/// As [`Unusable`], which may be told to the user.
pub fn parse(config: &Map<String, Value>, reach: Reach) -> Result<Vec<Wanted>, Unusable> {
    if config.len() > SERVERS {
        return Err(Unusable::TooMany);
    }
    let enabled = config.iter().filter(|(_, server)| server["disabled"] != true);
    enabled.map(|(name, server)| wanted(name, server, reach)).collect()
}

fn wanted(name: &str, server: &Value, reach: Reach) -> Result<Wanted, Unusable> {
    let text = |key: &str| server[key].as_str().filter(|text| !text.is_empty());
    mcp_server::check_name(name).map_err(|_| Unusable::Name(name.to_owned()))?;
    let ways = [
        ("streamable_http_url", Protocol::StreamableHttp),
        ("url", Protocol::StreamableHttp),
        ("sse_url", Protocol::Sse),
    ];
    let found = ways.into_iter().find_map(|(key, protocol)| Some((text(key)?, protocol)));
    let Some((url, protocol)) = found else {
        let command = text("command").is_some();
        let why = if command { Unusable::Command } else { Unusable::NoUrl };
        return Err(why(name.to_owned()));
    };
    mcp::check(url, reach).map_err(|refused| Unusable::Refused(name.to_owned(), refused))?;
    let endpoint = Endpoint { protocol, url: url.to_owned() };
    let api_key = text("api_key").map(|key| Sensitive::from(key.to_owned()));
    Ok(Wanted { name: name.to_owned(), endpoint, api_key })
}

/// See the module.
pub struct RunTools {
    owner: UserId,
    servers: Vec<Target>,
    pool: Pool,
    times: Times,
    known: OnceCell<Vec<(String, Vec<mcp_server::Tool>)>>,
}

impl RunTools {
    /// The tools of these servers, with the keys that the vault has for them. Nothing is connected before the first list.
    pub fn new(
        clients: Clients,
        times: Times,
        owner: UserId,
        reach: Reach,
        servers: impl IntoIterator<Item = (RunServer, Option<Sensitive>)>,
    ) -> Self {
        let target = |(server, api_key): (RunServer, Option<Sensitive>)| Target {
            id: server.name,
            version: 0,
            endpoint: server.endpoint,
            api_key,
            reach,
        };
        let servers = servers.into_iter().map(target).take(SERVERS).collect();
        let pool = Pool::new(clients, times, None);
        Self { owner, servers, pool, times, known: OnceCell::new() }
    }

    /// Asked once per run; a server that does not answer in time is left out.
    async fn known(&self) -> &[(String, Vec<mcp_server::Tool>)] {
        self.known
            .get_or_init(|| join_all(self.servers.iter().map(|target| self.ask(target))))
            .await
    }

    async fn ask(&self, target: &Target) -> (String, Vec<mcp_server::Tool>) {
        let tools = self.pool.tools(target).await.unwrap_or_else(|error| {
            tracing::info!(server = target.id, %error, "an MCP server of a request is left out");
            vec![]
        });
        (target.id.clone(), tools)
    }
}

impl Tools for RunTools {
    fn list<'a>(&'a self, _: &'a Place) -> BoxFuture<'a, Result<Vec<Tool>, ToolsUnavailable>> {
        Box::pin(async move {
            let known = self.known().await;
            let tool = |Shown { name, server, tool }: Shown| {
                let (at, tools) = &known[server];
                let source = Source::Mcp { server: at.clone(), owner: Some(self.owner.clone()) };
                described(name, &tools[tool], source, self.times)
            };
            Ok(names(known).into_iter().map(tool).collect())
        })
    }

    fn call<'a>(&'a self, _: &'a Place, call: &'a Call) -> BoxFuture<'a, Option<Outcome>> {
        Box::pin(async move {
            let known = self.known().await;
            let found = names(known).into_iter().find(|shown| shown.name == call.name)?;
            let tool = &known[found.server].1[found.tool];
            let target = &self.servers[found.server];
            Some(told(self.pool.call(target, tool, &call.arguments).await))
        })
    }
}

fn names(known: &[(String, Vec<mcp_server::Tool>)]) -> Vec<Shown> {
    mcp_names::shown(known.iter().map(|(name, tools)| (name.as_str(), &**tools)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parsed(config: Value) -> Result<Vec<Wanted>, Unusable> {
        parse(config.as_object().expect("an object"), Reach::Public)
    }

    #[test]
    fn every_spelling_of_a_url_names_its_protocol() -> Result<(), Unusable> {
        let found = parsed(json!({
            "a": {"streamable_http_url": "https://a.example"},
            "b": {"url": "https://b.example", "api_key": "k"},
            "c": {"sse_url": "https://c.example", "api_key": ""},
            "d": {"command": "rm", "disabled": true},
        }))?;
        let found: Vec<_> = found
            .iter()
            .map(|it| (&*it.name, it.endpoint.protocol, it.api_key.is_some()))
            .collect();
        let streamable = Protocol::StreamableHttp;
        let wanted =
            [("a", streamable, false), ("b", streamable, true), ("c", Protocol::Sse, false)];
        assert_eq!(found, wanted);
        Ok(())
    }

    #[test]
    fn commands_and_inner_addresses_are_refused() {
        let refused = |config: Value| parsed(config).err();
        let name = || "a".to_owned();
        assert_eq!(refused(json!({"a": {"command": "npx"}})), Some(Unusable::Command(name())));
        assert_eq!(refused(json!({"a": {}})), Some(Unusable::NoUrl(name())));
        assert_eq!(refused(json!({"a": 7})), Some(Unusable::NoUrl(name())));
        assert_eq!(
            refused(json!({"a": {"url": "http://127.0.0.1/"}})),
            Some(Unusable::Refused(name(), Refused::NotPublic))
        );
        assert_eq!(
            refused(json!({"a/b": {"url": "https://a.example"}})),
            Some(Unusable::Name("a/b".to_owned()))
        );
        let many: Map<String, Value> =
            (0..=SERVERS).map(|n| (n.to_string(), json!({"url": "https://a.example"}))).collect();
        assert_eq!(parse(&many, Reach::Public).err(), Some(Unusable::TooMany));
    }
}
