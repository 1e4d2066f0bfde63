//! How an upstream provider is configured.

use crate::effects::Sensitive;
use domain::user::Role;
use openidconnect::url::Url;
use serde::Deserialize;
use std::collections::BTreeSet;

/// Providers one installation may have.
const MOST: usize = 32;

/// Somebody else's login that this installation trusts.
#[derive(Debug, Clone)]
pub struct Provider {
    /// Its name in paths: letters, digits, `-` and `_`.
    pub id: String,
    /// For people.
    pub name: String,
    /// Words on the button of the login page.
    pub button_text: String,
    /// A sentence below it.
    pub description: String,
    /// Name of an icon.
    pub icon: String,
    /// What this installation is called there.
    pub client_id: String,
    /// What proves it there; `None` for public clients.
    pub client_secret: Option<Sensitive>,
    /// How the secret is sent.
    pub client_auth: ClientAuth,
    /// Where it is.
    pub endpoints: Endpoints,
    /// Scopes asked for, separated by blanks.
    pub scope: String,
    /// Which claims say what.
    pub claims: ClaimNames,
    /// What new people become.
    pub default_role: Role,
    /// Verified addresses whose owners administer, lower case.
    pub admin_emails: BTreeSet<String>,
    /// User names there whose bearers administer if their address is verified, lower case.
    pub admin_usernames: BTreeSet<String>,
    /// Whether a verified address proves who somebody is here.
    pub link_by_email: bool,
}

/// How a client proves itself at the token endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuth {
    /// In the `Authorization` header.
    ClientSecretBasic,
    /// In the form.
    ClientSecretPost,
    /// Not at all.
    None,
}

/// Where a provider is.
#[derive(Debug, Clone)]
pub enum Endpoints {
    /// OpenID Connect: everything stands in this document.
    Discovered(Url),
    /// Plain OAuth 2.0, without ID tokens.
    Listed {
        /// Where people log in.
        authorize: Url,
        /// Where codes become tokens.
        token: Url,
        /// Where a token says whose it is.
        userinfo: Url,
    },
}

/// Names of claims.
#[derive(Debug, Clone)]
pub struct ClaimNames {
    /// Who, for ever.
    pub subject: String,
    /// The name to sign in with.
    pub username: String,
    /// Where to reach them.
    pub email: String,
    /// The name to show.
    pub name: String,
    /// What they may do; `None` when the provider does not decide that.
    pub role: Option<String>,
}

/// Reads the JSON of `ANNALS_AUTH_PROVIDERS`; those with `"enabled": false` are left out.
///
/// # Errors
/// With what would fit. The text never repeats a value, which might be a secret.
pub fn parse(json: &str) -> Result<Vec<Provider>, String> {
    let raw: Vec<Raw> = serde_json::from_str(json).map_err(|error| {
        let text = error.to_string();
        let what = if text.starts_with("missing field") { &text } else { "a value does not fit" };
        format!("a JSON array of providers ({what}, line {})", error.line())
    })?;
    let raw: Vec<Raw> = raw.into_iter().filter(|raw| raw.enabled).collect();
    if raw.len() > MOST {
        return Err(format!("at most {MOST} providers"));
    }
    let mut ids = BTreeSet::new();
    for raw in &raw {
        if !ids.insert(raw.id.clone()) {
            return Err(format!("providers with different ids, and {} is there twice", raw.id));
        }
    }
    raw.into_iter().map(Raw::check).collect()
}

#[derive(Deserialize)]
struct Raw {
    id: String,
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    button_text: Option<String>,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    icon: Option<String>,
    #[serde(default = "yes")]
    enabled: bool,
    client_id: String,
    #[serde(default)]
    client_secret: Option<Sensitive>,
    #[serde(default)]
    token_endpoint_auth_method: Option<ClientAuth>,
    #[serde(default)]
    discovery_url: Option<String>,
    #[serde(default)]
    authorize_url: Option<String>,
    #[serde(default)]
    token_url: Option<String>,
    #[serde(default)]
    userinfo_url: Option<String>,
    #[serde(default)]
    scope: Option<String>,
    #[serde(default)]
    username_claim: Option<String>,
    #[serde(default)]
    email_claim: Option<String>,
    #[serde(default)]
    name_claim: Option<String>,
    #[serde(default)]
    subject_claim: Option<String>,
    #[serde(default)]
    role_claim: Option<String>,
    #[serde(default)]
    default_role: Option<String>,
    #[serde(default)]
    admin_emails: Texts,
    #[serde(default)]
    admin_usernames: Texts,
    #[serde(default)]
    link_by_email: bool,
}

fn yes() -> bool {
    true
}

/// A list, or one text with commas.
#[derive(Deserialize)]
#[serde(untagged)]
enum Texts {
    List(Vec<String>),
    Joined(String),
}

impl Default for Texts {
    fn default() -> Self {
        Self::List(Vec::new())
    }
}

