//! Model providers: save, list, change, delete, verify. Everybody has their own; keys are shown masked, also to their
//! owner.

mod body;
mod verify;

use super::{Fault, Reply, Result, Text, conversations::iso, outbound, text};
use crate::{
    app::App,
    core::{Caller, Error, Json, Path},
    openapi::Documented,
    sage::envelope::{Null, Told},
};
use axum::extract::State;
use body::{Body, Whole};
use commands::{
    effects::vault::VaultError,
    llm_providers::{self as use_cases, BadUrl},
};
use domain::{ids::ProviderId, llm_provider::Refusal};
use futures::{StreamExt, TryStreamExt, stream};
use projections::llm_providers::{self as read_model, Row};
use serde::Serialize;
use serde_json::Number;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// Providers of one person at most.
const MOST: i64 = 100;
/// Keys read at once for a list.
const AT_ONCE: usize = 8;
/// The operator's provider. It comes from the configuration, so nobody lists or changes it.
const SYSTEM: &str = "system-default";

/// The table of contents.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(verify::connection))
        .routes(routes!(verify::multimodal))
        .routes(routes!(verify::capabilities))
        .routes(routes!(verify::saved))
        .routes(routes!(list))
        .routes(routes!(create))
        .routes(routes!(update))
        .routes(routes!(remove))
        .tagged("Model providers")
}

/// A model provider. Every key is always there; unset ones are null.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ModelProvider)]
struct Dto {
    id: String,
    name: String,
    /// Of an OpenAI-compatible server.
    base_url: String,
    /// Masked.
    #[schema(value_type = Vec<String>, min_items = 1, max_items = 1)]
    api_keys: [String; 1],
    model: String,
    /// Most tokens of an answer.
    max_tokens: Option<u32>,
    #[schema(value_type = Option<f64>)]
    temperature: Option<Number>,
    #[schema(value_type = Option<f64>)]
    top_p: Option<Number>,
    #[schema(value_type = Option<f64>)]
    presence_penalty: Option<Number>,
    /// Tokens that the model can hold, prompt and answer together.
    max_model_len: u32,
    supports_multimodal: bool,
    /// Whether it answers where no other is named.
    is_default: bool,
    /// Its owner.
    user_id: String,
    created_at: String,
    updated_at: String,
    /// The id once more, under the name newer clients look for.
    provider_id: String,
}

async fn shown(app: &App, row: Row) -> std::result::Result<Dto, Fault> {
    let key = app.providers.key(&row.id(), row.key()).await.map_err(worded)?;
    let config = row.config.0;
    Ok(Dto {
        provider_id: row.id.clone(),
        id: row.id,
        name: config.name,
        base_url: config.base_url,
        api_keys: [key.map(|key| key.masked()).unwrap_or_default()],
        model: config.model,
        max_tokens: config.max_tokens,
        temperature: config.temperature,
        top_p: config.top_p,
        presence_penalty: config.presence_penalty,
        max_model_len: config.max_model_len,
        supports_multimodal: config.supports_multimodal,
        is_default: row.is_default,
        user_id: row.owner,
        created_at: iso(row.created_at),
        updated_at: iso(row.updated_at),
    })
}

/// Lists the caller's model providers.
#[utoipa::path(
    get,
    path = "/api/llm-provider/list",
    responses((status = 200, description = "The providers.", body = Told<Vec<Dto>>)),
)]
async fn list(State(app): State<App>, caller: Caller) -> Result<Vec<Dto>> {
    let rows = read_model::owned_by(&app.db, &caller.user).await?;
    let shown = stream::iter(rows).map(|row| shown(&app, row)).buffered(AT_ONCE);
    Ok(Reply("".into(), shown.try_collect().await?))
}

/// Saves a model provider.
///
/// A new one is never the default; an update makes it so.
#[utoipa::path(
    post,
    path = "/api/llm-provider/create",
    request_body = Whole,
    responses((status = 200, description = "The provider, or why it is not saved.", body = Told<Dto>)),
)]
async fn create(State(app): State<App>, caller: Caller, Json(body): Json<Body>) -> Result<Dto> {
    let key = body.required_key()?;
    let mut config = body.config()?;
    config.base_url = use_cases::base_url(&config.base_url, app.models.reach(caller.admin))
        .await
        .map_err(|error| unsaved(bad_url(error)))?;
    app.settled("llm_providers").await?;
    if read_model::count(&app.db, &caller.user).await? >= MOST {
        let full = text(
            format!("最多可保存 {MOST} 个模型提供商"),
            format!("At most {MOST} providers can be saved"),
        );
        return Err(returned(full));
    }
    let added = app.providers.add(&caller.user, config, &key, &caller.metadata()).await;
    let (id, position) = added.map_err(worded)?;
    app.caught_up("llm_providers", position).await;
    reply(&app, &caller, &id).await
}

