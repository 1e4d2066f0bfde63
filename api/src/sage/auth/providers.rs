//! The ways in that this installation offers.

use super::{Replied, Reply, Result, text};
use crate::{
    app::App,
    config::{AuthMode, Config},
};
use axum::extract::State;
use commands::effects::upstream::Provider;
use serde::Serialize;
use utoipa::ToSchema;

/// One way to log in, as clients see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct AuthProvider {
    /// Its name in paths.
    pub id: String,
    /// `native` or `oidc`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// For people.
    pub name: String,
    /// Words on its button.
    pub button_text: String,
    /// A sentence below it.
    pub description: String,
    /// Name of an icon.
    pub icon: String,
}

/// What the login page offers, in the operator's order; the first one is the default.
pub fn list(config: &Config) -> Vec<AuthProvider> {
    match config.auth_mode {
        AuthMode::Native | AuthMode::TrustedProxy => vec![AuthProvider {
            id: "native".to_owned(),
            kind: "native",
            name: "账号密码".to_owned(),
            button_text: "使用账号密码登录".to_owned(),
            description: "输入 Sage 内置账号和密码进入工作台".to_owned(),
            icon: "key-round".to_owned(),
        }],
        AuthMode::Oauth => upstream(config).iter().map(entry).collect(),
    }
}

/// The upstream providers people may log in through; none outside of [`AuthMode::Oauth`].
pub fn upstream(config: &Config) -> &[Provider] {
    match config.auth_mode {
        AuthMode::Oauth => &config.auth_providers,
        AuthMode::Native | AuthMode::TrustedProxy => &[],
    }
}

fn entry(provider: &Provider) -> AuthProvider {
    AuthProvider {
        id: provider.id.clone(),
        kind: "oidc",
        name: provider.name.clone(),
        button_text: provider.button_text.clone(),
        description: provider.description.clone(),
        icon: provider.icon.clone(),
    }
}

/// Lists the ways to log in.
#[utoipa::path(
    get,
    path = "/api/auth/providers",
    responses((status = 200, description = "The ways, the default first.", body = Replied<Vec<AuthProvider>>)),
    security(()),
)]
pub(super) async fn show(State(app): State<App>) -> Result<Vec<AuthProvider>> {
    let message = text("获取认证 Providers 成功", "Auth providers retrieved");
    Ok(Reply(message, list(&app.config)))
}
