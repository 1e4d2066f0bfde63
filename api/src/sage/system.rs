//! What a client asks before anybody is logged in, the settings of the whole installation, and signs of life.

use super::{
    Reply, Result,
    admin::Admin,
    auth::providers::{self, AuthProvider},
    envelope::timestamp,
    text,
};
use crate::{
    app::App,
    config::AuthMode,
    core::{Error, Json},
};
use axum::{
    Router,
    extract::State,
    routing::{get, post},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The routes.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/api/system/info", get(info))
        .route("/api/system/update_settings", post(update_settings))
        .route("/api/health", get(health))
        .route("/active", get(active))
}

#[derive(Serialize)]
struct Info {
    allow_registration: bool,
    auth_mode: &'static str,
    auth_providers: Vec<AuthProvider>,
    default_auth_provider: Option<String>,
    has_local_auth: bool,
    has_oauth_auth: bool,
    oauth_enabled: bool,
    oauth_provider_name: Option<String>,
    native_login_admin_only: bool,
}

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

#[derive(Deserialize)]
struct Settings {
    allow_registration: bool,
}

async fn update_settings(
    State(app): State<App>,
    Admin(caller): Admin,
    Json(settings): Json<Settings>,
) -> Result<Value> {
    let metadata = caller.metadata();
    let changed = app.identity.allow_registration(settings.allow_registration, &metadata).await;
    changed.map_err(Error::from)?;
    Ok(Reply(text("系统设置更新成功", "System settings updated"), json!({})))
}

async fn health() -> Result<Value> {
    let data = json!({"status": "healthy", "timestamp": timestamp(), "service": "SagePlatform"});
    Ok(Reply(text("服务运行正常", "Service is running"), data))
}

async fn active() -> axum::Json<&'static str> {
    axum::Json("Service is available.")
}
