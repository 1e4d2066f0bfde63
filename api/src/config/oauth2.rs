//! The settings of the OAuth2 authorization server.

use super::{ConfigError, values::Values};
use commands::oauth2::clients::Clients;
use reqwest::Url;

/// What this authorization server calls itself: an http(s) URL without query, fragment and trailing slash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuer(String);

impl Issuer {
    /// The issuer of this name; `None` when it cannot be one.
    pub fn parse(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok()?;
        let bare = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
        let named = matches!(url.scheme(), "http" | "https") && url.has_host() && bare;
        let path = Self(text.trim_end_matches('/').to_owned());
        // The path becomes a route, and has to mean the same to everybody who compares it.
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte);
        let routed = path.path().bytes().all(plain) && !path.path().contains("//");
        (named && url.password().is_none() && routed).then_some(path)
    }

    /// The URL.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its path: empty, or beginning with a slash.
    pub fn path(&self) -> &str {
        let host = self.0.find("://").map_or(0, |scheme| scheme + 3);
        self.0[host..].find('/').map_or("", |path| &self.0[host + path..])
    }
}

impl Values {
    pub(super) fn oauth2_clients(&self) -> Result<Clients, ConfigError> {
        let name = "ANNALS_OAUTH2_CLIENTS";
        let clients = self.get(name).map(Clients::parse).transpose();
        clients.map(Option::unwrap_or_default).map_err(|reason| ConfigError::Bad { name, reason })
    }

    pub(super) fn oauth2_issuer(&self) -> Result<Option<Issuer>, ConfigError> {
        let fits = "an http(s) URL with a plain path, without query and fragment";
        self.parse("ANNALS_OAUTH2_ISSUER", fits, |text| match text {
            "" => Some(None),
            url => Issuer::parse(url).map(Some),
        })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::config::Config;

    fn config(clients: &str) -> Result<Config, ConfigError> {
        Config::from_values([("ANNALS_OAUTH2_CLIENTS".to_owned(), clients.to_owned())])
    }

    #[test]
    fn clients_are_read_and_their_secrets_not_shown() {
        let json = r#"[{"client_id": "a", "client_secret": "hunter2", "redirect_uri": "a:/b"}]"#;
        let config = config(json).unwrap();
        assert!(config.oauth2_clients.enabled("a").is_some_and(|client| client.proves("hunter2")));
        assert!(!format!("{config:?}{}", config.shown()).contains("hunter2"));
    }

    #[test]
    fn wrong_clients_stop_the_start_with_their_place() {
        let told = |json| config(json).unwrap_err().to_string();
        assert_eq!(
            told(r#"[{"client_id": "a", "client_secret": "hunter2"}]"#),
            "ANNALS_OAUTH2_CLIENTS: client 1 (a) needs redirect_uris"
        );
        assert!(told("[{").starts_with("ANNALS_OAUTH2_CLIENTS: is no JSON: EOF"));
    }

    fn parts(text: &str) -> Option<(String, String)> {
        Issuer::parse(text).map(|issuer| (issuer.0.clone(), issuer.path().to_owned()))
    }

    #[test]
    fn an_issuer_is_kept_without_its_last_slash() {
        for (text, issuer, path) in [
            ("https://a.example/oauth2/", "https://a.example/oauth2", "/oauth2"),
            ("https://a.example/", "https://a.example", ""),
            ("http://127.0.0.1:8000", "http://127.0.0.1:8000", ""),
            ("http://[::1]:8000/x/y", "http://[::1]:8000/x/y", "/x/y"),
        ] {
            assert_eq!(parts(text), Some((issuer.to_owned(), path.to_owned())));
        }
    }

    #[test]
    fn what_cannot_be_compared_or_routed_is_no_issuer() {
        for text in [
            "a.example/oauth2",
            "ftp://a.example",
            "https://a.example/?x=1",
            "https://a.example/#x",
            "https://u:p@a.example/",
            "https://a.example/{x}",
            "https://a.example//x",
        ] {
            assert_eq!(parts(text), None, "{text}");
        }
    }
}
