//! Conversations: list, messages, shared view, title, deletion.

mod messages;

use super::{Fault, Reply, Result, chat::is_bad_id, text};
use crate::{
    app::App,
    config::Share,
    core::{Caller, Error, Json, Path, Problem, Query, peer::Peer},
    openapi::Documented,
    sage::envelope::{Failed, Replied},
};
use axum::extract::{FromRequestParts, Request, State};
use chrono::{DateTime, Local, Utc};
use commands::execute::Decided;
use domain::{
    Decider,
    conversation::{Command, Conversation, Refusal},
    ids::{ConversationId, UserId},
    run::Interrupt,
};
use messages::Messages;
use projections::conversations::{self as read_model, Listing, Sort};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The table of contents.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(list))
        .routes(routes!(messages))
        .routes(routes!(shared))
        .routes(routes!(rename))
        .routes(routes!(remove))
        .tagged("Conversations")
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// From 1.
    #[serde(default = "first_page")]
    #[param(minimum = 1, maximum = 2_147_483_647)]
    page: i64,
    #[serde(default = "page_size")]
    #[param(minimum = 1, maximum = 100)]
    page_size: i64,
    /// For administrators: whose conversations, instead of everybody's.
    user_id: Option<String>,
    /// Part of the title or the session id.
    search: Option<String>,
    /// The agent that answers.
    agent_id: Option<String>,
    /// `title`, `messages` for the longest first, or `date` for the last touched first, as without it.
    #[serde(default)]
    sort_by: String,
}

fn first_page() -> i64 {
    1
}

fn page_size() -> i64 {
    10
}

/// A page of conversations.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ConversationPage)]
struct ListReply {
    list: Vec<Item>,
    total: i64,
    page: i64,
    page_size: i64,
    total_pages: i64,
    has_next: bool,
    has_prev: bool,
    /// Whose conversations; null for everybody's.
    user_id: Option<String>,
}

/// A conversation.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Conversation)]
struct Item {
    session_id: String,
    user_id: String,
    /// `default_agent` if none answers.
    agent_id: String,
    agent_name: String,
    title: String,
    message_count: i32,
    /// Messages of people.
    user_count: i32,
    /// Messages of the agent.
    agent_count: i32,
    created_at: String,
    updated_at: String,
}

/// Lists the caller's conversations, for an administrator everybody's.
#[utoipa::path(
    get,
    path = "/api/conversations",
    params(ListQuery),
    responses((status = 200, description = "The page.", body = Replied<ListReply>)),
)]
async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<ListQuery>,
) -> Result<ListReply> {
    in_range("page", query.page, 1, i64::from(i32::MAX))?;
    in_range("page_size", query.page_size, 1, 100)?;
    let wanted = |value: Option<String>| value.filter(|value| !value.is_empty());
    let owner = match caller.scope() {
        Some(own) => Some(own.clone()),
        None => wanted(query.user_id).map(UserId),
    };
    let listing = Listing {
        owner: owner.clone(),
        search: wanted(query.search),
        agent_id: wanted(query.agent_id),
        sort: match query.sort_by.as_str() {
            "title" => Sort::Title,
            "messages" => Sort::Messages,
            _ => Sort::Date,
        },
        offset: (query.page - 1) * query.page_size,
        limit: query.page_size,
    };
    let nul = |text: &Option<String>| text.as_ref().is_some_and(|text| text.contains('\0'));
    let impossible = nul(&listing.search)
        || nul(&listing.agent_id)
        || owner.as_ref().is_some_and(|owner| owner.as_str().contains('\0'));
    app.settled("conversations").await?;
    let page = match impossible {
        true => read_model::Page { conversations: vec![], total: 0 },
        false => read_model::listed(&app.db, &listing).await?,
    };
    let total_pages = (page.total + query.page_size - 1) / query.page_size;
    let reply = ListReply {
        list: page.conversations.into_iter().map(item).collect(),
        total: page.total,
        page: query.page,
        page_size: query.page_size,
        total_pages,
        has_next: query.page < total_pages,
        has_prev: query.page > 1,
        user_id: owner.map(|owner| owner.0),
    };
    Ok(Reply(text("获取会话列表成功", "Conversations retrieved"), reply))
}

