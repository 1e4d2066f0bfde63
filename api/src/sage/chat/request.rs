//! Bodies of the chat routes, and what they ask for once a saved agent's configuration is applied.

use super::{Person, overrides::Overrides, provider, shapes};
use crate::{
    app::App,
    core::{Error, Problem},
    library::index_name,
    sage::Fault,
};
use commands::{
    chat::Ask,
    effects::{Sensitive, outbound, tools::mcp_run},
};
use domain::{
    ids::{AgentId, KnowledgeBaseId, ProviderId, SecretId, UserId},
    message::Message,
    run::{ChosenProvider, Settings, Surface},
};
use projections::{agents::Agent, knowledge_bases};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

/// Most characters of an id a client chooses.
pub(super) const LONGEST_ID: usize = 255;
/// Most messages of one request.
const MOST_MESSAGES: usize = 1_000;
/// Most knowledge bases of one request.
const MOST_BASES: usize = 32;

/// What to ask a saved agent.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct ChatRequest {
    pub agent_id: String,
    #[serde(flatten)]
    pub common: StreamRequest,
}

/// What to ask. Unknown keys are ignored.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub(super) struct StreamRequest {
    /// At least one.
    #[schema(min_items = 1, max_items = 1_000)]
    pub messages: Vec<MessageBody>,
    /// The conversation, as the client names it; a new one without it.
    #[serde(default)]
    #[schema(max_length = 255)]
    session_id: Option<String>,
    /// For administrators: who asks.
    #[serde(default)]
    #[schema(max_length = 255)]
    user_id: Option<String>,
    /// The saved agent that answers. One that is not there counts as none, where none is needed.
    #[serde(default)]
    pub agent_id: Option<String>,
    /// What the agent is called.
    #[serde(default)]
    #[schema(max_length = 255)]
    agent_name: Option<String>,
    #[serde(default)]
    llm_model_config: Option<ModelConfig>,
    /// Further MCP servers, by their names.
    #[serde(default)]
    #[schema(value_type = Option<HashMap<String, shapes::Server>>)]
    extra_mcp_config: Option<Map<String, Value>>,
    #[serde(flatten)]
    overrides: Overrides,
}

/// A message to an agent.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = MessageToAgent)]
pub(super) struct MessageBody {
    /// A new one without it.
    #[serde(default)]
    #[schema(max_length = 255)]
    message_id: Option<String>,
    #[schema(value_type = shapes::Role)]
    role: String,
    #[serde(default)]
    #[schema(value_type = Option<shapes::Content>)]
    content: Option<Value>,
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    metadata: Option<Map<String, Value>>,
    #[serde(default)]
    reasoning_content: Option<String>,
}

/// Which model answers. What is left out is the default provider's.
#[derive(Debug, Default, Deserialize, ToSchema)]
struct ModelConfig {
    /// Of an OpenAI-compatible server; public.
    #[serde(default)]
    base_url: Option<String>,
    /// For that server.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = Password)]
    api_key: Option<Sensitive>,
    #[serde(default)]
    model: Option<String>,
    #[serde(default)]
    #[schema(value_type = Option<u32>)]
    max_tokens: Option<Value>,
    /// Tokens that the model can hold, prompt and answer together.
    #[serde(default)]
    #[schema(value_type = Option<u64>)]
    max_model_len: Option<Value>,
    #[serde(default)]
    #[schema(value_type = Option<f64>)]
    temperature: Option<Value>,
    #[serde(default)]
    #[schema(value_type = Option<f64>)]
    top_p: Option<Value>,
    #[serde(default)]
    #[schema(value_type = Option<f64>)]
    presence_penalty: Option<Value>,
}

