//! What an administrator had done from the list of operations: that it was asked for, and, where it takes long, how it ended.

use crate::{
    Decider, Kind,
    ids::{NodeId, OperationId},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What happened. Kept for ever.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// Somebody asked for it; who, is in the metadata.
    OperationCalled {
        /// Its name on the list.
        operation: String,
        /// How, without what is nobody's business.
        #[serde(default, skip_serializing_if = "Map::is_empty")]
        params: Map<String, Value>,
        /// Where it is done.
        node: NodeId,
    },
    /// It took a while and is over.
    OperationEnded {
        /// Why nothing came of it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
        /// What came of it.
        #[serde(default, skip_serializing_if = "Map::is_empty")]
        result: Map<String, Value>,
    },
}

/// What somebody wants.
#[derive(Debug, Clone)]
pub enum Command {
    /// Note that it is asked for.
    Call {
        /// Its name on the list.
        operation: String,
        /// How.
        params: Map<String, Value>,
        /// Where.
        node: NodeId,
    },
    /// Note how it ended.
    End(Result<Map<String, Value>, String>),
}

/// Why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It was not asked for, or is over.
    #[error("the operation is not going on")]
    NotGoingOn,
    /// Another one has this id.
    #[error("there is such an operation")]
    Exists,
}

impl crate::Refusal for Refusal {
    fn kind(&self) -> Kind {
        Kind::Conflict
    }
}

/// The state.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Operation {
    /// Nobody asked.
    #[default]
    Absent,
    /// Asked for; only those that take long ever end.
    Called {
        /// Its name on the list.
        operation: String,
        /// Where it is done.
        node: NodeId,
    },
    /// Over.
    Ended {
        /// Its name on the list.
        operation: String,
        /// What came of it, or why nothing did.
        outcome: Result<Map<String, Value>, String>,
    },
}

impl Decider for Operation {
    const CATEGORY: &'static str = "operation";
    type Id = OperationId;
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Refusal> {
        match (self, command) {
            (Self::Absent, Command::Call { operation, params, node }) => {
                let (operation, params) = (operation.clone(), params.clone());
                Ok(vec![Event::OperationCalled { operation, params, node: *node }])
            }
            (_, Command::Call { .. }) => Err(Refusal::Exists),
            (Self::Called { .. }, Command::End(outcome)) => {
                let (error, result) = match outcome.clone() {
                    Ok(result) => (None, result),
                    Err(error) => (Some(error), Map::new()),
                };
                Ok(vec![Event::OperationEnded { error, result }])
            }
            (Self::Absent | Self::Ended { .. }, Command::End(_)) => Err(Refusal::NotGoingOn),
        }
    }

    fn evolve(self, event: &Event) -> Self {
        match (self, event) {
            (_, Event::OperationCalled { operation, node, .. }) => {
                Self::Called { operation: operation.clone(), node: *node }
            }
            (Self::Called { operation, .. }, Event::OperationEnded { error, result }) => {
                let outcome = error.clone().map_or_else(|| Ok(result.clone()), Err);
                Self::Ended { operation, outcome }
            }
            (other, Event::OperationEnded { .. }) => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::given;
    use uuid::Uuid;

    const NODE: NodeId = NodeId(Uuid::from_u128(1));

    fn called() -> Event {
        let (operation, params) = ("projections.rebuild".to_owned(), Map::new());
        Event::OperationCalled { operation, params, node: NODE }
    }

    #[test]
    fn what_was_called_ends_once() {
        let (operation, params) = ("projections.rebuild".to_owned(), Map::new());
        let call = Command::Call { operation, params, node: NODE };
        given::<Operation>([]).when(call).then([called()]);
        let end = || Command::End(Err("away".to_owned()));
        let ended = || Event::OperationEnded { error: Some("away".to_owned()), result: Map::new() };
        given::<Operation>([called()]).when(end()).then([ended()]);
        given::<Operation>([called(), ended()]).when(end()).then_refused(Refusal::NotGoingOn);
        given::<Operation>([]).when(end()).then_refused(Refusal::NotGoingOn);
    }
}