pub(super) fn in_range(
    name: &str,
    value: i64,
    low: i64,
    high: i64,
) -> std::result::Result<(), Fault> {
    let (kind, msg) = match value {
        _ if value < low => {
            ("greater_than_equal", format!("Input should be greater than or equal to {low}"))
        }
        _ if value > high => {
            ("less_than_equal", format!("Input should be less than or equal to {high}"))
        }
        _ => return Ok(()),
    };
    let loc = vec![json!("query"), json!(name)];
    let input = json!(value.to_string());
    Err(Fault::Core(Error::Invalid(vec![Problem { kind, loc, msg, input }])))
}

fn item(row: read_model::Conversation) -> Item {
    Item {
        session_id: row.session_id,
        user_id: row.owner,
        agent_id: row.agent_id.unwrap_or_else(|| "default_agent".to_owned()),
        agent_name: row.agent_name,
        title: row.title,
        message_count: row.user_count + row.agent_count,
        user_count: row.user_count,
        agent_count: row.agent_count,
        created_at: iso(row.created_at),
        updated_at: iso(row.updated_at),
    }
}

/// Local time without zone, as the dialect writes it.
pub(super) fn iso(at: DateTime<Utc>) -> String {
    at.with_timezone(&Local).format("%Y-%m-%dT%H:%M:%S%.6f").to_string()
}

/// Whose conversation an administrator means, where several people chose the same session id.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct Whose {
    /// For administrators: whose conversation, where several people chose the same session id.
    #[param(value_type = Option<String>)]
    user_id: Option<UserId>,
}

/// Gets all messages of a conversation, with the index of the stream line that comes next.
///
/// The messages hold exactly the lines below that index. A client that goes on with `GET /api/stream/resume/{session_id}` from
/// there misses nothing and sees nothing twice.
#[utoipa::path(
    get,
    path = "/api/conversations/{session_id}/messages",
    params(("session_id" = String, Path, description = "The conversation, as its client named it."), Whose),
    responses((status = 200, description = "The messages.", body = Replied<Messages>)),
)]
async fn messages(
    State(app): State<App>,
    caller: Caller,
    Path(session_id): Path<String>,
    Query(Whose { user_id }): Query<Whose>,
) -> Result<Messages> {
    let named = user_id.filter(|user| !is_bad_id(user.as_str()));
    let id = find(&app, &session_id, caller.scope().or(named.as_ref())).await?;
    let messages = messages::read(&app, id).await?.ok_or_else(|| missing(&session_id))?;
    Ok(Reply(text("获取消息成功", "Messages retrieved"), messages))
}

/// Gets all messages of a conversation for whoever knows its session id, as far as the operator allows.
///
/// Metadata is left out. `ANNALS_SHARE` says whether a login is needed.
#[utoipa::path(
    get,
    path = "/api/share/conversations/{session_id}/messages",
    params(("session_id" = String, Path, description = "The conversation, as its client named it.")),
    responses(
        (status = 200, description = "The messages.", body = Replied<Messages>),
        (status = 429, description = "Too many guesses; see the header `Retry-After`.", body = Failed),
    ),
    security((), ("bearer" = []), ("session" = []), ("token" = [])),
)]
async fn shared(State(app): State<App>, request: Request) -> Result<Messages> {
    let (mut parts, _) = request.into_parts();
    let Path(session_id) = Path::<String>::from_request_parts(&mut parts, &app).await?;
    match app.config.share {
        Share::Open => {}
        Share::Members => drop(Caller::from_request_parts(&mut parts, &app).await?),
        Share::Off => return Err(missing(&session_id)),
    }
    // Session ids may be as plain as a time: whoever tries many is guessing. Right ones are not counted.
    let address = Peer::of(&parts, &app).address;
    app.access.shares.attempt(address)?;
    let id = find(&app, &session_id, None).await?;
    app.access.shares.forgive(address);
    let mut messages = messages::read(&app, id).await?.ok_or_else(|| missing(&session_id))?;
    messages.strip_internals();
    Ok(Reply(text("获取分享消息成功", "Shared messages retrieved"), messages))
}

