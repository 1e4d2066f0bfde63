//! An MCP server that does what it is told: a real HTTP server that speaks both transports, written from the protocol and not
//! with the library that annals uses, so that neither covers the other's mistakes.

use anyhow::Result;
use async_stream::stream;
use axum::{
    Json, Router,
    extract::{Query, State},
    http::{HeaderMap, StatusCode},
    response::{
        IntoResponse, Response,
        sse::{Event, Sse},
    },
    routing::{get, post},
};
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    convert::Infallible,
    future::pending,
    net::{SocketAddr, TcpListener},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};
use tokio::{
    runtime::{Builder, Runtime},
    sync::{mpsc, watch},
};
use uuid::Uuid;

/// A running server. Dropped, it is gone with all its connections, as after a crash.
#[derive(Debug)]
pub struct McpServer {
    address: SocketAddr,
    world: World,
    runtime: Option<Runtime>,
}

/// What the server got and what it does.
#[derive(Debug, Clone)]
struct World(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    state: Mutex<Known>,
    /// How many messages came.
    seen: watch::Sender<usize>,
}

#[derive(Debug, Default)]
struct Known {
    key: Option<String>,
    tools: Vec<String>,
    sessions: HashMap<String, mpsc::UnboundedSender<Value>>,
    streams: HashMap<String, mpsc::UnboundedReceiver<Value>>,
    methods: Vec<String>,
    /// Traces that calls belonged to, by their messages and by their headers.
    traces: Vec<[Option<String>; 2]>,
    /// Whether `patient` has been called.
    hung: bool,
}

impl McpServer {
    /// Starts a server on a free port of the loopback address that wants `key`, if any.
    ///
    /// # Errors
    /// When no port can be had.
    pub fn start(key: Option<&str>) -> Result<Self> {
        Self::listen(SocketAddr::from(([127, 0, 0, 1], 0)), key)
    }

    /// Starts a server on this address, for example in another's place.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub fn listen(address: SocketAddr, key: Option<&str>) -> Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let tools = ["echo", "fail", "slow"].map(str::to_owned).to_vec();
        let known = Known { key: key.map(str::to_owned), tools, ..Known::default() };
        let state = Mutex::new(known);
        let world = World(Arc::new(Inner { state, seen: watch::Sender::new(0) }));
        // A runtime of its own: when it goes down, no connection is left over.
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let router = router(world.clone());
        runtime.spawn(async move {
            if let Ok(listener) = tokio::net::TcpListener::from_std(listener) {
                let _never = axum::serve(listener, router).await;
            }
        });
        Ok(Self { address, world, runtime: Some(runtime) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of the streamable transport.
    pub fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    /// The URL of the older transport.
    pub fn sse_url(&self) -> String {
        format!("http://{}/sse", self.address)
    }

    /// The methods it was asked for, in order.
    pub fn methods(&self) -> Vec<String> {
        self.world.known().methods.clone()
    }

    /// Traces that the calls of tools belonged to, by `_meta` of each message and by its headers.
    pub fn traces(&self) -> Vec<[Option<String>; 2]> {
        self.world.known().traces.clone()
    }

    /// Waits until it has been asked for `method`.
    pub async fn asked_for(&self, method: &str) {
        let mut seen = self.world.0.seen.subscribe();
        let asked = |_: &usize| self.world.known().methods.iter().any(|it| it == method);
        let _closed = seen.wait_for(asked).await;
    }

    /// Has other tools from now on, and says so to everybody who listens.
    pub fn change_tools(&self, tools: &[&str]) {
        let mut known = self.world.known();
        known.tools = tools.iter().map(|tool| (*tool).to_owned()).collect();
        let news = json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"});
        known.sessions.values().for_each(|session| drop(session.send(news.clone())));
    }

    /// Forgets all sessions, as after a restart that no connection noticed.
    pub fn forget_sessions(&self) {
        let mut known = self.world.known();
        known.sessions.clear();
        known.streams.clear();
    }
}

impl Drop for McpServer {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Another one may want the address at once. A runtime may not be waited for inside another, so a thread does.
            let down = thread::spawn(move || runtime.shutdown_timeout(Duration::from_secs(5)));
            let _down = down.join();
        }
    }
}

impl World {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open_session(&self) -> String {
        let id = Uuid::new_v4().simple().to_string();
        let (send, receive) = mpsc::unbounded_channel();
        let mut known = self.known();
        known.sessions.insert(id.clone(), send);
        known.streams.insert(id.clone(), receive);
        id
    }

    fn admits(&self, headers: &HeaderMap) -> bool {
        let wanted = self.known().key.as_ref().map(|key| format!("Bearer {key}"));
        let shown = headers.get("authorization").and_then(|value| value.to_str().ok());
        wanted.is_none_or(|wanted| shown == Some(wanted.as_str()))
    }

