//! The text of a skill.

use super::{Changed, NameQuery, locate, words};
use crate::{
    app::App,
    core::{Caller, Error, Json, Query},
    sage::{
        Fault, Reply, Result, Text,
        envelope::{Failed, Replied},
        text,
    },
};
use axum::extract::State;
use domain::skill::Home;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A skill's new text.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = SkillText)]
pub(super) struct Body {
    /// Which skill. The text may not rename it.
    name: String,
    /// All of its `SKILL.md`, with its front matter.
    content: String,
    /// Whose skill it is; without it the caller's own, or else the system's.
    #[serde(default)]
    agent_id: Option<String>,
}

/// A skill's text.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SkillContent)]
pub(super) struct Content {
    /// Its `SKILL.md`.
    content: String,
}

/// Gets a skill's text.
#[utoipa::path(
    get,
    path = "/api/skills/content",
    params(NameQuery),
    responses((status = 200, description = "The text.", body = Replied<Content>)),
)]
pub(super) async fn read(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<NameQuery>,
) -> Result<Content> {
    let found = locate(&app, &caller, &query.name, &query.agent_id).await?;
    let (_, id) = found.ok_or_else(|| missing(&query.name))?;
    let content = app.skills.find(id).await?.ok_or_else(|| missing(&query.name))?;
    let main = content.main().ok_or_else(|| missing(&query.name))?;
    let bytes = app.skills.read(main).await;
    let bytes = bytes.map_err(|error| Error::Unavailable(error.to_string()))?;
    // Only UTF-8 is ever taken in.
    let content = String::from_utf8_lossy(&bytes).into_owned();
    Ok(Reply(Text::default(), Content { content }))
}

/// Replaces a skill's text.
///
/// The system's skills are changed by administrators.
#[utoipa::path(
    put,
    path = "/api/skills/content",
    request_body = Body,
    responses(
        (status = 200, description = "It reads like this now.", body = Replied<Changed>),
        (status = 400, description = "That is no skill.", body = Failed),
    ),
)]
pub(super) async fn write(
    State(app): State<App>,
    caller: Caller,
    Json(body): Json<Body>,
) -> Result<Changed> {
    let agent_id = body.agent_id.unwrap_or_default();
    let found = locate(&app, &caller, &body.name, &agent_id).await?;
    let (home, id) = found.ok_or_else(|| missing(&body.name))?;
    if home == Home::System && !caller.admin {
        return Err(Fault::raised(text(
            "无权修改系统技能",
            "Permission denied: system skills are changed by administrators",
        )));
    }
    let edited = app.skills.edit(id, body.content, &caller.metadata()).await;
    let position = edited.map_err(words::failed)?;
    app.caught_up("skills", position).await;
    Ok(Reply(text("技能更新成功", "Skill updated"), Changed {}))
}

fn missing(name: &str) -> Fault {
    let same = format!("Skill '{name}' not found");
    Fault::raised(text(same.clone(), same))
}
