//! What a group has set aside, because a consumer said so or it was tried too often, until somebody wishes to have it delivered again.

use super::GroupId;
use crate::{Decider, Kind, Revision, StreamId};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Messages that may be set aside at a time.
pub const MOST: usize = 10_000;
/// Longest reason kept, characters.
const REASON: usize = 1_000;

/// What happened. Kept for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// A message is set aside.
    SubscriptionMessageParked {
        /// Counts what the group sets aside, from 0.
        number: u64,
        /// Which message.
        message: Origin,
        /// Why.
        reason: String,
    },
    /// Messages are to be delivered again.
    ParkedMessagesReplayed {
        /// All with a lower number.
        before: u64,
    },
    /// Messages that were delivered again are done with.
    ReplayedMessagesSettled {
        /// Their numbers.
        numbers: Vec<u64>,
    },
}

/// Where a message is from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Its place in the group's source.
    pub place: u64,
    /// The event's stream.
    pub stream: StreamId,
    /// The event's revision there.
    pub revision: Revision,
}

/// A message to be set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aside {
    /// Which.
    pub message: Origin,
    /// Why.
    pub reason: String,
    /// The number it had when it was set aside before.
    pub again: Option<u64>,
}

/// What somebody wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Set messages aside, in one write.
    Park(Vec<Aside>),
    /// Deliver all with a lower number again.
    Replay {
        /// The number; all without.
        before: Option<u64>,
    },
    /// Messages delivered again are done with.
    Settle(BTreeSet<u64>),
}

/// Why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{MOST} messages are set aside, which is all there may be")]
pub struct Full;

impl crate::Refusal for Full {
    fn kind(&self) -> Kind {
        Kind::Conflict
    }
}

/// What is set aside, by number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parked {
    /// What waits for a wish.
    pub waiting: BTreeMap<u64, Origin>,
    /// What is being delivered again.
    pub replaying: BTreeMap<u64, Origin>,
    next: u64,
}

impl Decider for Parked {
    const CATEGORY: &'static str = "subscription";
    type Id = GroupId;
    type Command = Command;
    type Event = Event;
    type Refusal = Full;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Full> {
        Ok(match command {
            Command::Park(asides) => {
                if self.waiting.len() + asides.len() > MOST {
                    return Err(Full);
                }
                let mut events = Vec::with_capacity(asides.len() + 1);
                for (number, Aside { message, reason, .. }) in (self.next..).zip(asides) {
                    let reason = reason.chars().take(REASON).collect();
                    let message = message.clone();
                    events.push(Event::SubscriptionMessageParked { number, message, reason });
                }
                events.extend(self.settled(asides.iter().filter_map(|aside| aside.again)));
                events
            }
            Command::Replay { before } => {
                let before = before.unwrap_or(self.next).min(self.next);
                match self.waiting.range(..before).next() {
                    Some(_) => vec![Event::ParkedMessagesReplayed { before }],
                    None => vec![],
                }
            }
            Command::Settle(numbers) => self.settled(numbers.iter().copied()).into_iter().collect(),
        })
    }

    fn evolve(mut self, event: &Event) -> Self {
        match event {
            Event::SubscriptionMessageParked { number, message, .. } => {
                self.waiting.insert(*number, message.clone());
                self.next = self.next.max(number + 1);
            }
            Event::ParkedMessagesReplayed { before } => {
                let later = self.waiting.split_off(before);
                self.replaying.extend(std::mem::replace(&mut self.waiting, later));
            }
            Event::ReplayedMessagesSettled { numbers } => {
                self.replaying.retain(|number, _| !numbers.contains(number));
            }
        }
        self
    }
}

impl Parked {
    /// Places of all that is set aside or delivered again: none of them comes a second time with the source.
    pub fn places(&self) -> BTreeSet<u64> {
        self.waiting.values().chain(self.replaying.values()).map(|message| message.place).collect()
    }

    fn settled(&self, numbers: impl Iterator<Item = u64>) -> Option<Event> {
        let known = numbers.filter(|number| self.replaying.contains_key(number));
        let numbers: Vec<u64> = known.collect();
        (!numbers.is_empty()).then_some(Event::ReplayedMessagesSettled { numbers })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::given;

    fn origin(place: u64) -> Origin {
        let stream = "order-1".parse().expect("a stream");
        Origin { place, stream, revision: Revision(place - 1) }
    }

    fn parked(number: u64, place: u64) -> Event {
        let reason = "broken".to_owned();
        Event::SubscriptionMessageParked { number, message: origin(place), reason }
    }

    fn aside(place: u64, again: Option<u64>) -> Aside {
        Aside { message: origin(place), reason: "broken".to_owned(), again }
    }

    fn replay(before: Option<u64>) -> Command {
        Command::Replay { before }
    }

    #[test]
    fn messages_are_counted_from_zero_across_writes() {
        let park = |asides: &[Aside]| Command::Park(asides.to_vec());
        given::<Parked>([])
            .when(park(&[aside(3, None), aside(5, None)]))
            .then([parked(0, 3), parked(1, 5)]);
        given::<Parked>([parked(0, 3), parked(1, 5)])
            .when(park(&[aside(6, None)]))
            .then([parked(2, 6)]);
        let gone = Event::ParkedMessagesReplayed { before: 1 };
        given::<Parked>([parked(0, 3), gone]).when(park(&[aside(6, None)])).then([parked(1, 6)]);
    }

    #[test]
    fn a_replay_takes_those_below_a_number() {
        let history = || [parked(0, 3), parked(1, 5)];
        let all = Event::ParkedMessagesReplayed { before: 2 };
        given::<Parked>(history()).when(replay(None)).then([all.clone()]);
        given::<Parked>(history()).when(replay(Some(9))).then([all]);
        given::<Parked>(history())
            .when(replay(Some(1)))
            .then([Event::ParkedMessagesReplayed { before: 1 }]);
        given::<Parked>(history()).when(replay(Some(0))).then_nothing();
        given::<Parked>([]).when(replay(None)).then_nothing();
    }

    #[test]
    fn what_is_delivered_again_is_settled_or_set_aside_anew() {
        let history = || [parked(0, 3), parked(1, 5), Event::ParkedMessagesReplayed { before: 2 }];
        let settled = |numbers: &[u64]| Event::ReplayedMessagesSettled { numbers: numbers.into() };
        given::<Parked>(history())
            .when(Command::Settle(BTreeSet::from([1, 7])))
            .then([settled(&[1])]);
        given::<Parked>(history())
            .when(Command::Park(vec![aside(3, Some(0))]))
            .then([parked(2, 3), settled(&[0])]);
        let state = history().iter().fold(Parked::default(), Parked::evolve);
        assert_eq!(state.places(), BTreeSet::from([3, 5]));
        let state = state.evolve(&settled(&[0, 1]));
        assert!(state.places().is_empty());
    }

    #[test]
    fn there_is_an_end_to_it() {
        let many = (0..MOST as u64).map(|number| parked(number, number + 1));
        given::<Parked>(many).when(Command::Park(vec![aside(20_000, None)])).then_refused(Full);
    }

    #[test]
    fn reasons_are_cut() {
        let long = Aside { reason: "ü".repeat(5_000), ..aside(1, None) };
        let events = Parked::default().decide(&Command::Park(vec![long]));
        let Ok([Event::SubscriptionMessageParked { reason, .. }]) = events.as_deref() else {
            panic!("not parked");
        };
        assert_eq!(reason.chars().count(), REASON);
    }
}
