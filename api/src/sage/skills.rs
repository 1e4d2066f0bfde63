//! Skills: what there is, and what an agent may load.

mod content;
mod import;
mod words;

use super::{Fault, Reply, Result, agents, text};
use crate::{
    app::App,
    core::{Caller, Error, Problem, Query},
    openapi::Documented,
    sage::envelope::{Failed, Replied},
};
use axum::extract::State;
use commands::execute;
use domain::{
    ids::{AgentId, SkillId, UserId},
    skill::{Command, Folder, Home, Skill},
};
use projections::{
    agents::Agent,
    skills::{self as read_model, Filter, Row},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::HashSet;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The table of contents.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(list, remove))
        .routes(routes!(available))
        .routes(routes!(import::upload))
        .routes(routes!(import::import_url))
        .routes(routes!(content::read, content::write))
        .tagged("Skills")
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// Only skills that this agent works with.
    #[serde(default)]
    agent_id: String,
    /// Whose skills.
    #[serde(default)]
    #[param(inline, value_type = Option<Dimension>)]
    dimension: String,
}

/// Whose skills.
#[derive(ToSchema)]
#[schema(as = SkillDimension, rename_all = "lowercase")]
#[expect(dead_code, reason = "what it is not is told in the dialect's words")]
enum Dimension {
    All,
    System,
    User,
    Agent,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct AgentQuery {
    /// The agent.
    agent_id: String,
}

/// Which skill a caller means.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct NameQuery {
    /// Its name.
    name: String,
    /// Whose skill it is; without it the caller's own, or else the system's.
    #[serde(default)]
    agent_id: String,
}

/// Skills.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SkillListing)]
struct Listing<T> {
    skills: Vec<T>,
}

/// A skill.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Skill)]
struct Item {
    name: String,
    /// When to use it.
    description: String,
    /// Whose it is; empty for the system's.
    user_id: String,
    /// `system`, `user` or `agent`.
    dimension: String,
    owner_user_id: Option<String>,
    agent_id: Option<String>,
    agent_name: Option<String>,
    /// Below the place where skills are kept; no place of this machine.
    path: String,
}

/// A skill that an agent may load.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AvailableSkill)]
struct Available {
    name: String,
    description: String,
    /// `system`, `user` or `agent`.
    source_dimension: String,
}

/// Nothing more than that it worked.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SkillChanged)]
struct Changed {}

impl From<Row> for Item {
    fn from(row: Row) -> Self {
        let Row { owner, agent_id, folder, .. } = row;
        let path = match (owner.is_empty(), agent_id.is_empty()) {
            (true, _) => format!("skills/{folder}"),
            (false, true) => format!("users/{owner}/skills/{folder}"),
            (false, false) => format!("agents/{owner}/{agent_id}/skills/{folder}"),
        };
        Self {
            name: row.name,
            description: row.description,
            user_id: owner.clone(),
            dimension: row.dimension,
            owner_user_id: Some(owner).filter(|owner| !owner.is_empty()),
            agent_id: Some(agent_id).filter(|agent| !agent.is_empty()),
            agent_name: row.agent_name,
            path,
        }
    }
}

/// Lists the skills that the caller has or may use, for an administrator all.
#[utoipa::path(
    get,
    path = "/api/skills",
    params(ListQuery),
    responses((status = 200, description = "The skills.", body = Replied<Listing<Item>>)),
)]
async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<ListQuery>,
) -> Result<Listing<Item>> {
    let dimension = match query.dimension.as_str() {
        "" | "all" => None,
        "system" | "user" | "agent" => Some(query.dimension.as_str()),
        _ => return Err(no_dimension(&query.dimension).into()),
    };
    let message = text("获取技能列表成功", "Skills retrieved");
    let rows = match query.agent_id.as_str() {
        "" => {
            let filter = Filter { owner: caller.scope(), dimension, agent: None };
            read_model::listed(&app.db, filter).await?
        }
        id => {
            let agent = agents::find(&app, &caller, id).await?;
            let (owner, id) = (UserId(agent.owner.clone()), AgentId::from(id));
            let filter = Filter { owner: Some(&owner), dimension, agent: Some(&id) };
            let rows = read_model::listed(&app.db, filter).await?;
            let selected = selected(&agent);
            rows.into_iter().filter(|row| selected.contains(&row.folder)).collect()
        }
    };
    Ok(Reply(message, Listing { skills: rows.into_iter().map(Item::from).collect() }))
}