    /// The answer to a request; `None` to a notification.
    async fn answer(&self, headers: &HeaderMap, message: &Value) -> Option<Value> {
        if message["method"] == "tools/call" {
            let told = message["params"]["_meta"]["traceparent"].as_str().map(str::to_owned);
            let sent = headers.get("traceparent").and_then(|value| value.to_str().ok());
            self.known().traces.push([told, sent.map(str::to_owned)]);
        }
        let method = message["method"].as_str().unwrap_or_default().to_owned();
        self.known().methods.push(method.clone());
        self.0.seen.send_modify(|seen| *seen += 1);
        let id = message.get("id")?;
        let result = match method.as_str() {
            "initialize" => json!({
                "protocolVersion": message["params"]["protocolVersion"],
                "capabilities": {"tools": {"listChanged": true}},
                "serverInfo": {"name": "scripted", "version": "1"},
            }),
            "tools/list" => {
                let schema = json!({"type": "object", "properties": {"text": {"type": "string"}}});
                let tool = |name: &String| {
                    json!({"name": name, "description": format!("Does {name}."), "inputSchema": schema,
                        "annotations": {"readOnlyHint": matches!(name.as_str(), "echo" | "patient")}})
                };
                json!({"tools": self.known().tools.iter().map(tool).collect::<Vec<_>>()})
            }
            "tools/call" => self.call(&message["params"]).await,
            _ => json!({}),
        };
        Some(json!({"jsonrpc": "2.0", "id": id, "result": result}))
    }

    async fn call(&self, params: &Value) -> Value {
        let text = params["arguments"]["text"].as_str().unwrap_or_default();
        let said = |text: &str, failed: bool| json!({"content": [{"type": "text", "text": text}], "isError": failed});
        match params["name"].as_str() {
            Some("slow") => pending().await,
            // Hangs when it is called for the first time; the guard is gone by then.
            Some("patient") if !std::mem::replace(&mut self.known().hung, true) => pending().await,
            Some("fail") => said("it failed", true),
            _ => said(text, false),
        }
    }
}

fn router(world: World) -> Router {
    Router::new()
        .route("/mcp", post(streamable).get(listen).delete(async || StatusCode::NO_CONTENT))
        .route("/sse", get(open))
        .route("/messages", post(message))
        .with_state(world)
}

fn session(headers: &HeaderMap) -> Option<String> {
    Some(headers.get("mcp-session-id")?.to_str().ok()?.to_owned())
}

async fn streamable(
    State(world): State<World>,
    headers: HeaderMap,
    Json(message): Json<Value>,
) -> Response {
    if !world.admits(&headers) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let id = match session(&headers) {
        None if message["method"] == "initialize" => world.open_session(),
        Some(id) if world.known().sessions.contains_key(&id) => id,
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    match world.answer(&headers, &message).await {
        Some(answer) => ([("mcp-session-id", id)], Json(answer)).into_response(),
        None => StatusCode::ACCEPTED.into_response(),
    }
}

async fn listen(State(world): State<World>, headers: HeaderMap) -> Response {
    let id = session(&headers).unwrap_or_default();
    let stream = world.known().streams.remove(&id);
    match stream {
        Some(receive) => events(receive, None).into_response(),
        None => StatusCode::METHOD_NOT_ALLOWED.into_response(),
    }
}

async fn open(State(world): State<World>, headers: HeaderMap) -> Response {
    if !world.admits(&headers) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let id = world.open_session();
    let stream = world.known().streams.remove(&id);
    match stream {
        Some(receive) => events(receive, Some(format!("/messages?session={id}"))).into_response(),
        None => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn message(
    State(world): State<World>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
    Json(message): Json<Value>,
) -> StatusCode {
    let id = query.get("session").cloned().unwrap_or_default();
    let send = world.known().sessions.get(&id).cloned();
    let Some(send) = send.filter(|_| world.admits(&headers)) else { return StatusCode::NOT_FOUND };
    tokio::spawn(async move {
        if let Some(answer) = world.answer(&headers, &message).await {
            drop(send.send(answer));
        }
    });
    StatusCode::ACCEPTED
}

fn events(
    mut receive: mpsc::UnboundedReceiver<Value>,
    endpoint: Option<String>,
) -> impl IntoResponse {
    Sse::new(stream! {
        if let Some(endpoint) = endpoint {
            yield Ok::<_, Infallible>(Event::default().event("endpoint").data(endpoint));
        }
        while let Some(message) = receive.recv().await {
            yield Ok(Event::default().event("message").data(message.to_string()));
        }
    })
}
