//! The contract of an aggregate: a pure function from history and a wish to facts.

use serde::{Serialize, de::DeserializeOwned};
use std::fmt::Display;

/// A consistency boundary: what may happen next, given what has happened.
///
/// Implementors *are* the state. Neither function reads a clock, draws randomness or performs I/O;
/// whatever a decision needs from outside arrives inside the command.
pub trait Decider: Default + Send {
    /// First part of the stream name; holds no dash.
    const CATEGORY: &'static str;
    /// Second part of the stream name.
    type Id: Display + Send + Sync;
    /// What somebody wants.
    type Command: Send + Sync;
    /// What happened; the variant name is the stored type.
    type Event: Serialize + DeserializeOwned + Send + Sync;
    /// Why not.
    type Refusal: Refusal;

    /// The facts that follow from `command`; an empty list when there is nothing to do.
    fn decide(&self, command: &Self::Command) -> Result<Vec<Self::Event>, Self::Refusal>;

    /// The state after one more fact. Total: it never fails.
    #[must_use]
    fn evolve(self, event: &Self::Event) -> Self;
}

/// The domain said no. Expected, and never a failure of the machine.
pub trait Refusal: std::error::Error + Send + Sync + 'static {
    /// The class of the refusal, from which each dialect derives its status.
    fn kind(&self) -> Kind;
}

/// Classes of refusals, shared by all dialects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The thing does not exist, or not for this caller.
    Unknown,
    /// The caller may not do this.
    Forbidden,
    /// The thing is in a state that does not allow it, or the name is taken.
    Conflict,
    /// The wish itself makes no sense.
    Invalid,
}
