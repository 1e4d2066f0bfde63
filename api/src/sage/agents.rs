//! Agents: create, read, list, change, share, delete; and what models write about them.

mod dto;
mod shapes;
mod sharing;
mod tasks;
pub(in crate::sage) mod writing;

use super::{Fault, Reply, Result, Text, text};
use crate::{
    app::App,
    core::{Caller, Json, Path},
    openapi::Documented,
    sage::envelope::Replied,
};
use axum::extract::State;
use commands::agents::Created;
use domain::{
    agent::{self, Command, Config, Refusal},
    ids::AgentId,
};
use dto::{Body, Changed, Dto};
use projections::agents::{self as read_model, Agent};
use utoipa_axum::{router::OpenApiRouter, routes};

/// The table of contents.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(list))
        .routes(routes!(create))
        .routes(routes!(writing::template))
        .routes(routes!(writing::draft))
        .routes(routes!(tasks::draft))
        .routes(routes!(writing::optimize))
        .routes(routes!(tasks::optimize))
        .routes(routes!(tasks::read))
        .routes(routes!(tasks::cancel))
        .routes(routes!(read, update, remove))
        .routes(routes!(sharing::read, sharing::update))
        .tagged("Agents")
}

/// Lists the agents that the caller may use: own ones, those shared with them, and for an administrator all.
#[utoipa::path(
    get,
    path = "/api/agent/list",
    responses((status = 200, description = "The agents, the oldest first.", body = Replied<Vec<Dto>>)),
)]
async fn list(State(app): State<App>, caller: Caller) -> Result<Vec<Dto>> {
    let agents = read_model::visible_to(&app.db, caller.scope()).await?;
    let count = agents.len();
    let message = text(format!("成功获取 {count} 个Agent"), format!("Retrieved {count} agents"));
    Ok(Reply(message, agents.into_iter().map(Dto::from).collect()))
}

/// Saves a new agent of the caller's.
///
/// Its name is unique among theirs.
#[utoipa::path(
    post,
    path = "/api/agent/create",
    request_body = Body,
    responses((status = 200, description = "Its id.", body = Replied<Changed>)),
)]
async fn create(State(app): State<App>, caller: Caller, Json(body): Json<Body>) -> Result<Changed> {
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
    Ok(Reply(message, Changed { agent_id: id.0 }))
}

/// Gets an agent that the caller may use.
#[utoipa::path(
    get,
    path = "/api/agent/{agent_id}",
    params(("agent_id" = String, Path, description = "Its id.")),
    responses((status = 200, description = "The agent.", body = Replied<Dto>)),
)]
async fn read(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<Dto> {
    let agent = find(&app, &caller, &id).await?;
    let message = text(format!("获取Agent '{id}' 成功"), format!("Agent '{id}' retrieved"));
    Ok(Reply(message, agent.into()))
}

/// Replaces the whole configuration of an agent; owner and time of creation stay.
///
/// For its owner and administrators.
#[utoipa::path(
    put,
    path = "/api/agent/{agent_id}",
    params(("agent_id" = String, Path, description = "Its id.")),
    request_body = Body,
    responses((status = 200, description = "Its id.", body = Replied<Changed>)),
)]
async fn update(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Json(body): Json<Body>,
) -> Result<Changed> {
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
    Ok(Reply(message, Changed { agent_id: id }))
}

/// Deletes an agent.
///
/// For its owner and administrators.
#[utoipa::path(
    delete,
    path = "/api/agent/{agent_id}",
    params(("agent_id" = String, Path, description = "Its id.")),
    responses((status = 200, description = "Its id.", body = Replied<Changed>)),
)]
async fn remove(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<Changed> {
    owned(&app, &caller, &id, text("无权删除该Agent", "You may not delete this agent")).await?;
    let agent_id = AgentId(id.clone());
    let metadata = caller.metadata();
    let decided = app.execute::<agent::Agent>(&agent_id, &Command::Delete, &metadata).await;
    let decided = decided.map_err(|error| Fault::worded(error, |_| missing(&id)))?;
    app.caught_up("agents", decided.position).await;
    let message = text(format!("Agent '{id}' 删除成功"), format!("Agent '{id}' deleted"));
    Ok(Reply(message, Changed { agent_id: id }))
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
