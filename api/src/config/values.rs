//! Reading single values, each with a message that says what would fit.

use super::{
    ConfigError, Endpoint, EventStoreListener,
    names::{Kind, NAMES},
};
use commands::effects::{
    Sensitive,
    mail::smtp::SmtpMailer,
    upstream::{self, Provider},
};
use ipnet::IpNet;
use std::{collections::BTreeMap, path::PathBuf};

/// Values by name; an empty one counts as unset.
pub(super) struct Values(pub BTreeMap<&'static str, String>);

impl Values {
    pub fn get(&self, name: &'static str) -> Option<&str> {
        let default = || match NAMES.iter().find(|(known, _)| *known == name) {
            Some((_, Kind::Plain(default))) => Some(*default),
            _ => None,
        };
        let set = self.0.get(name).map(|value| value.trim()).filter(|value| !value.is_empty());
        set.or_else(default).filter(|value| !value.is_empty())
    }

    pub fn text(&self, name: &'static str) -> String {
        self.get(name).unwrap_or_default().to_owned()
    }

    pub fn secret(&self, name: &'static str) -> Option<Sensitive> {
        self.get(name).map(|value| Sensitive::from(value.to_owned()))
    }

    pub fn parse<T>(
        &self,
        name: &'static str,
        fits: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, ConfigError> {
        let text = self.get(name).unwrap_or_default();
        parse(text).ok_or_else(|| ConfigError::Bad { name, reason: format!("has to be {fits}") })
    }

    pub fn flag(&self, name: &'static str) -> Result<bool, ConfigError> {
        self.parse(name, "true or false", |text| match text {
            "true" | "1" | "yes" => Some(true),
            "false" | "0" | "no" => Some(false),
            _ => None,
        })
    }

    /// Where the log is served, and what proves that it is ours.
    pub fn eventstore_listener(&self) -> Result<Option<EventStoreListener>, ConfigError> {
        let name = "ANNALS_EVENTSTORE_LISTEN";
        let address = self.parse(name, "an address such as 127.0.0.1:2113", |text| match text {
            "" => Some(None),
            text => text.parse().ok().map(Some),
        })?;
        let name = "ANNALS_EVENTSTORE_ADVERTISE";
        let fits = "a host and a port such as log.example.org:2113";
        let advertised =
            self.get(name).is_some().then(|| self.parse(name, fits, |text| text.parse().ok()));
        let advertised = advertised.transpose()?;
        let file = |name| self.get(name).map(PathBuf::from);
        let (certificate, key) =
            (file("ANNALS_EVENTSTORE_CERTIFICATE"), file("ANNALS_EVENTSTORE_KEY"));
        if certificate.is_some() != key.is_some() {
            let reason = "a certificate and its key come together".to_owned();
            return Err(ConfigError::Bad { name: "ANNALS_EVENTSTORE_KEY", reason });
        }
        let (tls, password) = (certificate.zip(key), self.secret("ANNALS_EVENTSTORE_PASSWORD"));
        Ok(address.map(|address| EventStoreListener { address, advertised, tls, password }))
    }

    /// An absolute http or https URL, without trailing slash.
    pub fn url(&self, name: &'static str) -> Result<String, ConfigError> {
        self.parse(name, "an http(s) URL", |text| {
            let url = reqwest::Url::parse(text).ok()?;
            let web = matches!(url.scheme(), "http" | "https");
            web.then(|| text.trim_end_matches('/').to_owned())
        })
    }

    pub fn endpoint(
        &self,
        [url, key, model]: [&'static str; 3],
    ) -> Result<Option<Endpoint>, ConfigError> {
        let Some(base_url) = self.get(url) else { return Ok(None) };
        if !base_url.starts_with("http://") && !base_url.starts_with("https://") {
            return Err(ConfigError::Bad {
                name: url,
                reason: "has to be an http(s) URL".to_owned(),
            });
        }
        let Some(name) = self.get(model) else {
            return Err(ConfigError::Bad { name: model, reason: format!("is needed with {url}") });
        };
        let api_key = self.secret(key).unwrap_or_else(|| Sensitive::from(String::new()));
        let base_url = base_url.trim_end_matches('/').to_owned();
        Ok(Some(Endpoint { base_url, api_key, model: name.to_owned() }))
    }

    pub fn embedding_path(&self) -> Result<Option<PathBuf>, ConfigError> {
        let name = "ANNALS_EMBEDDING_PATH";
        let path = self.get(name).map(PathBuf::from);
        if path.is_some() && self.get("ANNALS_EMBEDDING_BASE_URL").is_some() {
            let reason = "has to be unset where ANNALS_EMBEDDING_BASE_URL is set".to_owned();
            return Err(ConfigError::Bad { name, reason });
        }
        Ok(path)
    }

    pub fn auth_providers(&self) -> Result<Vec<Provider>, ConfigError> {
        let name = "ANNALS_AUTH_PROVIDERS";
        let fits = |reason| ConfigError::Bad { name, reason: format!("has to be {reason}") };
        upstream::parse(self.get(name).unwrap_or("[]")).map_err(fits)
    }

    pub fn mail(&self) -> Result<Option<SmtpMailer>, ConfigError> {
        let Some(url) = self.secret("ANNALS_SMTP_URL") else { return Ok(None) };
        let mailer = SmtpMailer::new(&url, self.get("ANNALS_SMTP_FROM"));
        mailer.map(Some).map_err(|(name, reason)| ConfigError::Bad { name, reason })
    }

    pub fn shown(&self) -> BTreeMap<&'static str, String> {
        let show = |&(name, kind): &(&'static str, Kind)| {
            let value = match (kind, self.get(name)) {
                (Kind::Secret, Some(_)) => "(set)".to_owned(),
                (Kind::Secret, None) | (_, None) => String::new(),
                (Kind::Plain(_), Some(value)) => value.to_owned(),
            };
            (name, value)
        };
        NAMES.iter().map(show).collect()
    }
}

/// Addresses and CIDRs, separated by commas.
pub(super) fn networks(text: &str) -> Option<Vec<IpNet>> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    let parse = |part: &str| {
        part.parse::<IpNet>()
            .ok()
            .or_else(|| part.parse().ok().map(|ip: std::net::IpAddr| ip.into()))
    };
    parts.map(parse).collect()
}
