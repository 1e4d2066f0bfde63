//! What a request says about how its agent shall work, beside the saved configuration.

use super::{
    request::{LONGEST_ID, invalid},
    shapes,
};
use crate::sage::Fault;
use domain::{
    agent::Config,
    ids::AgentId,
    message::Message,
    prompt_text::control_tags,
    run::{Budget, Memory, Settings, SubAgent},
};
use serde::{Deserialize, Deserializer, de};
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// Most names in a list of tools, skills or agents.
const MOST_NAMES: usize = 512;
/// Most agents made up for one request.
const MOST_SUB_AGENTS: usize = 32;

/// How the agent shall work. What is absent or null leaves the saved agent's value; what is sent wins.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(as = StreamOverrides)]
pub(super) struct Overrides {
    /// Most calls of the model.
    #[serde(default, deserialize_with = "count")]
    max_loop_count: Option<u32>,
    /// The prompt that tells the model who it is.
    system_prefix: Option<String>,
    /// Facts that it is told.
    #[schema(value_type = Option<Object>)]
    system_context: Option<Map<String, Value>>,
    /// Ids of the knowledge bases that it searches.
    #[schema(max_items = 32)]
    pub available_knowledge_bases: Option<Vec<String>>,
    /// Whether it thinks before it speaks.
    #[schema(value_type = Option<bool>)]
    deep_thinking: Option<Flag>,
    /// Whether it delegates.
    #[schema(value_type = Option<bool>)]
    multi_agent: Option<Flag>,
    /// Whether it suggests what to ask next.
    #[schema(value_type = Option<bool>)]
    more_suggest: Option<Flag>,
    /// Whether it ends with a summary.
    #[schema(value_type = Option<bool>)]
    force_summary: Option<Flag>,
    /// `simple`, `fibre`, `team` or another word.
    agent_mode: Option<String>,
    /// `session` or `user`.
    memory_type: Option<String>,
    /// Named lists of steps.
    #[schema(value_type = Option<Object>)]
    available_workflows: Option<Map<String, Value>>,
    /// Names of tools that it may call.
    #[schema(max_items = 512)]
    available_tools: Option<Vec<String>>,
    /// Names of its skills.
    #[schema(max_items = 512)]
    available_skills: Option<Vec<String>>,
    /// Agents to whom it may delegate.
    #[schema(max_items = 512)]
    available_sub_agent_ids: Option<Vec<String>>,
    /// Agents that there are for this answer only.
    #[schema(value_type = Option<Vec<shapes::SubAgent>>, max_items = 32)]
    custom_sub_agents: Option<Vec<SubAgent>>,
    #[schema(value_type = Option<shapes::Budget>)]
    context_budget_config: Option<Budget>,
    /// The saved model provider that answers.
    pub provider_id: Option<String>,
    /// The one for small tasks.
    fast_provider_id: Option<String>,
}

/// A boolean, also as texts and numbers spell it.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "Value")]
struct Flag(bool);

impl TryFrom<Value> for Flag {
    type Error = &'static str;

    fn try_from(value: Value) -> Result<Self, &'static str> {
        let flag = match &value {
            Value::Bool(flag) => Some(*flag),
            Value::Number(number) => match number.as_u64() {
                Some(0) => Some(false),
                Some(1) => Some(true),
                _ => None,
            },
            Value::String(text) => spelled(text),
            _ => None,
        };
        flag.map(Self).ok_or("Input should be a valid boolean")
    }
}

fn spelled(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "1" | "on" | "yes" => Some(true),
        "false" | "0" | "off" | "no" => Some(false),
        _ => None,
    }
}

/// A number, also as text; a form's empty field counts as absent.
fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    let wrong = || de::Error::custom("Input should be a valid integer");
    let number = match Option::<Value>::deserialize(deserializer)? {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) if text.trim().is_empty() => return Ok(None),
        Some(Value::String(text)) => text.trim().parse().ok(),
        Some(Value::Number(number)) => number.as_u64().and_then(|n| u32::try_from(n).ok()),
        Some(_) => None,
    };
    number.map(Some).ok_or_else(wrong)
}

