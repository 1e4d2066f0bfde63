//! What models write about agents while the caller waits. Nothing of it is saved.

use super::{
    Fault, Reply, Result,
    shapes::{Draft, Optimized},
    text,
};
use crate::{
    app::App,
    core::{Caller, Context, Error, Json, Locale, Problem, Query},
    sage::envelope::Replied,
};
use axum::extract::State;
use commands::{
    agents::{
        Writer,
        draft::{self, draft as write_draft},
        optimize::{self, optimize as write_optimized},
        template::{Language, system_prompt},
    },
    effects::tools::Place,
};
use domain::agent_task;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

/// Most characters of a description, a prompt or a goal.
const LONGEST: usize = 50_000;
/// Most tools named in a wish.
const MOST_TOOLS: usize = 1_000;

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct TemplateQuery {
    /// `zh`, the default, or `en`.
    #[serde(default)]
    language: Option<String>,
}

/// A system prompt to begin with.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PromptTemplate)]
pub(super) struct Template {
    content: String,
}

/// Gets the default system prompt.
#[utoipa::path(
    get,
    path = "/api/agent/template/default_system_prompt",
    params(TemplateQuery),
    responses((status = 200, description = "The prompt.", body = Replied<Template>)),
)]
pub(super) async fn template(
    _caller: Caller,
    Query(query): Query<TemplateQuery>,
) -> Result<Template> {
    let language = Language::tagged(query.language.as_deref().unwrap_or("zh"));
    let message = text("成功获取默认System Prompt模板", "Default system prompt template retrieved");
    Ok(Reply(message, Template { content: system_prompt(language).into() }))
}

/// What an agent is to be drafted for.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
#[schema(as = AgentDraftWish)]
pub(super) struct DraftBody {
    #[schema(min_length = 1, max_length = 50_000)]
    agent_description: String,
    /// The tools it gets; without a list the model chooses.
    #[serde(default)]
    #[schema(max_items = 1_000)]
    available_tools: Option<Vec<String>>,
    /// `zh` or `en`; without it the language of the request.
    #[serde(default)]
    language: Option<String>,
}

/// A system prompt to improve.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
#[schema(as = PromptWish)]
pub(super) struct OptimizeBody {
    #[schema(min_length = 1, max_length = 50_000)]
    original_prompt: String,
    #[serde(default)]
    #[schema(max_length = 50_000)]
    optimization_goal: Option<String>,
    /// `zh` or `en`; without it the language of the request.
    #[serde(default)]
    language: Option<String>,
}

/// Something to be written, and the model that writes it.
pub(super) struct Work {
    writer: Writer,
    order: Order,
}

enum Order {
    Draft(draft::Wish),
    Optimize(optimize::Wish),
}

pub(super) type Prepared = std::result::Result<Work, Fault>;

/// Has a model draft an agent while the caller waits.
///
/// Nothing is saved.
#[utoipa::path(
    post,
    path = "/api/agent/auto-generate",
    request_body = DraftBody,
    responses((status = 200, description = "The draft.", body = Replied<Draft>)),
)]
pub(super) async fn draft(
    State(app): State<App>,
    caller: Caller,
    Json(body): Json<DraftBody>,
) -> Result<Map<String, Value>> {
    let written = body.prepare(&app, &caller).await?.perform().await;
    let written = written.map_err(|failure| {
        Fault::raised(text(
            format!("Agent自动生成失败: {}", failure.message),
            format!("The agent could not be generated: {}", failure.message),
        ))
    })?;
    Ok(Reply(text("Agent自动生成成功", "Agent generated"), written))
}

/// Has a model improve a system prompt while the caller waits.
///
/// A model that fails is told in `data`: `success` is false then, and `error` and `message` say why.
#[utoipa::path(
    post,
    path = "/api/agent/system-prompt/optimize",
    request_body = OptimizeBody,
    responses((status = 200, description = "The better prompt.", body = Replied<Optimized>)),
)]
pub(super) async fn optimize(
    State(app): State<App>,
    caller: Caller,
    Json(body): Json<OptimizeBody>,
) -> Result<Map<String, Value>> {
    let written = body.prepare(&app, &caller).await?.perform().await;
    let written =
        written.map_err(|failure| Fault::raised(text(failure.message.clone(), failure.message)))?;
    Ok(Reply(text("系统提示词优化成功", "System prompt optimized"), written))
}

