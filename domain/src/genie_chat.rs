//! A chat of one person with their assistant: one run after the other speaks in it.
//!
//! What was said is in the runs; this stream says in which order, and who was turned away at the gate.

use crate::{
    Decider, Kind,
    ids::{ChatId, RunId, UserId},
    onboarding::Station,
};
use serde::{Deserialize, Serialize};

/// Kept for ever. Variant names are the event types in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// A message of the person, which this run answers.
    MessageReceived {
        /// Whose chat.
        owner: UserId,
        /// As the client chose it.
        session_id: String,
        /// The run.
        run: RunId,
    },
    /// The run tells the person what is still to be done before the assistant answers.
    GateBlocked {
        /// The run.
        run: RunId,
        /// Where the person was.
        state: Station,
    },
}

/// Let a run answer a message.
#[derive(Debug, Clone)]
pub struct Command {
    /// Whose chat.
    pub owner: UserId,
    /// As the client chose it.
    pub session_id: String,
    /// The run.
    pub run: RunId,
    /// Where the person is, if that keeps them from being answered.
    pub gate: Option<Station>,
    /// A run that speaks by what is written here, and is over by what is written there.
    pub over: Option<RunId>,
}

/// The state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GenieChat {
    /// The run that was last let in.
    pub run: Option<RunId>,
}

/// Another run speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("another answer is still being given in this chat")]
pub struct Busy(pub RunId);

impl crate::Refusal for Busy {
    fn kind(&self) -> Kind {
        Kind::Conflict
    }
}

impl Decider for GenieChat {
    const CATEGORY: &'static str = "chat";
    type Id = ChatId;
    type Command = Command;
    type Event = Event;
    type Refusal = Busy;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Busy> {
        let run = command.run;
        match self.run {
            Some(other) if other == run => return Ok(vec![]),
            Some(other) if command.over != Some(other) => return Err(Busy(other)),
            _ => {}
        }
        let (owner, session_id) = (command.owner.clone(), command.session_id.clone());
        let received = Event::MessageReceived { owner, session_id, run };
        let blocked = command.gate.map(|state| Event::GateBlocked { run, state });
        Ok(std::iter::once(received).chain(blocked).collect())
    }

    fn evolve(self, event: &Event) -> Self {
        match event {
            Event::MessageReceived { run, .. } => Self { run: Some(*run) },
            Event::GateBlocked { .. } => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::given;
    use uuid::Uuid;

    const FIRST: RunId = RunId(Uuid::from_u128(1));
    const SECOND: RunId = RunId(Uuid::from_u128(2));

    fn received(run: RunId) -> Event {
        Event::MessageReceived { owner: "ann".into(), session_id: "s".to_owned(), run }
    }

    fn ask(run: RunId, over: Option<RunId>) -> Command {
        Command { owner: "ann".into(), session_id: "s".to_owned(), run, gate: None, over }
    }

    #[test]
    fn one_run_speaks_after_the_other() {
        given::<GenieChat>([]).when(ask(FIRST, None)).then([received(FIRST)]);
        given::<GenieChat>([received(FIRST)]).when(ask(SECOND, None)).then_refused(Busy(FIRST));
        given::<GenieChat>([received(FIRST)])
            .when(ask(SECOND, Some(FIRST)))
            .then([received(SECOND)]);
    }

    #[test]
    fn letting_the_same_run_in_twice_changes_nothing() {
        given::<GenieChat>([received(FIRST)]).when(ask(FIRST, None)).then_nothing();
    }

    #[test]
    fn who_is_turned_away_is_on_record() {
        let state = Station::DataCollection;
        given::<GenieChat>([])
            .when(Command { gate: Some(state), ..ask(FIRST, None) })
            .then([received(FIRST), Event::GateBlocked { run: FIRST, state }]);
    }
}
