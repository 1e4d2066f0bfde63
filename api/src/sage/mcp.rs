//! MCP servers: add, list, change, delete, refresh, switch.

mod item;
mod request;

use super::{Fault, Reply, Result, Text, text};
use crate::{
    app::App,
    core::{Caller, Error, Json, Path, Query, extract::OptionalJson},
    openapi::Documented,
    sage::envelope::Replied,
};
use axum::extract::State;
use commands::{
    effects::{
        mcp::{McpError, Target},
        tools::ToolsUnavailable,
    },
    mcp::{self, Key, Reached},
};
use domain::{
    Position,
    ids::{McpServerId, SecretId, UserId},
    mcp_server::{Command, Refusal, Tool},
};
use item::{Deleted, Listing, Outcome, Switched, items};
use projections::mcp_servers::{self as read_model, McpServer, Scope};
use request::{Body, Switch};
use serde::Deserialize;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The table of contents.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(add))
        .routes(routes!(list))
        .routes(routes!(remove, change))
        .routes(routes!(refresh))
        .routes(routes!(toggle))
        .tagged("MCP servers")
}

/// Whose server is meant.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct Whose {
    /// For administrators who see several of one name: its owner, empty for everybody's.
    user_id: Option<String>,
}

/// Adds an MCP server, if it can be reached.
///
/// It is the caller's, or everybody's if an administrator says so.
#[utoipa::path(
    post,
    path = "/api/mcp/add",
    request_body = Body,
    responses((status = 200, description = "It is there.", body = Replied<Outcome>)),
)]
async fn add(State(app): State<App>, caller: Caller, Json(body): Json<Body>) -> Result<Outcome> {
    let name = body.name()?;
    let endpoint = body.endpoint(app.mcp.reach(caller.admin))?;
    let api_key = body.api_key()?;
    let owner = body.owner(&caller);
    app.settled("mcp_servers").await?;
    let taken = read_model::named(&app.db, Scope::Of(&caller.user), &name).await?;
    if !taken.is_empty() {
        return Err(Fault::raised(exists(&name)));
    }
    let target = Target {
        id: String::new(),
        version: 0,
        endpoint: endpoint.clone(),
        api_key: api_key.clone(),
        reach: app.mcp.reach(caller.admin),
    };
    let tools = try_out(&app, &target, &name).await?;
    let api_key = api_key.map_or(Key::Kept(None), Key::New);
    let reached = Reached { endpoint, api_key, saved_by: caller.user.clone(), tools };
    let added = app.mcp.servers.add(owner, &name, reached, &caller.metadata()).await;
    let added = added.map_err(|error| worded(error, &name))?;
    app.caught_up("mcp_servers", added.position).await;
    let message = text(format!("MCP server {name} 添加成功"), format!("MCP server {name} added"));
    Ok(Reply(message, Outcome { server_name: name, status: "success" }))
}

/// Lists one's own MCP servers and everybody's, for an administrator all.
#[utoipa::path(
    get,
    path = "/api/mcp/list",
    responses((status = 200, description = "The servers.", body = Replied<Listing>)),
)]
async fn list(State(app): State<App>, caller: Caller) -> Result<Listing> {
    let servers = read_model::visible(&app.db, scope(&caller)).await?;
    let servers = items(&app, servers).await?;
    let message = text("获取MCP服务器列表成功", "MCP servers retrieved");
    Ok(Reply(message, Listing { servers }))
}

/// Deletes an MCP server.
#[utoipa::path(
    delete,
    path = "/api/mcp/{server_name}",
    params(("server_name" = String, Path, description = "Its name."), Whose),
    responses((status = 200, description = "It is gone.", body = Replied<Deleted>)),
)]
async fn remove(
    State(app): State<App>,
    caller: Caller,
    Path(name): Path<String>,
    Query(whose): Query<Whose>,
) -> Result<Deleted> {
    let denied = text("无权删除该MCP服务器", "This MCP server is not yours to delete");
    let (id, _) = own(&app, &caller, &name, &whose, denied).await?;
    let deleted = app.mcp.servers.delete(&id, &caller.metadata()).await;
    let deleted = deleted.map_err(|error| worded(error, &name))?;
    app.mcp.pool.forget(&id.0);
    app.caught_up("mcp_servers", deleted.position).await;
    let message =
        text(format!("MCP服务器 '{name}' 删除成功"), format!("MCP server '{name}' deleted"));
    Ok(Reply(message, Deleted { server_name: name }))
}