impl DraftBody {
    pub async fn prepare(&self, app: &App, caller: &Caller) -> Prepared {
        check("agent_description", &self.agent_description, true)?;
        let tools = self.available_tools.clone();
        if tools.as_ref().is_some_and(|tools| tools.len() > MOST_TOOLS) {
            return Err(invalid("available_tools", &format!("at most {MOST_TOOLS} tools")));
        }
        let offered = match tools {
            Some(_) => vec![],
            None => offered(app, caller).await,
        };
        let description = self.agent_description.clone();
        let language = language(self.language.as_deref());
        let order = Order::Draft(draft::Wish { description, tools, offered, language });
        Ok(Work { writer: writer(app, caller).await?, order })
    }

    pub fn language(&self) -> Language {
        language(self.language.as_deref())
    }
}

impl OptimizeBody {
    pub async fn prepare(&self, app: &App, caller: &Caller) -> Prepared {
        check("original_prompt", &self.original_prompt, true)?;
        check("optimization_goal", self.optimization_goal.as_deref().unwrap_or_default(), false)?;
        let goal = self.optimization_goal.clone().filter(|goal| !goal.trim().is_empty());
        let (original, language) = (self.original_prompt.clone(), self.language());
        let order = Order::Optimize(optimize::Wish { original, goal, language });
        Ok(Work { writer: writer(app, caller).await?, order })
    }

    pub fn language(&self) -> Language {
        language(self.language.as_deref())
    }
}

impl Work {
    /// Has it written.
    pub async fn perform(self) -> std::result::Result<Map<String, Value>, agent_task::Failure> {
        match &self.order {
            Order::Draft(wish) => {
                let written = write_draft(&self.writer, wish).await;
                written
                    .map_err(|error| agent_task::Failure { message: error.to_string(), code: 500 })
            }
            Order::Optimize(wish) => Ok(write_optimized(&self.writer, wish).await),
        }
    }
}

pub(in crate::sage) async fn writer(
    app: &App,
    caller: &Caller,
) -> std::result::Result<Writer, Fault> {
    let writer = app.models.writer(&caller.user).await;
    writer.map_err(|unavailable| {
        let reason = unavailable.to_string();
        Fault::raised(text(reason.clone(), reason))
    })
}

/// Names of the tools the caller could give an agent. A draft without tools is better than none.
async fn offered(app: &App, caller: &Caller) -> Vec<String> {
    let place = Place::outside(caller.user.clone(), caller.admin);
    match app.tools.list(&place).await {
        Ok(tools) => tools.into_iter().map(|tool| tool.name).take(MOST_TOOLS).collect(),
        Err(unavailable) => {
            tracing::warn!(%unavailable, "an agent is drafted without tools");
            vec![]
        }
    }
}

pub(in crate::sage) fn language(sent: Option<&str>) -> Language {
    match (sent.filter(|tag| !tag.is_empty()), Context::current().locale) {
        (Some(tag), _) => Language::tagged(tag),
        (None, Locale::English) => Language::English,
        (None, Locale::Chinese) => Language::Chinese,
    }
}

pub(in crate::sage) fn check(
    field: &str,
    value: &str,
    needed: bool,
) -> std::result::Result<(), Fault> {
    if needed && value.trim().is_empty() {
        return Err(invalid(field, "Value error, the text is empty"));
    }
    if value.chars().count() > LONGEST {
        return Err(invalid(field, &format!("Value error, at most {LONGEST} characters")));
    }
    Ok(())
}

fn invalid(field: &str, msg: &str) -> Fault {
    let (loc, msg) = (vec![json!("body"), json!(field)], msg.to_owned());
    Fault::Core(Error::Invalid(vec![Problem { kind: "value_error", loc, msg, input: Value::Null }]))
}
