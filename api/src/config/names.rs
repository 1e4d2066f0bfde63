//! The names of all settings.

/// Where the model of administrators' chats answers.
pub(super) const GENIE_ADMIN_LLM: [&str; 3] = [
    "ANNALS_GENIE_ADMIN_LLM_BASE_URL",
    "ANNALS_GENIE_ADMIN_LLM_API_KEY",
    "ANNALS_GENIE_ADMIN_LLM_MODEL",
];

/// Every name this program knows, with its default as it is shown. Secrets are marked and never shown.
pub(super) const NAMES: &[(&str, Kind)] = &[
    ("ANNALS_LISTEN", Kind::Plain("127.0.0.1:8000")),
    ("ANNALS_DATA", Kind::Plain("./data")),
    ("DATABASE_URL", Kind::Secret),
    ("EVENTSTORE_URL", Kind::Secret),
    ("ANNALS_EVENTSTORE_LISTEN", Kind::Plain("")),
    ("ANNALS_EVENTSTORE_ADVERTISE", Kind::Plain("")),
    ("ANNALS_EVENTSTORE_CERTIFICATE", Kind::Plain("")),
    ("ANNALS_EVENTSTORE_KEY", Kind::Plain("")),
    ("ANNALS_EVENTSTORE_PASSWORD", Kind::Secret),
    ("NATS_URL", Kind::Secret),
    ("ANNALS_MASTER_KEY", Kind::Secret),
    ("ANNALS_MASTER_KEY_FILE", Kind::Plain("")),
    ("ANNALS_ADMIN_USERNAME", Kind::Plain("admin")),
    ("ANNALS_ADMIN_PASSWORD", Kind::Secret),
    ("ANNALS_AUTH_MODE", Kind::Plain("native")),
    ("ANNALS_ALLOW_REGISTRATION", Kind::Plain("false")),
    ("ANNALS_ANONYMOUS_CHAT", Kind::Plain("false")),
    ("ANNALS_SHARE", Kind::Plain("open")),
    ("ANNALS_TRUSTED_PROXIES", Kind::Plain("")),
    ("ANNALS_CORS_ORIGINS", Kind::Plain("*")),
    ("ANNALS_LLM_BASE_URL", Kind::Plain("")),
    ("ANNALS_LLM_API_KEY", Kind::Secret),
    ("ANNALS_LLM_MODEL", Kind::Plain("")),
    ("ANNALS_EMBEDDING_BASE_URL", Kind::Plain("")),
    ("ANNALS_EMBEDDING_API_KEY", Kind::Secret),
    ("ANNALS_EMBEDDING_MODEL", Kind::Plain("")),
    ("ANNALS_EMBEDDING_PATH", Kind::Plain("")),
    ("ANNALS_RERANK_BASE_URL", Kind::Plain("")),
    ("ANNALS_RERANK_API_KEY", Kind::Secret),
    ("ANNALS_RERANK_MODEL", Kind::Plain("")),
    ("ANNALS_OAUTH2_CLIENTS", Kind::Secret),
    ("ANNALS_OAUTH2_ISSUER", Kind::Plain("")),
    ("ANNALS_AUTH_PROVIDERS", Kind::Secret),
    ("ANNALS_RBAC_SYNC_SECRET", Kind::Secret),
    ("ANNALS_RBAC_ROLES", Kind::Plain("")),
    ("ANNALS_TIER_LIMITS", Kind::Plain("")),
    ("ANNALS_TIER_LIMITS_FILE", Kind::Plain("")),
    ("ANNALS_CREDENTIALS_KEY_B64", Kind::Secret),
    ("ANNALS_GENIE_SKILLS", Kind::Plain("")),
    ("ANNALS_GENIE_FLOWS", Kind::Plain("")),
    ("ANNALS_GENIE_POST_STATUS", Kind::Plain("201")),
    ("ANNALS_GENIE_ONBOARDING", Kind::Plain("strict")),
    (GENIE_ADMIN_LLM[0], Kind::Plain("")),
    (GENIE_ADMIN_LLM[1], Kind::Secret),
    (GENIE_ADMIN_LLM[2], Kind::Plain("")),
    ("ANNALS_SKILL_LEARNING", Kind::Plain("false")),
    ("ANNALS_FFMPEG", Kind::Plain("")),
    ("ANNALS_YTDLP", Kind::Plain("")),
    ("ANNALS_PLATFORM_DRIVER", Kind::Plain("")),
    ("ANNALS_POST_SCHEDULER_MS", Kind::Plain("60000")),
    ("ANNALS_BLOBS", Kind::Plain("file://{data}/blobs")),
    ("ANNALS_SMTP_URL", Kind::Secret),
    ("ANNALS_SMTP_FROM", Kind::Plain("")),
    ("ANNALS_ALLOW_PRIVATE_URLS", Kind::Plain("false")),
    ("ANNALS_WEB_BASE_PATH", Kind::Plain("/sage")),
    ("ANNALS_SEARCH_URL", Kind::Plain("")),
    ("ANNALS_SHELL_TOOL", Kind::Plain("off")),
    ("ANNALS_PUBLIC_URL", Kind::Plain("")),
    ("ANNALS_JAEGER_URL", Kind::Plain("http://127.0.0.1:30051/jaeger")),
    (
        "ANNALS_RELEASES_URL",
        Kind::Plain("https://api.github.com/repos/ZHangZHengEric/Sage/releases/latest"),
    ),
    ("ANNALS_APP_SESSION_SECONDS", Kind::Plain("3600")),
    ("ANNALS_OFFLINE_PACE_MS", Kind::Plain("0")),
    ("ANNALS_LOG_FORMAT", Kind::Plain("")),
];

/// Names with the prefix that belong to the launcher of the embedded database and to this loader.
pub(super) const ELSEWHERE: &[&str] = &["ANNALS_CONFIG", "ANNALS_PG_DIR", "ANNALS_CACHE"];

/// How a value is shown.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Plain(&'static str),
    Secret,
}
