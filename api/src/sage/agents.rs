//! Agents: create, read, list, delete.

use super::{Fault, Reply, Result, conversations::iso, text};
use crate::{
    app::App,
    core::{Caller, Json, Path},
};
use axum::{
    Router,
    extract::State,
    routing::{get, post},
};
use commands::agents::Created;
use domain::{
    agent::{self, Command, Config, Refusal},
    ids::AgentId,
};
use projections::agents::{self as read_model, Agent};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// The routes.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/api/agent/list", get(list))
        .route("/api/agent/create", post(create))
        .route("/api/agent/{agent_id}", get(read).delete(remove))
}

/// The agent as clients see it. Every key is always there; unset ones are null.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Dto {
    id: String,
    #[serde(rename = "user_id")]
    user_id: String,
    name: String,
    system_prefix: Option<String>,
    system_context: Option<Map<String, Value>>,
    available_workflows: Option<Map<String, Value>>,
    available_tools: Option<Vec<String>>,
    available_sub_agent_ids: Option<Vec<String>>,
    available_skills: Option<Vec<String>>,
    available_knowledge_bases: Option<Vec<String>>,
    memory_type: Option<String>,
    max_loop_count: Option<u32>,
    deep_thinking: Option<bool>,
    #[serde(rename = "llm_provider_id")]
    llm_provider_id: Option<String>,
    enable_multimodal: Option<bool>,
    multi_agent: Option<bool>,
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

/// The agent as clients send it: camel case, or the snake case of stored configurations.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    name: String,
    #[serde(default, alias = "system_prefix")]
    system_prefix: Option<String>,
    #[serde(default, alias = "system_context")]
    system_context: Option<Map<String, Value>>,
    #[serde(default, alias = "available_workflows")]
    available_workflows: Option<Map<String, Value>>,
    #[serde(default, alias = "available_tools")]
    available_tools: Option<Vec<String>>,
    #[serde(default, alias = "available_sub_agent_ids")]
    available_sub_agent_ids: Option<Vec<String>>,
    #[serde(default, alias = "available_skills")]
    available_skills: Option<Vec<String>>,
    #[serde(default, alias = "available_knowledge_bases")]
    available_knowledge_bases: Option<Vec<String>>,
    #[serde(default, alias = "memory_type")]
    memory_type: Option<String>,
    #[serde(default, alias = "max_loop_count")]
    max_loop_count: Option<u32>,
    #[serde(default, alias = "deep_thinking")]
    deep_thinking: Option<bool>,
    #[serde(default, rename = "llm_provider_id", alias = "llmProviderId")]
    llm_provider_id: Option<String>,
    #[serde(default, alias = "enable_multimodal")]
    enable_multimodal: Option<bool>,
    #[serde(default, alias = "multi_agent")]
    multi_agent: Option<bool>,
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
            available_workflows: body.available_workflows,
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

async fn list(State(app): State<App>, caller: Caller) -> Result<Vec<Dto>> {
    let agents = read_model::visible_to(&app.db, caller.scope()).await?;
    let count = agents.len();
    let message = text(format!("成功获取 {count} 个Agent"), format!("Retrieved {count} agents"));
    Ok(Reply(message, agents.into_iter().map(Dto::from).collect()))
}

async fn create(State(app): State<App>, caller: Caller, Json(body): Json<Body>) -> Result<Value> {
    let config = Box::new(Config::from(body));
    let name = config.name.clone();
    app.settled("agents").await?;
    if read_model::named(&app.db, &caller.user, &name).await? {
        return Err(Fault::raised(exists(&name)));
    }
    let created = app.create_agent(caller.user.clone(), config, &caller.metadata()).await;
    let Created { id, decided } = created.map_err(|error| {
        Fault::worded(error, |refusal| match refusal {
            Refusal::BadName => text(
                "Agent 名称长度应为 1 到 255 个字符",
                "An agent has a name of 1 to 255 characters",
            ),
            Refusal::Exists | Refusal::Unknown => exists(&name),
        })
    })?;
    app.caught_up("agents", decided.position).await;
    let message = text(format!("Agent '{id}' 创建成功"), format!("Agent '{id}' created"));
    Ok(Reply(message, json!({"agent_id": id})))
}

async fn read(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<Dto> {
    let agent = find(&app, &caller, &id).await?;
    let message = text(format!("获取Agent '{id}' 成功"), format!("Agent '{id}' retrieved"));
    Ok(Reply(message, agent.into()))
}

async fn remove(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<Value> {
    find(&app, &caller, &id).await?;
    let agent_id = AgentId(id.clone());
    let metadata = caller.metadata();
    let decided = app.execute::<agent::Agent>(&agent_id, &Command::Delete, &metadata).await;
    let decided = decided.map_err(|error| Fault::worded(error, |_| missing(&id)))?;
    app.caught_up("agents", decided.position).await;
    let message = text(format!("Agent '{id}' 删除成功"), format!("Agent '{id}' deleted"));
    Ok(Reply(message, json!({"agent_id": id})))
}

/// One's own agent, or anybody's for an administrator; another's answers as if it did not exist.
pub(super) async fn find(
    app: &App,
    caller: &Caller,
    id: &str,
) -> std::result::Result<Agent, Fault> {
    let found = match id.contains('\0') {
        true => None,
        false => read_model::agent(&app.db, &AgentId::from(id)).await?,
    };
    let own = found.filter(|agent| caller.sees(&agent.owner));
    own.ok_or_else(|| Fault::raised(missing(id)))
}

fn exists(name: &str) -> super::Text {
    text(format!("Agent '{name}' 已存在"), format!("Agent '{name}' already exists"))
}

fn missing(id: &str) -> super::Text {
    text(format!("Agent '{id}' 不存在"), format!("Agent '{id}' does not exist"))
}