impl Texts {
    fn lowered(self) -> BTreeSet<String> {
        let texts = match self {
            Self::List(list) => list,
            Self::Joined(text) => text.split(',').map(str::to_owned).collect(),
        };
        let lowered = texts.iter().map(|text| text.trim().to_lowercase());
        lowered.filter(|text| !text.is_empty()).collect()
    }
}

impl Raw {
    fn check(self) -> Result<Provider, String> {
        let id = self.id;
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if id.is_empty() || id.len() > 64 || !id.chars().all(plain) || id == "native" {
            return Err("providers whose ids are letters, digits, - and _".to_owned());
        }
        if !matches!(self.kind.as_deref(), None | Some("oidc" | "oauth" | "oauth2")) {
            return Err(format!("{id} with the type oidc"));
        }
        let set = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
        let url = |field: &str, text: Option<String>| match set(text) {
            Some(text) => match Url::parse(text.trim()) {
                Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(Some(url)),
                _ => Err(format!("{id} with an http(s) URL as {field}")),
            },
            None => Ok(None),
        };
        let discovery = url("discovery_url", self.discovery_url)?;
        let authorize = url("authorize_url", self.authorize_url)?;
        let token = url("token_url", self.token_url)?;
        let userinfo = url("userinfo_url", self.userinfo_url)?;
        let endpoints = match (discovery, authorize, token, userinfo) {
            (Some(document), ..) => Endpoints::Discovered(document),
            (None, Some(authorize), Some(token), Some(userinfo)) => {
                Endpoints::Listed { authorize, token, userinfo }
            }
            _ => {
                let all = "authorize_url, token_url and userinfo_url";
                return Err(format!("{id} with a discovery_url, or with {all}"));
            }
        };
        let default_role = match set(self.default_role) {
            Some(name) => Role::named(&name)
                .filter(|role| !role.is_admin())
                .ok_or_else(|| format!("{id} with user or viewer as default_role"))?,
            None => Role::Creator,
        };
        let client_secret = self.client_secret.filter(|secret| !secret.expose().is_empty());
        let client_auth = match (&client_secret, self.token_endpoint_auth_method) {
            (None, _) => ClientAuth::None,
            (Some(_), wanted) => wanted.unwrap_or(ClientAuth::ClientSecretPost),
        };
        let name = set(self.name).unwrap_or_else(|| id.clone());
        let claim = |text, usual: &str| set(text).unwrap_or_else(|| usual.to_owned());
        Ok(Provider {
            button_text: set(self.button_text).unwrap_or_else(|| format!("使用 {name} 登录")),
            description: self.description.unwrap_or_default(),
            icon: set(self.icon).unwrap_or_else(|| "log-in".to_owned()),
            name,
            client_id: self.client_id,
            client_secret,
            client_auth,
            endpoints,
            scope: claim(self.scope, "openid profile email"),
            claims: ClaimNames {
                subject: claim(self.subject_claim, "sub"),
                username: claim(self.username_claim, "preferred_username"),
                email: claim(self.email_claim, "email"),
                name: claim(self.name_claim, "name"),
                role: set(self.role_claim),
            },
            default_role,
            admin_emails: self.admin_emails.lowered(),
            admin_usernames: self.admin_usernames.lowered(),
            link_by_email: self.link_by_email,
            id,
        })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_discovered_provider_needs_little() {
        let json = r#"[
            {"id": "corp", "client_id": "c", "client_secret": "hunter2",
             "discovery_url": "https://id.example.org/.well-known/openid-configuration",
             "admin_emails": "Ann@Example.org, bob@example.org"},
            {"id": "off", "client_id": "c", "enabled": false}
        ]"#;
        let providers = parse(json).unwrap();
        assert_eq!(providers.len(), 1);
        let corp = &providers[0];
        assert_eq!((corp.name.as_str(), corp.scope.as_str()), ("corp", "openid profile email"));
        assert_eq!(corp.client_auth, ClientAuth::ClientSecretPost);
        assert!(corp.admin_emails.contains("ann@example.org"));
        assert!(!corp.link_by_email);
        assert!(!format!("{corp:?}").contains("hunter2"));
    }

    #[test]
    fn what_does_not_fit_is_said_without_repeating_it() {
        let refused = |json: &str| parse(json).unwrap_err();
        for (json, says) in [
            (r#"[{"id": "a", "client_secret": "hunter2"}]"#, "missing field `client_id`"),
            (r#"[{"id": "a", "client_id": "c", "client_secret": ["hunter2"]}]"#, "does not fit"),
            (r#"[{"id": "a/b", "client_id": "c"}]"#, "ids"),
            (r#"[{"id": "a", "client_id": "c"}]"#, "discovery_url"),
            (r#"[{"id": "a", "client_id": "c", "discovery_url": "file:///x"}]"#, "http(s)"),
            (r#"[{"id": "a", "client_id": "c", "type": "saml"}]"#, "type"),
            (r#"[{"id": "a", "client_id": "c"}, {"id": "a", "client_id": "c"}]"#, "twice"),
        ] {
            let error = refused(json);
            assert!(error.contains(says), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
