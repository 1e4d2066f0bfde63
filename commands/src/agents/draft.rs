//! A draft of an agent from a description.

use super::{
    Writer,
    template::{self, Language},
    writer::text,
};
use crate::effects::model::complete::Unanswered;
use chrono::Utc;
use serde_json::{Map, Value, json};

/// Characters of the description that a made-up name has.
const NAME: usize = 16;
/// Workflows of a draft, and steps of each.
const WORKFLOWS: usize = 10;
const STEPS: usize = 30;

/// What is wanted.
#[derive(Debug, Clone)]
pub struct Wish {
    /// What the agent is for.
    pub description: String,
    /// The tools it gets; `None` to choose among those offered.
    pub tools: Option<Vec<String>>,
    /// Tools to choose among.
    pub offered: Vec<String>,
    /// Language of the draft.
    pub language: Language,
}

/// A draft, as clients of the Sage dialect import it. Where the model gives nothing usable, the template stands in;
/// without a model all of it is template, and the description says so.
///
/// # Errors
/// When the model does not answer.
pub async fn draft(writer: &Writer, wish: &Wish) -> Result<Map<String, Value>, Unanswered> {
    let written = match writer.is_offline() {
        true => None,
        false => writer.object(task(wish.language), &about(wish)).await?,
    };
    let written = written.unwrap_or_default();
    let described = match writer.is_offline() {
        true => {
            wish.language.pick("（离线模板，未调用模型）", "(from a template, without a model) ")
        }
        false => "",
    };
    let name = text(&written, &["name"]).unwrap_or_else(|| made_up_name(wish));
    let description = text(&written, &["description"]);
    let prefix = text(&written, &["systemPrefix", "system_prefix", "system_prompt"]);
    let draft = json!({
        "id": "",
        "name": name.chars().take(255).collect::<String>(),
        "description": description.unwrap_or_else(|| format!("{described}{}", wish.description)),
        "systemPrefix": prefix.unwrap_or_else(|| made_up_prompt(wish)),
        "deepThinking": false,
        "multiAgent": false,
        "moreSupport": false,
        "maxLoopCount": 100,
        "llmConfig": {"model": "", "maxTokens": "", "temperature": ""},
        "availableTools": tools(&written, wish),
        "systemContext": {},
        "availableWorkflows": workflows(&written),
        "exportTime": Utc::now().format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string(),
        "version": "1.0",
    });
    match draft {
        Value::Object(draft) => Ok(draft),
        _ => Ok(Map::new()),
    }
}

fn task(language: Language) -> &'static str {
    language.pick(
        "你为用户设计一个智能体。只输出一个 JSON 对象，不要任何其他文字。键：\
         name（简短的名称）、description（一句话说明）、systemPrefix（完整的系统提示词，Markdown，包含角色、技能、指导、限制）、\
         availableTools（从给出的工具名中选出真正需要的，字符串数组）、\
         availableWorkflows（对象：工作流名称到步骤字符串数组，最多 3 个）。使用中文。",
        "You design an agent. Answer with one JSON object and nothing else. Keys: name (short), description (one \
         sentence), systemPrefix (the whole system prompt in Markdown: role, skills, guidance, limits), availableTools \
         (those of the given tool names that are really needed, an array of strings), availableWorkflows (an object from \
         a workflow's name to an array of steps, at most 3). Write in English.",
    )
}

fn about(wish: &Wish) -> String {
    let tools = wish.tools.as_ref().unwrap_or(&wish.offered).join(", ");
    format!(
        "{}\n\n{}: {tools}",
        wish.description,
        wish.language.pick("可用工具", "Available tools")
    )
}

/// Tools that were given stay; of those offered the model chooses.
fn tools(written: &Map<String, Value>, wish: &Wish) -> Vec<String> {
    if let Some(given) = &wish.tools {
        return given.clone();
    }
    let chosen = written.get("availableTools").and_then(Value::as_array);
    let chosen: Vec<&str> = chosen.into_iter().flatten().filter_map(Value::as_str).collect();
    wish.offered.iter().filter(|tool| chosen.contains(&tool.as_str())).cloned().collect()
}

fn workflows(written: &Map<String, Value>) -> Map<String, Value> {
    let named = written.get("availableWorkflows").and_then(Value::as_object);
    let workflow = |(name, steps): (&String, &Value)| {
        let steps = steps.as_array()?.iter().filter(|step| step.is_string());
        let steps: Vec<Value> = steps.take(STEPS).cloned().collect();
        (!steps.is_empty()).then(|| (name.clone(), Value::Array(steps)))
    };
    named.into_iter().flatten().filter_map(workflow).take(WORKFLOWS).collect()
}

fn made_up_name(wish: &Wish) -> String {
    let first = wish.description.lines().map(str::trim).find(|line| !line.is_empty());
    let name: String = first.unwrap_or_default().chars().take(NAME).collect();
    match name.is_empty() {
        true => wish.language.pick("新智能体", "New agent").to_owned(),
        false => name,
    }
}

fn made_up_prompt(wish: &Wish) -> String {
    let heading = wish.language.pick("# 任务", "# Task");
    format!("{}\n{heading}\n{}\n", template::system_prompt(wish.language), wish.description.trim())
}