/// Changes an MCP server, if it can be reached then.
///
/// What is left out stays as it is.
#[utoipa::path(
    put,
    path = "/api/mcp/{server_name}",
    params(("server_name" = String, Path, description = "Its name."), Whose),
    request_body = Body,
    responses((status = 200, description = "It is changed.", body = Replied<Outcome>)),
)]
async fn change(
    State(app): State<App>,
    caller: Caller,
    Path(name): Path<String>,
    Query(whose): Query<Whose>,
    Json(body): Json<Body>,
) -> Result<Outcome> {
    body.keeps_name(&name)?;
    let (id, row) = own(&app, &caller, &name, &whose, denied()).await?;
    let reach = app.mcp.reach(caller.admin);
    let endpoint = body.endpoint_over(&row, reach)?;
    let before = row.api_key.map(SecretId);
    let kept = app.mcp.servers.key(&id, before).await.map_err(vault)?;
    // Clients send back what the list showed them.
    let unchanged = |sent: &str| kept.as_ref().is_some_and(|kept| kept.masked() == sent);
    let (api_key, shown) = match body.new_key(unchanged)? {
        request::NewKey::Unchanged => (Key::Kept(before), kept),
        request::NewKey::None => (Key::Kept(None), None),
        request::NewKey::This(key) => (Key::New(key.clone()), Some(key)),
    };
    let target =
        Target { id: String::new(), version: 0, endpoint: endpoint.clone(), api_key: shown, reach };
    let tools = try_out(&app, &target, &name).await?;
    let reached = Reached { endpoint, api_key, saved_by: caller.user.clone(), tools };
    let changed = app.mcp.servers.reconnect(&id, before, reached, &caller.metadata()).await;
    let mut position = changed.map_err(|error| worded(error, &name))?.position;
    if let Some(disabled) = body.disabled {
        let switched = switch(&app, &caller, &id, &name, Some(disabled)).await?;
        position = position.max(switched.0);
    }
    app.caught_up("mcp_servers", position).await;
    let message =
        text(format!("MCP服务器 '{name}' 更新成功"), format!("MCP server '{name}' updated"));
    Ok(Reply(message, Outcome { server_name: name, status: "success" }))
}

/// Asks an MCP server for its tools again.
///
/// If it does not answer, `status` says so, and its old tools stay.
#[utoipa::path(
    post,
    path = "/api/mcp/{server_name}/refresh",
    params(("server_name" = String, Path, description = "Its name."), Whose),
    responses((status = 200, description = "It was asked.", body = Replied<Outcome>)),
)]
async fn refresh(
    State(app): State<App>,
    caller: Caller,
    Path(name): Path<String>,
    Query(whose): Query<Whose>,
) -> Result<Outcome> {
    let (id, row) = own(&app, &caller, &name, &whose, denied()).await?;
    let target = app.mcp.target(row).await.map_err(away)?;
    let status = match app.mcp.pool.tools(&target).await {
        Ok(tools) => {
            let command = Command::ListTools(tools);
            let listed = app.mcp.servers.execute(&id, command, &caller.metadata()).await;
            let position = listed.map_err(|error| worded(error, &name))?.position;
            app.caught_up("mcp_servers", position).await;
            "refreshed"
        }
        // The old tools stay, and so does the switch: the server may be back in a minute.
        Err(error) => {
            tracing::info!(server = id.0, %error, "an MCP server could not be refreshed");
            "failed"
        }
    };
    Ok(Reply(Text::default(), Outcome { server_name: name, status }))
}

/// Switches an MCP server on or off.
#[utoipa::path(
    put,
    path = "/api/mcp/{server_name}/toggle",
    params(("server_name" = String, Path, description = "Its name."), Whose),
    request_body = Option<Switch>,
    responses((status = 200, description = "How it stands now.", body = Replied<Switched>)),
)]
async fn toggle(
    State(app): State<App>,
    caller: Caller,
    Path(name): Path<String>,
    Query(whose): Query<Whose>,
    OptionalJson(body): OptionalJson<Switch>,
) -> Result<Switched> {
    let (id, _) = own(&app, &caller, &name, &whose, denied()).await?;
    let (position, disabled) = switch(&app, &caller, &id, &name, body.disabled).await?;
    app.caught_up("mcp_servers", position).await;
    Ok(Reply(Text::default(), Switched { server_name: name, disabled }))
}

