//! Does a provider work? It is asked, and nothing is kept.

use super::{Body, Fault, Null, Reply, Result, Text, Told, Whole, bad_url, returned, text, worded};
use crate::{
    app::App,
    core::{Caller, Json, Path, extract::OptionalJson},
};
use axum::extract::State;
use commands::{
    effects::{
        Sensitive,
        model::{Endpoint, complete::Unanswered, openai::OpenAi, verify},
        secret::is_masked,
    },
    llm_providers as use_cases,
};
use domain::{ids::ProviderId, llm_provider::Config};
use serde::Serialize;
use serde_json::Value;
use std::{fmt::Display, sync::Arc};
use utoipa::ToSchema;

/// Whether a model understands pictures.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ModelSight)]
pub(super) struct Seen {
    supports_multimodal: bool,
    /// What it answered. Absent when it does not support them.
    #[serde(skip_serializing_if = "Option::is_none")]
    response: Option<String>,
    /// Whether that was right. Absent when it does not support them.
    #[serde(skip_serializing_if = "Option::is_none")]
    recognized: Option<bool>,
    /// Why it does not support them.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// What a model can do.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ModelCapabilities)]
pub(super) struct Capabilities {
    connection: Connection,
    supports_multimodal: bool,
    supports_structured_output: bool,
    multimodal: Sight,
    structured_output: Structured,
    model: String,
    base_url: String,
}

/// It answers.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ModelConnection)]
struct Connection {
    /// Always true.
    supported: bool,
    /// What it said.
    response: String,
}

/// Whether it understands pictures.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ModelMultimodal)]
struct Sight {
    supported: bool,
    /// Whether it knew what was on one.
    recognized: bool,
    /// What it said, or why it said nothing.
    response: String,
}

/// Whether it answers in JSON when it should.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ModelStructuredOutput)]
struct Structured {
    supported: bool,
    /// What it said, or why it said nothing.
    response: String,
    /// The JSON; null if it was none.
    parsed: Option<Value>,
}

/// A provider that can be asked.
struct Candidate {
    client: Arc<OpenAi>,
    endpoint: Endpoint,
}

/// Asks a model provider whether it answers. Null is kept.
#[utoipa::path(
    post,
    path = "/api/llm-provider/verify",
    request_body = Whole,
    responses((status = 200, description = "It does, or why it does not.", body = Told<Null>)),
)]
pub(super) async fn connection(
    State(app): State<App>,
    caller: Caller,
    Json(body): Json<Body>,
) -> Result<Null> {
    let candidate = sent(&app, &caller, &body).await?;
    verify::connection(&*candidate.client, &candidate.endpoint).await.map_err(failed)?;
    Ok(Reply(text("验证成功", "Verified"), Null))
}

/// Asks a model provider whether it understands pictures. Null is kept.
#[utoipa::path(
    post,
    path = "/api/llm-provider/verify-multimodal",
    request_body = Whole,
    responses((status = 200, description = "Whether it does, or why it cannot be asked.", body = Told<Seen>)),
)]
pub(super) async fn multimodal(
    State(app): State<App>,
    caller: Caller,
    Json(body): Json<Body>,
) -> Result<Seen> {
    let candidate = sent(&app, &caller, &body).await?;
    let sight = verify::sight(&*candidate.client, &candidate.endpoint).await;
    let message = match &sight {
        Err(_) => text("该模型不支持多模态", "The model is not multimodal"),
        Ok(sight) if sight.recognized => text(
            "多模态验证成功，模型正确识别了图片内容",
            "Verified: the model recognised the picture",
        ),
        Ok(_) => text(
            "模型支持多模态但未能正确识别图片内容",
            "The model is multimodal but did not recognise the picture",
        ),
    };
    let data = match sight {
        Ok(verify::Sight { recognized, response }) => {
            let (response, recognized) = (Some(response), Some(recognized));
            Seen { supports_multimodal: true, response, recognized, error: None }
        }
        Err(error) => Seen {
            supports_multimodal: false,
            response: None,
            recognized: None,
            error: Some(error.to_string()),
        },
    };
    Ok(Reply(message, data))
}

