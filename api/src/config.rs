//! Configuration: environment variables, and an optional TOML file of the same names under them.

mod genie;
mod modes;
mod names;
mod oauth2;
mod origins;
#[cfg(test)]
mod tests;
mod values;

use axum::http::StatusCode;
use commands::{
    effects::{Sensitive, mail::smtp::SmtpMailer, tools::shell::ShellAccess, upstream::Provider},
    oauth2::clients::Clients,
};
use domain::{quota::TierLimits, user::Role};
use ipnet::IpNet;
pub use modes::{AuthMode, Share};
use names::{ELSEWHERE, NAMES};
pub use oauth2::Issuer;
pub use origins::Origins;
use reqwest::Url;
use std::{
    collections::BTreeMap,
    env, fmt, fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};
use uuid::Uuid;
use values::{Values, networks};

/// The configuration of one process.
#[derive(Debug, Clone)]
pub struct Config {
    /// Address to serve on.
    pub listen: SocketAddr,
    /// Embedded database, blobs, keys.
    pub data: PathBuf,
    /// PostgreSQL with pgvector; `None` for the embedded one.
    pub database_url: Option<Sensitive>,
    /// An EventStoreDB or KurrentDB cluster as the log; `None` for PostgreSQL.
    pub eventstore_url: Option<Sensitive>,
    /// How to serve the log over the EventStoreDB protocol; `None` not to.
    pub eventstore: Option<EventStoreListener>,
    /// NATS server to publish to.
    pub nats_url: Option<Sensitive>,
    /// 32 bytes in base64.
    pub master_key: Option<Sensitive>,
    /// A file holding the same.
    pub master_key_file: Option<PathBuf>,
    /// Name of the first administrator.
    pub admin_username: String,
    /// Their password; `None` to make one up.
    pub admin_password: Option<Sensitive>,
    /// How people log in.
    pub auth_mode: AuthMode,
    /// Initial value of the system flag.
    pub allow_registration: bool,
    /// Whether `/api/chat` and `/api/stream` work without login.
    pub anonymous_chat: bool,
    /// Who may open shared conversations.
    pub share: Share,
    /// Peers whose identity headers and X-Forwarded-For count.
    pub trusted_proxies: Vec<IpNet>,
    /// Which other origins browsers may call from.
    pub cors_origins: Origins,
    /// The default chat provider; `None` for the offline one.
    pub llm: Option<Endpoint>,
    /// The embedding provider; `None` for the built-in one.
    pub embedding: Option<Endpoint>,
    /// The folder of an embedding model on this machine; without [`Config::embedding`] only.
    pub embedding_path: Option<PathBuf>,
    /// A service that orders candidates anew; `None` for the order of the search.
    pub rerank: Option<Endpoint>,
    /// Upstream providers that people may log in through, in [`AuthMode::Oauth`].
    pub auth_providers: Vec<Provider>,
    /// The mail server; `None` when mails only show in the log.
    pub mail: Option<SmtpMailer>,
    /// The clients of the OAuth2 authorization server.
    pub oauth2_clients: Clients,
    /// What that server calls itself; `None` to take it from the request.
    pub oauth2_issuer: Option<Issuer>,
    /// Secret of the role-change webhook.
    pub rbac_sync_secret: Option<Sensitive>,
    /// 32 bytes in base64: opens credentials that another installation sealed.
    pub credentials_key: Option<Sensitive>,
    /// What each subscription tier allows.
    pub tier_limits: TierLimits,
    /// Roles by their ids at the identity provider whose changes the webhook tells of.
    pub rbac_roles: BTreeMap<Uuid, Role>,
    /// What scheduling a post answers with: 200 or 201.
    pub genie_post_status: StatusCode,
    /// Whether people may go to any station of the onboarding, whatever theirs is.
    pub genie_onboarding_lenient: bool,
    /// A folder of skills in the place of, or besides, those that come with this program.
    pub genie_skills: Option<PathBuf>,
    /// A file of flows in the place of, or besides, those that come with this program.
    pub genie_flows: Option<PathBuf>,
    /// The model of administrators' chats with the assistant; `None` for everybody's.
    pub genie_admin_llm: Option<Endpoint>,
    /// Whether it is learnt which skills belong together, from what tasks call for.
    pub skill_learning: bool,
    /// The program that works on films; `None` when there is none.
    pub ffmpeg: Option<PathBuf>,
    /// The program that downloads films; `None` when there is none.
    pub ytdlp: Option<PathBuf>,
    /// The program that acts at platforms; `None` when there is none.
    pub platform_driver: Option<PathBuf>,
    /// Between two looks for posts whose time has come.
    pub post_scheduler: Duration,
    /// `file://…` or `s3://bucket/prefix`.
    pub blobs: String,
    /// Whether every user's URLs may reach loopback and private ranges.
    pub allow_private_urls: bool,
    /// Path below which the web client lives, without trailing slash; its login page is `{web_base_path}/login`.
    pub web_base_path: String,
    /// A search engine that speaks as SearXNG does; `None` for no search of the web.
    pub search: Option<Url>,
    /// Who may run commands on this machine.
    pub shell: ShellAccess,
    /// Where clients reach this server, without trailing slash; `None` to tell from each request.
    pub public_url: Option<String>,
    /// The tracing UI, without trailing slash.
    pub jaeger_url: String,
    /// How long an app's session remembers after it was last used, in seconds.
    pub app_session_seconds: i64,
    /// Pause of the offline provider before each piece that it says.
    pub offline_pace: Duration,
    /// Where the latest release of the desktop client is described.
    pub releases_url: String,
    /// Log lines as JSON.
    pub log_json: Option<bool>,
    /// The annals binary, where this process is one: it reads files of difficult formats in a process of its own. Not a
    /// setting.
    pub program: Option<PathBuf>,
    shown: BTreeMap<&'static str, String>,
}

