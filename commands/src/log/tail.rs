//! The live end of the log in memory: a ring of the newest events, and watchers of single streams.
//!
//! Events enter strictly in the order of positions. What arrives ahead of a gap (another node wrote in between) waits
//! aside until the gap is filled from the database. The lock is never held across an await.

use super::Batch;
use domain::{Position, Recorded, Revision, StreamId};
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::{Notify, watch};

/// Weight of the ring, bytes.
const RING: usize = 32 << 20;
/// Weight of what may wait aside for a gap to be filled, bytes.
const ASIDE: usize = 8 << 20;
/// Events that one look into the ring returns, about.
const LOOK: usize = 2_000;
/// What may wait for one slow follower before it has to read from the database: events and bytes.
const WAITING: (usize, usize) = (512, 1 << 20);

/// Consecutive events in order of position, never empty.
#[derive(Debug, Clone)]
pub(super) struct Chunk {
    events: Arc<[Arc<Recorded>]>,
    weight: usize,
}

/// What a subscriber at some position finds.
#[derive(Debug)]
pub(super) enum Look {
    /// The next chunks; the first may begin before the subscriber's position.
    Chunks(Vec<Chunk>),
    /// Nothing newer yet.
    AtHead,
    /// The ring begins too late: read the database.
    FellOut,
}

/// The live end of the log.
#[derive(Debug)]
pub(super) struct Tail {
    state: Mutex<State>,
    head: watch::Sender<u64>,
    known: watch::Sender<u64>,
}

#[derive(Debug)]
struct State {
    head: u64,
    ring: VecDeque<Chunk>,
    weight: usize,
    aside: BTreeMap<u64, Chunk>,
    aside_weight: usize,
    watchers: HashMap<StreamId, Vec<Arc<Watcher>>>,
}

impl Chunk {
    fn new(events: Batch) -> Option<Self> {
        let weight = events.iter().map(|event| event.weight()).sum();
        (!events.is_empty()).then(|| Self { events: events.into(), weight })
    }

    /// The events.
    pub(super) fn events(&self) -> &[Arc<Recorded>] {
        &self.events
    }

    fn first(&self) -> u64 {
        self.events.first().map_or(0, |event| event.position.0)
    }

    fn last(&self) -> u64 {
        self.events.last().map_or(0, |event| event.position.0)
    }
}

impl Tail {
    /// A tail that begins after `head`.
    pub(super) fn new(head: Position) -> Self {
        let state = State {
            head: head.0,
            ring: VecDeque::new(),
            weight: 0,
            aside: BTreeMap::new(),
            aside_weight: 0,
            watchers: HashMap::new(),
        };
        let known = watch::Sender::new(head.0);
        Self { state: Mutex::new(state), head: watch::Sender::new(head.0), known }
    }

    /// Position of the newest event here.
    pub(super) fn head(&self) -> Position {
        Position(*self.head.borrow())
    }

    /// Tells when the head moves.
    pub(super) fn watch_head(&self) -> watch::Receiver<u64> {
        self.head.subscribe()
    }

    /// The log is known to reach `position`; whoever fills gaps is woken when that is beyond the head.
    pub(super) fn reaches(&self, position: Position) {
        self.known.send_if_modified(|known| {
            let news = position.0 > *known;
            *known = position.0.max(*known);
            news
        });
    }

    /// Tells when the log is known to reach further than before.
    pub(super) fn watch_known(&self) -> watch::Receiver<u64> {
        self.known.subscribe()
    }

    /// Takes committed events in order of position, without gaps among themselves. Those already here are skipped.
    pub(super) fn publish(&self, events: Batch) {
        let Some(chunk) = Chunk::new(events) else { return };
        let (last, head) = (chunk.last(), {
            let mut state = self.lock();
            state.take(chunk);
            self.head.send_if_modified(|head| {
                let moved = *head != state.head;
                *head = state.head;
                moved
            });
            state.head
        });
        if last > head {
            self.reaches(Position(last));
        }
    }