/// Asks a model provider what it can do. Null is kept.
#[utoipa::path(
    post,
    path = "/api/llm-provider/verify-capabilities",
    request_body = Whole,
    responses((status = 200, description = "What it can do, or why it does not answer.", body = Told<Capabilities>)),
)]
pub(super) async fn capabilities(
    State(app): State<App>,
    caller: Caller,
    Json(body): Json<Body>,
) -> Result<Capabilities> {
    able(sent(&app, &caller, &body).await?).await
}

/// Asks a saved model provider what it can do, with what the body has instead of what is saved.
///
/// Null is kept.
#[utoipa::path(
    post,
    path = "/api/llm-provider/verify-capabilities/{provider_id}",
    params(("provider_id" = String, Path, description = "Its id.")),
    request_body = Option<Body>,
    responses((status = 200, description = "What it can do, or why it does not answer.", body = Told<Capabilities>)),
)]
pub(super) async fn saved(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    OptionalJson(body): OptionalJson<Body>,
) -> Result<Capabilities> {
    let opened = app.providers.open(&ProviderId(id), &caller.user).await.map_err(worded)?;
    let opened = opened.ok_or_else(|| returned("Provider not found".into()))?;
    let sent = body.key()?.filter(|key| !is_masked(key.expose()));
    let key = sent.or(opened.key).ok_or_else(|| returned("Provider not found".into()))?;
    let config = opened.config.patched(&body.patch());
    able(candidate(&app, &caller, config, &key).await?).await
}

async fn able(Candidate { client, endpoint }: Candidate) -> Result<Capabilities> {
    let said = verify::connection(&*client, &endpoint).await.map_err(failed)?;
    let (sight, structure) =
        tokio::join!(verify::sight(&*client, &endpoint), verify::structure(&*client, &endpoint));
    let reason = |error: Unanswered| error.to_string();
    let (sees, recognized, seen) = match sight {
        Ok(sight) => (true, sight.recognized, sight.response),
        Err(error) => (false, false, reason(error)),
    };
    let (parsed, structured) = match structure {
        Ok(structure) => (structure.parsed, structure.response),
        Err(error) => (None, reason(error)),
    };
    let structures = parsed.is_some();
    let data = Capabilities {
        connection: Connection { supported: true, response: said },
        supports_multimodal: sees,
        supports_structured_output: structures,
        multimodal: Sight { supported: sees, recognized, response: seen },
        structured_output: Structured { supported: structures, response: structured, parsed },
        model: endpoint.model,
        base_url: endpoint.base_url,
    };
    Ok(Reply(text("验证成功", "Verified"), data))
}

async fn sent(app: &App, caller: &Caller, body: &Body) -> std::result::Result<Candidate, Fault> {
    let key = body.required_key()?;
    candidate(app, caller, body.config()?, &key).await
}

async fn candidate(
    app: &App,
    caller: &Caller,
    config: Config,
    key: &Sensitive,
) -> std::result::Result<Candidate, Fault> {
    let reach = app.models.reach(caller.admin);
    let base_url = use_cases::base_url(&config.base_url, reach).await;
    let base_url = base_url.map_err(|error| unverified(bad_url(error)))?;
    let client = app.models.verifier(&base_url, reach).map_err(failed)?;
    let endpoint = Endpoint { base_url, api_key: key.clone(), model: config.model };
    Ok(Candidate { client, endpoint })
}

fn failed(error: impl Display) -> Fault {
    let said = error.to_string();
    unverified(text(said.clone(), said))
}

fn unverified(why: Text) -> Fault {
    returned(why.prefixed("验证失败: ", "Verification failed: "))
}
