//! Measuring the log against raw PostgreSQL: the same rows, the same machine, the same minute. Absolute figures say
//! little on a shared machine; the ratios and the CPU per event do.
//!
//! Every function wants a pool on a scratch database that holds a freshly migrated, empty log, and leaves its rows
//! there. Ours and the baseline take turns in short slices, so that a busy neighbour hurts both.

mod append;
mod baseline;
mod catchup;
mod elsewhere;
mod live;
mod measure;

pub use append::append;
pub use baseline::{clients, commits};
pub use catchup::catchup;
pub use elsewhere::elsewhere;
pub use live::tail;
pub use measure::{Meter, Timed};

use super::{Append, AppendError, EventLog, ReadError, postgres::OpenError};
use domain::{Expected, NewEvent, Revision, StreamId};
use serde::Serialize;
use serde_json::value::RawValue;
use std::{collections::BTreeMap, time::Duration};
use uuid::Uuid;

/// What a benchmark found.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Its name.
    pub bench: &'static str,
    /// One row per case.
    pub results: Vec<Row>,
}

/// One case.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// What was done.
    pub name: &'static str,
    /// Writers (or readers) at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub writers: Option<usize>,
    /// Events per append.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch: Option<usize>,
    /// Events per second.
    pub per_s: f64,
    /// What it is compared with.
    pub baseline: String,
    /// Rows per second of that.
    pub baseline_per_s: f64,
    /// `per_s / baseline_per_s`.
    pub ratio: f64,
    /// Median of one call, microseconds.
    pub p50_us: u64,
    /// 99th percentile of one call, microseconds.
    pub p99_us: u64,
    /// CPU of client and server per event, microseconds; only when the server runs on this machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_us_per_event: Option<f64>,
    /// The same of the baseline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline_cpu_us_per_event: Option<f64>,
    /// Figures that only this case has, such as `recall_at_10`; they stand beside the others.
    #[serde(flatten)]
    pub more: BTreeMap<&'static str, f64>,
}

/// Why a benchmark failed.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The log cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// An append failed.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// A read failed.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The baseline failed.
    #[error(transparent)]
    Baseline(#[from] sqlx::Error),
    /// A task of the benchmark died.
    #[error(transparent)]
    Task(#[from] tokio::task::JoinError),
    /// A text of the benchmark is not what it should be.
    #[error("{0}")]
    Text(String),
}

/// Ours and the baseline take turns in slices of this length.
const SLICE: Duration = Duration::from_millis(250);
/// A writer begins a new stream after this many appends.
const STREAM: u64 = 500;

/// How many slices fill this time.
fn slices(seconds: u64) -> u64 {
    seconds.max(1) * 4
}

/// A payload of about 300 bytes.
fn payload() -> Result<Box<RawValue>, BenchError> {
    let words = "the quick brown fox jumps over the lazy dog and comes back again ".repeat(4);
    json(format!(r#"{{"text":"{words}","index":12345,"final":false}}"#))
}

fn metadata() -> Result<Box<RawValue>, BenchError> {
    json(format!(r#"{{"actor":"system","correlation_id":"{}"}}"#, Uuid::nil()))
}

fn json(text: String) -> Result<Box<RawValue>, BenchError> {
    RawValue::from_string(text).map_err(|error| BenchError::Text(error.to_string()))
}

fn stream() -> Result<StreamId, BenchError> {
    let name = format!("bench-{}", Uuid::now_v7());
    name.parse().map_err(|error: domain::NotAStream| BenchError::Text(error.to_string()))
}

/// One writer with streams of its own, each append expecting the one before.
struct Author {
    payload: Box<RawValue>,
    metadata: Box<RawValue>,
    stream: StreamId,
    appends: u64,
    next: u64,
}

impl Author {
    fn new() -> Result<Self, BenchError> {
        let (payload, metadata, stream) = (payload()?, metadata()?, stream()?);
        Ok(Self { payload, metadata, stream, appends: 0, next: 0 })
    }

    async fn append(&mut self, log: &dyn EventLog, count: usize) -> Result<u64, BenchError> {
        if self.appends == STREAM {
            (self.appends, self.next, self.stream) = (0, 0, stream()?);
        }
        let event = || NewEvent {
            id: Uuid::now_v7(),
            kind: "BenchmarkRun".into(),
            data: self.payload.clone(),
            metadata: self.metadata.clone(),
        };
        let events = std::iter::repeat_with(event).take(count).collect();
        let before = self.next.checked_sub(1).map(Revision);
        let expected = before.map_or(Expected::NoStream, Expected::Exact);
        let append = Append { stream: self.stream.clone(), expected, events };
        let appended = log.append(append).await?;
        self.appends += 1;
        self.next = appended.revision.0 + 1;
        Ok(appended.position.0)
    }
}