    /// Gives up on everything up to `head`: too far behind to be filled in.
    pub(super) fn jump(&self, head: Position) {
        let mut state = self.lock();
        if state.head >= head.0 {
            return;
        }
        (state.weight, state.head) = (0, head.0);
        state.ring.clear();
        state.watchers.values().flatten().for_each(|watcher| watcher.lag());
        state.join_aside();
        self.head.send_replace(state.head);
    }

    /// What comes after `position`.
    pub(super) fn look(&self, position: Position) -> Look {
        let state = self.lock();
        if position.0 >= state.head {
            return Look::AtHead;
        }
        if state.ring.front().is_none_or(|chunk| chunk.first() > position.0 + 1) {
            return Look::FellOut;
        }
        let begin = state.ring.partition_point(|chunk| chunk.last() <= position.0);
        let mut count = 0;
        let enough = |chunk: &&Chunk| {
            let more = count < LOOK;
            count += chunk.events.len();
            more
        };
        Look::Chunks(state.ring.range(begin..).take_while(enough).cloned().collect())
    }

    /// Watches one stream: from now on every published event of it reaches the watcher.
    pub(super) fn watch_stream(self: &Arc<Self>, stream: &StreamId) -> Watch {
        let watcher = Arc::new(Watcher::default());
        self.lock().watchers.entry(stream.clone()).or_default().push(watcher.clone());
        Watch { tail: self.clone(), stream: stream.clone(), watcher }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take(&mut self, chunk: Chunk) {
        if chunk.first() <= self.head + 1 {
            self.join(chunk);
            self.join_aside();
        } else {
            self.aside_weight += chunk.weight;
            let replaced = self.aside.insert(chunk.first(), chunk);
            self.aside_weight -= replaced.map_or(0, |chunk| chunk.weight);
            if self.aside_weight > ASIDE {
                self.aside.clear();
                self.aside_weight = 0;
            }
        }
    }

    fn join_aside(&mut self) {
        while let Some(entry) = self.aside.first_entry() {
            if *entry.key() > self.head + 1 {
                break;
            }
            let chunk = entry.remove();
            self.aside_weight -= chunk.weight;
            self.join(chunk);
        }
    }

    fn join(&mut self, chunk: Chunk) {
        let new = chunk.events.partition_point(|event| event.position.0 <= self.head);
        let chunk = match new {
            0 => chunk,
            _ => match Chunk::new(chunk.events.iter().skip(new).cloned().collect()) {
                Some(rest) => rest,
                None => return,
            },
        };
        if !self.watchers.is_empty() {
            for event in chunk.events() {
                for watcher in self.watchers.get(&event.stream).into_iter().flatten() {
                    watcher.push(event);
                }
            }
        }
        self.head = chunk.last();
        self.weight += chunk.weight;
        self.ring.push_back(chunk);
        while self.weight > RING && self.ring.len() > 1 {
            self.weight -= self.ring.pop_front().map_or(0, |oldest| oldest.weight);
        }
    }
}

/// One follower's place among the watchers; gives it up when dropped.
#[derive(Debug)]
pub(super) struct Watch {
    tail: Arc<Tail>,
    stream: StreamId,
    watcher: Arc<Watcher>,
}

#[derive(Debug, Default)]
struct Watcher {
    waiting: Mutex<Waiting>,
    news: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    events: Batch,
    weight: usize,
    lags: bool,
}

impl Watch {
    /// Waits for events from revision `next` on. `None`: some were missed, read the database.
    pub(super) async fn next(&self, next: Revision) -> Option<Batch> {
        loop {
            let mut batch = {
                let mut waiting = self.watcher.lock();
                if std::mem::take(&mut waiting.lags) {
                    return None;
                }
                waiting.weight = 0;
                std::mem::take(&mut waiting.events)
            };
            batch.retain(|event| event.revision >= next);
            match batch.first() {
                Some(first) if first.revision > next => return None,
                Some(_) => return Some(batch),
                None => self.watcher.news.notified().await,
            }
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut state = self.tail.lock();
        if let Some(watchers) = state.watchers.get_mut(&self.stream) {
            watchers.retain(|watcher| !Arc::ptr_eq(watcher, &self.watcher));
            if watchers.is_empty() {
                state.watchers.remove(&self.stream);
            }
        }
    }
}

impl Watcher {
    fn push(&self, event: &Arc<Recorded>) {
        let mut waiting = self.lock();
        if !waiting.lags {
            waiting.weight += event.weight();
            waiting.events.push(event.clone());
            let full = waiting.events.len() > WAITING.0 || waiting.weight > WAITING.1;
            if full && waiting.events.len() > 1 {
                *waiting = Waiting { lags: true, ..Waiting::default() };
            }
        }
        drop(waiting);
        self.news.notify_one();
    }