impl Overrides {
    /// Settings of a run from the saved agent, the request, and the tags before the user's text. The model and the
    /// knowledge bases are left to the caller.
    pub fn settings(self, saved: Config, messages: &[Message]) -> Settings {
        let asked = messages.iter().rev().find(|message| message.role == "user");
        let asked = asked.map(Message::text).unwrap_or_default();
        let tags = control_tags(&asked);
        let tagged = |name: &str| {
            tags.iter().find(|(tag, _)| *tag == name).and_then(|(_, value)| spelled(value))
        };
        let asked_skills: Vec<String> = tags
            .iter()
            .filter(|(tag, value)| *tag == "skill" && !value.is_empty())
            .map(|(_, value)| (*value).to_owned())
            .collect();
        let mut skills =
            self.available_skills.or_else(|| saved.available_skills.clone()).unwrap_or_default();
        skills.extend(
            asked_skills
                .iter()
                .filter(|skill| !skills.contains(skill))
                .cloned()
                .collect::<Vec<_>>(),
        );
        let on = |flag: Option<Flag>| flag.map(|Flag(flag)| flag);
        let deep = on(self.deep_thinking).or(tagged("enable_deep_thinking"));
        let mode = self.agent_mode.or_else(|| saved.agent_mode.clone());
        // Whoever sends agents, or a mode in which there are some, wants them to work, unless they say otherwise.
        let multi_agent = saved.multi_agent == Some(true)
            || self.available_sub_agent_ids.as_ref().is_some_and(|ids| !ids.is_empty())
            || self.custom_sub_agents.as_ref().is_some_and(|agents| !agents.is_empty())
            || mode.as_deref().is_some_and(Settings::delegates);
        let recorded = [
            ("agent_mode", mode),
            ("provider_id", self.provider_id.or_else(|| saved.llm_provider_id.clone())),
            ("fast_provider_id", self.fast_provider_id),
        ];
        let recorded = recorded.into_iter().filter_map(|(name, value)| {
            let value = value.filter(|value| !value.is_empty())?;
            Some((name.to_owned(), value.into()))
        });
        let mut settings = Settings::saved(saved);
        settings.system_context.extend(self.system_context.unwrap_or_default());
        let sub_agents = self.available_sub_agent_ids;
        let sub_agents = sub_agents.map(|ids| ids.into_iter().map(AgentId).collect());
        Settings {
            system_prefix: self.system_prefix.or(settings.system_prefix),
            max_loop_count: self.max_loop_count.or(settings.max_loop_count),
            tools: self.available_tools.unwrap_or(settings.tools),
            skills,
            asked_skills,
            workflows: self.available_workflows.unwrap_or(settings.workflows),
            deep_thinking: deep.unwrap_or(settings.deep_thinking),
            plan: tagged("enable_plan").unwrap_or(false),
            more_suggest: on(self.more_suggest).unwrap_or(false),
            force_summary: on(self.force_summary).unwrap_or(false),
            multi_agent: on(self.multi_agent).unwrap_or(multi_agent),
            sub_agents: sub_agents.unwrap_or(settings.sub_agents),
            custom_sub_agents: self.custom_sub_agents.unwrap_or_default(),
            memory: match self.memory_type {
                Some(named) => Memory::named(Some(&named)),
                None => settings.memory,
            },
            budget: self.context_budget_config.unwrap_or_default(),
            overrides: recorded.collect(),
            ..settings
        }
    }

