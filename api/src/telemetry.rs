//! Log lines to stderr and, where a collector is named, spans to it by OTLP over HTTP.
//!
//! The variables are OpenTelemetry's own, and its SDK reads most of them itself: endpoint, headers, time-out, sampler, queue,
//! service name. Spans wait in a bounded queue that a thread of its own empties: a collector that is slow or away costs the
//! spans that do not fit, and nothing else.

mod exporter;

use anyhow::{Context, Result, bail};
use commands::trace;
pub use exporter::SPANS;
use exporter::Told;
use opentelemetry::{Key, KeyValue, trace::TracerProvider};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use std::{
    env,
    io::{self, IsTerminal},
    time::Duration,
};
use tracing::{Metadata, Subscriber};
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::{FilterExt, filter_fn},
    layer::SubscriberExt,
    registry::LookupSpan,
    util::SubscriberInitExt,
};
use uuid::Uuid;

/// How long spans may take to leave when the server goes down.
const FLUSH: Duration = Duration::from_secs(5);
/// Either of them turns the export on.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"];
/// What the exporter speaks.
const PROTOCOLS: [&str; 2] = ["OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"];

/// What has to be let go of when the process ends.
#[derive(Debug)]
pub struct Telemetry(Option<SdkTracerProvider>);

/// Begins to log: as `RUST_LOG` says, else as is `usual`. Servers, whose lines are read by machines, write JSON where there
/// is no terminal. Where `traced` and a collector is named, spans go to it.
///
/// # Errors
/// When what is said of the collector makes no sense.
pub fn start(json: Option<bool>, usual: &str, traced: bool) -> Result<Telemetry> {
    let serving = usual.starts_with("info");
    let json = json.unwrap_or_else(|| serving && !io::stderr().is_terminal());
    let logging = tracing_subscriber::registry().with(lines(json, usual));
    if !traced || !wanted() {
        logging.init();
        return Ok(Telemetry(None));
    }
    let provider = exporting()?;
    let spans = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("annals"))
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false)
        .with_filter(filter_fn(is_exported));
    logging.with(spans).init();
    Ok(Telemetry(Some(provider)))
}

impl Telemetry {
    /// Sends what waits, at most for a few seconds. Not to be called on a thread of the runtime.
    pub fn stop(self) {
        if let Some(provider) = self.0
            && let Err(error) = provider.shutdown_with_timeout(FLUSH)
        {
            tracing::warn!(%error, "the last spans were not exported");
        }
    }
}

fn is_exported(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && metadata.target() == trace::TARGET
}

/// Lines for people and for machines. They know nothing of the spans that are exported.
fn lines<S: Subscriber + for<'a> LookupSpan<'a>>(
    json: bool,
    usual: &str,
) -> Box<dyn Layer<S> + Send + Sync> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(usual));
    let filter = filter.and(filter_fn(|metadata| !is_exported(metadata)));
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    if json {
        lines.json().with_filter(filter).boxed()
    } else {
        lines.with_ansi(io::stderr().is_terminal()).with_filter(filter).boxed()
    }
}

fn set(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.trim().is_empty())
}

fn wanted() -> bool {
    let off = set("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"))
        || set("OTEL_TRACES_EXPORTER").is_some_and(|value| value == "none");
    !off && ENDPOINTS.into_iter().any(|name| set(name).is_some())
}

fn exporting() -> Result<SdkTracerProvider> {
    for name in PROTOCOLS {
        if let Some(other) = set(name).filter(|value| value != "http/protobuf") {
            bail!("{name}: {other} is not spoken, only http/protobuf (port 4318 as a rule)");
        }
    }
    let exporter = SpanExporter::builder().with_http().with_protocol(Protocol::HttpBinary);
    let exporter = exporter.build().context("OTEL_EXPORTER_OTLP_ENDPOINT cannot be used")?;
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(Told::new(exporter))
        .with_resource(resource());
    Ok(provider.build())
}

/// Who sends the spans, as the environment says, else as is plain.
fn resource() -> Resource {
    let instance = KeyValue::new("service.instance.id", Uuid::now_v7().to_string());
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let named = Resource::builder().build();
    let name = named.get(&Key::from_static_str("service.name"));
    let unknown = name.is_none_or(|name| name.as_str().starts_with("unknown_service"));
    let builder = Resource::builder();
    let builder = if unknown { builder.with_service_name("annals") } else { builder };
    builder.with_attributes([instance, version]).build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::{info_span, subscriber::with_default};

    #[test]
    fn without_an_exporter_no_span_is_made_and_log_lines_know_none() {
        let logging = tracing_subscriber::registry().with(lines(true, "trace"));
        with_default(logging, || {
            assert!(info_span!(target: trace::TARGET, "request").is_disabled());
            assert!(!info_span!("somebody else's").is_disabled());
            assert_eq!(
                trace::or_current(Some("as it came".to_owned())).as_deref(),
                Some("as it came")
            );
        });
    }
}
