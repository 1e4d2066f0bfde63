//! One connection to one server.

use super::{
    McpError, Target, Times, catalogue, check, content,
    http::{self, Http},
    sse::SseTransport,
};
use crate::{
    effects::{Sensitive, fetch::Reach, tools::Outcome},
    trace::Traceparent,
};
use domain::mcp_server::{Protocol, TOOLS, Tool};
use reqwest::Client;
use rmcp::{
    ClientHandler, RoleClient, ServiceExt,
    model::{
        CallToolRequestParams, CallToolResponse, ClientCapabilities, ClientConfig, Implementation,
        PaginatedRequestParams, RequestParamsMeta,
    },
    service::{NotificationContext, RunningService},
    transport::streamable_http_client::{
        StreamableHttpClientTransport, StreamableHttpClientTransportConfig,
    },
};
use serde_json::{Map, Value};
use std::sync::Arc;
use tokio::{sync::Notify, time::timeout};

/// Most bytes of one event of a stream.
const EVENT: usize = 4 * 1024 * 1024;
/// Most pages of a list of tools.
const PAGES: usize = 32;

/// The HTTP clients that connections share.
#[derive(Debug, Clone)]
pub struct Clients {
    public: Option<Client>,
    anywhere: Option<Client>,
}

impl Default for Clients {
    fn default() -> Self {
        let [public, anywhere] = [Reach::Public, Reach::Anywhere].map(http::client);
        Self { public, anywhere }
    }
}

impl Clients {
    fn of(&self, reach: Reach) -> Result<Client, McpError> {
        let client = match reach {
            Reach::Public => &self.public,
            Reach::Anywhere => &self.anywhere,
        };
        client.clone().ok_or(McpError::Unreachable)
    }

    /// Asks a server, on a connection of its own, which tools it has: what is to be saved has to work first.
    ///
    /// # Errors
    /// As [`McpError`].
    pub async fn probe(&self, target: &Target, times: Times) -> Result<Vec<Tool>, McpError> {
        Connection::open(self, target, times).await?.tools().await
    }
}

/// A connection on which the handshake was made. Dropping it ends the session.
#[derive(Debug)]
pub struct Connection {
    service: RunningService<RoleClient, Ears>,
    times: Times,
    /// Servers like to repeat it in what they say.
    key: Option<Sensitive>,
}

/// Hears what the server says on its own account; it may ask for nothing.
#[derive(Debug)]
struct Ears {
    tools_changed: Arc<Notify>,
}

impl ClientHandler for Ears {
    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.tools_changed.notify_one();
    }

    fn get_info(&self) -> ClientConfig {
        let me = Implementation::new("annals", env!("CARGO_PKG_VERSION"));
        ClientConfig::new(ClientCapabilities::default(), me)
    }
}

impl Connection {
    /// Connects and makes the handshake.
    ///
    /// # Errors
    /// As [`McpError`]; [`McpError::TooSlow`] after `times.connect`.
    pub async fn open(clients: &Clients, target: &Target, times: Times) -> Result<Self, McpError> {
        timeout(times.connect, Self::shake_hands(clients, target, times))
            .await
            .unwrap_or(Err(McpError::TooSlow(times.connect)))
            .map_err(|error| error.without(target.api_key.as_ref()))
    }

    async fn shake_hands(
        clients: &Clients,
        target: &Target,
        times: Times,
    ) -> Result<Self, McpError> {
        let url = check(&target.endpoint.url, target.reach)?;
        let client = clients.of(target.reach)?;
        let ears = Ears { tools_changed: Arc::default() };
        let service = match target.endpoint.protocol {
            Protocol::StreamableHttp => {
                let mut config = StreamableHttpClientTransportConfig::with_uri(url.as_str())
                    .max_sse_event_size(EVENT);
                if let Some(key) = &target.api_key {
                    config = config.auth_header(key.expose());
                }
                ears.serve(StreamableHttpClientTransport::with_client(Http(client), config)).await?
            }
            Protocol::Sse => {
                ears.serve(SseTransport::open(client, url, target.api_key.clone()).await?).await?
            }
        };
        Ok(Self { service, times, key: target.api_key.clone() })
    }

    /// Whether it is over.
    pub fn is_closed(&self) -> bool {
        self.service.is_transport_closed()
    }

    /// Woken when the server says that its tools are others now.
    pub(super) fn tools_changed(&self) -> Arc<Notify> {
        self.service.service().tools_changed.clone()
    }

    /// The tools the server has now.
    ///
    /// # Errors
    /// As [`McpError`]; [`McpError::TooSlow`] after `times.list`.
    pub async fn tools(&self) -> Result<Vec<Tool>, McpError> {
        let has_tools = self.service.peer_info().is_none_or(|it| it.capabilities.tools.is_some());
        if !has_tools {
            return Ok(vec![]);
        }
        let listed = timeout(self.times.list, self.pages()).await;
        let listed = listed.unwrap_or(Err(McpError::TooSlow(self.times.list)));
        listed.map_err(|error| error.without(self.key.as_ref()))
    }

    async fn pages(&self) -> Result<Vec<Tool>, McpError> {
        let mut told = Vec::new();
        let mut cursor = None;
        for _ in 0..PAGES {
            let params = PaginatedRequestParams::default().with_cursor(cursor);
            let page = self.service.list_tools(Some(params)).await?;
            told.extend(page.tools);
            cursor = page.next_cursor;
            if cursor.is_none() || told.len() >= TOOLS {
                break;
            }
        }
        Ok(catalogue::remembered(told))
    }

    /// Calls a tool; its answer is without the key. When this future is dropped, the server is told that nobody waits any more.
    ///
    /// # Errors
    /// As [`McpError`]. The caller sets the deadline.
    pub async fn call(
        &self,
        tool: &str,
        arguments: &Map<String, Value>,
    ) -> Result<Outcome, McpError> {
        let mut params =
            CallToolRequestParams::new(tool.to_owned()).with_arguments(arguments.clone());
        if let Some(current) = Traceparent::current() {
            params.set_traceparent(&current.text());
        }
        let answer = self.service.call_tool_once(params).await.map_err(McpError::from);
        match answer.map_err(|error| error.without(self.key.as_ref()))? {
            CallToolResponse::Complete(result) => Ok(content::outcome(result, self.key.as_ref())),
            _ => Err(McpError::not_mcp("the tool wants input that nobody can give here")),
        }
    }
}
