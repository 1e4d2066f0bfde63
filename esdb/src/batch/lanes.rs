//! The order of a call's appends: a lane for each stream.

use super::{OPEN, Whole};
use crate::append::BYTES;
use std::collections::{HashMap, VecDeque};
use tokio::time::Instant;

/// What is under way, and what waits behind it.
#[derive(Default)]
pub(super) struct Lanes {
    /// Streams that are appended to, with what is to be appended to them next.
    waiting: HashMap<Vec<u8>, VecDeque<Whole>>,
    /// Appends in all of them, and their bytes.
    count: usize,
    weight: usize,
}

impl Lanes {
    /// Whether more may come beside `open` bytes that are not complete. There always is when nothing is under way.
    pub(super) fn has_room(&self, open: usize) -> bool {
        self.count == 0 || (self.count < OPEN && self.weight + open < BYTES)
    }

    /// Takes an append in; gives it back when it may begin.
    pub(super) fn enter(&mut self, append: Whole) -> Option<Whole> {
        (self.count, self.weight) = (self.count + 1, self.weight + append.weight);
        match self.waiting.get_mut(&append.lane()) {
            Some(behind) => {
                behind.push_back(append);
                None
            }
            None => {
                self.waiting.insert(append.lane(), VecDeque::new());
                Some(append)
            }
        }
    }

    /// An append has ended; the next in its lane.
    pub(super) fn leave(&mut self, lane: &[u8], weight: usize) -> Option<Whole> {
        (self.count, self.weight) = (self.count - 1, self.weight - weight);
        let next = self.waiting.get_mut(lane).and_then(VecDeque::pop_front);
        if next.is_none() {
            self.waiting.remove(lane);
        }
        next
    }

    /// When the first deadline of those that wait is over.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.waiting.values().flatten().filter_map(|append| append.deadline).min()
    }

    /// Takes out what has waited for too long.
    pub(super) fn late(&mut self, now: Instant) -> Vec<Whole> {
        let mut late = Vec::new();
        for behind in self.waiting.values_mut() {
            for append in std::mem::take(behind) {
                match append.deadline {
                    Some(deadline) if deadline <= now => late.push(append),
                    _ => behind.push_back(append),
                }
            }
        }
        self.count -= late.len();
        self.weight -= late.iter().map(|append| append.weight).sum::<usize>();
        late
    }
}
