//! Tools: the list, and calling one directly.

use super::{
    Fault, Reply, Result, Text, agents, chat::is_bad_id, envelope::Replied, text,
    workspace::agent_of,
};
use crate::{
    app::App,
    core::{Caller, Json, Query},
    openapi::Documented,
};
use axum::extract::State;
use commands::effects::tools::{Call, Outcome, Place, Source, Status, Tool};
use domain::tool_call::{Command, Ending, ToolCall, ToolCallId};
use projections::conversations;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::time::Duration;
use tokio::time::timeout;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

/// How long a tool may take that says nothing else.
const DEADLINE: Duration = Duration::from_secs(60);

/// The routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(list)).routes(routes!(exec)).tagged("Tools")
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// `basic` or `mcp`; nothing is of any other type.
    #[serde(rename = "type")]
    kind: Option<String>,
}

/// What tools there are.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Tools)]
struct Listing {
    tools: Vec<Item>,
}

/// Something that agents can do.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Tool)]
struct Item {
    name: String,
    /// For models.
    description: String,
    /// Each argument's schema.
    parameters: Value,
    /// The names of those that have to be there.
    required: Value,
    /// The JSON Schema of all arguments together.
    input_schema: Value,
    /// `basic` or `mcp`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// Where it comes from, for people.
    source: String,
    /// Whose MCP server it comes from; empty if nobody's.
    user_id: String,
}

/// A call of a tool.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = ExecTool)]
struct ExecBody {
    tool_name: String,
    /// Its arguments.
    #[serde(default)]
    tool_params: Option<Map<String, Value>>,
    /// What newer clients call `tool_params`, which counts when both are there.
    #[serde(default)]
    arguments: Option<Map<String, Value>>,
    /// In whose workspace the tool works.
    #[serde(default)]
    agent_id: Option<String>,
    /// In which of the caller's conversations.
    #[serde(default)]
    session_id: Option<String>,
}

impl From<Tool> for Item {
    fn from(tool: Tool) -> Self {
        let part = |name: &str| tool.parameters.get(name).cloned();
        let parameters = part("properties").unwrap_or_else(|| Value::Object(Map::new()));
        let required = part("required").unwrap_or_else(|| Value::Array(Vec::new()));
        let (kind, source, user_id) = match tool.source {
            Source::BuiltIn => ("basic", "基础工具".to_owned(), String::new()),
            Source::Mcp { server, owner } => {
                ("mcp", format!("MCP Server: {server}"), owner.map(|o| o.0).unwrap_or_default())
            }
        };
        Self {
            name: tool.name,
            description: tool.description,
            parameters,
            required,
            input_schema: tool.parameters,
            kind,
            source,
            user_id,
        }
    }
}

/// Lists the tools that the caller may call.
#[utoipa::path(
    get,
    path = "/api/tools",
    params(ListQuery),
    responses((status = 200, description = "The tools.", body = Replied<Listing>)),
)]
async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<ListQuery>,
) -> Result<Listing> {
    let tools = tools(&app, &Place::outside(caller.user, caller.admin)).await?;
    let mut tools: Vec<Item> = tools.into_iter().map(Item::from).collect();
    if let Some(kind) = query.kind.filter(|kind| !kind.is_empty()) {
        tools.retain(|tool| tool.kind == kind);
    }
    Ok(Reply(text("获取工具列表成功", "Tools retrieved"), Listing { tools }))
}

