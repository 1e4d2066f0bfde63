//! What a client asks before anybody is logged in, the settings of the whole installation, and signs of life.

use super::{
    Reply, Result,
    admin::Admin,
    auth::providers::{self, AuthProvider},
    envelope::{Nothing, Replied, Told, timestamp},
    text,
};
use crate::{
    app::App,
    config::AuthMode,
    core::{Error, Json},
    openapi::Documented,
};
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(info))
        .routes(routes!(update_settings))
        .routes(routes!(health))
        .routes(routes!(active))
        .tagged("System")
}

/// How people get in.
#[derive(Serialize, ToSchema)]
#[schema(as = SystemInfo)]
struct Info {
    /// Whether people may register themselves.
    allow_registration: bool,
    /// `native`, `trusted_proxy` or `oauth`.
    auth_mode: &'static str,
    auth_providers: Vec<AuthProvider>,
    /// The id of the first of them.
    default_auth_provider: Option<String>,
    /// Whether there are logins by password.
    has_local_auth: bool,
    /// Whether there are logins through providers.
    has_oauth_auth: bool,
    /// The same.
    oauth_enabled: bool,
    /// Always `null`.
    oauth_provider_name: Option<String>,
    /// Whether only administrators may log in by password.
    native_login_admin_only: bool,
}

/// Tells how people get in.
#[utoipa::path(
    get,
    path = "/api/system/info",
    responses((status = 200, description = "How.", body = Replied<Info>)),
    security(()),
)]
async fn info(State(app): State<App>) -> Result<Info> {
    let allowed = app.identity.registration_allowed().await.map_err(Error::from)?;
    let mode = app.config.auth_mode;
    let auth_providers = providers::list(&app.config);
    let has_oauth_auth = !providers::upstream(&app.config).is_empty();
    let info = Info {
        allow_registration: allowed.unwrap_or(app.config.allow_registration),
        auth_mode: match mode {
            AuthMode::Native => "native",
            AuthMode::TrustedProxy => "trusted_proxy",
            AuthMode::Oauth => "oauth",
        },
        default_auth_provider: auth_providers.first().map(|provider| provider.id.clone()),
        has_local_auth: mode != AuthMode::Oauth,
        has_oauth_auth,
        oauth_enabled: has_oauth_auth,
        oauth_provider_name: None,
        native_login_admin_only: mode == AuthMode::TrustedProxy,
        auth_providers,
    };
    Ok(Reply(text("获取系统信息成功", "System info retrieved"), info))
}

/// Settings of the whole installation.
#[derive(Deserialize, ToSchema)]
#[schema(as = SystemSettings)]
struct Settings {
    /// Whether people may register themselves.
    allow_registration: bool,
}

/// Changes settings of the whole installation. For administrators.
#[utoipa::path(
    post,
    path = "/api/system/update_settings",
    request_body = Settings,
    responses((status = 200, description = "They are changed; or code 403.", body = Told<Nothing>)),
)]
async fn update_settings(
    State(app): State<App>,
    Admin(caller): Admin,
    Json(settings): Json<Settings>,
) -> Result<Nothing> {
    let metadata = caller.metadata();
    let changed = app.identity.allow_registration(settings.allow_registration, &metadata).await;
    changed.map_err(Error::from)?;
    Ok(Reply(text("系统设置更新成功", "System settings updated"), Nothing {}))
}

/// A sign of life.
#[derive(Serialize, ToSchema)]
struct Health {
    /// Always `healthy`.
    status: &'static str,
    /// Seconds since 1970.
    timestamp: f64,
    /// Always `SagePlatform`.
    service: &'static str,
}

/// Tells that the service runs.
#[utoipa::path(
    get,
    path = "/api/health",
    responses((status = 200, description = "It does.", body = Replied<Health>)),
    security(()),
)]
async fn health() -> Result<Health> {
    let data = Health { status: "healthy", timestamp: timestamp(), service: "SagePlatform" };
    Ok(Reply(text("服务运行正常", "Service is running"), data))
}

/// Tells that the service is there, without envelope.
#[utoipa::path(
    get,
    path = "/active",
    responses((status = 200, description = "It is.", body = String, content_type = "application/json",
        example = "Service is available.")),
    security(()),
)]
async fn active() -> axum::Json<&'static str> {
    axum::Json("Service is available.")
}
