//! A group at work: what is delivered next and to whom, what comes back, how far everything is settled. Time comes from outside, in milliseconds
//! since some moment; what has to be written is asked for and confirmed by whoever drives it.

use super::{consumers::Consumers, settings::Settings};
use std::collections::{BTreeSet, HashMap, VecDeque};
use uuid::Uuid;

/// Messages that may wait for being recorded as set aside before delivery pauses.
const ASIDE: usize = 1_000;
/// Milliseconds after which setting aside is tried again when it failed.
const AGAIN: u64 = 1_000;
/// Places passed without a message after which they are worth a checkpoint.
const FAR: u64 = 1_000;

/// A message on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message<E> {
    /// What consumers answer with.
    pub id: Uuid,
    /// Its place in the source.
    pub place: u64,
    /// Equal for messages that belong together.
    pub pin: u64,
    /// How often it came back.
    pub retries: u32,
    /// The number it was set aside under; such a message counts for nobody's progress.
    pub parked: Option<u64>,
    /// What it brings.
    pub event: E,
}

/// What becomes of a message that a consumer could not handle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is set aside.
    Park,
    /// It is delivered again.
    Retry,
    /// It is done with.
    Skip,
}

/// Progress worth recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Everything up to here is settled; `None` when that is recorded.
    pub place: Option<u64>,
    /// Numbers of messages that were set aside, delivered again, and are settled.
    pub replayed: BTreeSet<u64>,
}

/// Numbers that describe a group at work.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages held ready.
    pub ready: usize,
    /// Messages to be delivered again.
    pub again: usize,
    /// Messages under way to consumers.
    pub flying: usize,
    /// Messages ever delivered.
    pub sent: u64,
    /// The last place that the source has brought.
    pub seen: u64,
}

#[derive(Debug)]
struct Flight<E> {
    message: Message<E>,
    consumer: u64,
    ends: Option<u64>,
}

#[derive(Debug)]
struct Aside<E> {
    message: Message<E>,
    reason: String,
    /// When to ask for it; `None` while somebody writes it.
    at: Option<u64>,
}

/// A group at work.
#[derive(Debug)]
pub struct Delivery<E> {
    settings: Settings,
    consumers: Consumers,
    ready: VecDeque<Message<E>>,
    again: VecDeque<Message<E>>,
    flying: HashMap<Uuid, Flight<E>>,
    asides: HashMap<Uuid, Aside<E>>,
    /// Places that are not settled.
    open: BTreeSet<u64>,
    /// Places that come with the source, and were settled otherwise.
    known: BTreeSet<u64>,
    replayed: BTreeSet<u64>,
    seen: u64,
    recorded: u64,
    /// Messages settled since the last checkpoint.
    settled: u32,
    due: Option<u64>,
    sent: u64,
}

impl<E: Clone> Delivery<E> {
    /// Begins after this place. `known`: places whose messages are set aside already.
    pub fn new(settings: Settings, after: u64, known: BTreeSet<u64>) -> Self {
        let consumers = Consumers::new(settings.strategy);
        Self {
            settings,
            consumers,
            ready: VecDeque::new(),
            again: VecDeque::new(),
            flying: HashMap::new(),
            asides: HashMap::new(),
            open: BTreeSet::new(),
            known,
            replayed: BTreeSet::new(),
            seen: after,
            recorded: after,
            settled: 0,
            due: None,
            sent: 0,
        }
    }

    /// Who consumes.
    pub fn consumers(&self) -> &Consumers {
        &self.consumers
    }

    /// How things stand.
    pub fn counts(&self) -> Counts {
        let (ready, again, flying) = (self.ready.len(), self.again.len(), self.flying.len());
        Counts { ready, again, flying, sent: self.sent, seen: self.seen }
    }

    /// Somebody wants to consume. False when there are as many as may be.
    pub fn join(&mut self, consumer: u64, room: usize) -> bool {
        let most = self.settings.max_consumers as usize;
        let fits = most == 0 || self.consumers.count() < most;
        if fits {
            self.consumers.join(consumer, room);
        }
        fits
    }

