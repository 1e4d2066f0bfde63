//! Counters that cost nothing to keep, for whoever asks how the process is doing. One log per process is the rule, so
//! there is one of each. Names of things that people choose never become names of counters without a limit.

mod counts;
pub mod models;

pub use counts::{Counter, Counts, Level, Raised, Timings};
use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// The most buckets a histogram has.
const BUCKETS: usize = 16;
/// Upper bounds for what a database or a process on this machine does, in seconds.
const NEAR: &[f64] =
    &[0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0];
/// Upper bounds for what somebody far away does, in seconds.
const FAR: &[f64] =
    &[0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 60.0, 120.0, 300.0, 600.0];

/// Time from the call of an append to its answer, in seconds.
pub static APPEND_SECONDS: Histogram = Histogram::new(NEAR);
/// Time of one statement of the log's writer, in seconds.
pub static COMMIT_SECONDS: Histogram = Histogram::new(NEAR);
/// Events committed together.
pub static BATCH_EVENTS: Histogram =
    Histogram::new(&[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0]);

/// Runs whose performance began on this node, those taken over included.
pub static RUNS_PERFORMED: Counter = Counter::new();
/// Runs that this node went on with.
pub static RUNS_TAKEN_OVER: Counter = Counter::new();
/// Runs that this node ended, by their outcome.
pub static RUNS_ENDED: Counts<4> = Counts::new(["completed", "failed", "interrupted", "replaced"]);
/// Time of the calls that models make, by how they ended.
pub static TOOL_SECONDS: Timings<3> =
    Timings::new(["success", "error", "cancelled"], [const { Histogram::new(FAR) }; 3]);
/// Time of calls to MCP servers, the connecting included, by how they ended: an `error` is what the tool says, `failed` is
/// that no server answered.
pub static MCP_SECONDS: Timings<4> =
    Timings::new(["success", "error", "failed", "timeout"], [const { Histogram::new(FAR) }; 4]);
/// Time of the stages of a question to knowledge bases: its vector, the search by words alone, the search by words and
/// vectors (one statement fuses both rankings), the order of a reranker.
pub static RETRIEVAL_SECONDS: Timings<4> =
    Timings::new(["embed", "lexical", "fused", "rerank"], [const { Histogram::new(NEAR) }; 4]);
/// Time of one attempt at a document, by how it ended.
pub static INGESTION_SECONDS: Timings<3> =
    Timings::new(["done", "failed", "lost"], [const { Histogram::new(FAR) }; 3]);
/// Appends that came in over the EventStoreDB protocol, by how they ended.
pub static ESDB_APPENDS: Counts<3> = Counts::new(["written", "conflict", "refused"]);
/// Clients that follow the log over the EventStoreDB protocol.
pub static ESDB_CATCH_UP: Level = Level::new();
/// Consumers of persistent subscriptions on this node.
pub static ESDB_CONSUMERS: Level = Level::new();

/// How often values fell into which range. Lock-free; a reader may see a value's parts a moment apart.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [f64],
    buckets: [AtomicU64; BUCKETS],
    /// In millionths.
    sum: AtomicU64,
}

/// What a histogram holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// Upper bound of each range, and how many values there were up to it.
    pub buckets: Vec<(f64, u64)>,
    /// All values.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
}

impl Histogram {
    /// Empty, with these upper bounds, at most 15, growing.
    pub const fn new(bounds: &'static [f64]) -> Self {
        assert!(bounds.len() < BUCKETS);
        Self { bounds, buckets: [const { AtomicU64::new(0) }; BUCKETS], sum: AtomicU64::new(0) }
    }

    /// Adds a duration, in seconds.
    pub fn time(&self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.add(duration.as_secs_f64(), micros);
    }

    /// Adds a number of things.
    pub fn count(&self, number: usize) {
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        self.add(f64::from(number), u64::from(number) * 1_000_000);
    }

    fn add(&self, value: f64, millionths: u64) {
        let place = self.bounds.partition_point(|bound| *bound < value);
        if let Some(bucket) = self.buckets.get(place) {
            bucket.fetch_add(1, Relaxed);
        }
        self.sum.fetch_add(millionths, Relaxed);
    }

    /// What it holds now.
    pub fn snapshot(&self) -> Snapshot {
        let mut count = 0;
        let mut buckets = Vec::with_capacity(self.bounds.len());
        for (bound, bucket) in self.bounds.iter().zip(&self.buckets) {
            count += bucket.load(Relaxed);
            buckets.push((*bound, count));
        }
        count += self.buckets.get(self.bounds.len()).map_or(0, |rest| rest.load(Relaxed));
        #[expect(clippy::cast_precision_loss, reason = "a sum is read by people and graphs")]
        let sum = self.sum.load(Relaxed) as f64 / 1e6;
        Snapshot { buckets, count, sum }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_counts_in_every_range_it_lies_below() {
        static SIZES: Histogram = Histogram::new(&[1.0, 5.0]);
        [1, 2, 5, 6].into_iter().for_each(|size| SIZES.count(size));
        let expected = Snapshot { buckets: vec![(1.0, 1), (5.0, 3)], count: 4, sum: 14.0 };
        assert_eq!(SIZES.snapshot(), expected);
    }
}
