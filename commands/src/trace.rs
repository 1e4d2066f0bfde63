//! Spans: one trace from a request over its run to models, tools and the log, also when another node goes on with the run.
//!
//! Spans carry a target of their own. What writes log lines leaves it out, and what exports spans takes nothing else, so
//! that without an exporter no span is ever made: what is left is to load a flag. No span holds what people or models say.

use opentelemetry::{
    Context,
    trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState},
};
use reqwest::RequestBuilder;
use tracing::{Span, field};
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The target of all spans that are exported, and of nothing else.
pub const TARGET: &str = "annals::trace";

/// The header, and the field of metadata, that names trace and span.
pub const TRACEPARENT: &str = "traceparent";

/// A W3C trace context: which trace, which span in it, and whether it is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traceparent(SpanContext);

impl Traceparent {
    /// As it is written in the header. `None` for what is malformed: the trace begins anew.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let mut hex = |len| {
            let digits = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
            parts.next().filter(|part| part.len() == len && part.bytes().all(digits))
        };
        let (version, trace, span, flags) = (hex(2)?, hex(32)?, hex(16)?, hex(2)?);
        // Later versions may say more; what is known of them is the beginning.
        let more = parts.next().is_some();
        if version == "ff" || version == "00" && more {
            return None;
        }
        let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()?);
        let flags = if version == "00" { flags } else { flags & TraceFlags::SAMPLED };
        let (trace, span) = (TraceId::from_hex(trace).ok()?, SpanId::from_hex(span).ok()?);
        let context = SpanContext::new(trace, span, flags, true, TraceState::default());
        context.is_valid().then_some(Self(context))
    }

    /// That of the span in which this is called; `None` outside of one, and always without an exporter.
    pub fn current() -> Option<Self> {
        Context::map_current(|context| {
            let active = context.has_active_span().then(|| context.span().span_context().clone());
            active.filter(SpanContext::is_valid).map(Self)
        })
    }

    /// As it is written in the header.
    pub fn text(&self) -> String {
        let Self(context) = self;
        let flags = context.trace_flags().to_u8();
        format!("00-{}-{}-{flags:02x}", context.trace_id(), context.span_id())
    }
}

/// The current span's context as text, else `otherwise`: what events are written with.
pub fn or_current(otherwise: Option<String>) -> Option<String> {
    Traceparent::current().map(|current| current.text()).or(otherwise)
}

/// Makes the span a child of the one that is named here, wherever that was recorded. What is malformed changes nothing.
pub fn adopt(span: &Span, traceparent: Option<&str>) {
    if span.is_disabled() {
        return;
    }
    if let Some(Traceparent(parent)) = traceparent.and_then(Traceparent::parse)
        && let Err(error) = span.set_parent(Context::new().with_remote_span_context(parent))
    {
        tracing::debug!(%error, "a span stays without its parent");
    }
}

/// The call as it is, or with a header that lets the trace go on where it is answered.
pub fn carried(call: RequestBuilder) -> RequestBuilder {
    match Traceparent::current() {
        Some(current) => call.header(TRACEPARENT, current.text()),
        None => call,
    }
}

/// Host and port of a URL. Path, query and userinfo may be secrets.
fn server(url: &str) -> (Option<String>, Option<i64>) {
    let url = reqwest::Url::parse(url.trim()).ok();
    let port = url.as_ref().and_then(reqwest::Url::port_or_known_default).map(i64::from);
    (url.and_then(|url| url.host_str().map(str::to_owned)), port)
}

/// The span of a call to a model that is no chat: what is done, by which model, where.
pub fn model_call(operation: &'static str, model: &str, base_url: &str) -> Span {
    let span = tracing::info_span!(
        target: TARGET,
        "model_call",
        otel.name = format!("{operation} {model}"),
        otel.kind = "client",
        gen_ai.operation.name = operation,
        gen_ai.provider.name = "openai",
        gen_ai.request.model = model,
        server.address = field::Empty,
        server.port = field::Empty,
    );
    if !span.is_disabled() {
        note_server(&span, base_url);
    }
    span
}

/// Notes host and port of a URL in the span.
pub fn note_server(span: &Span, url: &str) {
    let (address, port) = server(url);
    span.record("server.address", address);
    span.record("server.port", port);
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn what_is_well_formed_is_told_as_it_came() {
        for text in [GOOD, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"] {
            assert_eq!(Traceparent::parse(text).map(|parsed| parsed.text()).as_deref(), Some(text));
        }
        let later = GOOD.replacen("00", "cc", 1) + "-more";
        assert_eq!(Traceparent::parse(&later).map(|p| p.text()).as_deref(), Some(GOOD));
    }

    #[test]
    fn what_is_malformed_begins_anew() {
        let upper = GOOD.to_uppercase();
        let (more, forbidden) = (format!("{GOOD}-01"), GOOD.replacen("00", "ff", 1));
        for text in [
            "",
            "00",
            "00-zz-1-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01 ",
            &upper,
            &more,
            &forbidden,
        ] {
            assert_eq!(Traceparent::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_server_is_named_without_path_and_password() {
        let named = server("https://me:secret@models.example/v1?key=secret");
        assert_eq!(named, (Some("models.example".to_owned()), Some(443)));
        assert_eq!(server("not a URL"), (None, None));
    }
}