    /// Somebody is gone: what they had goes to others, and does not count as tried.
    pub fn leave(&mut self, consumer: u64) {
        self.consumers.leave(consumer);
        let theirs = self.flying.extract_if(|_, flight| flight.consumer == consumer);
        let mut back: Vec<_> = theirs.map(|(_, flight)| flight.message).collect();
        back.sort_by_key(|message| message.place);
        back.into_iter().rev().for_each(|message| self.again.push_front(message));
    }

    /// Whether the source should bring more.
    pub fn wants_more(&self) -> bool {
        self.ready.len() < self.settings.history_buffer.max(1) as usize
    }

    /// The source has brought these messages, and nothing else up to this place.
    pub fn take(&mut self, messages: impl IntoIterator<Item = Message<E>>, place: u64, now: u64) {
        for message in messages {
            if !self.known.remove(&message.place) {
                self.open.insert(message.place);
                self.ready.push_back(message);
            }
        }
        self.seen = place;
        self.note_progress(now);
    }

    /// Messages that were set aside are to be delivered again; each number comes once.
    pub fn replay(&mut self, messages: impl IntoIterator<Item = Message<E>>) {
        self.again.extend(messages);
    }

    /// Somebody is done with a message. Late is better than never: it counts as long as nobody else is.
    pub fn ack(&mut self, id: Uuid, now: u64) {
        let waiting = self.again.iter().position(|message| message.id == id);
        let message = self.land(id).or_else(|| self.again.remove(waiting?));
        if let Some(message) = message {
            self.settle(&message, now);
        }
    }

    /// A consumer cannot be done with a message. Says nothing about messages that are not under way to them any more.
    pub fn nack(&mut self, consumer: u64, id: Uuid, verdict: Verdict, reason: &str, now: u64) {
        if self.flying.get(&id).is_none_or(|flight| flight.consumer != consumer) {
            return;
        }
        let Some(message) = self.land(id) else { return };
        match verdict {
            Verdict::Park => self.put_aside(message, reason.to_owned(), now),
            Verdict::Skip => self.settle(&message, now),
            Verdict::Retry => self.retry(message, now),
        }
    }

    /// Looks for messages that nobody has answered in time.
    pub fn tick(&mut self, now: u64) {
        let late = |flight: &Flight<E>| flight.ends.is_some_and(|ends| ends <= now);
        let mut late: Vec<_> =
            self.flying.extract_if(|_, flight| late(flight)).map(|(_, flight)| flight).collect();
        late.sort_by_key(|flight| std::cmp::Reverse(flight.message.place));
        for flight in late {
            self.consumers.landed(flight.consumer);
            self.retry(flight.message, now);
        }
    }

    /// What goes to whom now.
    pub fn dispatch(&mut self, now: u64) -> Vec<(u64, Message<E>)> {
        let mut sent = Vec::new();
        let ends = match self.settings.message_timeout {
            0 => None,
            millis => Some(now + u64::from(millis)),
        };
        for retried in [true, false] {
            let queue = if retried { &mut self.again } else { &mut self.ready };
            let mut left = VecDeque::new();
            while self.asides.len() < ASIDE && self.consumers.any_room() {
                let Some(message) = queue.pop_front() else { break };
                // The same event may come twice, from its place and from where it was set aside: one after the other.
                let busy = self.flying.contains_key(&message.id);
                let to = if busy { None } else { self.consumers.give(message.pin) };
                let Some(consumer) = to else {
                    left.push_back(message);
                    if busy || self.consumers.lets_pass() {
                        continue;
                    }
                    break;
                };
                let flight = Flight { message: message.clone(), consumer, ends };
                self.flying.insert(message.id, flight);
                self.sent += 1;
                sent.push((consumer, message));
            }
            left.into_iter().rev().for_each(|message| queue.push_front(message));
        }
        sent
    }

