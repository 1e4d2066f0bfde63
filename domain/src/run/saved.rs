//! How a saved agent works in a run, before anything is asked of it.

use super::{Memory, Settings};
use crate::{agent::Config, ids::AgentId};

/// Modes of saved agents in which work is given to other agents.
const DELEGATING: [&str; 2] = ["fibre", "team"];

impl Settings {
    /// The settings a saved agent brings to a run. Its model is left to the caller, who knows whose it is.
    pub fn saved(agent: Config) -> Self {
        let sub_agents = agent.available_sub_agent_ids.unwrap_or_default();
        let mode = agent.agent_mode.as_deref();
        Self {
            system_prefix: agent.system_prefix,
            system_context: agent.system_context.unwrap_or_default(),
            knowledge_bases: agent
                .available_knowledge_bases
                .unwrap_or_default()
                .into_iter()
                .map(Into::into)
                .collect(),
            max_loop_count: agent.max_loop_count,
            tools: agent.available_tools.unwrap_or_default(),
            skills: agent.available_skills.unwrap_or_default(),
            workflows: agent.available_workflows.unwrap_or_default(),
            deep_thinking: agent.deep_thinking.unwrap_or(false),
            multi_agent: agent.multi_agent == Some(true) || mode.is_some_and(Self::delegates),
            sub_agents: sub_agents.into_iter().map(AgentId).collect(),
            memory: Memory::named(agent.memory_type.as_deref()),
            ..Self::default()
        }
    }

    /// Whether agents of this mode give work to others.
    pub fn delegates(mode: &str) -> bool {
        DELEGATING.contains(&mode)
    }
}

impl Memory {
    /// The memory of this name; one nobody knows is that of the session.
    pub fn named(name: Option<&str>) -> Self {
        match name {
            Some("user") => Self::User,
            _ => Self::Session,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_works_as_it_was_saved() {
        let names = |name: &str| Some(vec![name.to_owned()]);
        let found = Settings::saved(Config {
            available_tools: names("x"),
            available_sub_agent_ids: names("agent_1"),
            agent_mode: Some("fibre".to_owned()),
            multi_agent: Some(false),
            memory_type: Some("user".to_owned()),
            max_loop_count: Some(7),
            ..Config::default()
        });
        assert_eq!((found.tools, found.max_loop_count), (vec!["x".to_owned()], Some(7)));
        assert_eq!((found.memory, found.multi_agent), (Memory::User, true));
        assert_eq!(found.sub_agents, [AgentId::from("agent_1")]);
    }
}
