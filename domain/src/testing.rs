//! given / when / then for deciders.

use crate::Decider;
use std::fmt::Debug;

/// History of an aggregate under test.
pub struct Given<D: Decider> {
    state: D,
}

/// What came of a command.
pub struct Decision<D: Decider>(Result<Vec<D::Event>, D::Refusal>);

/// Starts a scenario with what has happened so far.
pub fn given<D: Decider>(events: impl IntoIterator<Item = D::Event>) -> Given<D> {
    Given { state: events.into_iter().fold(D::default(), |state, event| state.evolve(&event)) }
}

impl<D: Decider> Given<D> {
    /// Lets the aggregate decide.
    #[must_use]
    pub fn when(self, command: D::Command) -> Decision<D> {
        Decision(self.state.decide(&command))
    }
}

impl<D: Decider> Decision<D>
where
    D::Event: Debug + PartialEq,
    D::Refusal: PartialEq,
{
    /// Exactly these events follow.
    #[track_caller]
    pub fn then(self, events: impl IntoIterator<Item = D::Event>) {
        match self.0 {
            Ok(actual) => assert_eq!(actual, events.into_iter().collect::<Vec<_>>()),
            Err(refusal) => panic!("refused: {refusal:?}"),
        }
    }

    /// Nothing follows, and that is fine.
    #[track_caller]
    pub fn then_nothing(self) {
        self.then([]);
    }

    /// The command is refused for this reason.
    #[track_caller]
    pub fn then_refused(self, refusal: D::Refusal) {
        match self.0 {
            Ok(events) => panic!("not refused: {events:?}"),
            Err(actual) => assert_eq!(actual, refusal),
        }
    }
}