    /// Messages to be set aside, with the reason. Each comes once, until [`Delivery::aside`] tells how it went.
    pub fn asides(&mut self, now: u64) -> Vec<(Message<E>, String)> {
        let due = self.asides.values_mut().filter(|aside| aside.at.is_some_and(|at| at <= now));
        let mut asked: Vec<_> = due
            .map(|aside| {
                aside.at = None;
                (aside.message.clone(), aside.reason.clone())
            })
            .collect();
        asked.sort_by_key(|(message, _)| message.place);
        asked
    }

    /// A message was set aside, or that failed, and is asked for again later.
    pub fn aside(&mut self, id: Uuid, done: bool, now: u64) {
        if done {
            if let Some(Aside { message, .. }) = self.asides.remove(&id)
                && message.parked.is_none()
            {
                self.settle(&message, now);
            }
        } else if let Some(aside) = self.asides.get_mut(&id) {
            aside.at = Some(now + AGAIN);
        }
    }

    /// Progress that has to be recorded now.
    pub fn progress(&mut self, now: u64) -> Option<Progress> {
        let full = self.settled >= self.settings.max_checkpoint.max(1);
        let late = self.due.is_some_and(|due| due <= now);
        if !full && !late {
            return None;
        }
        let enough = self.settled >= self.settings.min_checkpoint.max(1)
            || !self.replayed.is_empty()
            || self.up_to() - self.recorded >= FAR;
        if enough {
            return self.rest();
        }
        self.due = Some(now + u64::from(self.settings.checkpoint_after.max(1)));
        None
    }

    /// All progress that is not recorded, however little.
    pub fn rest(&mut self) -> Option<Progress> {
        self.due = None;
        self.settled = 0;
        let place = Some(self.up_to()).filter(|place| *place > self.recorded);
        let replayed = std::mem::take(&mut self.replayed);
        (place.is_some() || !replayed.is_empty()).then_some(Progress { place, replayed })
    }

    /// Progress was recorded, or that failed, and is worth another try.
    pub fn recorded(&mut self, progress: Progress, done: bool, now: u64) {
        if done {
            self.recorded = progress.place.unwrap_or(self.recorded);
        } else {
            self.replayed.extend(progress.replayed);
            self.settled = self.settings.min_checkpoint;
            self.due = Some(now + AGAIN.max(self.settings.checkpoint_after.into()));
        }
    }

    /// The place up to which progress is recorded.
    pub fn checkpoint(&self) -> u64 {
        self.recorded
    }

    /// When to look at the clock next.
    pub fn wake(&self) -> Option<u64> {
        let flights = self.flying.values().filter_map(|flight| flight.ends).min();
        let asides = self.asides.values().filter_map(|aside| aside.at).min();
        flights.into_iter().chain(asides).chain(self.due).min()
    }

    fn land(&mut self, id: Uuid) -> Option<Message<E>> {
        let Flight { message, consumer, .. } = self.flying.remove(&id)?;
        self.consumers.landed(consumer);
        Some(message)
    }

    fn settle(&mut self, message: &Message<E>, now: u64) {
        match message.parked {
            Some(number) => {
                self.replayed.insert(number);
            }
            None => {
                self.open.remove(&message.place);
            }
        }
        self.settled += 1;
        self.note_progress(now);
    }

    fn retry(&mut self, message: Message<E>, now: u64) {
        let most = self.settings.max_retries;
        if message.retries >= most {
            self.put_aside(message, format!("Reached retry count of {most}"), now);
        } else {
            self.again.push_front(Message { retries: message.retries + 1, ..message });
        }
    }

    fn put_aside(&mut self, message: Message<E>, reason: String, now: u64) {
        self.asides.insert(message.id, Aside { message, reason, at: Some(now) });
    }

    /// Everything up to here is settled.
    fn up_to(&self) -> u64 {
        self.open.first().map_or(self.seen, |place| place - 1)
    }

    fn note_progress(&mut self, now: u64) {
        if self.due.is_none() && (self.up_to() > self.recorded || !self.replayed.is_empty()) {
            self.due = Some(now + u64::from(self.settings.checkpoint_after.max(1)));
        }
    }
}
