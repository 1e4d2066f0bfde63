//! Which saved provider answers a chat: the request's, else the agent's, else the one that its owner prefers.

use crate::{
    app::App,
    models,
    sage::{Fault, text},
};
use domain::{
    ids::UserId,
    run::{ChosenProvider, Settings},
};
use projections::llm_providers;

/// Settles the provider and its parameters; returns the tokens its model can hold. What a request names has to be there; what an agent names may have been
/// deleted since, which the stream tells.
pub(super) async fn choose(
    app: &App,
    owner: &UserId,
    named: Option<&str>,
    agents: Option<ChosenProvider>,
    settings: &mut Settings,
) -> Result<Option<u64>, Fault> {
    let row = if let Some(id) = named.filter(|id| !id.is_empty()) {
        let own = llm_providers::owned(&app.db, &id.into(), owner).await?;
        Some(own.ok_or_else(|| Fault::raised(text("模型提供商不存在", "Provider not found")))?)
    } else if let Some(ChosenProvider { id, owner }) = &agents {
        llm_providers::owned(&app.db, id, owner).await?
    } else {
        app.models.preferred(owner).await?
    };
    if let Some(row) = &row {
        settings.parameters = row.config.parameters();
        settings.text_only = !row.config.supports_multimodal;
    }
    settings.provider = row.as_ref().map(models::chosen).or(agents);
    Ok(row.map(|row| row.config.max_model_len.into()))
}
