//! Who consumes, and whose turn it is.

use super::settings::Strategy;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Somebody who consumes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Consumer {
    /// Who.
    pub id: u64,
    /// Messages they take at a time.
    pub room: usize,
    /// Messages they have.
    pub flying: usize,
    /// Messages they were ever sent.
    pub sent: u64,
}

impl Consumer {
    fn has_room(&self) -> bool {
        self.flying < self.room
    }
}

/// All who consume of a group, in the order in which they came.
#[derive(Debug)]
pub struct Consumers {
    all: Vec<Consumer>,
    strategy: Strategy,
    next: usize,
}

impl Consumers {
    /// None yet.
    pub fn new(strategy: Strategy) -> Self {
        Self { all: Vec::new(), strategy, next: 0 }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Consumer> {
        self.all.iter()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.all.len()
    }

    /// Whether anybody can take anything.
    pub fn any_room(&self) -> bool {
        self.all.iter().any(Consumer::has_room)
    }

    /// One more, who takes so many messages at a time.
    pub fn join(&mut self, id: u64, room: usize) {
        self.all.push(Consumer { id, room, flying: 0, sent: 0 });
    }

    /// One less.
    pub fn leave(&mut self, id: u64) {
        self.all.retain(|consumer| consumer.id != id);
    }

    /// A message of theirs is not under way any more.
    pub fn landed(&mut self, id: u64) {
        for consumer in self.all.iter_mut().filter(|consumer| consumer.id == id) {
            consumer.flying = consumer.flying.saturating_sub(1);
        }
    }

    /// Gives a message to whoever's turn it is; `None` when they have no room. `pin` is equal for messages that belong together.
    pub fn give(&mut self, pin: u64) -> Option<u64> {
        let count = self.all.len();
        let at = match self.strategy {
            Strategy::DispatchToSingle => self.all.iter().position(Consumer::has_room),
            Strategy::RoundRobin => {
                let mut turns = (0..count).map(|step| (self.next + step) % count);
                turns.find(|&at| self.all[at].has_room())
            }
            Strategy::Pinned | Strategy::PinnedByCorrelation => {
                // The highest wins: when somebody leaves, only what was theirs moves.
                let of = |at: &usize| weight(pin, self.all[*at].id);
                (0..count).max_by_key(of).filter(|&at| self.all[at].has_room())
            }
        }?;
        self.next = at + 1;
        let consumer = &mut self.all[at];
        consumer.flying += 1;
        consumer.sent += 1;
        Some(consumer.id)
    }

    /// Whether a message that finds no consumer lets those after it pass.
    pub fn lets_pass(&self) -> bool {
        matches!(self.strategy, Strategy::Pinned | Strategy::PinnedByCorrelation)
    }
}

/// What messages that belong together have in common.
pub fn pin(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

fn weight(pin: u64, consumer: u64) -> u64 {
    let mut hasher = DefaultHasher::new();
    (pin, consumer).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn three(strategy: Strategy) -> Consumers {
        let mut consumers = Consumers::new(strategy);
        (1..=3).for_each(|id| consumers.join(id, 2));
        consumers
    }

    fn given(consumers: &mut Consumers, count: u64) -> Vec<Option<u64>> {
        (0..count).map(|pin| consumers.give(pin)).collect()
    }

    #[test]
    fn in_turn_one_after_the_other_who_has_room() {
        let mut consumers = three(Strategy::RoundRobin);
        assert_eq!(given(&mut consumers, 4), [Some(1), Some(2), Some(3), Some(1)]);
        consumers.landed(3);
        assert_eq!(given(&mut consumers, 3), [Some(2), Some(3), Some(3)]);
        assert_eq!(consumers.give(0), None);
        consumers.leave(1);
        consumers.landed(2);
        assert_eq!(consumers.give(0), Some(2));
    }

    #[test]
    fn to_one_until_they_are_full() {
        let mut consumers = three(Strategy::DispatchToSingle);
        assert_eq!(given(&mut consumers, 3), [Some(1), Some(1), Some(2)]);
        consumers.landed(1);
        assert_eq!(consumers.give(0), Some(1));
    }

    #[test]
    fn what_belongs_together_stays_together_and_moves_only_with_who_leaves() {
        let whose = |consumers: &mut Consumers| -> BTreeMap<u64, Option<u64>> {
            (0..100)
                .map(|pin| {
                    let to = consumers.give(pin);
                    to.into_iter().for_each(|id| consumers.landed(id));
                    (pin, to)
                })
                .collect()
        };
        let mut consumers = three(Strategy::Pinned);
        let before = whose(&mut consumers);
        assert_eq!(before, whose(&mut consumers));
        assert!((1..=3).all(|id| before.values().any(|to| *to == Some(id))));
        consumers.leave(2);
        let after = whose(&mut consumers);
        let moved = before.iter().filter(|(pin, to)| after[pin] != **to);
        assert!(moved.map(|(_, to)| *to).all(|to| to == Some(2)));
    }

    #[test]
    fn a_full_one_gives_nothing_of_theirs_away() {
        let mut consumers = three(Strategy::Pinned);
        let mine = consumers.give(7);
        assert_eq!(consumers.give(7), mine);
        assert_eq!(consumers.give(7), None);
        assert!(consumers.any_room());
    }

    #[test]
    fn nobody_takes_nothing() {
        for strategy in [Strategy::DispatchToSingle, Strategy::RoundRobin, Strategy::Pinned] {
            assert_eq!(Consumers::new(strategy).give(1), None);
        }
    }
}