/// What a conversation is to be called.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = ConversationTitle)]
struct TitleBody {
    #[schema(min_length = 1, max_length = 255)]
    title: String,
}

/// What a conversation is called.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ConversationRenamed)]
struct Renamed {
    session_id: String,
    title: String,
}

/// A conversation that is gone.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ConversationDeleted)]
struct Removed {
    session_id: String,
}

/// Gives a conversation a title.
#[utoipa::path(
    post,
    path = "/api/conversations/{session_id}/title",
    params(("session_id" = String, Path, description = "The conversation, as its client named it.")),
    request_body = TitleBody,
    responses((status = 200, description = "Its title now.", body = Replied<Renamed>)),
)]
async fn rename(
    State(app): State<App>,
    caller: Caller,
    Path(session_id): Path<String>,
    Json(TitleBody { title }): Json<TitleBody>,
) -> Result<Renamed> {
    let id = find(&app, &session_id, caller.scope()).await?;
    let title = title.replace('\0', "");
    let command = Command::Rename { title: title.clone() };
    change(&app, &caller, id, &command, &session_id).await?;
    let message = text(
        format!("会话 {session_id} 标题已更新"),
        format!("Title of session {session_id} updated"),
    );
    let title = title.trim().to_owned();
    Ok(Reply(message, Renamed { session_id, title }))
}

/// Deletes a conversation, and stops an answer that is still given in it.
#[utoipa::path(
    delete,
    path = "/api/conversations/{session_id}",
    params(("session_id" = String, Path, description = "The conversation, as its client named it.")),
    responses((status = 200, description = "It is gone.", body = Replied<Removed>)),
)]
async fn remove(
    State(app): State<App>,
    caller: Caller,
    Path(session_id): Path<String>,
) -> Result<Removed> {
    let id = find(&app, &session_id, caller.scope()).await?;
    let was = app.load::<Conversation>(&id).await?;
    change(&app, &caller, id, &Command::Delete, &session_id).await?;
    if let Some(run) = was.state().run() {
        let wish = Interrupt { reason: "会话已删除".to_owned(), replaced: false };
        app.interrupt(run, wish, &caller.metadata()).await?;
    }
    let message =
        text(format!("会话 {session_id} 已删除"), format!("Session {session_id} deleted"));
    Ok(Reply(message, Removed { session_id }))
}

async fn change(
    app: &App,
    caller: &Caller,
    id: ConversationId,
    command: &<Conversation as Decider>::Command,
    session_id: &str,
) -> std::result::Result<(), Fault> {
    let decided = app.execute::<Conversation>(&id, command, &caller.metadata()).await;
    let Decided { position, .. } = decided.map_err(|error| {
        Fault::worded(error, |refusal| match refusal {
            Refusal::Unknown | Refusal::Busy(_) => not_there(session_id),
            Refusal::BadTitle => {
                text("标题长度应为 1 到 255 个字符", "A title has 1 to 255 characters")
            }
        })
    })?;
    app.caught_up("conversations", position).await;
    Ok(())
}

/// The conversation behind a session id: one's own, or for an administrator anybody's, the last touched first.
async fn find(
    app: &App,
    session_id: &str,
    scope: Option<&UserId>,
) -> std::result::Result<ConversationId, Fault> {
    if is_bad_id(session_id) {
        return Err(missing(session_id));
    }
    app.settled("conversations").await?;
    let found = read_model::latest_run(&app.db, session_id, scope).await?;
    found.map(|(id, _)| id).ok_or_else(|| missing(session_id))
}

fn missing(session_id: &str) -> Fault {
    Fault::raised(not_there(session_id))
}

fn not_there(session_id: &str) -> super::Text {
    text(format!("会话 {session_id} 不存在"), format!("Session {session_id} does not exist"))
}