/// Where the log is served over the EventStoreDB protocol.
#[derive(Debug, Clone)]
pub struct EventStoreListener {
    /// The address.
    pub address: SocketAddr,
    /// Where clients reach it, where that is another.
    pub advertised: Option<esdb::Address>,
    /// Files with a certificate chain and its key, as PEM; without them there is no TLS.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// With it the operator `annals` comes in, who is nobody in the log.
    pub password: Option<Sensitive>,
}

/// An OpenAI-compatible service.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Often ends with `/v1`.
    pub base_url: String,
    /// Bearer key; empty for none.
    pub api_key: Sensitive,
    /// Model name.
    pub model: String,
}

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A name nobody reads: a slip, most likely.
    #[error("unknown setting {0}; `annals config` lists the known ones")]
    Unknown(String),
    /// A value that does not fit its name.
    #[error("{name}: {reason}")]
    Bad {
        /// The name.
        name: &'static str,
        /// What would fit.
        reason: String,
    },
    /// The file cannot be read.
    #[error("{path}: {reason}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

impl Config {
    /// From the process's environment, and the file `ANNALS_CONFIG` names.
    ///
    /// # Errors
    /// On unknown names and values that do not fit.
    pub fn load() -> Result<Self, ConfigError> {
        let file = match env::var_os("ANNALS_CONFIG") {
            Some(path) => read_file(Path::new(&path))?,
            None => BTreeMap::new(),
        };
        let environment = env::vars_os().filter_map(|(name, value)| {
            let name = name.into_string().ok()?;
            let ours = name.starts_with("ANNALS_") || NAMES.iter().any(|(known, _)| *known == name);
            Some((name, value.into_string().ok()?)).filter(|_| ours)
        });
        let config = Self::from_values(file.into_iter().chain(environment))?;
        // On Linux the name that stays right when another version takes the place of this one on the disk.
        let own = PathBuf::from("/proc/self/exe");
        let program = if own.exists() { Some(own) } else { env::current_exe().ok() };
        Ok(Self { program, ..config })
    }

