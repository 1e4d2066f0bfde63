//! The assistant's turn in a chat: what was found out about the person when they asked.

use crate::onboarding::Station;
use serde::{Deserialize, Serialize};

/// Facts of the moment of asking; whoever takes the run over goes by the same ones.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ChatTurn {
    /// Where the person is on the way in. As long as they are on it, no model is asked and they are told what is next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gate: Option<Station>,
    /// Whether the model for administrators answers, where there is one.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub hosted: bool,
}