    /// Refuses lists and names without bounds.
    pub fn check(&self) -> Result<(), Fault> {
        let lists = [
            ("available_tools", &self.available_tools),
            ("available_skills", &self.available_skills),
            ("available_sub_agent_ids", &self.available_sub_agent_ids),
        ];
        for (name, list) in lists {
            let list = list.as_deref().unwrap_or_default();
            if list.len() > MOST_NAMES {
                return Err(invalid(&[name], format!("at most {MOST_NAMES} names")));
            }
            let long = |name: &String| name.chars().count() > LONGEST_ID;
            if let Some(at) = list.iter().position(long) {
                let expected = format!("String should have at most {LONGEST_ID} characters");
                return Err(invalid(&[name, &at.to_string()], expected));
            }
        }
        if self.custom_sub_agents.as_ref().is_some_and(|agents| agents.len() > MOST_SUB_AGENTS) {
            let expected = format!("at most {MOST_SUB_AGENTS} agents");
            return Err(invalid(&["custom_sub_agents"], expected));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use serde_json::json;

    fn settings(request: Value, saved: Config, text: &str) -> Settings {
        let message =
            Message { role: "user".to_owned(), content: Some(text.into()), ..Message::default() };
        serde_json::from_value::<Overrides>(request).unwrap().settings(saved, &[message])
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn saved() -> Config {
        Config {
            system_prefix: Some("saved".to_owned()),
            system_context: Some(json!({"a": 1, "b": 1}).as_object().unwrap().clone()),
            available_tools: Some(names(&["x", "y"])),
            available_skills: Some(names(&["s"])),
            memory_type: Some("user".to_owned()),
            max_loop_count: Some(7),
            deep_thinking: Some(true),
            llm_provider_id: Some("p".to_owned()),
            ..Config::default()
        }
    }

    #[test]
    fn a_saved_agent_works_as_it_was_saved() {
        let found = settings(json!({"deep_thinking": null}), saved(), "hi");
        assert_eq!((found.tools, found.skills), (names(&["x", "y"]), names(&["s"])));
        assert_eq!((found.memory, found.max_loop_count), (Memory::User, Some(7)));
        assert!(found.deep_thinking && !found.plan && !found.more_suggest);
        assert_eq!(found.overrides["provider_id"], "p");
    }

    #[test]
    fn what_is_sent_wins() {
        let request = json!({
            "system_prefix": "sent", "system_context": {"b": 2}, "available_tools": [],
            "available_skills": ["t"], "memory_type": "session", "max_loop_count": "3",
            "deep_thinking": "false", "more_suggest": 1, "force_summary": true, "provider_id": "q",
            "available_workflows": {"w": ["1"]}, "context_budget_config": {"max_model_len": 100, "x": 1},
            "custom_sub_agents": [{"name": "n", "agent_mode": "simple"}], "unknown": 1,
        });
        let found =
            settings(request, saved(), "<enable_deep_thinking>true</enable_deep_thinking>hi");
        assert_eq!(found.system_prefix.as_deref(), Some("sent"));
        assert_eq!(found.system_context, *json!({"a": 1, "b": 2}).as_object().unwrap());
        assert_eq!((found.tools, found.skills), (vec![], names(&["t"])));
        assert_eq!((found.memory, found.max_loop_count), (Memory::Session, Some(3)));
        assert!(!found.deep_thinking && found.more_suggest && found.force_summary);
        assert_eq!(found.overrides["provider_id"], "q");
        assert_eq!(found.budget.max_model_len, Some(100));
        assert_eq!(found.custom_sub_agents[0].name, "n");
    }

    #[test]
    fn work_is_given_away_by_wish_by_mode_or_because_there_are_agents() {
        let boss = |mode: &str, multi_agent| Config {
            agent_mode: Some(mode.to_owned()),
            multi_agent: Some(multi_agent),
            available_sub_agent_ids: Some(names(&["agent_1"])),
            ..Config::default()
        };
        for (request, saved, expected) in [
            (json!({}), boss("simple", true), true),
            (json!({}), boss("simple", false), false),
            (json!({}), boss("team", false), true),
            (json!({"agent_mode": "simple"}), boss("team", false), false),
            (json!({"agent_mode": "fibre"}), boss("simple", false), true),
            (json!({"multi_agent": false}), boss("team", true), false),
            (json!({"custom_sub_agents": [{"name": "n"}]}), boss("simple", false), true),
            (json!({"available_sub_agent_ids": []}), boss("simple", false), false),
        ] {
            let found = settings(request.clone(), saved, "hi").multi_agent;
            assert_eq!(found, expected, "{request}");
        }
    }

    #[test]
    fn tags_before_the_text_steer() {
        let text = "<enable_deep_thinking>true</enable_deep_thinking><enable_plan>true</enable_plan><skill>t</skill>hi";
        let found = settings(json!({"available_skills": ["s"]}), Config::default(), text);
        assert!(found.deep_thinking && found.plan);
        assert_eq!((found.skills, found.asked_skills), (names(&["s", "t"]), names(&["t"])));
    }

    #[test]
    fn wrong_types_are_refused_and_an_empty_field_is_none() {
        let read = |request| serde_json::from_value::<Overrides>(request);
        for wrong in [
            json!({"max_loop_count": -1}),
            json!({"max_loop_count": "x"}),
            json!({"deep_thinking": "maybe"}),
            json!({"available_tools": "x"}),
            json!({"available_workflows": []}),
        ] {
            assert!(read(wrong.clone()).is_err(), "{wrong}");
        }
        assert_eq!(read(json!({"max_loop_count": ""})).unwrap().max_loop_count, None);
    }

    #[test]
    fn lists_have_limits() {
        let read = |request| serde_json::from_value::<Overrides>(request).unwrap().check();
        assert!(read(json!({"available_tools": vec!["x"; MOST_NAMES]})).is_ok());
        assert!(read(json!({"available_tools": vec!["x"; MOST_NAMES + 1]})).is_err());
        assert!(read(json!({"available_skills": ["x".repeat(LONGEST_ID + 1)]})).is_err());
    }
}
