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
}

/// What somebody wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Let people register themselves, or not.
    AllowRegistration(bool),
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
}

impl Decider for System {
    const CATEGORY: &'static str = "system";
    type Id = Everywhere;
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Refusal> {
        let Command::AllowRegistration(allowed) = *command;
        Ok(match (self.allow_registration == Some(allowed), allowed) {
            (true, _) => vec![],
            (false, true) => vec![Event::RegistrationAllowed {}],
            (false, false) => vec![Event::RegistrationForbidden {}],
        })
    }

    fn evolve(self, event: &Event) -> Self {
        let allowed = match event {
            Event::RegistrationAllowed {} => true,
            Event::RegistrationForbidden {} => false,
        };
        Self { allow_registration: Some(allowed) }
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
}
