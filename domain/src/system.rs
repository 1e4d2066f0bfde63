//! What the whole installation has settled at run time.

use crate::{Decider, Kind, admins::Everywhere};
use serde::{Deserialize, Serialize};

/// What happened. Kept for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// People may register themselves.
    RegistrationAllowed {},
    /// They may not.
    RegistrationForbidden {},
    /// No node begins a job any more.
    QueueDrained {},
    /// They do again.
    QueueResumed {},
}

/// What somebody wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Let people register themselves, or not.
    AllowRegistration(bool),
    /// Let no node begin a job, or let them again.
    DrainQueue(bool),
}

/// Nothing is ever refused here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {}

impl crate::Refusal for Refusal {
    fn kind(&self) -> Kind {
        match *self {}
    }
}

/// The settings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct System {
    /// Whether people may register themselves; `None` as long as nobody has decided, when the configuration counts.
    pub allow_registration: Option<bool>,
    /// Whether no node begins a job.
    pub drained: bool,
}

impl Decider for System {
    const CATEGORY: &'static str = "system";
    type Id = Everywhere;
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Refusal> {
        Ok(match *command {
            Command::AllowRegistration(allowed) if self.allow_registration == Some(allowed) => {
                vec![]
            }
            Command::AllowRegistration(true) => vec![Event::RegistrationAllowed {}],
            Command::AllowRegistration(false) => vec![Event::RegistrationForbidden {}],
            Command::DrainQueue(drained) if self.drained == drained => vec![],
            Command::DrainQueue(true) => vec![Event::QueueDrained {}],
            Command::DrainQueue(false) => vec![Event::QueueResumed {}],
        })
    }

    fn evolve(mut self, event: &Event) -> Self {
        match event {
            Event::RegistrationAllowed {} => self.allow_registration = Some(true),
            Event::RegistrationForbidden {} => self.allow_registration = Some(false),
            Event::QueueDrained {} => self.drained = true,
            Event::QueueResumed {} => self.drained = false,
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::given;

    #[test]
    fn a_decision_is_recorded_once() {
        given::<System>([])
            .when(Command::AllowRegistration(false))
            .then([Event::RegistrationForbidden {}]);
        given::<System>([Event::RegistrationForbidden {}])
            .when(Command::AllowRegistration(false))
            .then_nothing();
        given::<System>([Event::RegistrationForbidden {}])
            .when(Command::AllowRegistration(true))
            .then([Event::RegistrationAllowed {}]);
    }

    #[test]
    fn the_queue_is_drained_and_resumed_once() {
        given::<System>([]).when(Command::DrainQueue(false)).then_nothing();
        given::<System>([]).when(Command::DrainQueue(true)).then([Event::QueueDrained {}]);
        given::<System>([Event::QueueDrained {}]).when(Command::DrainQueue(true)).then_nothing();
        given::<System>([Event::QueueDrained {}])
            .when(Command::DrainQueue(false))
            .then([Event::QueueResumed {}]);
    }
}
