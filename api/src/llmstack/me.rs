//! `/api/me`, `/api/profiles/me`: what the holder of a token is told of themselves.

use super::{Holder, Reply, Result};
use crate::{app::App, openapi::Documented};
use axum::http::{HeaderMap, header};
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(me))
        .routes(routes!(profile))
        .routes(routes!(flags))
        .tagged("Profile")
}

/// Whose token it is.
#[derive(Serialize, ToSchema)]
struct Me {
    /// Their e-mail address, or for want of one the name to sign in with.
    user: String,
}

/// What is known of the caller.
#[derive(Serialize, ToSchema)]
struct Profile {
    name: String,
    /// For want of an address the name to sign in with.
    user_email: String,
    username: String,
    /// The token that was sent with the request. Only digests are kept, so no other can be told.
    #[schema(format = Password)]
    token: Option<String>,
    /// Always `null`: keys of providers are no part of a profile here.
    #[schema(value_type = Option<String>)]
    openai_key: (),
    /// Always `null`.
    #[schema(value_type = Option<String>)]
    logo: (),
    /// Always `null`.
    #[schema(value_type = Option<String>)]
    organization: (),
    /// Always `null`.
    #[schema(value_type = Option<String>)]
    avatar: (),
    /// Always empty.
    #[schema(value_type = Object)]
    provider_configs: Map<String, Value>,
}

/// Tells whose token it is.
#[utoipa::path(
    get,
    path = "/api/me",
    responses((status = 200, description = "The caller.", body = Me)),
)]
async fn me(holder: Holder) -> Result<Me> {
    Ok(Reply::ok(Me { user: name(&holder) }))
}

/// Gets the caller's profile.
#[utoipa::path(
    get,
    path = "/api/profiles/me",
    responses((status = 200, description = "The profile.", body = Profile)),
)]
async fn profile(holder: Holder, headers: HeaderMap) -> Result<Profile> {
    let sent = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = sent.and_then(|value| value.split_whitespace().nth(1));
    Ok(Reply::ok(Profile {
        name: holder.username.clone(),
        user_email: name(&holder),
        username: holder.username.clone(),
        token: token.map(str::to_owned),
        openai_key: (),
        logo: (),
        organization: (),
        avatar: (),
        provider_configs: Map::new(),
    }))
}

/// Lists which features are on for the caller. Nothing here is behind a flag.
#[utoipa::path(
    get,
    path = "/api/profiles/me/flags",
    responses((status = 200, description = "No flags.", body = BTreeMap<String, bool>)),
)]
async fn flags(_: Holder) -> Result<BTreeMap<String, bool>> {
    Ok(Reply::ok(BTreeMap::new()))
}

/// The e-mail address, or for want of one the name to sign in with.
fn name(holder: &Holder) -> String {
    holder.email().unwrap_or(&holder.username).to_owned()
}
