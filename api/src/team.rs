//! The agents to which a run may give work: saved ones that its owner may use, and those made up for the run.

use commands::reactors::reply::Delegate;
use domain::{
    ids::{AgentId, ProviderId, UserId},
    run::{ChosenProvider, Request, Settings, SubAgent},
};
use projections::{agents, agents::Agent, llm_providers, users};
use sqlx::PgPool;
use std::collections::HashSet;

/// Agents of one run at most.
const MOST: usize = 64;
/// Characters of a description that models read.
const SUMMARY: usize = 500;
/// What the agent is called that stands in where none are named.
const WORKER: &str = "worker";

/// The team of a run that may give work away; who is in it is looked up now.
///
/// # Errors
/// When the database does not answer.
pub async fn of(db: &PgPool, request: &Request) -> sqlx::Result<Vec<Delegate>> {
    let settings = &request.settings;
    let mut team = Vec::new();
    let mut keys = HashSet::new();
    for made_up in settings.custom_sub_agents.iter().take(MOST) {
        if let Some(delegate) = custom(db, request, made_up).await?
            && keys.insert(delegate.key.clone())
        {
            team.push(delegate);
        }
    }
    for id in settings.sub_agents.iter().take(MOST) {
        if let Some(agent) = usable(db, &request.owner, id).await?
            && keys.insert(agent.agent_id.clone())
        {
            team.push(saved(db, request, agent).await?);
        }
    }
    if settings.custom_sub_agents.is_empty() && settings.sub_agents.is_empty() {
        team.push(worker(request));
    }
    team.truncate(MOST);
    Ok(team)
}

/// The agent, if it is this person's, shared with them, or they administer.
async fn usable(db: &PgPool, person: &UserId, id: &AgentId) -> sqlx::Result<Option<Agent>> {
    if id.as_str().contains('\0') {
        return Ok(None);
    }
    let Some(agent) = agents::agent(db, id).await? else { return Ok(None) };
    if agent.owner == person.as_str() || agent.is_shared_with(person) {
        return Ok(Some(agent));
    }
    let person = users::by_id(db, person).await?;
    Ok(person.is_some_and(|person| person.role.is_admin()).then_some(agent))
}

async fn saved(db: &PgPool, request: &Request, agent: Agent) -> sqlx::Result<Delegate> {
    let Agent { agent_id, owner, config, .. } = agent;
    let (config, owner) = (config.0, UserId(owner));
    let (name, description) = (config.name.clone(), config.description.clone());
    let provider = config.llm_provider_id.clone().filter(|id| !id.is_empty());
    let mut settings = Settings::saved(config);
    settings.knowledge_bases.retain(|id| !id.as_str().contains('\0'));
    match provider {
        Some(id) => {
            let id = ProviderId(id);
            if let Some(row) = llm_providers::owned(db, &id, &owner).await? {
                settings.parameters = row.config.parameters();
                settings.text_only = !row.config.supports_multimodal;
                settings.budget.max_model_len = Some(row.config.max_model_len.into());
            }
            settings.provider = Some(ChosenProvider { id, owner });
        }
        None => think_alike(&mut settings, &request.settings),
    }
    Ok(Delegate {
        key: agent_id.clone(),
        name,
        description: summary(description.as_deref()),
        agent_id: Some(AgentId(agent_id)),
        settings,
    })
}

/// An agent made up for the run: like the saved one it is made of, else like the run's own with a prompt of its own.
async fn custom(
    db: &PgPool,
    request: &Request,
    made_up: &SubAgent,
) -> sqlx::Result<Option<Delegate>> {
    if made_up.name.trim().is_empty() {
        return Ok(None);
    }
    let base = match &made_up.agent_id {
        Some(id) if !id.as_str().is_empty() => match usable(db, &request.owner, id).await? {
            Some(agent) => saved(db, request, agent).await?,
            None => return Ok(None),
        },
        _ => Delegate { settings: alone(&request.settings), ..worker(request) },
    };
    let SubAgent { name, system_prompt, description, system_context, .. } = made_up.clone();
    let mut settings = base.settings;
    settings.system_prefix = system_prompt.or(settings.system_prefix);
    settings.system_context.extend(system_context.unwrap_or_default());
    settings.tools = made_up.available_tools.clone().unwrap_or(settings.tools);
    settings.skills = made_up.available_skills.clone().unwrap_or(settings.skills);
    settings.workflows = made_up.available_workflows.clone().unwrap_or(settings.workflows);
    let description = description.map_or(base.description, |text| summary(Some(&text)));
    let agent_id = base.agent_id.or_else(|| request.agent_id.clone());
    Ok(Some(Delegate { key: name.clone(), name, description, agent_id, settings }))
}

/// Where nobody is named, the agent may give parts of its work to another of its kind.
fn worker(request: &Request) -> Delegate {
    let own = &request.settings;
    let settings = Settings {
        system_prefix: own.system_prefix.clone(),
        workflows: own.workflows.clone(),
        skills: own.skills.clone(),
        ..alone(own)
    };
    Delegate {
        key: WORKER.to_owned(),
        name: WORKER.to_owned(),
        description: "Works as you do, with the same tools.".to_owned(),
        agent_id: request.agent_id.clone(),
        settings,
    }
}

/// What an agent has that is made up: the run's tools and bases, and nobody to give work to.
fn alone(own: &Settings) -> Settings {
    let mut settings = Settings {
        system_context: own.system_context.clone(),
        knowledge_bases: own.knowledge_bases.clone(),
        max_loop_count: own.max_loop_count,
        tools: own.tools.clone(),
        mcp_servers: own.mcp_servers.clone(),
        deep_thinking: own.deep_thinking,
        ..Settings::default()
    };
    think_alike(&mut settings, own);
    settings
}

/// An agent without a model of its own has that of the run.
fn think_alike(settings: &mut Settings, own: &Settings) {
    settings.base_url.clone_from(&own.base_url);
    settings.api_key = own.api_key;
    settings.model.clone_from(&own.model);
    settings.provider.clone_from(&own.provider);
    settings.parameters.clone_from(&own.parameters);
    settings.text_only = own.text_only;
    settings.budget = own.budget;
}

fn summary(text: Option<&str>) -> String {
    let text: String = text.unwrap_or_default().chars().take(SUMMARY).collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
