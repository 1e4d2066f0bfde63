//! Counters that cost nothing to keep, for whoever asks how the process is doing. One log per process is the rule, so
//! there is one of each.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// The most buckets a histogram has.
const BUCKETS: usize = 16;

/// Time from the call of an append to its answer, in seconds.
pub static APPEND_SECONDS: Histogram = Histogram::new(&[
    0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0,
]);
/// Time of one statement of the log's writer, in seconds.
pub static COMMIT_SECONDS: Histogram = Histogram::new(&[
    0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0,
]);
/// Events committed together.
pub static BATCH_EVENTS: Histogram =
    Histogram::new(&[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0]);

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
