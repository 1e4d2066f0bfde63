//! The text of a skill.

use super::{NameQuery, locate, words};
use crate::{
    app::App,
    core::{Caller, Error, Json, Query},
    sage::{Fault, Reply, Result, Text, text},
};
use axum::extract::State;
use domain::skill::Home;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Debug, Deserialize)]
pub(super) struct Body {
    name: String,
    content: String,
    #[serde(default)]
    agent_id: Option<String>,
}

pub(super) async fn read(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<NameQuery>,
) -> Result<Value> {
    let found = locate(&app, &caller, &query.name, &query.agent_id).await?;
    let (_, id) = found.ok_or_else(|| missing(&query.name))?;
    let content = app.skills.find(id).await?.ok_or_else(|| missing(&query.name))?;
    let main = content.main().ok_or_else(|| missing(&query.name))?;
    let bytes = app.skills.read(main).await;
    let bytes = bytes.map_err(|error| Error::Unavailable(error.to_string()))?;
    // Only UTF-8 is ever taken in.
    let content = String::from_utf8_lossy(&bytes);
    Ok(Reply(Text::default(), json!({"content": content})))
}

pub(super) async fn write(
    State(app): State<App>,
    caller: Caller,
    Json(body): Json<Body>,
) -> Result<Value> {
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
    Ok(Reply(text("技能更新成功", "Skill updated"), json!({})))
}

fn missing(name: &str) -> Fault {
    let same = format!("Skill '{name}' not found");
    Fault::raised(text(same.clone(), same))
}
