//! `POST /api/chat`, `/api/stream`, `/api/web-stream`: a message in, a line stream out.

mod overrides;
mod provider;
mod request;
mod shapes;
mod wording;

use super::{Fault, text};
use crate::{
    app::App,
    core::{
        Caller, Context, Error, Json,
        error::Login,
        run_stream::{self, Framing, Reader},
        tie::Tie,
    },
    openapi::Documented,
};
use axum::{
    extract::{FromRequestParts, State},
    http::{HeaderMap, request::Parts},
    response::Response,
};
use commands::chat::{AskError, Begun};
use domain::{
    Metadata,
    ids::{AgentId, UserId},
    run::Surface,
};
use projections::agents::{self, Agent};
pub(super) use request::is_bad_id;
use request::{ChatRequest, StreamRequest};
pub(super) use shapes::Line;
use shapes::{EVENTS, LINES};
use utoipa_axum::{router::OpenApiRouter, routes};

/// The table of contents.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(chat))
        .routes(routes!(stream))
        .routes(routes!(web_stream))
        .routes(routes!(wording::whole))
        .routes(routes!(wording::streamed))
        .tagged("Chat")
}

/// Asks a saved agent, and streams its answer.
///
/// A client that goes away stops the answer. A session in which somebody is still being answered refuses, with 500.
/// Without a login as far as the operator allows (`ANNALS_ANONYMOUS_CHAT`).
///
/// Lines are JSON objects as `StreamLine` has them. Those of one `message_id` are one message: their contents are appended, except of
/// tools, where the last one counts. The last line is `stream_end`. What is wrong with the request is answered before the stream
/// begins; what goes wrong later is told in it.
#[utoipa::path(
    post,
    path = "/api/chat",
    request_body = ChatRequest,
    responses((
        status = 200,
        description = "The answer's lines, or events to those who accept `text/event-stream`.",
        headers(("X-Run-Id" = uuid::Uuid, description = "The run that answers.")),
        content(
            (String = "text/plain", example = json!(LINES)),
            (String = "text/event-stream", example = json!(EVENTS)),
        ),
    )),
    security((), ("bearer" = []), ("session" = []), ("token" = [])),
)]
async fn chat(
    State(app): State<App>,
    Asker(asker): Asker,
    headers: HeaderMap,
    Json(body): Json<ChatRequest>,
) -> Result<Response, Fault> {
    let agent = AgentId(body.agent_id.clone());
    let mut request = body.common;
    request.agent_id = Some(body.agent_id);
    if request.messages.is_empty() {
        return Err(no_messages());
    }
    let agent = saved_agent(&app, &asker, &agent).await?;
    let agent = agent.ok_or_else(|| Fault::raised(text("Agent 不存在", "Agent does not exist")))?;
    begin(&app, asker, request, Some(agent), Surface::SageChat, &headers).await
}

/// Asks a saved agent or one made up for this request, and streams its answer.
///
/// A client that goes away stops the answer. A session in which somebody is still being answered refuses, with 500.
/// Without a login as far as the operator allows (`ANNALS_ANONYMOUS_CHAT`).
///
/// Lines are JSON objects as `StreamLine` has them. Those of one `message_id` are one message: their contents are appended, except of
/// tools, where the last one counts. The last line is `stream_end`. What is wrong with the request is answered before the stream
/// begins; what goes wrong later is told in it.
#[utoipa::path(
    post,
    path = "/api/stream",
    request_body = StreamRequest,
    responses((
        status = 200,
        description = "The answer's lines, or events to those who accept `text/event-stream`.",
        headers(("X-Run-Id" = uuid::Uuid, description = "The run that answers.")),
        content(
            (String = "text/plain", example = json!(LINES)),
            (String = "text/event-stream", example = json!(EVENTS)),
        ),
    )),
    security((), ("bearer" = []), ("session" = []), ("token" = [])),
)]
async fn stream(
    State(app): State<App>,
    Asker(asker): Asker,
    headers: HeaderMap,
    Json(request): Json<StreamRequest>,
) -> Result<Response, Fault> {
    let agent = agent_of(&app, &asker, &request).await?;
    begin(&app, asker, request, agent, Surface::SageStream, &headers).await
}

