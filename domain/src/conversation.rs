//! A conversation: a session id of one owner, its title, and which run speaks in it.

use crate::{
    Decider, Kind,
    ids::{AgentId, ConversationId, RunId, UserId},
};
use serde::{Deserialize, Serialize};

/// Kept for ever. Variant names are the event types in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// The owner's first message under this session id, or the first after a deletion.
    ConversationStarted {
        /// Whose.
        owner: UserId,
        /// As the client chose it.
        session_id: String,
        /// From the first message.
        title: String,
        /// The agent spoken to.
        agent_id: Option<AgentId>,
        /// Its name at that time.
        agent_name: String,
    },
    /// A run was given the floor.
    RunOpened {
        /// The run.
        run: RunId,
        /// The run that still had it, and is told to stop.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        replaces: Option<RunId>,
    },
    /// The owner gave it another title.
    ConversationRenamed {
        /// The title.
        title: String,
    },
    /// The owner no longer wants to see it.
    ConversationDeleted {},
}

/// What somebody wants.
#[derive(Debug, Clone)]
pub enum Command {
    /// Give a run the floor; starts the conversation if need be.
    OpenRun(Box<OpenRun>),
    /// Rename.
    Rename {
        /// 1 to 255 characters after trimming.
        title: String,
    },
    /// Delete.
    Delete,
}

/// Facts of [`Command::OpenRun`].
#[derive(Debug, Clone)]
pub struct OpenRun {
    /// Whose conversation.
    pub owner: UserId,
    /// As the client chose it.
    pub session_id: String,
    /// Title if the conversation starts now.
    pub title: String,
    /// Agent if the conversation starts now.
    pub agent_id: Option<AgentId>,
    /// Its name.
    pub agent_name: String,
    /// The new run.
    pub run: RunId,
    /// Whether a run that still has the floor is replaced; otherwise the command is refused.
    pub replace: bool,
    /// The last run, if the caller has seen that it is over.
    pub over: Option<RunId>,
}

/// The state.
#[derive(Debug, Clone, Default)]
pub enum Conversation {
    /// Not started, or deleted.
    #[default]
    Absent,
    /// There.
    Open {
        /// Title as last set.
        title: String,
        /// The last run that was given the floor.
        run: Option<RunId>,
    },
}

/// Why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such conversation.
    #[error("no such conversation")]
    Unknown,
    /// A run has the floor.
    #[error("a run is still going on in this session")]
    Busy(RunId),
    /// Titles have 1 to 255 characters.
    #[error("a title has 1 to 255 characters")]
    BadTitle,
}

impl crate::Refusal for Refusal {
    fn kind(&self) -> Kind {
        match self {
            Self::Unknown => Kind::Unknown,
            Self::Busy(_) => Kind::Conflict,
            Self::BadTitle => Kind::Invalid,
        }
    }
}

impl Conversation {
    /// The last run that was given the floor.
    pub fn run(&self) -> Option<RunId> {
        match self {
            Self::Absent => None,
            Self::Open { run, .. } => *run,
        }
    }
}

impl Decider for Conversation {
    const CATEGORY: &'static str = "conversation";
    type Id = ConversationId;
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Refusal> {
        match (self, command) {
            (Self::Absent, Command::OpenRun(wish)) => Ok(vec![
                Event::ConversationStarted {
                    owner: wish.owner.clone(),
                    session_id: wish.session_id.clone(),
                    title: wish.title.clone(),
                    agent_id: wish.agent_id.clone(),
                    agent_name: wish.agent_name.clone(),
                },
                Event::RunOpened { run: wish.run, replaces: None },
            ]),
            (Self::Open { run, .. }, Command::OpenRun(wish)) => match run {
                Some(run) if *run == wish.run => Ok(vec![]),
                Some(run) if wish.over == Some(*run) => {
                    Ok(vec![Event::RunOpened { run: wish.run, replaces: None }])
                }
                Some(run) if !wish.replace => Err(Refusal::Busy(*run)),
                replaces => Ok(vec![Event::RunOpened { run: wish.run, replaces: *replaces }]),
            },
            (Self::Absent, Command::Rename { .. } | Command::Delete) => Err(Refusal::Unknown),
            (Self::Open { title: old, .. }, Command::Rename { title }) => match title.trim() {
                title if title.is_empty() || title.chars().count() > 255 => Err(Refusal::BadTitle),
                title if title == old => Ok(vec![]),
                title => Ok(vec![Event::ConversationRenamed { title: title.to_owned() }]),
            },
            (Self::Open { .. }, Command::Delete) => Ok(vec![Event::ConversationDeleted {}]),
        }
    }

