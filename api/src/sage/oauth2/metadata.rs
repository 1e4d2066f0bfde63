//! RFC 8414: what this server can do, and where.

use super::{Failed, Refused, Result, issuer::Issuer};
use crate::{
    app::App,
    core::{Error, Path},
};
use axum::{Json, extract::State};
use commands::oauth2::clients::{Method, SCOPES};
use serde::Serialize;
use utoipa::ToSchema;

/// What this server can do, and where.
#[derive(Serialize, ToSchema)]
#[schema(as = OAuth2Metadata)]
pub struct Metadata {
    #[schema(format = "uri")]
    issuer: String,
    #[schema(format = "uri")]
    authorization_endpoint: String,
    #[schema(format = "uri")]
    token_endpoint: String,
    #[schema(format = "uri")]
    userinfo_endpoint: String,
    #[schema(format = "uri")]
    revocation_endpoint: String,
    #[schema(format = "uri")]
    introspection_endpoint: String,
    grant_types_supported: [&'static str; 2],
    response_types_supported: [&'static str; 1],
    response_modes_supported: [&'static str; 1],
    scopes_supported: Vec<&'static str>,
    token_endpoint_auth_methods_supported: Vec<&'static str>,
    revocation_endpoint_auth_methods_supported: Vec<&'static str>,
    introspection_endpoint_auth_methods_supported: Vec<&'static str>,
    code_challenge_methods_supported: Vec<&'static str>,
    authorization_response_iss_parameter_supported: bool,
    ui_locales_supported: [&'static str; 2],
}

/// Tells what the authorization server can do, and where.
#[utoipa::path(
    get,
    path = "/.well-known/oauth-authorization-server",
    responses(
        (status = 200, description = "The metadata (RFC 8414).", body = Metadata),
        (status = "default", description = "Something failed.", body = Failed),
    ),
    security(()),
)]
pub async fn show(State(app): State<App>, issuer: Issuer) -> Json<Metadata> {
    Json(of(&app, &issuer))
}

/// Tells what the authorization server of a path can do, and where.
///
/// Below the prefix of RFC 8414 stands the path of the issuer that is asked about.
#[utoipa::path(
    get,
    path = "/.well-known/oauth-authorization-server/{*path}",
    params(("path" = String, Path, description = "The path of the issuer.")),
    responses(
        (status = 200, description = "The metadata (RFC 8414).", body = Metadata),
        (status = 404, description = "There is no such issuer.", body = Failed),
        (status = "default", description = "Something failed.", body = Failed),
    ),
    security(()),
)]
pub async fn of_path(
    State(app): State<App>,
    issuer: Issuer,
    Path(path): Path<String>,
) -> Result<Json<Metadata>> {
    if issuer.0.path().trim_start_matches('/') != path.trim_end_matches('/') {
        return Err(Refused::from(Error::NoSuchPath));
    }
    Ok(Json(of(&app, &issuer)))
}

fn of(app: &App, Issuer(issuer): &Issuer) -> Metadata {
    let issuer = issuer.as_str();
    let at = |name: &str| format!("{issuer}/{name}");
    let methods = Method::ALL.map(Method::as_str);
    let confidential = [Method::Basic, Method::Post].map(Method::as_str);
    let plain = app.oauth2.clients.any_plain();
    let challenges: &[&str] = if plain { &["plain", "S256"] } else { &["S256"] };
    Metadata {
        authorization_endpoint: at("authorize"),
        token_endpoint: at("token"),
        userinfo_endpoint: at("userinfo"),
        revocation_endpoint: at("revoke"),
        introspection_endpoint: at("introspect"),
        issuer: issuer.to_owned(),
        grant_types_supported: ["authorization_code", "refresh_token"],
        response_types_supported: ["code"],
        response_modes_supported: ["query"],
        scopes_supported: SCOPES.split(' ').collect(),
        token_endpoint_auth_methods_supported: methods.to_vec(),
        revocation_endpoint_auth_methods_supported: methods.to_vec(),
        introspection_endpoint_auth_methods_supported: confidential.to_vec(),
        code_challenge_methods_supported: challenges.to_vec(),
        authorization_response_iss_parameter_supported: true,
        ui_locales_supported: ["zh-CN", "en"],
    }
}