    /// From name-value pairs; later ones win, empty values count as unset.
    ///
    /// # Errors
    /// On unknown names and values that do not fit.
    pub fn from_values(
        pairs: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let mut values = Values(BTreeMap::new());
        for (name, value) in pairs {
            if ELSEWHERE.contains(&name.as_str()) {
                continue;
            }
            let Some((known, _)) = NAMES.iter().find(|(known, _)| *known == name) else {
                return Err(ConfigError::Unknown(name));
            };
            values.0.insert(known, value);
        }
        values.config()
    }

    /// Every name with its value in force, one per line; secrets only say whether they are set.
    pub fn shown(&self) -> impl fmt::Display + '_ {
        struct Shown<'a>(&'a BTreeMap<&'static str, String>);
        impl fmt::Display for Shown<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|(name, value)| writeln!(f, "{name}={value}"))
            }
        }
        Shown(&self.shown)
    }
}

fn read_file(path: &Path) -> Result<BTreeMap<String, String>, ConfigError> {
    let bad = |reason: String| ConfigError::File { path: path.to_owned(), reason };
    let text = fs::read_to_string(path).map_err(|error| bad(error.to_string()))?;
    let table: toml::Table =
        text.parse().map_err(|error: toml::de::Error| bad(error.to_string()))?;
    let plain = |(name, value): (String, toml::Value)| match value {
        toml::Value::String(text) => Ok((name, text)),
        toml::Value::Boolean(flag) => Ok((name, flag.to_string())),
        toml::Value::Integer(number) => Ok((name, number.to_string())),
        _ => Err(bad(format!("{name} has to be a string, a number or a boolean"))),
    };
    table.into_iter().map(plain).collect()
}

