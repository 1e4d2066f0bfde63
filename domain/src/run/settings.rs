//! How an agent works in one run.

use super::{AppTurn, ChatTurn};
use crate::{
    ids::{AgentId, KnowledgeBaseId, ProviderId, SecretId, UserId},
    mcp_server::RunServer,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Most model turns of a run that names no limit, or 0.
const TURNS: u32 = 50;

/// How an agent works in a run: its saved configuration with the request's overrides applied. Holds no secret.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// System prompt.
    pub system_prefix: Option<String>,
    /// Structured context.
    pub system_context: Map<String, Value>,
    /// Knowledge bases to answer from.
    pub knowledge_bases: Vec<KnowledgeBaseId>,
    /// Most model turns; see [`Settings::turns`].
    pub max_loop_count: Option<u32>,
    /// Base URL of another model endpoint than the default.
    pub base_url: Option<String>,
    /// The key for it, in the secret store.
    pub api_key: Option<SecretId>,
    /// Model name.
    pub model: Option<String>,
    /// The saved provider to ask, unless `base_url` names another endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<ChosenProvider>,
    /// Sampling parameters, sent as they are.
    pub parameters: Map<String, Value>,
    /// What runs of older versions recorded of their request, and what is known of a request without being acted on.
    pub overrides: Map<String, Value>,
    /// Names of the tools that may be called, besides those that attachments bring.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<String>,
    /// Names of the skills at hand.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub skills: Vec<String>,
    /// Those of them the user asks to use.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub asked_skills: Vec<String>,
    /// Named lists of steps.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub workflows: Map<String, Value>,
    /// Whether to think before acting.
    #[serde(skip_serializing_if = "is_false")]
    pub deep_thinking: bool,
    /// Whether to lay out a plan first.
    #[serde(skip_serializing_if = "is_false")]
    pub plan: bool,
    /// Whether the answer is followed by suggestions for the next question.
    #[serde(skip_serializing_if = "is_false")]
    pub more_suggest: bool,
    /// Whether a summary closes the run.
    #[serde(skip_serializing_if = "is_false")]
    pub force_summary: bool,
    /// Whether parts of the work may be given to other agents.
    #[serde(skip_serializing_if = "is_false")]
    pub multi_agent: bool,
    /// Agents to which work may be given.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sub_agents: Vec<AgentId>,
    /// Agents made up for this run, to which work may be given.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub custom_sub_agents: Vec<SubAgent>,
    /// MCP servers of this run alone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mcp_servers: Vec<RunServer>,
    /// Whether the chosen model is known to take nothing but text.
    #[serde(skip_serializing_if = "is_false")]
    pub text_only: bool,
    /// What the model remembers.
    #[serde(skip_serializing_if = "is_session")]
    pub memory: Memory,
    /// How much of the conversation the model is told.
    #[serde(skip_serializing_if = "Budget::is_unset")]
    pub budget: Budget,
    /// The app that is run, for runs that are an app's and not an agent's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app: Option<Box<AppTurn>>,
    /// The assistant's turn in a chat, for runs that are that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chat: Option<Box<ChatTurn>>,
}

impl Settings {
    /// Most model turns of the run, at least one.
    pub fn turns(&self) -> u32 {
        match self.max_loop_count {
            None | Some(0) => TURNS,
            Some(turns) => turns,
        }
    }
}

/// A saved model provider. It answers only as long as it is this person's: what an agent names may be anybody's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChosenProvider {
    /// Which.
    pub id: ProviderId,
    /// Whose.
    pub owner: UserId,
}

/// An agent made up for one run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SubAgent {
    /// How it is called; unique within its run.
    pub name: String,
    /// The saved agent it is made of.
    pub agent_id: Option<AgentId>,
    /// System prompt.
    pub system_prompt: Option<String>,
    /// What it is good for.
    pub description: Option<String>,
    /// Names of the tools it may call.
    pub available_tools: Option<Vec<String>>,
    /// Names of its skills.
    pub available_skills: Option<Vec<String>>,
    /// Named lists of steps.
    pub available_workflows: Option<Map<String, Value>>,
    /// Structured context.
    pub system_context: Option<Map<String, Value>>,
}

/// What a model remembers of its user.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Memory {
    /// The session.
    #[default]
    Session,
    /// What the user talked about in other sessions, too.
    User,
}

/// How a model's window is divided. Ratios are of the window, from 0 to 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Budget {
    /// Tokens the model can hold, prompt and answer together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_model_len: Option<u64>,
    /// Most that what was said before this run may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history_ratio: Option<f64>,
    /// Most that what was said in this run may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active_ratio: Option<f64>,
    /// Kept free for the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_new_message_ratio: Option<f64>,
    /// Questions of the past that are told at most; 0 or absent means all that fit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recent_turns: Option<u32>,
}

impl Budget {
    fn is_unset(&self) -> bool {
        *self == Self::default()
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_session(memory: &Memory) -> bool {
    *memory == Memory::Session
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_limit_and_zero_mean_the_usual_limit() {
        let limited = |max_loop_count| Settings { max_loop_count, ..Settings::default() }.turns();
        assert_eq!([limited(None), limited(Some(0)), limited(Some(3))], [50, 50, 3]);
    }

    #[test]
    fn what_is_not_set_is_not_stored() {
        let stored = serde_json::to_value(Settings::default()).unwrap_or_default();
        assert_eq!(stored.as_object().map_or(0, Map::len), 9, "{stored}");
    }
}
