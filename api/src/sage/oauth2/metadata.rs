//! RFC 8414: what this server can do, and where.

use super::{Refused, Result, issuer::Issuer};
use crate::{
    app::App,
    core::{Error, Path},
};
use axum::{Json, extract::State};
use commands::oauth2::clients::{Method, SCOPES};
use serde_json::{Value, json};

pub async fn show(State(app): State<App>, issuer: Issuer) -> Json<Value> {
    Json(of(&app, &issuer))
}

/// Below RFC 8414's prefix stands the path of the issuer that is asked about.
pub async fn of_path(
    State(app): State<App>,
    issuer: Issuer,
    Path(path): Path<String>,
) -> Result<Json<Value>> {
    if issuer.0.path().trim_start_matches('/') != path.trim_end_matches('/') {
        return Err(Refused::from(Error::NoSuchPath));
    }
    Ok(Json(of(&app, &issuer)))
}

fn of(app: &App, Issuer(issuer): &Issuer) -> Value {
    let issuer = issuer.as_str();
    let at = |name: &str| format!("{issuer}/{name}");
    let methods = Method::ALL.map(Method::as_str);
    let confidential = [Method::Basic, Method::Post].map(Method::as_str);
    let plain = app.oauth2.clients.any_plain();
    let challenges: &[&str] = if plain { &["plain", "S256"] } else { &["S256"] };
    json!({
        "issuer": issuer,
        "authorization_endpoint": at("authorize"),
        "token_endpoint": at("token"),
        "userinfo_endpoint": at("userinfo"),
        "revocation_endpoint": at("revoke"),
        "introspection_endpoint": at("introspect"),
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "scopes_supported": SCOPES.split(' ').collect::<Vec<_>>(),
        "token_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_methods_supported": methods,
        "introspection_endpoint_auth_methods_supported": confidential,
        "code_challenge_methods_supported": challenges,
        "authorization_response_iss_parameter_supported": true,
        "ui_locales_supported": ["zh-CN", "en"],
    })
}
