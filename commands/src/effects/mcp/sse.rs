//! The transport of protocol revision 2024-11-05: an event stream from the server, whose first event names the URL that takes
//! messages to it. Many servers still speak nothing else.

use super::{McpError, http::traceparent};
use crate::effects::{
    Sensitive,
    model::sse::{Decoder, Event},
};
use bytes::Bytes;
use futures::{Stream, StreamExt, stream::BoxStream};
use reqwest::{Client, StatusCode, Url, header};
use rmcp::{
    RoleClient,
    service::{RxJsonRpcMessage, TxJsonRpcMessage},
    transport::Transport,
};
use std::{collections::VecDeque, time::Duration};
use tokio::time::timeout;

/// Most bytes of one event.
const EVENT: usize = 4 * 1024 * 1024;
/// How long the server may take to accept a message; its answer comes by the stream.
const POST: Duration = Duration::from_secs(30);

/// See the module. Dropping it ends the stream, which ends the session.
pub(super) struct SseTransport {
    client: Client,
    messages: Url,
    key: Option<Sensitive>,
    events: Events<BoxStream<'static, reqwest::Result<Bytes>>>,
}

impl SseTransport {
    /// Opens the stream and waits for the URL for messages. The caller sets the deadline.
    pub async fn open(client: Client, url: Url, key: Option<Sensitive>) -> Result<Self, McpError> {
        let mut request = client.get(url.clone()).header(header::ACCEPT, "text/event-stream");
        if let Some(key) = &key {
            request = request.bearer_auth(key.expose());
        }
        let response = request.send().await.map_err(|error| McpError::from(&error))?;
        accepted(response.status())?;
        let content_type = response.headers().get(header::CONTENT_TYPE);
        if !content_type.is_some_and(|is| is.as_bytes().starts_with(b"text/event-stream")) {
            return Err(McpError::not_mcp("no event stream"));
        }
        let mut events = Events::new(response.bytes_stream().boxed());
        while let Some(event) = events.next().await {
            if event.name == b"endpoint" {
                let messages = std::str::from_utf8(&event.data).ok().map(|path| url.join(path));
                let Some(Ok(messages)) = messages else {
                    return Err(McpError::not_mcp("no URL for messages"));
                };
                // What is sent there carries the key.
                if messages.origin() != url.origin() {
                    return Err(McpError::not_mcp("another server's URL for messages"));
                }
                return Ok(Self { client, messages, key, events });
            }
        }
        Err(McpError::not_mcp("the stream ended before it named the URL for messages"))
    }
}

impl Transport<RoleClient> for SseTransport {
    type Error = McpError;

    fn send(
        &mut self,
        item: TxJsonRpcMessage<RoleClient>,
    ) -> impl Future<Output = Result<(), McpError>> + Send + 'static {
        let mut request = self.client.post(self.messages.clone()).json(&item);
        if let Some((name, value)) = traceparent(&item) {
            request = request.header(name, value);
        }
        if let Some(key) = &self.key {
            request = request.bearer_auth(key.expose());
        }
        async move {
            let answered = timeout(POST, request.send()).await;
            let response = answered.map_err(|_| McpError::TooSlow(POST))?;
            match response.map_err(|error| McpError::from(&error))?.status() {
                StatusCode::NOT_FOUND | StatusCode::BAD_REQUEST | StatusCode::GONE => {
                    Err(McpError::Gone)
                }
                status => accepted(status),
            }
        }
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleClient>> {
        loop {
            let event = self.events.next().await?;
            if !matches!(&*event.name, b"" | b"message") || domain::json::is_too_deep(&event.data) {
                continue;
            }
            match serde_json::from_slice(&event.data) {
                Ok(message) => return Some(message),
                Err(error) => tracing::debug!(%error, "an MCP server sent something unknown"),
            }
        }
    }

    async fn close(&mut self) -> Result<(), McpError> {
        self.events.end();
        Ok(())
    }
}

fn accepted(status: StatusCode) -> Result<(), McpError> {
    match status {
        status if status.is_success() => Ok(()),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(McpError::Unauthorized),
        status => Err(McpError::not_mcp(format!("HTTP {}", status.as_u16()))),
    }
}

/// Events out of a body; ends with it, and with what breaks the limit.
struct Events<S> {
    body: Option<S>,
    decoder: Decoder,
    ready: VecDeque<Event>,
}

impl<S: Stream<Item = reqwest::Result<Bytes>> + Unpin> Events<S> {
    fn new(body: S) -> Self {
        Self { body: Some(body), decoder: Decoder::new(EVENT), ready: VecDeque::new() }
    }

    fn end(&mut self) {
        self.body = None;
        self.ready.clear();
    }

    /// Cancel-safe: what has arrived is kept between two calls.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            let chunk = self.body.as_mut()?.next().await;
            let mut events = Vec::new();
            match chunk {
                Some(Ok(bytes)) if self.decoder.push(&bytes, &mut events).is_ok() => {
                    self.ready.extend(events);
                }
                _ => self.body = None,
            }
        }
    }
}