/// Asks an agent in the background, and streams its answer.
///
/// The answer goes on when the client goes away: `GET /api/stream/resume/{session_id}` has its lines. An answer that is still given
/// in this session is stopped for it. After twenty seconds of silence comes `: heartbeat` with two line ends, which is no line and
/// does not count.
///
/// Lines are JSON objects as `StreamLine` has them. Those of one `message_id` are one message: their contents are appended, except of
/// tools, where the last one counts. The last line is `stream_end`. What is wrong with the request is answered before the stream
/// begins; what goes wrong later is told in it.
#[utoipa::path(
    post,
    path = "/api/web-stream",
    request_body = StreamRequest,
    responses((
        status = 200,
        description = "The answer's lines, or events to those who accept `text/event-stream`.",
        headers(("X-Run-Id" = uuid::Uuid, description = "The run that answers.")),
        content(
            (String = "text/plain", example = json!(LINES)),
            (String = "text/event-stream", example = json!(EVENTS)),
        ),
    )),
)]
async fn web_stream(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    Json(request): Json<StreamRequest>,
) -> Result<Response, Fault> {
    let asker = Person::from(caller);
    let agent = agent_of(&app, &asker, &request).await?;
    begin(&app, asker, request, agent, Surface::SageWebStream, &headers).await
}

/// A saved agent that is named has to be there and visible; naming none is fine on these routes.
async fn agent_of(
    app: &App,
    asker: &Person,
    request: &StreamRequest,
) -> Result<Option<Agent>, Fault> {
    let named = request.agent_id.as_deref().filter(|id| !id.is_empty() && *id != DEFAULT_AGENT);
    let Some(id) = named else { return Ok(None) };
    saved_agent(app, asker, &AgentId::from(id)).await
}

/// What clients call the agent that nobody saved.
const DEFAULT_AGENT: &str = "default_agent";

async fn saved_agent(app: &App, asker: &Person, id: &AgentId) -> Result<Option<Agent>, Fault> {
    if id.as_str().contains('\0') {
        return Ok(None);
    }
    let agent = agents::agent(&app.db, id).await?;
    Ok(agent.filter(|agent| {
        asker.admin || agent.owner == asker.user.as_str() || agent.is_shared_with(&asker.user)
    }))
}

async fn begin(
    app: &App,
    asker: Person,
    request: StreamRequest,
    agent: Option<Agent>,
    surface: Surface,
    headers: &HeaderMap,
) -> Result<Response, Fault> {
    if request.messages.is_empty() {
        return Err(no_messages());
    }
    let metadata = asker.metadata();
    let ask = request::ask(app, &asker, request, agent, surface).await?;
    let begun = app.ask(ask, &metadata).await;
    let Begun { run, .. } = begun.map_err(refused)?;
    let heartbeat = !surface.attached();
    let reader = Reader { run, index: 0, framing: Framing::wanted(headers), heartbeat };
    if !surface.attached() {
        return Ok(run_stream::respond(app, reader).await?);
    }
    let tie = Tie::new(app.clone(), run, metadata);
    Ok(run_stream::tied(app, reader, tie).await?)
}

fn refused(error: AskError) -> Fault {
    match error {
        AskError::Busy => Fault::raised(text(
            "会话正在运行中，请先调用 interrupt 或使用不同的会话ID",
            "The session is running; interrupt it first or use another session id",
        )),
        AskError::Draining => Fault::Core(Error::Unavailable(error.to_string())),
        AskError::Failed(failure) => Fault::Core(failure.into()),
    }
}

fn no_messages() -> Fault {
    Fault::raised(text("消息列表不能为空", "The message list cannot be empty"))
}

/// Who asks, with or without an account.
#[derive(Debug, Clone)]
pub(super) struct Person {
    /// Who.
    pub user: UserId,
    /// Whether an administrator.
    pub admin: bool,
    caller: Option<Caller>,
}

impl From<Caller> for Person {
    fn from(caller: Caller) -> Self {
        Self { user: caller.user.clone(), admin: caller.admin, caller: Some(caller) }
    }
}

impl Person {
    fn metadata(&self) -> Metadata {
        match &self.caller {
            Some(caller) => caller.metadata(),
            None => Context::current().metadata(self.user.clone()),
        }
    }
}

/// A caller, or nobody where the operator allows chats without login.
struct Asker(Person);

impl FromRequestParts<App> for Asker {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Error> {
        match Caller::from_request_parts(parts, app).await {
            Ok(caller) => Ok(Self(caller.into())),
            Err(Error::Unauthenticated(Login::Missing)) if app.config.anonymous_chat => {
                let user = UserId::anonymous();
                Ok(Self(Person { user, admin: false, caller: None }))
            }
            Err(error) => Err(error),
        }
    }
}
