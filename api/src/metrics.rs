//! `GET /metrics`, in the text format of Prometheus. Open to everybody who reaches the port: it tells numbers, and
//! nothing about people.

use crate::app::App;
use axum::{
    Router,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use commands::{
    publish,
    pulse::{self, Histogram, Snapshot},
};
use std::{
    fmt::{Display, Write},
    fs,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// How long the log may take to say where it ends.
const DEADLINE: Duration = Duration::from_secs(2);
/// Upper bounds of the times of requests, in seconds.
const SECONDS: &[f64] =
    &[0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0];

/// The routes.
pub fn routes() -> Router<App> {
    Router::new().route("/metrics", get(scrape))
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
            "livez" | "readyz" | "metrics" => Self::Operations,
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

async fn scrape(State(app): State<App>) -> impl IntoResponse {
    let mut page = Page::default();
    process(&mut page);
    log(&app, &mut page).await;
    read_models(&app, &mut page).await;
    runs(&app, &mut page);
    requests(&app, &mut page);
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    ([(header::CONTENT_TYPE, kind)], page.0)
}

/// Bytes of memory this process has; `None` on systems that do not tell.
pub fn resident_memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(resident.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

/// What the system knows about the process; on systems that do not tell, nothing.
fn process(page: &mut Page) {
    if let Some(bytes) = resident_memory() {
        page.gauge("process_resident_memory_bytes", "Resident memory.", bytes);
    }
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The second field may hold anything in parentheses; user and system time are the 12th and 13th after it.
    let times = stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace().skip(11).take(2));
    let ticks: Option<u32> = times.map(|times| times.filter_map(|t| t.parse::<u32>().ok()).sum());
    if let Some(ticks) = ticks {
        let name = "process_cpu_seconds_total";
        page.head(name, "counter", "Time on processors, 100 ticks a second.");
        page.line(name, "", f64::from(ticks) / 100.0);
    }
    if let Ok(files) = fs::read_dir("/proc/self/fd") {
        page.gauge("process_open_fds", "Open files and sockets.", files.count());
    }
}

async fn log(app: &App, page: &mut Page) {
    if let Ok(Ok(head)) = tokio::time::timeout(DEADLINE, app.log.head()).await {
        page.gauge("annals_log_head_position", "Position of the last event.", head);
    }
    for (name, help, histogram) in [
        (
            "annals_log_append_seconds",
            "From the call of an append to its answer.",
            &pulse::APPEND_SECONDS,
        ),
        ("annals_log_commit_seconds", "One statement of the writer.", &pulse::COMMIT_SECONDS),
        ("annals_log_batch_events", "Events committed together.", &pulse::BATCH_EVENTS),
    ] {
        page.head(name, "histogram", help);
        page.histogram(name, "", &histogram.snapshot());
    }
    let Some(publisher) = &app.publisher else { return };
    let status = publisher.status();
    let publishing = u8::from(status.state == publish::State::Publishing);
    page.gauge("annals_publisher_active", "1 while this node publishes.", publishing);
    page.gauge(
        "annals_publisher_position",
        "Everything up to here was acknowledged, as far as this node knows.",
        status.position,
    );
}

async fn read_models(app: &App, page: &mut Page) {
    let statuses = app.projections.status().await;
    let mut each = |name: &str, help: &str, value: &dyn Fn(&projections::Status) -> f64| {
        page.head(name, "gauge", help);
        for status in &statuses {
            page.line(name, &format!("name=\"{}\"", status.name), value(status));
        }
    };
    #[expect(clippy::cast_precision_loss, reason = "positions stay far below 2^53")]
    let number = |value: u64| value as f64;
    each("annals_projection_position", "The rows reflect everything up to here.", &|status| {
        number(status.position.0)
    });
    each("annals_projection_lag", "Positions behind the head of the log.", &|status| {
        number(status.lag)
    });
    each("annals_projection_heartbeat_age_seconds", "Since its last sign of life.", &|status| {
        status.heartbeat_age.as_secs_f64()
    });
    each("annals_projection_stuck", "1 while an event cannot be applied.", &|status| {
        f64::from(u8::from(status.failure.is_some()))
    });
}

fn runs(app: &App, page: &mut Page) {
    page.gauge("annals_runs_performing", "Runs performed by this node.", app.reply.performing());
    let streams = app.metrics.open_streams();
    page.gauge("annals_http_open_streams", "Streams that clients are reading.", streams);
}

fn requests(app: &App, page: &mut Page) {
    let name = "annals_http_requests_total";
    page.head(name, "counter", "Requests answered.");
    for dialect in Dialect::ALL {
        for (class, count) in (1..).zip(&app.metrics.answers[dialect as usize].classes) {
            let labels = format!("dialect=\"{}\",status=\"{class}xx\"", dialect.name());
            page.line(name, &labels, count.load(Relaxed));
        }
    }
    let name = "annals_http_request_seconds";
    page.head(name, "histogram", "Time to the head of the answer.");
    for dialect in Dialect::ALL {
        let labels = format!("dialect=\"{}\"", dialect.name());
        page.histogram(name, &labels, &app.metrics.answers[dialect as usize].seconds.snapshot());
    }
}

/// The text as it grows. Writing to a string cannot fail.
#[derive(Default)]
struct Page(String);

impl Page {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _infallible = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn line(&mut self, name: &str, labels: &str, value: impl Display) {
        let _infallible = match labels {
            "" => writeln!(self.0, "{name} {value}"),
            labels => writeln!(self.0, "{name}{{{labels}}} {value}"),
        };
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.head(name, "gauge", help);
        self.line(name, "", value);
    }

    fn histogram(&mut self, name: &str, labels: &str, snapshot: &Snapshot) {
        let comma = if labels.is_empty() { "" } else { "," };
        let bucket = format!("{name}_bucket");
        for (bound, count) in &snapshot.buckets {
            self.line(&bucket, &format!("{labels}{comma}le=\"{bound}\""), count);
        }
        self.line(&bucket, &format!("{labels}{comma}le=\"+Inf\""), snapshot.count);
        self.line(&format!("{name}_sum"), labels, snapshot.sum);
        self.line(&format!("{name}_count"), labels, snapshot.count);
    }
}