/// Switches as wished, or to the other side; says how it stands then.
async fn switch(
    app: &App,
    caller: &Caller,
    id: &McpServerId,
    name: &str,
    disabled: Option<bool>,
) -> std::result::Result<(Option<Position>, bool), Fault> {
    let command = match disabled {
        Some(true) => Command::Disable,
        Some(false) => Command::Enable,
        None => Command::Toggle,
    };
    let decided = app.mcp.servers.execute(id, command, &caller.metadata()).await;
    let decided = decided.map_err(|error| worded(error, name))?;
    let now = decided.state.present().is_ok_and(|server| server.disabled);
    if now {
        app.mcp.pool.forget(&id.0);
    }
    Ok((decided.position, now))
}

/// What is to be saved has to work first. The reason is told apart from the message, which clients know.
async fn try_out(app: &App, target: &Target, name: &str) -> std::result::Result<Vec<Tool>, Fault> {
    let probed = app.mcp.clients.probe(target, app.mcp.times).await;
    probed.map_err(|error: McpError| {
        let message = text(
            format!("MCP server {name} 注册失败"),
            format!("MCP server {name} not registered"),
        );
        Fault::Explained(500, message, error.to_string())
    })
}

/// One's own server of this name, or everybody's or another's for an administrator. Another's answers as if it did not exist,
/// everybody's is `denied`.
async fn own(
    app: &App,
    caller: &Caller,
    name: &str,
    whose: &Whose,
    denied: Text,
) -> std::result::Result<(McpServerId, McpServer), Fault> {
    let mut rows = match name.contains('\0') {
        true => vec![],
        false => read_model::named(&app.db, scope(caller), name).await?,
    };
    let everybodys = !caller.admin && rows.iter().any(|row| row.owner.is_none());
    rows.retain(|row| match (&whose.user_id, caller.admin) {
        (Some(user), true) => row.owner.as_deref().unwrap_or_default() == user,
        (None, true) => true,
        (_, false) => row.owner.as_deref() == Some(caller.user.as_str()),
    });
    // One's own and everybody's come first and are one each; further ones have to be told apart.
    let unclear = |row: &McpServer| row.owner.as_deref().is_some_and(|it| it != caller.user.0);
    if rows.len() > 1 && unclear(&rows[0]) {
        return Err(Fault::raised(text(
            format!("存在多个名为 '{name}' 的MCP服务器，请指定 user_id"),
            format!("There are several MCP servers '{name}'; name the owner by user_id"),
        )));
    }
    let row = rows.into_iter().next().ok_or_else(|| match everybodys {
        true => Fault::raised(denied),
        false => Fault::raised(missing(name)),
    })?;
    Ok((McpServerId::from(row.server_id.as_str()), row))
}

fn scope(caller: &Caller) -> Scope<'_> {
    let user: &UserId = &caller.user;
    if caller.admin { Scope::All(user) } else { Scope::Of(user) }
}

fn worded(error: mcp::Error, name: &str) -> Fault {
    match error {
        mcp::Error::Refused(Refusal::Exists) => Fault::raised(exists(name)),
        mcp::Error::Refused(Refusal::Unknown) => Fault::raised(missing(name)),
        mcp::Error::Refused(Refusal::BadName) => request::bad_name(name),
        other => Fault::from(other),
    }
}

fn vault(error: impl std::fmt::Display) -> Fault {
    Fault::Core(Error::Unavailable(error.to_string()))
}

fn away(unavailable: ToolsUnavailable) -> Fault {
    Fault::Core(Error::Unavailable(unavailable.to_string()))
}

fn denied() -> Text {
    text("无权操作该MCP服务器", "This MCP server is not yours to change")
}

fn exists(name: &str) -> Text {
    text(format!("MCP服务器 '{name}' 已存在"), format!("MCP server '{name}' already exists"))
}

fn missing(name: &str) -> Text {
    text(format!("MCP服务器 '{name}' 不存在"), format!("MCP server '{name}' does not exist"))
}
