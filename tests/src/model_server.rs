//! A provider that speaks the OpenAI protocol and does what it is told: a real HTTP server for tests and benchmarks.
//!
//! A call is answered as the script inside its last user message says ([`Script::message`]), else as the server's own
//! script. The same script and messages always give the same words.

mod calls;
mod embeddings;
mod script;

pub use calls::{Call, Calls, Fate};
pub use embeddings::vector;
pub use script::{Fail, Script, ToolCall, last_user_text, text, thought, word};

use async_stream::stream;
use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{ConnectInfo, DefaultBodyLimit, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post, put},
};
use calls::Open;
use serde_json::{Value, json};
use std::{
    future::pending,
    io,
    net::SocketAddr,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};
use tokio::{
    net::TcpListener,
    task::JoinHandle,
    time::{Instant, sleep, sleep_until},
};

/// A running server; it ends when this is dropped.
#[derive(Debug)]
pub struct ModelServer {
    address: SocketAddr,
    provider: Provider,
    serving: JoinHandle<()>,
}

#[derive(Debug, Clone, Default)]
struct Provider {
    script: Arc<RwLock<Script>>,
    calls: Calls,
}

impl ModelServer {
    /// Starts a server on a free port of the loopback address.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start(script: Script) -> anyhow::Result<Self> {
        Self::listen(SocketAddr::from(([127, 0, 0, 1], 0)), script).await
    }

    /// Starts a server on this address.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub async fn listen(address: SocketAddr, script: Script) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let provider = Provider { script: Arc::new(RwLock::new(script)), ..Provider::default() };
        let router = router(provider.clone()).into_make_service_with_connect_info::<SocketAddr>();
        let serving = tokio::spawn(async move {
            // It never returns: accept errors are retried inside.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { address, provider, serving })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What a client calls its base URL.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// From now on, how to answer calls that bring no script.
    pub fn follow(&self, script: Script) {
        *self.provider.script.write().unwrap_or_else(PoisonError::into_inner) = script;
    }

    /// The chat calls it got.
    pub fn calls(&self) -> &Calls {
        &self.provider.calls
    }

    /// Serves until the process ends.
    pub async fn forever(mut self) {
        // Only a panic ends it; there is nothing to do about that here.
        let _ = (&mut self.serving).await;
    }
}

impl Drop for ModelServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn router(provider: Provider) -> Router {
    Router::new()
        .route("/v1/chat/completions", post(complete))
        .route("/v1/embeddings", post(embeddings::embed))
        .route("/v1/models", get(models))
        .route("/admin/calls", get(calls_seen))
        .route("/admin/script", put(new_script))
        .layer(DefaultBodyLimit::max(64 * 1024 * 1024))
        .with_state(provider)
}

async fn models() -> Json<Value> {
    Json(json!({"object": "list", "data": [{"id": "test-model", "object": "model"}]}))
}

async fn calls_seen(State(provider): State<Provider>) -> Json<Value> {
    Json(json!({"count": provider.calls.count(), "calls": provider.calls.all()}))
}

async fn new_script(State(provider): State<Provider>, Json(script): Json<Script>) -> StatusCode {
    *provider.script.write().unwrap_or_else(PoisonError::into_inner) = script;
    StatusCode::NO_CONTENT
}

async fn complete(
    State(provider): State<Provider>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    let (open, before) = provider.calls.begin(peer, &headers, &body, last_user_text(&body));
    let own = provider.script.read().unwrap_or_else(PoisonError::into_inner).clone();
    let script = match Script::of_request(&body, &own) {
        Ok(script) => script,
        Err(error) => return refuse(open, StatusCode::BAD_REQUEST, &format!("script: {error}")),
    };
    if script.silent {
        pending::<()>().await;
    }
    if let Some(fail) = script.fail.as_ref().filter(|fail| before < fail.times) {
        return failure(open, fail, &headers);
    }
    if script.no_stream_options && body.get("stream_options").is_some() {
        let message = "unknown field `stream_options`";
        return refuse(open, StatusCode::BAD_REQUEST, message);
    }
    if script.no_tools && body.get("tools").is_some() {
        return refuse(open, StatusCode::BAD_REQUEST, "test-model does not support tools");
    }
    let kind = |kind: &'static str| [(header::CONTENT_TYPE, kind)];
    if let Some(raw) = script.raw {
        open.answered();
        return (kind("application/json"), raw).into_response();
    }
    if script.whole || body["stream"] != true {
        let completion = script.completion(&body);
        open.answered();
        return Json(completion).into_response();
    }
    (kind("text/event-stream"), answer(open, script, body)).into_response()
}

fn failure(open: Open, fail: &Fail, headers: &HeaderMap) -> Response {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let key = bearer.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    let status = StatusCode::from_u16(fail.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = refuse(open, status, &fail.message.replace("{key}", key));
    let pause = fail.retry_after.as_ref().and_then(|pause| pause.parse().ok());
    if let Some(pause) = pause {
        response.headers_mut().insert(header::RETRY_AFTER, pause);
    }
    response
}

fn refuse(open: Open, status: StatusCode, message: &str) -> Response {
    open.answered();
    (status, Json(json!({"error": {"message": message, "type": "scripted"}}))).into_response()
}

fn answer(open: Open, script: Script, body: Value) -> Body {
    let ending = script.ending.clone();
    let line = move |data: &str| format!("data: {data}{ending}{ending}");
    let comment = format!(": still here{0}{0}", script.ending);
    let split = script.split;
    let pause = Duration::from_millis(script.delay_ms);
    let frames = stream! {
        // Deltas keep to a timetable, so that the pace does not depend on how busy the machine is.
        let mut next = Instant::now();
        let chunks = script.chunks(&body);
        for sent in 0..=chunks.len() {
            if script.break_after == Some(sent) {
                open.answered();
                // Lets the server flush: what was sent before the cut must arrive.
                tokio::task::yield_now().await;
                yield Err(io::Error::other("cut as scripted"));
                return;
            }
            if script.error_after == Some(sent) {
                open.answered();
                yield Ok(line(&json!({"error": {"message": "failed as scripted"}}).to_string()));
                return;
            }
            if script.stall_after == Some(sent) {
                pending::<()>().await;
            }
            while script.comments_after == Some(sent) {
                next += pause.max(Duration::from_millis(1));
                sleep_until(next).await;
                yield Ok(comment.clone());
            }
            let Some(chunk) = chunks.get(sent) else { break };
            if !pause.is_zero() {
                next += pause;
                sleep_until(next).await;
            }
            let before = if script.comments { comment.as_str() } else { "" };
            yield Ok(before.to_owned() + &line(&chunk.to_string()));
        }
        if script.finish {
            let reason = script.reason(&body).into();
            yield Ok(line(&script::chunk(&body, &json!({}), reason).to_string()));
        }
        if script.usage && body["stream_options"]["include_usage"] == true {
            let mut last = script::chunk(&body, &json!({}), Value::Null);
            last["choices"] = json!([]);
            last["usage"] = script.usage(&body);
            yield Ok(line(&last.to_string()));
        }
        let linger = Duration::from_millis(script.linger_ms);
        // Told before the last piece is sent: a client may go as soon as it has it.
        let mut open = Some(open);
        if linger.is_zero() && let Some(open) = open.take() {
            open.answered();
        }
        if script.done {
            yield Ok(line("[DONE]"));
        }
        if let Some(open) = open {
            sleep(linger).await;
            open.answered();
        }
    };
    Body::from_stream(cut(frames, split))
}

/// Sends every frame in pieces of `size` bytes; 0 leaves them whole.
fn cut(
    frames: impl futures::Stream<Item = io::Result<String>> + Send + 'static,
    size: usize,
) -> impl futures::Stream<Item = io::Result<Bytes>> + Send + 'static {
    stream! {
        for await frame in frames {
            match frame {
                Ok(frame) if size > 0 => {
                    let frame = Bytes::from(frame);
                    for start in (0..frame.len()).step_by(size) {
                        yield Ok(frame.slice(start..frame.len().min(start + size)));
                    }
                }
                frame => yield frame.map(Bytes::from),
            }
        }
    }
}
