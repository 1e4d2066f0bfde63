//! A session of one person with one app: what its steps remember from run to run, until nobody has used it for a while.

use crate::{
    Decider, Kind,
    ids::{AppId, AppSessionId, RunId, UserId},
};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// Kept for ever. Variant names are the event types in the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// A run works in it.
    AppTurnBegun {
        /// With which app.
        app: AppId,
        /// Whose.
        caller: UserId,
        /// As the client chose it.
        session_id: String,
        /// Which run.
        run: RunId,
        /// Whether all that was remembered had expired.
        fresh: bool,
    },
    /// The run is through, and its steps remember.
    AppTurnKept {
        /// Which run.
        run: RunId,
        /// When, by the clock of who performed it.
        at: DateTime<Utc>,
        /// By step; those that are not named remember what they did before.
        memory: BTreeMap<String, Value>,
    },
}

/// What somebody wants.
#[derive(Debug, Clone)]
pub enum Command {
    /// Let a run work in it.
    Begin {
        /// With which app.
        app: AppId,
        /// Whose.
        caller: UserId,
        /// As the client chose it.
        session_id: String,
        /// Which run.
        run: RunId,
        /// When.
        at: DateTime<Utc>,
        /// How long it remembers.
        lifetime: TimeDelta,
        /// A run that has it by what is written here, and is over by what is written there.
        over: Option<RunId>,
    },
    /// Remember.
    Keep {
        /// The run that works in it.
        run: RunId,
        /// When.
        at: DateTime<Utc>,
        /// What, by step.
        memory: BTreeMap<String, Value>,
    },
}

/// The state.
#[derive(Debug, Clone, Default)]
pub struct AppSession {
    /// What the steps remember.
    pub memory: BTreeMap<String, Value>,
    /// The run that works in it.
    pub running: Option<RunId>,
    kept: Option<DateTime<Utc>>,
}

/// Why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Another run works in it.
    #[error("another run works in this session")]
    Busy(RunId),
    /// The run does not work in it (any more).
    #[error("the run does not work in this session")]
    NotRunning,
}

impl crate::Refusal for Refusal {
    fn kind(&self) -> Kind {
        Kind::Conflict
    }
}

impl Decider for AppSession {
    const CATEGORY: &'static str = "app_session";
    type Id = AppSessionId;
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Refusal> {
        match command {
            Command::Begin { app, caller, session_id, run, at, lifetime, over } => {
                match self.running {
                    Some(other) if other == *run => return Ok(vec![]),
                    Some(other) if *over != Some(other) => return Err(Refusal::Busy(other)),
                    _ => {}
                }
                let fresh = self.kept.is_some_and(|kept| *at - kept > *lifetime);
                let (caller, session_id) = (caller.clone(), session_id.clone());
                Ok(vec![Event::AppTurnBegun { app: *app, caller, session_id, run: *run, fresh }])
            }
            Command::Keep { run, .. } if self.running != Some(*run) => Err(Refusal::NotRunning),
            Command::Keep { run, at, memory } => {
                Ok(vec![Event::AppTurnKept { run: *run, at: *at, memory: memory.clone() }])
            }
        }
    }

    fn evolve(mut self, event: &Event) -> Self {
        match event {
            Event::AppTurnBegun { run, fresh, .. } => {
                self.running = Some(*run);
                if *fresh {
                    self.memory.clear();
                    self.kept = None;
                }
            }
            Event::AppTurnKept { at, memory, .. } => {
                self.running = None;
                self.kept = Some(*at);
                self.memory.extend(memory.clone());
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::given;
    use serde_json::json;
    use uuid::Uuid;

    const APP: AppId = AppId(Uuid::nil());
    const ONE: RunId = RunId(Uuid::from_u128(1));
    const TWO: RunId = RunId(Uuid::from_u128(2));

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    fn begin(run: RunId, seconds: i64, over: Option<RunId>) -> Command {
        let (caller, session_id) = (UserId::from("ann"), "s".to_owned());
        let lifetime = TimeDelta::seconds(10);
        Command::Begin { app: APP, caller, session_id, run, at: at(seconds), lifetime, over }
    }

    fn begun(run: RunId, fresh: bool) -> Event {
        Event::AppTurnBegun {
            app: APP,
            caller: "ann".into(),
            session_id: "s".to_owned(),
            run,
            fresh,
        }
    }

    fn kept(run: RunId, seconds: i64, what: &str) -> Event {
        let memory = BTreeMap::from([("step".to_owned(), json!(what))]);
        Event::AppTurnKept { run, at: at(seconds), memory }
    }

    #[test]
    fn one_run_works_in_it_at_a_time() {
        given::<AppSession>([]).when(begin(ONE, 0, None)).then([begun(ONE, false)]);
        given::<AppSession>([begun(ONE, false)]).when(begin(ONE, 0, None)).then_nothing();
        given::<AppSession>([begun(ONE, false)])
            .when(begin(TWO, 0, None))
            .then_refused(Refusal::Busy(ONE));
        given::<AppSession>([begun(ONE, false)])
            .when(begin(TWO, 0, Some(ONE)))
            .then([begun(TWO, false)]);
        given::<AppSession>([begun(ONE, false), kept(ONE, 1, "x")])
            .when(begin(TWO, 2, None))
            .then([begun(TWO, false)]);
    }

    #[test]
    fn it_forgets_when_nobody_used_it_for_its_lifetime() {
        let history = || [begun(ONE, false), kept(ONE, 5, "x")];
        given::<AppSession>(history()).when(begin(TWO, 15, None)).then([begun(TWO, false)]);
        given::<AppSession>(history()).when(begin(TWO, 16, None)).then([begun(TWO, true)]);
        let session = history().iter().fold(AppSession::default(), |s, event| s.evolve(event));
        assert_eq!(session.memory["step"], json!("x"));
        assert!(session.evolve(&begun(TWO, true)).memory.is_empty());
    }

    #[test]
    fn only_the_run_that_works_in_it_is_remembered() {
        let keep = |run| Command::Keep { run, at: at(1), memory: BTreeMap::new() };
        given::<AppSession>([begun(TWO, false)]).when(keep(ONE)).then_refused(Refusal::NotRunning);
        given::<AppSession>([begun(ONE, false), kept(ONE, 1, "x")])
            .when(keep(ONE))
            .then_refused(Refusal::NotRunning);
    }
}