/// What the body asks for. A value that the request sends wins over the saved agent's.
pub(super) async fn ask(
    app: &App,
    asker: &Person,
    request: StreamRequest,
    agent: Option<Agent>,
    surface: Surface,
) -> Result<Ask, Fault> {
    check(&request)?;
    let session_id = match request.session_id {
        Some(id) if !id.is_empty() => id,
        _ => Uuid::new_v4().to_string(),
    };
    let saved = agent.as_ref().map(|agent| agent.config.0.clone()).unwrap_or_default();
    let owner = owner(asker, request.user_id);
    let messages: Vec<Message> =
        request.messages.into_iter().map(|body| message(body, &session_id)).collect();
    let bases = request.overrides.available_knowledge_bases.clone();
    let bases = bases.or(saved.available_knowledge_bases.clone()).unwrap_or_default().into_iter();
    let named = request.overrides.provider_id.clone();
    let mut settings = request.overrides.settings(saved.clone(), &messages);
    let agents = agent.as_ref().and_then(|agent| {
        let id = saved.llm_provider_id.clone().filter(|id| !id.is_empty())?;
        Some(ChosenProvider { id: ProviderId(id), owner: UserId(agent.owner.clone()) })
    });
    let window = provider::choose(app, &owner, named.as_deref(), agents, &mut settings).await?;
    settings.knowledge_bases = bases.filter(|id| !is_bad_id(id)).map(Into::into).collect();
    let agent_id = agent.map(|agent| AgentId(agent.agent_id));
    let known = known_facts(app, &owner, agent_id.as_ref(), &settings.knowledge_bases).await?;
    settings.system_context.extend(known);
    let servers = request.extra_mcp_config.unwrap_or_default();
    let servers = mcp_run::parse(&servers, app.mcp.reach(false))
        .map_err(|unusable| invalid(&["extra_mcp_config"], unusable.to_string()))?;
    choose_model(app, request.llm_model_config.unwrap_or_default(), &mut settings).await?;
    let servers = app.mcp.keep_for_run(&app.vault, servers).await;
    settings.mcp_servers =
        servers.map_err(|error| Fault::Core(Error::Unavailable(error.to_string())))?;
    let window = window.filter(|_| settings.provider.is_some());
    settings.budget.max_model_len = settings.budget.max_model_len.or(window);
    let saved_name = Some(saved.name).filter(|name| !name.is_empty());
    let agent_name = request.agent_name.filter(|name| !name.is_empty()).or(saved_name);
    Ok(Ask {
        owner,
        messages,
        session_id,
        surface,
        replace: !surface.attached(),
        agent_id,
        agent_name: agent_name.unwrap_or_else(|| "Sage Assistant".to_owned()),
        settings,
    })
}

/// What every agent is told of its session, under upstream's keys.
async fn known_facts(
    app: &App,
    owner: &UserId,
    agent: Option<&AgentId>,
    bases: &[KnowledgeBaseId],
) -> Result<Vec<(String, Value)>, Fault> {
    let mut known = vec![("本次会话用户id".to_owned(), owner.as_str().into())];
    known.extend(agent.map(|agent| ("当前AgentId".to_owned(), agent.as_str().into())));
    if !bases.is_empty() {
        let named = knowledge_bases::named_among(&app.db, bases, owner).await?;
        known.extend(named.into_iter().map(|(id, name)| {
            (format!("{name}数据库的index_name"), index_name(id.as_str()).into())
        }));
    }
    Ok(known)
}

/// Nobody speaks for another, except an administrator.
fn owner(asker: &Person, named: Option<String>) -> UserId {
    match named {
        Some(user) if asker.admin && !user.is_empty() => UserId(user),
        _ => asker.user.clone(),
    }
}

fn message(body: MessageBody, session_id: &str) -> Message {
    let sent = body.message_id.filter(|id| !id.is_empty());
    // As upstream: every message of a user counts as input, whatever its type said.
    let kind = if body.role == "user" { "user_input" } else { "assistant_text" };
    Message {
        role: body.role,
        content: body.content,
        reasoning_content: body.reasoning_content,
        message_id: sent.unwrap_or_else(|| Uuid::new_v4().to_string()),
        kind: kind.to_owned(),
        timestamp: crate::sage::envelope::timestamp(),
        metadata: body.metadata.unwrap_or_default(),
        session_id: session_id.to_owned(),
        ..Message::default()
    }
}