    fn lag(&self) {
        *self.lock() = Waiting { lags: true, ..Waiting::default() };
        self.news.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::log::contract::event;
    use chrono::DateTime;
    use std::ops::RangeInclusive;

    /// Events of one stream, revisions one below positions, with payloads of so many bytes.
    fn events(positions: RangeInclusive<u64>, bytes: usize) -> Batch {
        let new = event("Happened", &format!("\"{}\"", "x".repeat(bytes)));
        let recorded = |position| Recorded {
            id: new.id,
            stream: "thing-1".parse().unwrap(),
            revision: Revision(position - 1),
            position: Position(position),
            kind: new.kind.clone(),
            data: new.data.clone(),
            metadata: new.metadata.clone(),
            recorded_at: DateTime::UNIX_EPOCH,
        };
        positions.map(|position| Arc::new(recorded(position))).collect()
    }

    fn seen(tail: &Tail, after: u64) -> Vec<u64> {
        let Look::Chunks(chunks) = tail.look(Position(after)) else { return vec![] };
        chunks.iter().flat_map(Chunk::events).map(|event| event.position.0).collect()
    }

    #[test]
    fn what_comes_ahead_of_a_gap_waits_until_the_gap_is_filled() {
        let tail = Tail::new(Position(0));
        let known = tail.watch_known();
        tail.publish(events(1..=2, 1));
        tail.publish(events(6..=7, 1));
        tail.publish(events(4..=5, 1));
        assert_eq!((tail.head(), *known.borrow()), (Position(2), 7));
        assert_eq!(seen(&tail, 0), [1, 2]);
        // It overlaps on both sides.
        tail.publish(events(2..=4, 1));
        assert_eq!(tail.head(), Position(7));
        assert_eq!(seen(&tail, 0), [1, 2, 3, 4, 5, 6, 7]);
        assert!(matches!(tail.look(Position(7)), Look::AtHead));
    }

    #[test]
    fn the_ring_keeps_the_newest_events_only() {
        let tail = Tail::new(Position(0));
        for n in 1..=40 {
            tail.publish(events(n..=n, 1 << 20));
        }
        assert!(matches!(tail.look(Position(1)), Look::FellOut));
        assert_eq!(seen(&tail, 38), [39, 40]);
        assert!(tail.lock().weight <= RING);
    }

    #[tokio::test]
    async fn a_follower_gets_its_stream_and_hears_of_what_it_missed() {
        let tail = Arc::new(Tail::new(Position(0)));
        let watch = tail.watch_stream(&"thing-1".parse().unwrap());
        let other = tail.watch_stream(&"thing-2".parse().unwrap());
        tail.publish(events(1..=3, 1));
        let batch = watch.next(Revision(1)).await.unwrap();
        assert_eq!(batch.iter().map(|event| event.revision.0).collect::<Vec<_>>(), [1, 2]);
        // Too many at once, then a leap of the whole tail: each time it has to read for itself.
        tail.publish(events(4..=1_000, 1));
        assert!(watch.next(Revision(3)).await.is_none());
        tail.jump(Position(5_000));
        assert!(watch.next(Revision(1_000)).await.is_none());
        assert!(matches!(tail.look(Position(1_000)), Look::FellOut));
        tail.publish(events(5_001..=5_001, 1));
        assert_eq!(watch.next(Revision(5_000)).await.unwrap().len(), 1);
        assert!(other.watcher.lock().events.is_empty());
        drop((watch, other));
        assert!(tail.lock().watchers.is_empty());
    }
}
