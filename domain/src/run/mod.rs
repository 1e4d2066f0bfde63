//! A run: one answer of an agent, from the request to the end line.
//!
//! Every line a client sees is in `LinesRecorded` or `RunEnded` before it is sent. Lines are counted from 0; whatever a
//! performer repeats after an unclear outcome is recognised by its index, turn or call and recorded once. Only the node that
//! holds the claim may advance a run; everybody else is refused, which fences a node that was thought dead.

mod active;
mod app_turn;
mod chat_turn;
mod event;
mod lines;
mod next;
mod saved;
mod settings;
#[cfg(test)]
mod tests;

use crate::{
    Decider, Kind, Revision,
    ids::{NodeId, RunId},
    message::{Line, Message},
};
pub use active::{Active, OpenCall};
pub use app_turn::{AppTurn, DoneStep, Origin};
pub use chat_turn::ChatTurn;
pub use event::{Event, Interrupt, Outcome, Parent, Request, Surface, TurnUsage};
pub use lines::{Lines, lines_in};
pub use next::Next;
pub use settings::{Budget, ChosenProvider, Memory, Settings, SubAgent};

/// What somebody wants.
#[derive(Debug, Clone)]
pub enum Command {
    /// Start.
    Request(Box<Request>),
    /// The performer got further.
    Advance {
        /// The performer.
        node: NodeId,
        /// What it did, in order.
        steps: Vec<Step>,
    },
    /// Go on in the place of a performer that is gone.
    TakeOver {
        /// The new performer.
        node: NodeId,
        /// The attempt that is abandoned; another one refuses the command.
        attempt: u32,
        /// How many lines the newcomer has seen; fewer than there are refuses the command.
        lines: u64,
        /// What closes the abandoned turn, if it had begun to speak: the last line of its message, and the message.
        closing: Option<Box<(Line, Message)>>,
    },
    /// Stop.
    Interrupt(Interrupt),
}

/// One thing a performer did.
#[derive(Debug, Clone)]
pub enum Step {
    /// A model turn begins; its deltas carry this message id.
    BeginTurn {
        /// Turn number within the run, from 0.
        turn: u32,
        /// Id of the message it will produce.
        message_id: String,
    },
    /// Lines to be sent.
    Lines {
        /// Index of the first.
        first: u64,
        /// The lines.
        lines: Vec<Line>,
    },
    /// The model turn is complete.
    CompleteTurn {
        /// Turn number.
        turn: u32,
        /// What it said.
        message: Option<Box<Message>>,
        /// What it cost.
        usage: TurnUsage,
    },
    /// The model turn broke off for this reason; what it said so far stays.
    AbandonTurn {
        /// Turn number.
        turn: u32,
        /// What it said until then.
        message: Option<Box<Message>>,
        /// Why.
        reason: String,
    },
    /// A call that the last turn asked for begins.
    StartTool {
        /// Id of the call.
        call: String,
        /// The tool.
        name: String,
    },
    /// A call has its result.
    FinishTool {
        /// The result as clients see it, with the id of its call.
        message: Box<Message>,
        /// What the model reads, where that is more.
        told: Option<String>,
    },
    /// A message that is not a model's.
    Post(Box<Message>),
    /// A step of the app begins.
    StartStep {
        /// Its key.
        step: String,
    },
    /// A step of the app is done.
    FinishStep {
        /// Its key.
        step: String,
        /// With what.
        done: Box<DoneStep>,
        /// What its models cost.
        usage: Vec<TurnUsage>,
    },
    /// Something a run that works for this one has in its log.
    Relay {
        /// Index of the first line.
        first: u64,
        /// What it is.
        relayed: Relayed,
    },
    /// The run is over.
    End {
        /// How.
        outcome: Outcome,
        /// Index of the end line: the number of lines before it.
        index: u64,
        /// The end line.
        line: Line,
        /// What went wrong, if something did.
        error: Option<String>,
    },
}

/// What a run that works for another one has in its log, up to an event.
#[derive(Debug, Clone)]
pub struct Relayed {
    /// The run.
    pub run: RunId,
    /// The event.
    pub revision: Revision,
    /// Lines to be sent.
    pub lines: Vec<Line>,
    /// The message that is complete.
    pub message: Option<Box<Message>>,
    /// What the turn that is complete cost.
    pub usage: Option<TurnUsage>,
}

/// The state.
#[derive(Debug, Clone, Default)]
pub enum Run {
    /// Nobody asked.
    #[default]
    Absent,
    /// Going on.
    Active(Box<Active>),
    /// Over.
    Ended {
        /// How.
        outcome: Outcome,
        /// Lines in all, the end line included.
        lines: u64,
    },
}

/// Why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such run.
    #[error("no such run")]
    Unknown,
    /// The run exists already.
    #[error("the run has been requested already")]
    Requested,
    /// Another node performs this run.
    #[error("another node performs this run")]
    NotPerformer,
    /// The run is over.
    #[error("the run is over")]
    Over,
    /// Lines were recorded that the caller does not know, or some are missing before those it brings.
    #[error("the run has another number of lines")]
    Moved,
}

impl crate::Refusal for Refusal {
    fn kind(&self) -> Kind {
        match self {
            Self::Unknown => Kind::Unknown,
            Self::NotPerformer => Kind::Forbidden,
            Self::Requested | Self::Over | Self::Moved => Kind::Conflict,
        }
    }
}

impl Decider for Run {
    const CATEGORY: &'static str = "run";
    type Id = RunId;
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Refusal> {
        match (self, command) {
            (Self::Absent, Command::Request(request)) => {
                Ok(vec![Event::RunRequested(request.clone())])
            }
            (Self::Active(_) | Self::Ended { .. }, Command::Request(_)) => Err(Refusal::Requested),
            (Self::Absent, _) => Err(Refusal::Unknown),
            (Self::Ended { .. }, Command::Interrupt(_)) => Ok(vec![]),
            (Self::Ended { .. }, Command::Advance { .. } | Command::TakeOver { .. }) => {
                Err(Refusal::Over)
            }
            (Self::Active(run), Command::Interrupt(wish)) => Ok(match run.interrupt {
                Some(_) => vec![],
                None => vec![Event::InterruptRequested(wish.clone())],
            }),
            (Self::Active(run), Command::Advance { node, .. }) if run.node != *node => {
                Err(Refusal::NotPerformer)
            }
            (Self::Active(run), Command::Advance { steps, .. }) => run.advance(steps),
            (Self::Active(run), Command::TakeOver { node, attempt, lines, closing }) => {
                if (run.attempt, run.lines) == (*attempt, *lines) {
                    Ok(run.take_over(*node, closing.as_deref()))
                } else {
                    Err(Refusal::Moved)
                }
            }
        }
    }

    fn evolve(self, event: &Event) -> Self {
        match (self, event) {
            (Self::Absent, Event::RunRequested(request)) => {
                Self::Active(Box::new(Active::of(request.clone())))
            }
            (Self::Active(_), Event::RunEnded { outcome, index, .. }) => {
                Self::Ended { outcome: *outcome, lines: index + 1 }
            }
            (Self::Active(mut run), event) => {
                run.apply(event);
                Self::Active(run)
            }
            (other, _) => other,
        }
    }
}
