//! Agents: create, read, list, change, share, delete; and what models write about them.

mod dto;
mod sharing;
mod tasks;
mod writing;

use super::{Fault, Reply, Result, Text, text};
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
use dto::{Body, Dto};
use projections::agents::{self as read_model, Agent};
use serde_json::{Value, json};

/// The routes.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/api/agent/list", get(list))
        .route("/api/agent/create", post(create))
        .route("/api/agent/template/default_system_prompt", get(writing::template))
        .route("/api/agent/auto-generate", post(writing::draft))
        .route("/api/agent/auto-generate/submit", post(tasks::draft))
        .route("/api/agent/system-prompt/optimize", post(writing::optimize))
        .route("/api/agent/system-prompt/optimize/submit", post(tasks::optimize))
        .route("/api/agent/tasks/{task_id}", get(tasks::read))
        .route("/api/agent/tasks/{task_id}/cancel", post(tasks::cancel))
        .route("/api/agent/{agent_id}", get(read).put(update).delete(remove))
        .route("/api/agent/{agent_id}/auth", get(sharing::read).post(sharing::update))
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
    let Created { id, decided } =
        created.map_err(|error| Fault::worded(error, |refusal| refused(refusal, &name)))?;
    app.caught_up("agents", decided.position).await;
    let message = text(format!("Agent '{id}' 创建成功"), format!("Agent '{id}' created"));
    Ok(Reply(message, json!({"agent_id": id})))
}

async fn read(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<Dto> {
    let agent = find(&app, &caller, &id).await?;
    let message = text(format!("获取Agent '{id}' 成功"), format!("Agent '{id}' retrieved"));
    Ok(Reply(message, agent.into()))
}

/// Replaces the whole configuration; owner and time of creation stay.
async fn update(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Json(body): Json<Body>,
) -> Result<Value> {
    let denied = text("无权更新该Agent", "You may not change this agent");
    owned(&app, &caller, &id, denied).await?;
    let config = Box::new(Config::from(body));
    let name = config.name.clone();
    let agent_id = AgentId(id.clone());
    let changed = app.reconfigure_agent(&agent_id, config, &caller.metadata()).await;
    let changed = changed.map_err(|error| {
        Fault::worded(error, |refusal| match refusal {
            Refusal::Unknown => missing(&id),
            other => refused(other, &name),
        })
    })?;
    app.caught_up("agents", changed.position).await;
    let message = text(format!("Agent '{id}' 更新成功"), format!("Agent '{id}' updated"));
    Ok(Reply(message, json!({"agent_id": id})))
}

async fn remove(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<Value> {
    owned(&app, &caller, &id, text("无权删除该Agent", "You may not delete this agent")).await?;
    let agent_id = AgentId(id.clone());
    let metadata = caller.metadata();
    let decided = app.execute::<agent::Agent>(&agent_id, &Command::Delete, &metadata).await;
    let decided = decided.map_err(|error| Fault::worded(error, |_| missing(&id)))?;
    app.caught_up("agents", decided.position).await;
    let message = text(format!("Agent '{id}' 删除成功"), format!("Agent '{id}' deleted"));
    Ok(Reply(message, json!({"agent_id": id})))
}

/// As [`usable`]; one that is not answers as if it did not exist.
pub(super) async fn find(
    app: &App,
    caller: &Caller,
    id: &str,
) -> std::result::Result<Agent, Fault> {
    usable(app, caller, id).await?.ok_or_else(|| Fault::raised(missing(id)))
}

/// One's own agent, one that is shared with the caller, or anybody's for an administrator.
pub(super) async fn usable(
    app: &App,
    caller: &Caller,
    id: &str,
) -> std::result::Result<Option<Agent>, Fault> {
    let found = match id.contains('\0') {
        true => None,
        false => read_model::agent(&app.db, &AgentId::from(id)).await?,
    };
    Ok(found.filter(|agent| caller.sees(&agent.owner) || agent.is_shared_with(&caller.user)))
}

/// As [`find`], but only for its owner and administrators: others who see it are told that they may not.
async fn owned(
    app: &App,
    caller: &Caller,
    id: &str,
    denied: Text,
) -> std::result::Result<Agent, Fault> {
    let agent = find(app, caller, id).await?;
    if caller.sees(&agent.owner) { Ok(agent) } else { Err(Fault::raised(denied)) }
}

/// The dialect's words for what an agent refuses.
fn refused(refusal: &Refusal, name: &str) -> Text {
    match refusal {
        Refusal::BadName => {
            text("Agent 名称长度应为 1 到 255 个字符", "An agent has a name of 1 to 255 characters")
        }
        Refusal::TooLarge => {
            let most = agent::LARGEST_CONFIG >> 10;
            text(
                format!("Agent 配置过大（上限 {most} KB）"),
                format!("An agent's configuration has at most {most} KB"),
            )
        }
        Refusal::TooManyPeople => text("授权用户过多", "The agent is shared with too many people"),
        Refusal::Exists | Refusal::NameLost | Refusal::Unknown => exists(name),
    }
}

fn exists(name: &str) -> Text {
    text(format!("Agent '{name}' 已存在"), format!("Agent '{name}' already exists"))
}

pub(super) fn missing(id: &str) -> Text {
    text(format!("Agent '{id}' 不存在"), format!("Agent '{id}' does not exist"))
}