/// A key sent along goes to the secret store; the log holds its reference.
async fn choose_model(
    app: &App,
    config: ModelConfig,
    settings: &mut Settings,
) -> Result<(), Fault> {
    if let Some(url) = config.base_url.filter(|url| !url.is_empty()) {
        if !app.config.allow_private_urls {
            outbound::check(&url).map_err(|refusal| {
                invalid(&["llm_model_config", "base_url"], refusal.to_string())
            })?;
        }
        settings.base_url = Some(url.trim_end_matches('/').to_owned());
        (settings.provider, settings.parameters) = (None, Map::new());
        settings.text_only = false;
        if let Some(key) = config.api_key.filter(|key| !key.expose().is_empty()) {
            let secret = SecretId(Uuid::now_v7());
            let subject = format!("run-model-{secret}");
            app.vault
                .put(&subject, secret, &key)
                .await
                .map_err(|error| Fault::Core(Error::Unavailable(error.to_string())))?;
            settings.api_key = Some(secret);
        }
    }
    settings.model = config.model.filter(|model| !model.is_empty());
    // What another model of the same provider takes is not known.
    settings.text_only &= settings.model.is_none();
    let window = config.max_model_len.as_ref().and_then(Value::as_u64);
    settings.budget.max_model_len = settings.budget.max_model_len.or(window);
    let parameters = [
        ("max_tokens", config.max_tokens),
        ("temperature", config.temperature),
        ("top_p", config.top_p),
        ("presence_penalty", config.presence_penalty),
    ];
    let set = parameters.into_iter().filter_map(|(name, value)| {
        value.filter(Value::is_number).map(|value| (name.to_owned(), value))
    });
    settings.parameters.extend(set);
    Ok(())
}

/// Refuses what could not be stored or would make no sense in a conversation.
fn check(request: &StreamRequest) -> Result<(), Fault> {
    request.overrides.check()?;
    if request.messages.len() > MOST_MESSAGES {
        return Err(invalid(&["messages"], format!("at most {MOST_MESSAGES} messages")));
    }
    if request
        .overrides
        .available_knowledge_bases
        .as_ref()
        .is_some_and(|bases| bases.len() > MOST_BASES)
    {
        let message = format!("at most {MOST_BASES} knowledge bases");
        return Err(invalid(&["available_knowledge_bases"], message));
    }
    for (at, base) in request.overrides.available_knowledge_bases.iter().flatten().enumerate() {
        if is_bad_id(base) {
            return Err(invalid(&["available_knowledge_bases", &at.to_string()], bad_id()));
        }
    }
    let ids = [
        ("session_id", &request.session_id),
        ("user_id", &request.user_id),
        ("agent_name", &request.agent_name),
    ];
    for (name, id) in ids {
        if id.as_deref().is_some_and(is_bad_id) {
            return Err(invalid(&[name], bad_id()));
        }
    }
    for (at, message) in request.messages.iter().enumerate() {
        let at = at.to_string();
        if message.message_id.as_deref().is_some_and(is_bad_id) {
            return Err(invalid(&["messages", &at, "message_id"], bad_id()));
        }
        if !["user", "assistant", "system", "tool"].contains(&message.role.as_str()) {
            let expected = "Input should be 'user', 'assistant', 'system' or 'tool'".to_owned();
            return Err(invalid(&["messages", &at, "role"], expected));
        }
        if !matches!(message.content, None | Some(Value::String(_) | Value::Array(_) | Value::Null))
        {
            let expected = "Input should be a string or a list of parts".to_owned();
            return Err(invalid(&["messages", &at, "content"], expected));
        }
    }
    Ok(())
}

/// Ids end up in text columns, which cannot hold NUL.
pub(in crate::sage) fn is_bad_id(id: &str) -> bool {
    id.contains('\0') || id.chars().count() > LONGEST_ID
}

fn bad_id() -> String {
    format!("String should have at most {LONGEST_ID} characters and no NUL")
}

pub(super) fn invalid(path: &[&str], msg: String) -> Fault {
    let mut loc = vec![json!("body")];
    loc.extend(
        path.iter().map(|step| step.parse::<u64>().map_or_else(|_| json!(step), Value::from)),
    );
    let problem = Problem { kind: "value_error", loc, msg, input: Value::Null };
    Fault::Core(Error::Invalid(vec![problem]))
}
