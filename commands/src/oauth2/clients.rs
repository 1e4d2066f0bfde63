//! OAuth2 clients, as the operator lists them.

use crate::effects::Sensitive;
use domain::{grant::Scope, ids::ClientId};
use reqwest::Url;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::{collections::BTreeMap, sync::Arc};

/// What clients may see unless the operator says otherwise.
pub const SCOPES: &str = "openid profile email";

/// How a client proves who it is at the token endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Method {
    /// Id and secret in the `Authorization` header.
    #[serde(rename = "client_secret_basic")]
    Basic,
    /// Id and secret in the form.
    #[serde(rename = "client_secret_post")]
    Post,
    /// Not at all: a public client, which has to use PKCE.
    #[serde(rename = "none")]
    None,
}

impl Method {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Basic, Self::Post, Self::None];

    /// The name in metadata.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Basic => "client_secret_basic",
            Self::Post => "client_secret_post",
            Self::None => "none",
        }
    }
}

/// A client.
#[derive(Debug, Clone)]
pub struct Client {
    /// Its name in requests.
    pub id: ClientId,
    /// What only it and the operator know; `None` for public clients.
    pub secret: Option<Sensitive>,
    /// Its name for people.
    pub name: String,
    /// What it is, for people; may be empty.
    pub description: String,
    /// Whether it may do anything.
    pub enabled: bool,
    /// Whether people are not asked.
    pub skip_consent: bool,
    /// Whether it may exchange codes.
    pub may_exchange: bool,
    /// Whether it may refresh, and gets refresh tokens.
    pub may_refresh: bool,
    /// Whether it may ask for codes.
    pub may_ask: bool,
    /// Where codes may be sent; at least one.
    pub redirect_uris: Vec<String>,
    /// What it may see.
    pub scope: Scope,
    /// How it proves who it is.
    pub method: Method,
    /// Whether challenges of the method `plain` are taken.
    pub plain_pkce: bool,
}

impl Client {
    /// Whether this is the client's secret; takes the same time wherever it differs.
    pub fn proves(&self, secret: &str) -> bool {
        self.secret.as_ref().is_some_and(|own| own.matches(secret))
    }
}

/// All clients; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Clients(Arc<BTreeMap<String, Client>>);

#[derive(Deserialize)]
struct Raw {
    #[serde(alias = "id")]
    client_id: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    description: Option<String>,
    #[serde(default = "yes")]
    enabled: bool,
    #[serde(default = "yes")]
    skip_consent: bool,
    #[serde(default)]
    grant_types: Option<List>,
    #[serde(default)]
    response_types: Option<List>,
    #[serde(default, alias = "redirect_uri")]
    redirect_uris: Option<List>,
    #[serde(default)]
    scope: Option<List>,
    #[serde(default)]
    token_endpoint_auth_method: Option<Method>,
    #[serde(default)]
    allow_plain_pkce: bool,
    /// Other programs' fields.
    #[serde(flatten)]
    unknown: Map<String, Value>,
}

/// Several texts, or one.
#[derive(Deserialize)]
#[serde(untagged)]
enum List {
    One(String),
    Many(Vec<String>),
}

impl List {
    fn texts(self) -> Vec<String> {
        match self {
            Self::One(text) => vec![text],
            Self::Many(texts) => texts,
        }
    }
}

fn yes() -> bool {
    true
}

impl Clients {
    /// The clients in a JSON array; the fields are those of the contract, and `allow_plain_pkce`.
    ///
    /// # Errors
    /// With what is wrong and where, without any secret.
    pub fn parse(json: &str) -> Result<Self, String> {
        // The text of a syntax error names a place, never what stands there.
        let list: Value =
            serde_json::from_str(json).map_err(|error| format!("is no JSON: {error}"))?;
        let Value::Array(list) = list else {
            return Err("has to be a JSON array of clients".to_owned());
        };
        let mut clients = BTreeMap::new();
        for (index, value) in list.into_iter().enumerate() {
            let at = |why: String| format!("client {} {why}", index + 1);
            let client = client(value).map_err(at)?;
            if let Some(twice) = clients.insert(client.id.as_str().to_owned(), client) {
                return Err(format!("lists the client {} twice", twice.id));
            }
        }
        Ok(Self(Arc::new(clients)))
    }

    /// The client of this id, unless it is disabled.
    pub fn enabled(&self, id: &str) -> Option<&Client> {
        self.0.get(id).filter(|client| client.enabled)
    }

    /// Whether any client may use challenges of the method `plain`.
    pub fn any_plain(&self) -> bool {
        self.0.values().any(|client| client.enabled && client.plain_pkce)
    }
}

fn client(value: Value) -> Result<Client, String> {
    let Value::Object(mut fields) = value else { return Err("has to be an object".to_owned()) };
    // Only this field is secret; its value must not get into the words of an error.
    let secret = match fields.remove("client_secret") {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text).filter(|text| !text.is_empty()),
        Some(_) => return Err("has a client_secret that is no string".to_owned()),
    };
    let secret = secret.map(Sensitive::from);
    let raw: Raw =
        serde_json::from_value(Value::Object(fields)).map_err(|error| format!("has {error}"))?;
    let id = raw.client_id;
    let at = |why: &str| format!("({id}) {why}");
    if id.is_empty() || !id.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Err("needs a client_id of printable ASCII".to_owned());
    }
    for name in raw.unknown.keys() {
        tracing::warn!(client = id, field = name, "an OAuth2 client has a field nobody reads");
    }
    let method = raw.token_endpoint_auth_method;
    let method = method.unwrap_or(if secret.is_some() { Method::Basic } else { Method::None });
    if method != Method::None && secret.is_none() {
        return Err(at(&format!("needs a client_secret for {}", method.as_str())));
    }
    let redirect_uris = raw.redirect_uris.map(List::texts).unwrap_or_default();
    if redirect_uris.is_empty() {
        return Err(at("needs redirect_uris"));
    }
    if let Some(bad) = redirect_uris.iter().find(|uri| !is_target(uri)) {
        return Err(at(&format!(
            "cannot be sent to {bad:?}: an absolute URI without fragment is needed"
        )));
    }
    let scope = raw.scope.map_or_else(|| SCOPES.to_owned(), |list| list.texts().join(" "));
    let scope = Scope::parse(&scope).map_err(|error| at(&error.to_string()))?;
    let grants = raw.grant_types.map(List::texts);
    let grants = |name: &str| grants.as_ref().is_none_or(|all| all.iter().any(|one| one == name));
    let answers = raw.response_types.map(List::texts);
    let (may_exchange, may_refresh) = (grants("authorization_code"), grants("refresh_token"));
    Ok(Client {
        name: raw.name.filter(|name| !name.is_empty()).unwrap_or_else(|| id.clone()),
        description: raw.description.unwrap_or_default(),
        enabled: raw.enabled,
        skip_consent: raw.skip_consent,
        may_exchange,
        may_refresh,
        may_ask: answers.is_none_or(|all| all.iter().any(|one| one == "code")),
        plain_pkce: raw.allow_plain_pkce,
        id: ClientId(id),
        secret,
        redirect_uris,
        scope,
        method,
    })
}

/// Whether a browser may be sent there. What would run in the page that sends it is no place.
fn is_target(uri: &str) -> bool {
    let plain = uri.bytes().all(|byte| matches!(byte, b'!'..=b'~')) && !uri.contains('#');
    let scripted = ["javascript", "data", "vbscript", "blob", "file", "about"];
    plain && Url::parse(uri).is_ok_and(|url| !scripted.contains(&url.scheme()))
}

#[cfg(test)]
#[path = "clients_tests.rs"]
mod tests;