/// Lists the skills that an agent may load.
#[utoipa::path(
    get,
    path = "/api/skills/agent-available",
    params(AgentQuery),
    responses((status = 200, description = "The skills.", body = Replied<Listing<Available>>)),
)]
async fn available(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<AgentQuery>,
) -> Result<Listing<Available>> {
    let agent = agents::find(&app, &caller, &query.agent_id).await?;
    let (owner, id) = (UserId(agent.owner.clone()), AgentId(query.agent_id));
    let mut rows = read_model::available(&app.db, &owner, Some(&id)).await?;
    // With whom an agent is shared sees what it works with, and not what else its owner has.
    if !caller.sees(&agent.owner) {
        let selected = selected(&agent);
        rows.retain(|row| row.dimension == "system" || selected.contains(&row.folder));
    }
    let available = rows.into_iter().map(|row| Available {
        name: row.name,
        description: row.description,
        source_dimension: row.dimension,
    });
    let message = text("获取Agent可用技能列表成功", "Skills available to the agent retrieved");
    Ok(Reply(message, Listing { skills: available.collect() }))
}

/// Deletes the agent's skill if an agent is named, else one's own, else, as an administrator, the system's.
///
/// One that is not there is as good as removed; so is one of somebody else's agent, which must not show that it exists.
#[utoipa::path(
    delete,
    path = "/api/skills",
    params(NameQuery),
    responses(
        (status = 200, description = "There is no such skill any more.", body = Replied<Changed>),
        (status = 400, description = "It was deleted in the meantime.", body = Failed),
    ),
)]
async fn remove(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<NameQuery>,
) -> Result<Changed> {
    let name = query.name;
    let found = locate(&app, &caller, &name, &query.agent_id).await?;
    if let Some((home, id)) = found {
        if home == Home::System && !caller.admin {
            return Err(Fault::raised(text(
                "无权删除系统技能",
                "Permission denied: system skills are deleted by administrators",
            )));
        }
        let decided = app.execute::<Skill>(&id, &Command::Delete, &caller.metadata()).await;
        let decided = decided.map_err(words::refused)?;
        app.caught_up("skills", decided.position).await;
    }
    let message = text(format!("技能 '{name}' 删除成功"), format!("Skill '{name}' deleted"));
    Ok(Reply(message, Changed {}))
}

/// The skill that a caller means by a name: with an agent that agent's, else one's own, else the system's.
async fn locate(
    app: &App,
    caller: &Caller,
    name: &str,
    agent_id: &str,
) -> std::result::Result<Option<(Home, SkillId)>, execute::Failure> {
    let Some(folder) = Folder::of(name) else { return Ok(None) };
    let homes = match agent_id {
        "" => vec![Home::User { owner: caller.user.clone() }, Home::System],
        id => match own_agent(app, caller, id).await {
            Ok(agent) => vec![home_of(&agent)],
            Err(_) => vec![],
        },
    };
    for home in homes {
        let id = SkillId::of(&home, &folder);
        if app.skills.find(id).await?.is_some() {
            return Ok(Some((home, id)));
        }
    }
    Ok(None)
}

/// An agent whose skills the caller may change.
async fn own_agent(app: &App, caller: &Caller, id: &str) -> std::result::Result<Agent, Fault> {
    let agent = agents::find(app, caller, id).await?;
    match caller.sees(&agent.owner) {
        true => Ok(agent),
        false => Err(Fault::raised(text("无权更新该Agent", "You may not change this agent"))),
    }
}

fn home_of(agent: &Agent) -> Home {
    let (owner, agent) = (UserId(agent.owner.clone()), AgentId(agent.agent_id.clone()));
    Home::Agent { owner, agent }
}

/// Folders of the skills that an agent's configuration names.
fn selected(agent: &Agent) -> HashSet<String> {
    let names = agent.config.available_skills.iter().flatten();
    names.filter_map(|name| Some(Folder::of(name)?.as_str().to_owned())).collect()
}

fn no_dimension(sent: &str) -> Error {
    Error::Invalid(vec![Problem {
        kind: "literal_error",
        loc: vec![json!("query"), json!("dimension")],
        msg: "Input should be 'system', 'user', 'agent' or 'all'".to_owned(),
        input: json!(sent),
    }])
}