/// Calls a tool.
///
/// Who called what and how it ended is recorded, and neither arguments nor result. A tool that fails answers with code 500.
#[utoipa::path(
    post,
    path = "/api/tools/exec",
    request_body = ExecBody,
    responses((status = 200, description = "What it gave, as JSON where it is JSON.", body = Replied<Value>)),
)]
async fn exec(State(app): State<App>, caller: Caller, Json(body): Json<ExecBody>) -> Result<Value> {
    let place = place(&app, &caller, &body).await?;
    let known = tools(&app, &place).await?.into_iter().find(|tool| tool.name == body.tool_name);
    let Some(tool) = known else {
        return Err(Fault::raised(refused(&app, &place, &body.tool_name).await?));
    };
    let (id, metadata) = (ToolCallId(Uuid::now_v7()), caller.metadata());
    let source = match &tool.source {
        Source::BuiltIn => "builtin".to_owned(),
        Source::Mcp { server, .. } => format!("mcp:{server}"),
    };
    let start = Command::Start { tool: tool.name.clone(), source, agent: place.agent.clone() };
    app.execute::<ToolCall>(&id, &start, &metadata).await?;
    let call = Call {
        id: metadata.correlation.to_string(),
        name: tool.name,
        arguments: body.tool_params.or(body.arguments).unwrap_or_default(),
    };
    let deadline = tool.deadline.unwrap_or(DEADLINE);
    let outcome = match timeout(deadline, app.tools.call(&place, &call)).await {
        Ok(Some(outcome)) => outcome,
        // Taken away since it was listed.
        Ok(None) => Outcome::error("the tool is gone"),
        Err(_) => Outcome {
            status: Status::Cancelled,
            content: format!("no answer within {} s", deadline.as_secs()),
        },
    };
    let ending = match outcome.status {
        Status::Success => Ending::Success,
        Status::Error => Ending::Error,
        Status::Cancelled => Ending::Cancelled,
    };
    app.execute::<ToolCall>(&id, &Command::End(ending), &metadata).await?;
    answer(outcome)
}

/// The tool's result as it is: JSON where it is JSON.
fn answer(outcome: Outcome) -> Result<Value> {
    let content = outcome.content;
    match outcome.status {
        Status::Success => {
            let data = serde_json::from_str(&content).unwrap_or(Value::String(content));
            Ok(Reply(text("工具执行成功", "Tool executed"), data))
        }
        Status::Error | Status::Cancelled => Err(Fault::raised(text(
            format!("工具执行失败: {content}"),
            format!("Tool execution failed: {content}"),
        ))),
    }
}

/// Why a tool cannot be called: a built-in one that only administrators may call is no secret, all else is.
async fn refused(app: &App, place: &Place, name: &str) -> std::result::Result<Text, Fault> {
    let as_admin = Place { admin: true, ..place.clone() };
    let known = |tool: &Tool| tool.name == name && tool.source == Source::BuiltIn;
    Ok(match tools(app, &as_admin).await?.iter().any(known) {
        true => text("无权使用该工具", "Not allowed to use this tool"),
        false => text("工具不存在", "No such tool"),
    })
}

async fn tools(app: &App, place: &Place) -> std::result::Result<Vec<Tool>, Fault> {
    app.tools.list(place).await.map_err(|unavailable| {
        tracing::warn!(%unavailable, "no list of tools");
        Fault::raised(text("工具管理器未初始化", "The tools are not available"))
    })
}

async fn place(app: &App, caller: &Caller, body: &ExecBody) -> std::result::Result<Place, Fault> {
    let mut place = Place::outside(caller.user.clone(), caller.admin);
    if let Some(agent) = body.agent_id.as_deref().filter(|id| !id.is_empty()) {
        let found = agent_of(app, caller, agent).await?;
        place.agent = found.ok_or_else(|| Fault::raised(agents::missing(agent)))?;
    }
    if let Some(session) = body.session_id.as_deref().filter(|id| !id.is_empty()) {
        let own = match is_bad_id(session) {
            true => None,
            false => {
                app.settled("conversations").await?;
                conversations::latest_run(&app.db, session, Some(&caller.user)).await?
            }
        };
        let (conversation, _) = own.ok_or_else(|| {
            Fault::raised(text(
                format!("会话 {session} 不存在"),
                format!("Session {session} does not exist"),
            ))
        })?;
        place.conversation = Some(conversation);
        place.session_id = session.to_owned();
    }
    Ok(place)
}