impl Values {
    fn config(self) -> Result<Config, ConfigError> {
        let data = PathBuf::from(self.text("ANNALS_DATA"));
        let config = Config {
            program: None,
            listen: self.parse("ANNALS_LISTEN", "an address such as 127.0.0.1:8000", |text| {
                text.parse().ok()
            })?,
            database_url: self.secret("DATABASE_URL"),
            eventstore_url: self.secret("EVENTSTORE_URL"),
            eventstore: self.eventstore_listener()?,
            nats_url: self.secret("NATS_URL"),
            master_key: self.secret("ANNALS_MASTER_KEY"),
            master_key_file: self.get("ANNALS_MASTER_KEY_FILE").map(PathBuf::from),
            admin_username: self.text("ANNALS_ADMIN_USERNAME"),
            admin_password: self.secret("ANNALS_ADMIN_PASSWORD"),
            auth_mode: self.parse(
                "ANNALS_AUTH_MODE",
                "native, trusted_proxy or oauth",
                |text| match text {
                    "native" => Some(AuthMode::Native),
                    "trusted_proxy" => Some(AuthMode::TrustedProxy),
                    "oauth" => Some(AuthMode::Oauth),
                    _ => None,
                },
            )?,
            allow_registration: self.flag("ANNALS_ALLOW_REGISTRATION")?,
            anonymous_chat: self.flag("ANNALS_ANONYMOUS_CHAT")?,
            share: self.parse("ANNALS_SHARE", "open, members or off", |text| match text {
                "open" => Some(Share::Open),
                "members" => Some(Share::Members),
                "off" => Some(Share::Off),
                _ => None,
            })?,
            trusted_proxies: self.parse(
                "ANNALS_TRUSTED_PROXIES",
                "a comma-separated list of addresses or CIDRs",
                networks,
            )?,
            cors_origins: self.parse(
                "ANNALS_CORS_ORIGINS",
                "*, none or a comma-separated list such as https://app.example.com",
                origins::origins,
            )?,
            llm: self.endpoint([
                "ANNALS_LLM_BASE_URL",
                "ANNALS_LLM_API_KEY",
                "ANNALS_LLM_MODEL",
            ])?,
            embedding: self.endpoint([
                "ANNALS_EMBEDDING_BASE_URL",
                "ANNALS_EMBEDDING_API_KEY",
                "ANNALS_EMBEDDING_MODEL",
            ])?,
            embedding_path: self.embedding_path()?,
            rerank: self.endpoint([
                "ANNALS_RERANK_BASE_URL",
                "ANNALS_RERANK_API_KEY",
                "ANNALS_RERANK_MODEL",
            ])?,
            auth_providers: self.auth_providers()?,
            mail: self.mail()?,
            oauth2_clients: self.oauth2_clients()?,
            oauth2_issuer: self.oauth2_issuer()?,
            rbac_sync_secret: self.secret("ANNALS_RBAC_SYNC_SECRET"),
            credentials_key: self.credentials_key()?,
            tier_limits: self.tier_limits()?,
            rbac_roles: self.rbac_roles()?,
            genie_post_status: self.genie_post_status()?,
            genie_onboarding_lenient: self.genie_onboarding_lenient()?,
            genie_skills: self.get("ANNALS_GENIE_SKILLS").map(PathBuf::from),
            genie_flows: self.get("ANNALS_GENIE_FLOWS").map(PathBuf::from),
            genie_admin_llm: self.endpoint(names::GENIE_ADMIN_LLM)?,
            skill_learning: self.flag("ANNALS_SKILL_LEARNING")?,
            ffmpeg: self.get("ANNALS_FFMPEG").map(PathBuf::from),
            ytdlp: self.get("ANNALS_YTDLP").map(PathBuf::from),
            platform_driver: self.get("ANNALS_PLATFORM_DRIVER").map(PathBuf::from),
            post_scheduler: self.parse(
                "ANNALS_POST_SCHEDULER_MS",
                "a number of milliseconds, at least 10",
                |text| text.parse().ok().filter(|ms| *ms >= 10).map(Duration::from_millis),
            )?,
            blobs: self.text("ANNALS_BLOBS").replace("{data}", &data.to_string_lossy()),
            allow_private_urls: self.flag("ANNALS_ALLOW_PRIVATE_URLS")?,
            web_base_path: self.parse(
                "ANNALS_WEB_BASE_PATH",
                "a path such as /sage, or / for the root",
                |text| {
                    let plain =
                        text.bytes().all(|b| b.is_ascii_alphanumeric() || b"/-_.".contains(&b));
                    let local = text.starts_with('/') && !text.starts_with("//");
                    (plain && local).then(|| text.trim_end_matches('/').to_owned())
                },
            )?,
            search: self.parse("ANNALS_SEARCH_URL", "an http(s) URL", |text| match text {
                "" => Some(None),
                text => Url::parse(text).ok().filter(|url| url.has_host()).map(Some),
            })?,
            shell: self.parse(
                "ANNALS_SHELL_TOOL",
                "off, admins or everyone",
                |text| match text {
                    "off" => Some(ShellAccess::Off),
                    "admins" => Some(ShellAccess::Admins),
                    "everyone" => Some(ShellAccess::Everyone),
                    _ => None,
                },
            )?,
            public_url: self
                .get("ANNALS_PUBLIC_URL")
                .map(|_| self.url("ANNALS_PUBLIC_URL"))
                .transpose()?,
            jaeger_url: self.url("ANNALS_JAEGER_URL")?,
            releases_url: self.url("ANNALS_RELEASES_URL")?,
            app_session_seconds: self.parse(
                "ANNALS_APP_SESSION_SECONDS",
                "a number of seconds, at least 1",
                |text| text.parse::<u32>().ok().filter(|seconds| *seconds > 0).map(i64::from),
            )?,
            offline_pace: self.parse(
                "ANNALS_OFFLINE_PACE_MS",
                "a number of milliseconds, at most 10000",
                |text| text.parse().ok().filter(|ms| *ms <= 10_000).map(Duration::from_millis),
            )?,
            log_json: self.parse("ANNALS_LOG_FORMAT", "text or json", |text| match text {
                "" => Some(None),
                "text" => Some(Some(false)),
                "json" => Some(Some(true)),
                _ => None,
            })?,
            shown: self.shown(),
            data,
        };
        Ok(config)
    }
}
