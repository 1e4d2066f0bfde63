//! `POST /api/captions/generate`: a caption for a post, as far as the subscription allows.

use super::{
    Failed, Fault, Result,
    answers::{Done, done},
    roles::Writer,
    usage,
};
use crate::{
    app::App,
    core::{Context, extract::OptionalJson},
    openapi::Documented,
};
use axum::{extract::State, http::StatusCode};
use chrono::{TimeDelta, Utc};
use commands::{
    captions::{self, Length, Platform, Wish},
    usage::Work,
};
use domain::{Metadata, ids::UserId, quota::Action};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

/// How long a caption can be on its way: longer than it may take.
const HOLD: TimeDelta = TimeDelta::minutes(2);

/// The table of contents.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(generate)).tagged("Captions")
}

/// Which caption is wanted.
#[derive(Default, Deserialize, ToSchema)]
#[schema(as = CaptionWish)]
struct Body {
    /// Where it is to appear; `onlyfans` unless it is named.
    #[serde(default)]
    platform: Option<String>,
    /// How it sounds; `playful` unless it is named.
    #[serde(default)]
    #[schema(max_length = 200)]
    tone: Option<String>,
    /// What it is about.
    #[serde(default)]
    #[schema(max_length = 500)]
    topic: Option<String>,
    /// `short`, `medium` or `long`.
    #[serde(default)]
    length: Option<String>,
    /// Whose account it is for.
    #[serde(default, alias = "platformUsername")]
    #[schema(max_length = 200)]
    platform_username: Option<String>,
}

/// A caption.
#[derive(Serialize, ToSchema)]
#[schema(as = Caption)]
struct Generated {
    /// Of the work that was counted.
    id: String,
    caption: String,
    /// Who wrote it.
    model: String,
    platform: &'static str,
}

/// Writes a caption for a post, and counts it.
#[utoipa::path(
    post,
    path = "/api/captions/generate",
    request_body(content = Option<Body>, content_type = "application/json"),
    responses(
        (status = 200, description = "The caption.", body = Done<Generated>),
        (status = 500, description = "The model wrote none (`generation_failed`); nothing is counted.", body = Failed),
    ),
)]
async fn generate(
    State(app): State<App>,
    Writer(caller): Writer,
    OptionalJson(body): OptionalJson<Body>,
) -> Result<Done<Generated>> {
    let wish = wish(body)?;
    let (action, user, metadata) = (Action::PostCreations, &caller.user, caller.metadata());
    let id = Uuid::now_v7().to_string();
    let work = Work { user, reservation: &id, action, now: Utc::now(), hold: HOLD };
    let reserved = app.usage.reserve(work, &metadata).await;
    reserved.map_err(|error| usage::told(action, error))?;
    let mut held = Held { app: app.clone(), user: user.clone(), id, metadata, open: true };
    let writer = app.models.writer(user).await.map_err(|error| error.0.to_string());
    let written = match writer {
        Ok(writer) => captions::write(&writer, &wish).await.map_err(|error| error.to_string()),
        Err(error) => Err(error),
    };
    let caption = match written {
        Ok(caption) if !caption.text.is_empty() => caption,
        other => {
            let reason = other.err().unwrap_or_else(|| "the model said nothing".to_owned());
            tracing::warn!(reason, request = %Context::current().request_id, "no caption");
            held.release().await;
            let (status, error) = (StatusCode::INTERNAL_SERVER_ERROR, "generation_failed");
            return Err(Fault::new(status, error, "The caption could not be generated"));
        }
    };
    held.confirm().await?;
    let (id, platform) = (std::mem::take(&mut held.id), wish.platform.name);
    let (caption, model) = (caption.text, caption.model);
    Ok(done(Generated { id, caption, model, platform }))
}

fn wish(body: Body) -> std::result::Result<Wish, Fault> {
    let text = |field: &str, sent: Option<String>, default: &str, most: usize| {
        let sent = sent.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        match sent {
            Some(text) if text.chars().count() > most => {
                Err(Fault::invalid(format!("{field} has at most {most} characters")))
            }
            Some(text) => Ok(text),
            None => Ok(default.to_owned()),
        }
    };
    let platform = text("platform", body.platform, "onlyfans", 40)?;
    let Some(platform) = Platform::named(&platform) else {
        let known = captions::PLATFORMS.map(|platform| platform.name).join(", ");
        return Err(Fault::invalid(format!("platform has to be one of {known}")));
    };
    let length = text("length", body.length, "medium", 40)?;
    let Some(length) = Length::named(&length) else {
        return Err(Fault::invalid("length has to be short, medium or long"));
    };
    let username = text("platform_username", body.platform_username, "", 200)?;
    Ok(Wish {
        platform,
        tone: text("tone", body.tone, "playful", 200)?,
        topic: text("topic", body.topic, "new content drop", 500)?,
        length,
        username: Some(username).filter(|name| !name.is_empty()),
    })
}

/// A piece of the allowance that is held until there is a caption. Given back when the client is gone before.
struct Held {
    app: App,
    user: UserId,
    id: String,
    metadata: Metadata,
    open: bool,
}

impl Held {
    async fn confirm(&mut self) -> std::result::Result<(), Fault> {
        let confirmed = self.app.usage.confirm(&self.user, &self.id, &self.metadata).await?;
        self.open = false;
        self.app.caught_up("usage", confirmed).await;
        Ok(())
    }

    async fn release(&mut self) {
        self.open = false;
        match self.app.usage.release(&self.user, &self.id, &self.metadata).await {
            Ok(released) => self.app.caught_up("usage", released).await,
            // It counts no longer by itself, soon.
            Err(failure) => tracing::warn!(%failure, "a reservation is not released yet"),
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.open {
            let (app, user) = (self.app.clone(), self.user.clone());
            let (id, metadata) = (std::mem::take(&mut self.id), self.metadata.clone());
            tokio::spawn(async move {
                Held { app, user, id, metadata, open: false }.release().await;
            });
        }
    }
}