    fn evolve(self, event: &Event) -> Self {
        match (self, event) {
            (_, Event::ConversationStarted { title, .. }) => {
                Self::Open { title: title.clone(), run: None }
            }
            (Self::Open { title, .. }, Event::RunOpened { run, .. }) => {
                Self::Open { title, run: Some(*run) }
            }
            (Self::Open { run, .. }, Event::ConversationRenamed { title }) => {
                Self::Open { title: title.clone(), run }
            }
            (_, Event::ConversationDeleted {}) => Self::Absent,
            (Self::Absent, Event::RunOpened { .. } | Event::ConversationRenamed { .. }) => {
                Self::Absent
            }
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

    fn started() -> Event {
        Event::ConversationStarted {
            owner: "alice".into(),
            session_id: "s".to_owned(),
            title: "Hello".to_owned(),
            agent_id: None,
            agent_name: "Sage Assistant".to_owned(),
        }
    }

    fn opened(run: RunId) -> Event {
        Event::RunOpened { run, replaces: None }
    }

    fn open(run: RunId, replace: bool, over: Option<RunId>) -> Command {
        Command::OpenRun(Box::new(OpenRun {
            owner: "alice".into(),
            session_id: "s".to_owned(),
            title: "Hello".to_owned(),
            agent_id: None,
            agent_name: "Sage Assistant".to_owned(),
            run,
            replace,
            over,
        }))
    }

    #[test]
    fn the_first_run_starts_the_conversation() {
        given::<Conversation>([]).when(open(FIRST, false, None)).then([started(), opened(FIRST)]);
    }

    #[test]
    fn two_runs_do_not_speak_at_once() {
        given::<Conversation>([started(), opened(FIRST)])
            .when(open(SECOND, false, None))
            .then_refused(Refusal::Busy(FIRST));
    }

    #[test]
    fn a_run_may_replace_the_one_that_speaks() {
        given::<Conversation>([started(), opened(FIRST)])
            .when(open(SECOND, true, None))
            .then([Event::RunOpened { run: SECOND, replaces: Some(FIRST) }]);
    }

    #[test]
    fn a_run_that_is_over_stands_in_nobodys_way() {
        given::<Conversation>([started(), opened(FIRST)])
            .when(open(SECOND, false, Some(FIRST)))
            .then([opened(SECOND)]);
    }

    #[test]
    fn opening_the_same_run_twice_changes_nothing() {
        given::<Conversation>([started(), opened(FIRST)])
            .when(open(FIRST, false, None))
            .then_nothing();
    }

    #[test]
    fn a_deleted_session_id_can_be_used_again() {
        given::<Conversation>([started(), opened(FIRST), Event::ConversationDeleted {}])
            .when(open(SECOND, false, None))
            .then([started(), opened(SECOND)]);
    }

    #[test]
    fn titles_are_trimmed_and_bounded() {
        let rename = |title: &str| Command::Rename { title: title.to_owned() };
        given::<Conversation>([started()]).when(rename(" Hello ")).then_nothing();
        given::<Conversation>([started()]).when(rename("  ")).then_refused(Refusal::BadTitle);
        given::<Conversation>([started()])
            .when(rename(&"é".repeat(255)))
            .then([Event::ConversationRenamed { title: "é".repeat(255) }]);
        given::<Conversation>([started()])
            .when(rename(&"é".repeat(256)))
            .then_refused(Refusal::BadTitle);
    }

    #[test]
    fn what_does_not_exist_cannot_be_deleted() {
        given::<Conversation>([]).when(Command::Delete).then_refused(Refusal::Unknown);
    }
}
