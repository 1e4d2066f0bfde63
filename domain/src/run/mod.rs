//! A run: one answer of an agent, from the request to the end line.
//!
//! Every line a client sees is in `LinesRecorded` or `RunEnded` before it is sent. Lines are counted from 0; whatever a
//! performer repeats after an unclear outcome is recognised by its index or turn and recorded once. Only the node that
//! holds the claim may advance a run; everybody else is refused, which fences a node that was thought dead.

mod event;
mod lines;
#[cfg(test)]
mod tests;

use crate::{
    Decider, Kind,
    ids::{NodeId, RunId},
    message::{Line, Message},
};
pub use event::{ChosenProvider, Event, Interrupt, Outcome, Request, Settings, Surface, TurnUsage};
pub use lines::{Lines, lines_in};

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
    /// A message that is not a model's.
    Post(Box<Message>),
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

/// A run that goes on.
#[derive(Debug, Clone)]
pub struct Active {
    /// What was asked.
    pub request: Box<Request>,
    /// Who performs.
    pub node: NodeId,
    /// From 1; each take-over adds one.
    pub attempt: u32,
    /// Lines so far: the index of the next one.
    pub lines: u64,
    /// Turns finished so far: the number of the next one.
    pub turns: u32,
    /// Message id of the turn in flight.
    pub speaking: Option<String>,
    /// Messages finished in this run.
    pub messages: Vec<Message>,
    /// What finished turns cost.
    pub usage: Vec<TurnUsage>,
    /// Somebody wants it stopped.
    pub interrupt: Option<Interrupt>,
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
            (Self::Absent, Event::RunRequested(request)) => Self::Active(Box::new(Active {
                node: request.node,
                request: request.clone(),
                attempt: 1,
                lines: 0,
                turns: 0,
                speaking: None,
                messages: vec![],
                usage: vec![],
                interrupt: None,
            })),
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

impl Active {
    /// Checks each step against the state the steps before it led to; repeated steps vanish.
    fn advance(&self, steps: &[Step]) -> Result<Vec<Event>, Refusal> {
        let (mut lines, mut turns, mut speaking) = (self.lines, self.turns, self.speaking.clone());
        let mut events = Vec::with_capacity(steps.len());
        for step in steps {
            match step {
                Step::BeginTurn { turn, message_id } => {
                    if *turn == turns && speaking.as_ref() != Some(message_id) {
                        speaking = Some(message_id.clone());
                        let (turn, message_id) = (*turn, message_id.clone());
                        events.push(Event::TurnStarted { turn, attempt: self.attempt, message_id });
                    }
                }
                Step::Lines { first, lines: new } => {
                    let known = usize::try_from(lines.saturating_sub(*first)).unwrap_or(usize::MAX);
                    if *first > lines {
                        return Err(Refusal::Moved);
                    }
                    if let Some(fresh @ [_, ..]) = new.get(known..) {
                        events.push(Event::LinesRecorded { first: lines, lines: fresh.to_vec() });
                        lines += fresh.len() as u64;
                    }
                }
                Step::CompleteTurn { turn, message, usage } => {
                    if *turn == turns {
                        (turns, speaking) = (turns + 1, None);
                        let (turn, message, usage) = (*turn, message.clone(), usage.clone());
                        events.push(Event::TurnCompleted { turn, message, usage });
                    }
                }
                Step::AbandonTurn { turn, message, reason } => {
                    if *turn == turns && speaking.is_some() {
                        speaking = None;
                        let (turn, message) = (*turn, message.clone());
                        events.push(Event::TurnAbandoned { turn, message, reason: reason.clone() });
                    }
                }
                Step::Post(message) => {
                    let known = |m: &Message| m.message_id == message.message_id;
                    if !self.messages.iter().any(known) {
                        events.push(Event::MessagePosted(message.clone()));
                    }
                }
                Step::End { outcome, index, line, error } => {
                    if *index != lines {
                        return Err(Refusal::Moved);
                    }
                    let (outcome, line, error) = (*outcome, line.clone(), error.clone());
                    events.push(Event::RunEnded { outcome, index: *index, line, error });
                    return Ok(events);
                }
            }
        }
        Ok(events)
    }

    fn take_over(&self, node: NodeId, closing: Option<&(Line, Message)>) -> Vec<Event> {
        let mut events = vec![Event::RunClaimed { node, attempt: self.attempt + 1 }];
        if self.speaking.is_some() {
            if let Some((line, _)) = closing {
                events.push(Event::LinesRecorded { first: self.lines, lines: vec![line.clone()] });
            }
            events.push(Event::TurnAbandoned {
                turn: self.turns,
                message: closing.map(|(_, message)| Box::new(message.clone())),
                reason: "superseded".to_owned(),
            });
        }
        events
    }

    fn apply(&mut self, event: &Event) {
        match event {
            Event::RunRequested(_) | Event::RunEnded { .. } => {}
            Event::RunClaimed { node, attempt } => (self.node, self.attempt) = (*node, *attempt),
            Event::TurnStarted { message_id, .. } => self.speaking = Some(message_id.clone()),
            Event::LinesRecorded { lines, .. } => self.lines += lines.len() as u64,
            Event::TurnCompleted { message, usage, .. } => {
                self.messages.extend(message.as_deref().cloned());
                self.usage.push(usage.clone());
                self.turns += 1;
                self.speaking = None;
            }
            Event::TurnAbandoned { message, .. } => {
                self.messages.extend(message.as_deref().cloned());
                self.speaking = None;
            }
            Event::MessagePosted(message) => self.messages.push((**message).clone()),
            Event::InterruptRequested(interrupt) => self.interrupt = Some(interrupt.clone()),
        }
    }
}
