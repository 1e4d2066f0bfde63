//! With whom an agent is shared: they see it and chat with it, and no more.

use super::{Fault, Reply, Result, missing, owned, refused, text};
use crate::{
    app::App,
    core::{Caller, Json, Path},
    sage::{chat::is_bad_id, envelope::Replied},
};
use axum::extract::State;
use domain::{
    agent::{Agent, Command, Refusal},
    ids::{AgentId, UserId},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// With whom an agent is to be shared.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = Sharing)]
pub(super) struct Body {
    /// Their ids; nobody else is left.
    user_ids: Vec<String>,
}

/// Nothing more than that it worked.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Shared {}

/// Lists the ids of the people with whom an agent is shared.
///
/// For its owner and administrators.
#[utoipa::path(
    get,
    path = "/api/agent/{agent_id}/auth",
    params(("agent_id" = String, Path, description = "Its id.")),
    responses((status = 200, description = "Their ids.", body = Replied<Vec<String>>)),
)]
pub(super) async fn read(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Vec<String>> {
    let denied = text("无权查看授权用户", "You may not see with whom this agent is shared");
    let agent = owned(&app, &caller, &id, denied).await?;
    Ok(Reply(text("获取授权用户列表成功", "Authorized users retrieved"), agent.shared))
}

/// Replaces the set of people with whom an agent is shared.
///
/// For its owner and administrators. Ids are taken as they are: people whom a proxy vouches for are in no list.
#[utoipa::path(
    post,
    path = "/api/agent/{agent_id}/auth",
    params(("agent_id" = String, Path, description = "Its id.")),
    request_body = Body,
    responses((status = 200, description = "It is shared with them.", body = Replied<Shared>)),
)]
pub(super) async fn update(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Json(body): Json<Body>,
) -> Result<Shared> {
    owned(&app, &caller, &id, text("无权修改授权", "You may not share this agent")).await?;
    if body.user_ids.iter().any(|user| user.is_empty() || is_bad_id(user)) {
        return Err(Fault::raised(text("用户 ID 无效", "A user id is not valid")));
    }
    let users = body.user_ids.into_iter().map(UserId).collect();
    let command = Command::Share { users };
    let shared = app.execute::<Agent>(&AgentId(id.clone()), &command, &caller.metadata()).await;
    let shared = shared.map_err(|error| {
        Fault::worded(error, |refusal| match refusal {
            Refusal::Unknown => missing(&id),
            other => refused(other, &id),
        })
    })?;
    app.caught_up("agents", shared.position).await;
    Ok(Reply(text("更新授权成功", "Authorization updated"), Shared {}))
}
