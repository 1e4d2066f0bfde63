//! A collector of traces: takes OTLP over HTTP and tells the spans it got.

use crate::process::eventually;
use anyhow::{Context, Result};
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{KeyValue, any_value::Value},
};
use prost_otlp::Message;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::{net::TcpListener, task::JoinHandle};

/// One span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// The trace, as hex.
    pub trace: String,
    /// The span, as hex.
    pub id: String,
    /// The span above it; empty for none.
    pub parent: String,
    /// Its name.
    pub name: String,
    /// As in the protocol: 1 internal, 2 server, 3 client, 5 consumer.
    pub kind: i32,
    /// Whether it failed.
    pub failed: bool,
    /// Attributes as text.
    pub attributes: BTreeMap<String, String>,
    /// Attributes of who sent it.
    pub resource: BTreeMap<String, String>,
}

impl Span {
    /// An attribute; empty when it has none of this name.
    pub fn at(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }
}

/// A running collector; it ends when this is dropped.
#[derive(Debug)]
pub struct Collector {
    /// What goes into `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub endpoint: String,
    seen: Seen,
    serving: JoinHandle<()>,
}

#[derive(Debug, Clone, Default)]
struct Seen {
    spans: Arc<Mutex<Vec<Span>>>,
    headers: Arc<Mutex<Option<HeaderMap>>>,
}

impl Collector {
    /// Starts one on a free port of the loopback address.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let seen = Seen::default();
        let router = Router::new().route("/v1/traces", post(take)).with_state(seen.clone());
        let serving = tokio::spawn(async move {
            // It never returns: accept errors are retried inside.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { endpoint, seen, serving })
    }

    /// The spans that came so far.
    pub fn spans(&self) -> Vec<Span> {
        self.seen.spans.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A header of the last export.
    pub fn header(&self, name: &str) -> Option<String> {
        let headers = self.seen.headers.lock().unwrap_or_else(PoisonError::into_inner);
        Some(headers.as_ref()?.get(name)?.to_str().ok()?.to_owned())
    }

    /// Waits until a span is there for which this holds.
    ///
    /// # Errors
    /// When none comes, with those that did.
    pub async fn span(&self, what: &str, wanted: impl Fn(&Span) -> bool) -> Result<Span> {
        let found = async || Ok(self.spans().into_iter().find(|span| wanted(span)));
        eventually(what, found).await.with_context(|| format!("{:#?}", self.spans()))
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn take(State(seen): State<Seen>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let Ok(export) = ExportTraceServiceRequest::decode(body) else {
        return StatusCode::BAD_REQUEST;
    };
    *seen.headers.lock().unwrap_or_else(PoisonError::into_inner) = Some(headers);
    let mut spans = seen.spans.lock().unwrap_or_else(PoisonError::into_inner);
    for sent in export.resource_spans {
        let resource = texts(sent.resource.unwrap_or_default().attributes);
        for span in sent.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            spans.push(Span {
                trace: hex(&span.trace_id),
                id: hex(&span.span_id),
                parent: hex(&span.parent_span_id),
                name: span.name,
                kind: span.kind,
                failed: span.status.is_some_and(|status| status.code == 2),
                attributes: texts(span.attributes),
                resource: resource.clone(),
            });
        }
    }
    StatusCode::OK
}

fn texts(attributes: Vec<KeyValue>) -> BTreeMap<String, String> {
    attributes
        .into_iter()
        .map(|KeyValue { key, value, .. }| (key, text(value.and_then(|v| v.value))))
        .collect()
}

fn text(value: Option<Value>) -> String {
    match value {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::BoolValue(flag)) => flag.to_string(),
        Some(Value::ArrayValue(list)) => {
            let texts: Vec<String> =
                list.values.into_iter().map(|value| text(value.value)).collect();
            texts.join(",")
        }
        other => format!("{other:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
