//! Numbers that only grow, numbers that go up and down, and either for each of a few things.

use super::{Histogram, Snapshot};
use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// How often something happened.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Never so far.
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// So many times more.
    pub fn add(&self, times: u64) {
        self.0.fetch_add(times, Relaxed);
    }

    /// How often until now.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// How often each of a few things happened. A thing that is none of them counts as the last.
#[derive(Debug)]
pub struct Counts<const N: usize> {
    names: [&'static str; N],
    counters: [Counter; N],
}

impl<const N: usize> Counts<N> {
    /// Never so far.
    pub const fn new(names: [&'static str; N]) -> Self {
        Self { names, counters: [const { Counter::new() }; N] }
    }

    /// Once more.
    pub fn add(&self, name: &str) {
        self.add_many(name, 1);
    }

    /// So many times more.
    pub fn add_many(&self, name: &str, times: u64) {
        if let Some(counter) = self.counters.get(place(&self.names, name)) {
            counter.add(times);
        }
    }

    /// How often until now, in the order of the names.
    pub fn each(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        self.names.into_iter().zip(&self.counters).map(|(name, counter)| (name, counter.get()))
    }
}

/// How long each of a few things took. A thing that is none of them counts as the last.
#[derive(Debug)]
pub struct Timings<const N: usize> {
    names: [&'static str; N],
    histograms: [Histogram; N],
}

impl<const N: usize> Timings<N> {
    /// With a histogram of seconds for each name.
    pub const fn new(names: [&'static str; N], histograms: [Histogram; N]) -> Self {
        Self { names, histograms }
    }

    /// Once more, and how long.
    pub fn time(&self, name: &str, duration: Duration) {
        if let Some(histogram) = self.histograms.get(place(&self.names, name)) {
            histogram.time(duration);
        }
    }

    /// What was measured until now, in the order of the names.
    pub fn each(&self) -> impl Iterator<Item = (&'static str, Snapshot)> + '_ {
        self.names.into_iter().zip(&self.histograms).map(|(name, it)| (name, it.snapshot()))
    }
}

fn place(names: &[&str], name: &str) -> usize {
    names.iter().position(|known| *known == name).unwrap_or(names.len().saturating_sub(1))
}

/// How many there are right now.
#[derive(Debug, Default)]
pub struct Level(AtomicU64);

impl Level {
    /// None.
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// One more, until what is returned is dropped.
    pub fn raise(&'static self) -> Raised {
        self.0.fetch_add(1, Relaxed);
        Raised(self)
    }

    /// How many now.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// One of those a [`Level`] counts.
#[derive(Debug)]
pub struct Raised(&'static Level);

impl Drop for Raised {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_thing_counts_as_the_last() {
        static SEEN: Counts<2> = Counts::new(["known", "other"]);
        ["known", "new", "newer"].into_iter().for_each(|name| SEEN.add(name));
        assert_eq!(SEEN.each().collect::<Vec<_>>(), [("known", 1), ("other", 2)]);
    }

    #[test]
    fn a_level_falls_when_what_raised_it_is_gone() {
        static OPEN: Level = Level::new();
        let (one, two) = (OPEN.raise(), OPEN.raise());
        assert_eq!(OPEN.get(), 2);
        drop((one, two));
        assert_eq!(OPEN.get(), 0);
    }
}
