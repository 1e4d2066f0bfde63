//! One line of log and one count for every request.

use crate::{
    app::App,
    core::Context,
    metrics::{Dialect, OpenStream},
};
use axum::{
    body::{Body, Bytes, HttpBody},
    extract::{MatchedPath, Request, State},
    http::{HeaderName, Method, StatusCode},
    middleware::Next,
    response::Response,
};
use commands::trace;
use hyper::body::{Frame, SizeHint};
use std::{
    pin::Pin,
    task::{Context as Task, Poll},
    time::Instant,
};
use tracing::{Instrument, Span, field};

/// On the answers of the routes below, so that they are counted as the dialect's.
pub async fn speaks(dialect: Dialect, mut response: Response) -> Response {
    if response.extensions().get::<Dialect>().is_none() {
        response.extensions_mut().insert(dialect);
    }
    response
}

/// Logs and counts. Names the route, not the path: ids in paths may be secrets, as query strings may be.
pub async fn request(State(app): State<App>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let method = request.method().clone();
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let by_prefix = Dialect::of_prefix(request.uri().path());
    let span = match by_prefix {
        // Asked every few seconds, and nobody's business.
        Dialect::Operations => Span::none(),
        _ => span(&method, matched.as_ref()),
    };
    let mut response = next.run(request).instrument(span.clone()).await;
    let dialect = response.extensions().get().copied().unwrap_or(by_prefix);
    let (status, elapsed) = (response.status(), begun.elapsed());
    app.metrics.answered(dialect, status, elapsed);
    let context = Context::current();
    answered(&span, status);
    let path = matched.as_ref().map_or("(none)", MatchedPath::as_str);
    let user = context.caller.get().map(|user| user.as_str());
    let ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    let (status, request_id) = (status.as_u16(), context.request_id);
    if dialect == Dialect::Operations {
        tracing::debug!(%method, path, status, ms, %request_id, user, "request");
    } else {
        tracing::info!(%method, path, status, ms, %request_id, user, "request");
    }
    if response.headers().contains_key(HeaderName::from_static("x-accel-buffering")) {
        let open = app.metrics.stream_opened();
        response = response.map(|body| Body::new(Counted { body, _open: open, _span: span }));
    }
    response
}

/// The span of a request, which goes on with the caller's trace if it names one. As in log lines, the route is told and the
/// path is not.
fn span(method: &Method, matched: Option<&MatchedPath>) -> Span {
    let context = Context::current();
    let route = matched.map(MatchedPath::as_str);
    let (known, original) = match method.as_str() {
        known @ ("GET" | "HEAD" | "POST" | "PUT" | "DELETE" | "CONNECT" | "OPTIONS" | "TRACE"
        | "PATCH") => (known, None),
        other => ("_OTHER", Some(other)),
    };
    let span = tracing::info_span!(
        target: trace::TARGET,
        parent: None,
        "request",
        otel.name = match route {
            Some(route) => format!("{} {route}", known.replace("_OTHER", "HTTP")),
            None => known.replace("_OTHER", "HTTP"),
        },
        otel.kind = "server",
        otel.status_code = field::Empty,
        error.type = field::Empty,
        http.request.method = known,
        http.request.method_original = original,
        http.route = route,
        http.response.status_code = field::Empty,
        url.scheme = "http",
        annals.request.id = %context.request_id,
    );
    trace::adopt(&span, context.traceparent.as_deref());
    span
}

fn answered(span: &Span, status: StatusCode) {
    span.record("http.response.status_code", i64::from(status.as_u16()));
    if status.is_server_error() {
        span.record("otel.status_code", "ERROR");
        span.record("error.type", status.as_str());
    }
}

/// A stream that is counted as open until it ends or its reader goes away.
struct Counted {
    body: Body,
    _open: OpenStream,
    /// Ends with the last byte.
    _span: Span,
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        task: &mut Task<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(task)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
