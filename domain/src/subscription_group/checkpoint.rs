//! How far a group is. The last event says it all.

use super::GroupId;
use crate::{Decider, Kind};
use serde::{Deserialize, Serialize};

/// What happened. Kept for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// Everything up to this place is settled: done with, skipped or parked.
    SubscriptionCheckpointed {
        /// Revision + 1 in a stream, position in the whole log.
        place: u64,
    },
}

/// Record progress up to this place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Advance(pub u64);

/// Nothing is ever refused here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {}

impl crate::Refusal for Refusal {
    fn kind(&self) -> Kind {
        match *self {}
    }
}

/// The place; `None` before the first checkpoint.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Checkpoint(pub Option<u64>);

impl Decider for Checkpoint {
    const CATEGORY: &'static str = "subscription_checkpoint";
    type Id = GroupId;
    type Command = Advance;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(&self, Advance(place): &Advance) -> Result<Vec<Event>, Refusal> {
        // A node that was taken for dead may come late: nobody is sent back.
        Ok(match self.0 {
            Some(already) if already >= *place => vec![],
            _ => vec![Event::SubscriptionCheckpointed { place: *place }],
        })
    }

    fn evolve(self, event: &Event) -> Self {
        let Event::SubscriptionCheckpointed { place } = event;
        Self(Some(*place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::given;

    #[test]
    fn it_only_moves_forward() {
        let at = |place| Event::SubscriptionCheckpointed { place };
        given::<Checkpoint>([]).when(Advance(0)).then([at(0)]);
        given::<Checkpoint>([at(4)]).when(Advance(9)).then([at(9)]);
        given::<Checkpoint>([at(4), at(9)]).when(Advance(9)).then_nothing();
        given::<Checkpoint>([at(9)]).when(Advance(8)).then_nothing();
    }
}
