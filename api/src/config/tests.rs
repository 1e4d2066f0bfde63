#![expect(clippy::unwrap_used, reason = "tests")]
use super::*;
use domain::{
    billing::Tier,
    quota::{Action, Limit},
};

fn config(pairs: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Config::from_values(pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())))
}

#[test]
fn nothing_set_is_a_working_configuration() {
    let config = config(&[]).unwrap();
    assert_eq!(config.listen.to_string(), "127.0.0.1:8000");
    assert!(config.llm.is_none() && config.database_url.is_none());
    assert_eq!(config.blobs, "file://./data/blobs");
}

#[test]
fn a_slip_in_a_name_is_refused() {
    let error = config(&[("ANNALS_LISTN", "x")]).unwrap_err().to_string();
    assert!(error.contains("ANNALS_LISTN"), "{error}");
}

#[test]
fn secrets_are_not_shown() {
    let config = config(&[
        ("DATABASE_URL", "postgres://u:hunter2@h/d"),
        ("ANNALS_LLM_BASE_URL", "http://127.0.0.1:1/v1"),
        ("ANNALS_LLM_API_KEY", "sk-hunter2"),
        ("ANNALS_LLM_MODEL", "m"),
    ])
    .unwrap();
    assert!(!config.shown().to_string().contains("hunter2"));
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn bad_values_say_what_would_fit() {
    let error = config(&[("ANNALS_SHARE", "all")]).unwrap_err().to_string();
    assert_eq!(error, "ANNALS_SHARE: has to be open, members or off");
}

#[test]
fn tier_limits_replace_the_defaults() {
    let json = r#"{"starter": {"post_creations": 7, "taxonomy_tags": -1}}"#;
    let limits = config(&[("ANNALS_TIER_LIMITS", json)]).unwrap().tier_limits;
    let limit = |action| limits.limit(&Tier::starter(), action);
    assert_eq!(limit(Action::PostCreations), Ok(Limit::UpTo(7)));
    assert_eq!(limit(Action::TaxonomyTags), Ok(Limit::Unlimited));
    assert!(limit(Action::MediaModifications).is_err());
    assert!(!limits.knows(&Tier::named("pro")));
    assert_eq!(config(&[]).unwrap().tier_limits, TierLimits::default());
    let error = config(&[("ANNALS_TIER_LIMITS", r#"{"starter": 3}"#)]).unwrap_err().to_string();
    assert!(error.starts_with("ANNALS_TIER_LIMITS: starter has to be an object"), "{error}");
    let error = config(&[("ANNALS_TIER_LIMITS", r#"{"starter": "#)]).unwrap_err().to_string();
    assert!(error.starts_with("ANNALS_TIER_LIMITS: has to be JSON: "), "{error}");
}

/// The file that comes with the sources says what is in force without one.
#[test]
fn tier_limits_come_from_a_file() {
    const NAME: &str = "ANNALS_TIER_LIMITS_FILE";
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../config/tier_rate_limits.json");
    assert_eq!(config(&[(NAME, path)]).unwrap().tier_limits, TierLimits::default());
    for (pairs, told) in [
        (&[(NAME, "/no/such.json")][..], "/no/such.json: No such file"),
        (&[(NAME, concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))], "Cargo.toml: has to be"),
        (&[(NAME, path), ("ANNALS_TIER_LIMITS", "{}")], "has to be unset where"),
    ] {
        let error = config(pairs).unwrap_err().to_string();
        assert!(error.starts_with("ANNALS_TIER_LIMITS") && error.contains(told), "{error}");
    }
}

#[test]
fn roles_have_ids_elsewhere() {
    const NAME: &str = "ANNALS_RBAC_ROLES";
    let json = r#"{"0B1E7D3C-9a4f-4a86-8d5b-2f6c0a7e9d11": "creator"}"#;
    let id = "0b1e7d3c-9a4f-4a86-8d5b-2f6c0a7e9d11".parse().unwrap();
    assert_eq!(config(&[(NAME, json)]).unwrap().rbac_roles[&id], Role::Creator);
    for (json, told) in [
        ("[]", "has to be JSON such as"),
        (r#"{"creator": "creator"}"#, "creator is no UUID"),
        (r#"{"0b1e7d3c-9a4f-4a86-8d5b-2f6c0a7e9d11": "root"}"#, "has to be Administrator, "),
    ] {
        let error = config(&[(NAME, json)]).unwrap_err().to_string();
        assert!(error.starts_with(NAME) && error.contains(told), "{error}");
    }
}

#[test]
fn providers_and_mail_servers_are_checked_and_not_shown() {
    let provider = r#"[{"id": "corp", "client_id": "c", "client_secret": "hunter2",
        "discovery_url": "https://id.example.org/.well-known/openid-configuration"}]"#;
    let mail = "smtps://ann:hunter2@mail.example.org";
    let found = config(&[("ANNALS_AUTH_PROVIDERS", provider), ("ANNALS_SMTP_URL", mail)]).unwrap();
    assert_eq!(found.auth_providers[0].id, "corp");
    assert!(found.mail.is_some());
    assert!(!format!("{}{found:?}", found.shown()).contains("hunter2"));
    for (name, value) in [
        ("ANNALS_AUTH_PROVIDERS", r#"[{"id": "corp", "client_secret": "hunter2"}]"#),
        ("ANNALS_AUTH_PROVIDERS", "hunter2"),
        ("ANNALS_SMTP_URL", "https://ann:hunter2@mail.example.org"),
    ] {
        let error = config(&[(name, value)]).unwrap_err().to_string();
        assert!(error.starts_with(name) && !error.contains("hunter2"), "{error}");
    }
}

#[test]
fn origins_are_as_browsers_write_them() {
    let origins = |text| config(&[("ANNALS_CORS_ORIGINS", text)]).map(|config| config.cors_origins);
    assert_eq!(config(&[]).unwrap().cors_origins, Origins::WithToken);
    assert_eq!(origins("none").unwrap(), Origins::Listed(vec![]));
    let listed = origins("HTTP://LocalHost:5173, https://app.example.com:443/").unwrap();
    let written =
        ["http://localhost:5173", "https://app.example.com"].map(|one| one.parse().unwrap());
    assert_eq!(listed, Origins::Listed(written.to_vec()));
    for bad in ["app.example.com", "https://e.example/path", "ftp://e.example", "*, none", "null"] {
        assert!(origins(bad).is_err(), "{bad}");
    }
}