/// Changes a model provider.
///
/// What is left out stays as it is, and so does a key that is sent as it is shown. A number of null is unset.
#[utoipa::path(
    put,
    path = "/api/llm-provider/update/{provider_id}",
    params(("provider_id" = String, Path, description = "Its id.")),
    request_body = Body,
    responses((status = 200, description = "The provider, or why it is not changed.", body = Told<Dto>)),
)]
async fn update(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Json(body): Json<Body>,
) -> Result<Dto> {
    if id == SYSTEM {
        return Err(returned("Cannot modify system default provider".into()));
    }
    let id = ProviderId(id);
    let key = body.key()?;
    let mut patch = body.patch();
    if let Some(url) = &patch.base_url {
        let reach = app.models.reach(caller.admin);
        let url = use_cases::base_url(url, reach).await;
        patch.base_url = Some(url.map_err(|error| unsaved(bad_url(error)))?);
    }
    let metadata = caller.metadata();
    let changed = app.providers.change(&id, &caller.user, patch, key.as_ref(), &metadata).await;
    let mut position = changed.map_err(worded)?;
    if let Some(preferred) = body.is_default {
        let chosen = app.providers.prefer(&id, &caller.user, preferred, &metadata).await;
        position = position.max(chosen.map_err(worded)?);
    }
    app.caught_up("llm_providers", position).await;
    reply(&app, &caller, &id).await
}

/// Deletes a model provider that is not the default.
#[utoipa::path(
    delete,
    path = "/api/llm-provider/delete/{provider_id}",
    params(("provider_id" = String, Path, description = "Its id.")),
    responses((status = 200, description = "It is gone, or why it is not.", body = Told<Null>)),
)]
async fn remove(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<Null> {
    if id == SYSTEM {
        return Err(worded(Refusal::IsDefault.into()));
    }
    let removed = app.providers.remove(&ProviderId(id), &caller.user, &caller.metadata()).await;
    app.caught_up("llm_providers", removed.map_err(worded)?).await;
    Ok(Reply("".into(), Null))
}

async fn reply(app: &App, caller: &Caller, id: &ProviderId) -> Result<Dto> {
    let row = read_model::owned(&app.db, id, &caller.user).await?;
    let row = row.ok_or_else(|| returned("Provider not found".into()))?;
    Ok(Reply("".into(), shown(app, row).await?))
}

fn returned(message: Text) -> Fault {
    Fault::Returned(500, message)
}

fn unsaved(why: Text) -> Fault {
    returned(why.prefixed("无法保存提供商: ", "Cannot save provider. "))
}

fn bad_url(error: BadUrl) -> Text {
    match error {
        BadUrl::Refused(why) => outbound::refused(why),
        BadUrl::Query => text("URL 不能包含查询参数或片段", error.to_string()),
    }
}

fn refused(refusal: Refusal) -> Text {
    let zh = match refusal {
        // Upstream says these in English whatever the language.
        Refusal::Unknown => "Provider not found",
        Refusal::IsDefault => "Cannot delete default provider",
        Refusal::Exists => "该提供商已存在",
        Refusal::BadName => "名称长度应为 1 到 255 个字符",
        Refusal::BadModel => "模型名称长度应为 1 到 255 个字符",
        Refusal::BadUrl => "base_url 长度应为 1 到 2048 个字符",
    };
    text(zh, refusal.to_string())
}

/// The dialect's words for what the use cases refuse.
fn worded(error: use_cases::Error) -> Fault {
    use use_cases::Error as E;
    let core = match error {
        E::Vault(VaultError::Destroyed) => return returned(refused(Refusal::Unknown)),
        E::Refused(refusal @ (Refusal::Unknown | Refusal::IsDefault)) => {
            return returned(refused(refusal));
        }
        E::Refused(refusal) => return unsaved(refused(refusal)),
        E::Vault(VaultError::Database(error)) => error.into(),
        E::Vault(VaultError::Damaged) => Error::Internal(error.to_string()),
        E::Failed(failure) => failure.into(),
    };
    Fault::Core(core)
}
