//! `GET /metrics`, in the text format of Prometheus. Open to everybody who reaches the port: it tells numbers, and
//! nothing about people. A question to the database that is not answered soon is left out of the page.
//!
//! `docs/telemetry.md` lists every family; a test compares it with the page.

mod log;
mod page;
mod process;
mod work;

use crate::{app::App, openapi::Documented};
use axum::{
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::IntoResponse,
};
use commands::pulse::Histogram;
use page::{Kind, Page};
pub use process::resident_memory;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::time::timeout;
use utoipa_axum::{router::OpenApiRouter, routes};

/// How long log and database may take to answer.
const DEADLINE: Duration = Duration::from_secs(2);
/// Upper bounds of the times of requests, in seconds.
const SECONDS: &[f64] =
    &[0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0];

/// Classes of status codes.
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// The routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(scrape)).tagged("Operations")
}

/// Whose routes a request went to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Sage, and what nobody serves.
    Sage,
    /// GenieHelper.
    Genie,
    /// LLMStack.
    LlmStack,
    /// `/v1`.
    Native,
    /// Probes and metrics.
    Operations,
}

impl Dialect {
    const ALL: [Self; 5] =
        [Self::Sage, Self::Genie, Self::LlmStack, Self::Native, Self::Operations];

    /// By the beginning of a path: right wherever a dialect has a prefix of its own.
    pub fn of_prefix(path: &str) -> Self {
        match path.split('/').nth(1).unwrap_or_default() {
            "v1" => Self::Native,
            "genie" => Self::Genie,
            "llmstack" => Self::LlmStack,
            "livez" | "readyz" | "metrics" | "openapi" | "docs" => Self::Operations,
            _ => Self::Sage,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Sage => "sage",
            Self::Genie => "genie",
            Self::LlmStack => "llmstack",
            Self::Native => "v1",
            Self::Operations => "operations",
        }
    }
}

/// What was counted since the start.
#[derive(Debug)]
pub struct Metrics {
    answers: [Answers; Dialect::ALL.len()],
    streams: AtomicU64,
    since: Instant,
}

#[derive(Debug)]
struct Answers {
    /// By class: 1xx to 5xx.
    classes: [AtomicU64; 5],
    seconds: Histogram,
}

impl Default for Metrics {
    fn default() -> Self {
        let answers = || Answers { classes: Default::default(), seconds: Histogram::new(SECONDS) };
        let (answers, streams) = (std::array::from_fn(|_| answers()), AtomicU64::new(0));
        Self { answers, streams, since: Instant::now() }
    }
}

impl Metrics {
    /// Streams that clients are reading.
    pub fn open_streams(&self) -> u64 {
        self.streams.load(Relaxed)
    }

    /// How long this process has been counting.
    pub fn uptime(&self) -> Duration {
        self.since.elapsed()
    }
}

/// A stream that is open as long as this lives.
#[derive(Debug)]
pub struct OpenStream(Arc<Metrics>);

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.streams.fetch_sub(1, Relaxed);
    }
}

impl Metrics {
    /// A request was answered; a stream counts when it begins.
    pub fn answered(&self, dialect: Dialect, status: StatusCode, elapsed: Duration) {
        let answers = &self.answers[dialect as usize];
        let class = usize::from(status.as_u16() / 100).clamp(1, 5) - 1;
        answers.classes[class].fetch_add(1, Relaxed);
        answers.seconds.time(elapsed);
    }

    /// A stream begins.
    pub fn stream_opened(self: &Arc<Self>) -> OpenStream {
        self.streams.fetch_add(1, Relaxed);
        OpenStream(self.clone())
    }
}

/// Tells numbers about this node, in the text format of Prometheus.
#[utoipa::path(
    get,
    path = "/metrics",
    responses((status = 200, description = "The numbers.", body = String)),
    security(()),
)]
async fn scrape(State(app): State<App>) -> impl IntoResponse {
    let (head, depth, statuses) = tokio::join!(
        timeout(DEADLINE, app.log.head()),
        timeout(DEADLINE, work::depth(&app.db)),
        app.projections.status(),
    );
    let head = head.ok().and_then(Result::ok);
    let depth = depth.ok().and_then(Result::ok);
    let mut page = Page::default();
    process::write(&mut page);
    page.gauge(
        "annals_database_up",
        "1 when the database answered this page's questions in time.",
        u8::from(depth.is_some()),
    );
    log::write(&app, &mut page, head);
    log::read_models(&mut page, &statuses);
    work::write(&app, &mut page, depth.as_ref());
    requests(&app, &mut page);
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    ([(header::CONTENT_TYPE, kind)], page.into_text())
}

fn requests(app: &App, page: &mut Page) {
    let streams = app.metrics.open_streams();
    page.gauge("annals_http_open_streams", "Streams that clients are reading.", streams);
    let name = "annals_http_requests_total";
    page.head(name, Kind::Counter, "Requests answered.");
    for dialect in Dialect::ALL {
        for (class, count) in CLASSES.iter().zip(&app.metrics.answers[dialect as usize].classes) {
            let labels = [("dialect", dialect.name()), ("status", class)];
            page.line(name, &labels, count.load(Relaxed));
        }
    }
    let family = ("annals_http_request_seconds", "Time to the head of the answer.");
    let times = |dialect: Dialect| app.metrics.answers[dialect as usize].seconds.snapshot();
    let each = Dialect::ALL.map(|dialect| (dialect.name(), times(dialect)));
    page.histograms(family, "dialect", each);
}
