//! Agents as clients send and see them.

use crate::sage::conversations::iso;
use domain::agent::Config;
use projections::agents::Agent;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Which agent it is that was made, changed or deleted.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AgentChanged)]
pub(super) struct Changed {
    pub agent_id: String,
}

/// An agent. Every key is always there; unset ones are null.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Agent)]
pub(super) struct Dto {
    id: String,
    /// Its owner.
    #[serde(rename = "user_id")]
    user_id: String,
    name: String,
    /// The prompt that tells the model who it is.
    system_prefix: Option<String>,
    /// Facts that it is told.
    #[schema(value_type = Option<Object>)]
    system_context: Option<Map<String, Value>>,
    /// Named lists of steps.
    #[schema(value_type = Option<BTreeMap<String, Vec<String>>>)]
    available_workflows: Option<Map<String, Value>>,
    /// Names of tools that it may call.
    available_tools: Option<Vec<String>>,
    /// Agents to whom it may delegate.
    available_sub_agent_ids: Option<Vec<String>>,
    /// Names of its skills.
    available_skills: Option<Vec<String>>,
    /// Ids of the knowledge bases that it searches.
    available_knowledge_bases: Option<Vec<String>>,
    /// `session` or `user`.
    memory_type: Option<String>,
    /// Most calls of the model in one answer.
    max_loop_count: Option<u32>,
    /// Whether it thinks before it speaks.
    deep_thinking: Option<bool>,
    /// The provider that answers; without it its owner's default.
    #[serde(rename = "llm_provider_id")]
    llm_provider_id: Option<String>,
    /// Whether pictures go to the model.
    enable_multimodal: Option<bool>,
    /// Whether it delegates.
    multi_agent: Option<bool>,
    /// `simple`, `fibre`, `team` or another word.
    agent_mode: Option<String>,
    description: Option<String>,
    #[serde(rename = "created_at")]
    created_at: String,
    #[serde(rename = "updated_at")]
    updated_at: String,
}

impl From<Agent> for Dto {
    fn from(agent: Agent) -> Self {
        let config = agent.config.0;
        Self {
            id: agent.agent_id,
            user_id: agent.owner,
            name: config.name,
            system_prefix: config.system_prefix,
            system_context: config.system_context,
            available_workflows: config.available_workflows,
            available_tools: config.available_tools,
            available_sub_agent_ids: config.available_sub_agent_ids,
            available_skills: config.available_skills,
            available_knowledge_bases: config.available_knowledge_bases,
            memory_type: config.memory_type,
            max_loop_count: config.max_loop_count,
            deep_thinking: config.deep_thinking,
            llm_provider_id: config.llm_provider_id,
            enable_multimodal: config.enable_multimodal,
            multi_agent: config.multi_agent,
            agent_mode: config.agent_mode,
            description: config.description,
            created_at: iso(agent.created_at),
            updated_at: iso(agent.updated_at),
        }
    }
}

/// How an agent is to be. Also in the snake case of stored configurations.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AgentConfig)]
pub(super) struct Body {
    #[schema(min_length = 1, max_length = 255)]
    pub name: String,
    /// The prompt that tells the model who it is.
    #[serde(default, alias = "system_prefix")]
    system_prefix: Option<String>,
    /// Facts that it is told.
    #[serde(default, alias = "system_context")]
    #[schema(value_type = Option<Object>)]
    system_context: Option<Map<String, Value>>,
    /// Named lists of steps.
    #[serde(default, alias = "available_workflows")]
    available_workflows: Option<BTreeMap<String, Vec<String>>>,
    /// Names of tools that it may call.
    #[serde(default, alias = "available_tools")]
    available_tools: Option<Vec<String>>,
    /// Agents to whom it may delegate.
    #[serde(default, alias = "available_sub_agent_ids")]
    available_sub_agent_ids: Option<Vec<String>>,
    /// Names of its skills.
    #[serde(default, alias = "available_skills")]
    available_skills: Option<Vec<String>>,
    /// Ids of the knowledge bases that it searches.
    #[serde(default, alias = "available_knowledge_bases")]
    available_knowledge_bases: Option<Vec<String>>,
    /// `session` or `user`.
    #[serde(default, alias = "memory_type")]
    memory_type: Option<String>,
    /// Most calls of the model in one answer.
    #[serde(default, alias = "max_loop_count")]
    max_loop_count: Option<u32>,
    /// Whether it thinks before it speaks.
    #[serde(default, alias = "deep_thinking")]
    deep_thinking: Option<bool>,
    /// The provider that answers; without it its owner's default.
    #[serde(default, rename = "llm_provider_id", alias = "llmProviderId")]
    llm_provider_id: Option<String>,
    /// Whether pictures go to the model.
    #[serde(default, alias = "enable_multimodal")]
    enable_multimodal: Option<bool>,
    /// Whether it delegates.
    #[serde(default, alias = "multi_agent")]
    multi_agent: Option<bool>,
    /// `simple`, `fibre`, `team` or another word.
    #[serde(default, alias = "agent_mode")]
    agent_mode: Option<String>,
    #[serde(default)]
    description: Option<String>,
}

impl From<Body> for Config {
    fn from(body: Body) -> Self {
        Self {
            name: body.name.replace('\0', ""),
            system_prefix: body.system_prefix,
            system_context: body.system_context,
            available_workflows: body
                .available_workflows
                .map(|named| named.into_iter().map(|(name, steps)| (name, json!(steps))).collect()),
            available_tools: body.available_tools,
            available_sub_agent_ids: body.available_sub_agent_ids,
            available_skills: body.available_skills,
            available_knowledge_bases: body.available_knowledge_bases,
            memory_type: body.memory_type,
            max_loop_count: body.max_loop_count.or(Some(10)),
            deep_thinking: body.deep_thinking.or(Some(false)),
            llm_provider_id: body.llm_provider_id,
            enable_multimodal: body.enable_multimodal.or(Some(false)),
            multi_agent: body.multi_agent.or(Some(false)),
            agent_mode: body.agent_mode,
            description: body.description,
        }
    }
}
