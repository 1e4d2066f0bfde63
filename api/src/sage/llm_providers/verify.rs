//! Does a provider work? It is asked, and nothing is kept.

use super::{Body, Fault, Reply, Result, Text, bad_url, returned, text, worded};
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
use serde_json::{Value, json};
use std::{fmt::Display, sync::Arc};

/// A provider that can be asked.
struct Candidate {
    client: Arc<OpenAi>,
    endpoint: Endpoint,
}

pub(super) async fn connection(
    State(app): State<App>,
    caller: Caller,
    Json(body): Json<Body>,
) -> Result<Value> {
    let candidate = sent(&app, &caller, &body).await?;
    verify::connection(&*candidate.client, &candidate.endpoint).await.map_err(failed)?;
    Ok(Reply(text("验证成功", "Verified"), Value::Null))
}

pub(super) async fn multimodal(
    State(app): State<App>,
    caller: Caller,
    Json(body): Json<Body>,
) -> Result<Value> {
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
            json!({"supports_multimodal": true, "response": response, "recognized": recognized})
        }
        Err(error) => json!({"supports_multimodal": false, "error": error.to_string()}),
    };
    Ok(Reply(message, data))
}

pub(super) async fn capabilities(
    State(app): State<App>,
    caller: Caller,
    Json(body): Json<Body>,
) -> Result<Value> {
    able(sent(&app, &caller, &body).await?).await
}

/// Verifies a saved provider, with what the body has instead of what is saved.
pub(super) async fn saved(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    OptionalJson(body): OptionalJson<Body>,
) -> Result<Value> {
    let opened = app.providers.open(&ProviderId(id), &caller.user).await.map_err(worded)?;
    let opened = opened.ok_or_else(|| returned("Provider not found".into()))?;
    let sent = body.key()?.filter(|key| !is_masked(key.expose()));
    let key = sent.or(opened.key).ok_or_else(|| returned("Provider not found".into()))?;
    let config = opened.config.patched(&body.patch());
    able(candidate(&app, &caller, config, &key).await?).await
}

async fn able(Candidate { client, endpoint }: Candidate) -> Result<Value> {
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
    let data = json!({
        "connection": {"supported": true, "response": said},
        "supports_multimodal": sees,
        "supports_structured_output": structures,
        "multimodal": {"supported": sees, "recognized": recognized, "response": seen},
        "structured_output": {"supported": structures, "response": structured, "parsed": parsed},
        "model": endpoint.model,
        "base_url": endpoint.base_url,
    });
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
