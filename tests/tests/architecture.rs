//! House law: which crate may know which, what dialects may import, how long a file may be.

use anyhow::{Context, Result};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Crate → the workspace crates it may depend on.
const ARROWS: &[(&str, &[&str])] = &[
    ("annals-domain", &[]),
    ("annals-migrations", &[]),
    ("annals-embedded", &[]),
    ("annals-commands", &["annals-domain"]),
    ("annals-projections", &["annals-domain"]),
    ("annals-esdb", &["annals-domain", "annals-commands"]),
    (
        "annals",
        &[
            "annals-domain",
            "annals-commands",
            "annals-projections",
            "annals-migrations",
            "annals-embedded",
            "annals-esdb",
        ],
    ),
];
const LONGEST_FILE: usize = 400;
const DIALECTS: &[&str] = &["sage", "llmstack", "genie"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn sources(below: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![below.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let path = entry?.path();
            if path.is_dir() && !path.ends_with("target") && !path.ends_with("data") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    Ok(found)
}

/// Source files of the workspace's crates.
fn workspace_sources() -> Result<Vec<PathBuf>> {
    let crates =
        ["domain", "commands", "projections", "esdb", "api", "migrations", "embedded", "tests"];
    let lists = crates.iter().map(|name| sources(&root().join(name)));
    Ok(lists.collect::<Result<Vec<_>>>()?.concat())
}

#[test]
fn crates_know_only_those_below_them() -> Result<()> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(root())
        .output()?;
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let packages = metadata["packages"].as_array().context("no packages")?;
    let names: Vec<&str> = packages.iter().filter_map(|p| p["name"].as_str()).collect();
    let allowed: BTreeMap<_, _> = ARROWS.iter().copied().collect();
    for package in packages {
        let name = package["name"].as_str().context("no name")?;
        let Some(allowed) = allowed.get(name) else { continue };
        for dependency in package["dependencies"].as_array().context("no dependencies")? {
            let other = dependency["name"].as_str().context("no name")?;
            let for_tests = dependency["kind"] == "dev";
            let ours = names.contains(&other);
            assert!(for_tests || !ours || allowed.contains(&other), "{name} must not know {other}");
        }
    }
    assert!(names.contains(&"annals-domain"), "{names:?}");
    Ok(())
}

#[test]
fn dialects_know_neither_log_nor_database_nor_one_another() -> Result<()> {
    for dialect in DIALECTS {
        let folder = root().join("api/src").join(dialect);
        if !folder.exists() {
            continue;
        }
        for file in sources(&folder)? {
            let text = fs::read_to_string(&file)?;
            for (number, line) in text.lines().enumerate() {
                let code = line.split("//").next().unwrap_or_default();
                let others = DIALECTS.iter().filter(|other| *other != dialect);
                let foreign = others.map(|other| format!("crate::{other}::"));
                let forbidden =
                    foreign.chain(["sqlx::", "commands::log", "app.log"].map(str::to_owned));
                for word in forbidden {
                    let place = format!("{}:{}", file.display(), number + 1);
                    assert!(!code.contains(&word), "{place}: {dialect} must not name {word}");
                }
            }
        }
    }
    Ok(())
}

#[test]
fn no_file_is_longer_than_anybody_reads() -> Result<()> {
    let files = workspace_sources()?;
    assert!(files.len() > 50, "only {} files were found", files.len());
    for file in files {
        let lines = fs::read_to_string(&file)?.lines().count();
        assert!(lines <= LONGEST_FILE, "{} has {lines} lines", file.display());
    }
    Ok(())
}

#[test]
fn only_the_backend_names_the_eventstore_client() -> Result<()> {
    let own = root().join("commands/src/log/eventstore");
    for file in workspace_sources()? {
        let text = fs::read_to_string(&file)?;
        let here = file.starts_with(&own);
        let names = |line: &str| {
            let line = line.trim_start();
            line.starts_with("use eventstore::") || line.starts_with("use ::eventstore::")
        };
        let named = text.lines().any(names);
        assert!(here || !named, "{}", file.display());
    }
    Ok(())
}

/// What annals reads besides its settings, and what only the compose file's own substitutions read.
const OTHER_NAMES: &[&str] = &[
    "ANNALS_CONFIG",
    "ANNALS_PG_DIR",
    "ANNALS_CACHE",
    "ANNALS_PORT",
    "ANNALS_PROXY_PORT",
    "ANNALS_MEMORY",
];

/// The settings that annals knows.
fn settings() -> Result<BTreeSet<String>> {
    let config = api::config::Config::from_values([])?.shown().to_string();
    let names = config.lines().filter_map(|line| line.split_once('='));
    Ok(names.map(|(name, _)| name.to_owned()).collect())
}

#[test]
fn documents_and_containers_name_only_settings_that_exist() -> Result<()> {
    let known = settings()?;
    let mut read = vec!["README.md", "Dockerfile", "docker-compose.yml"]
        .into_iter()
        .map(|name| root().join(name))
        .collect::<Vec<_>>();
    read.extend(documents(&root().join("docs"))?);
    let mut named = 0;
    for path in read {
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let part = |c: char| !(c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
        for name in text.split(part).filter(|name| name.starts_with("ANNALS_")) {
            named += 1;
            // `ANNALS_RERANK_*` stands for several.
            let several = name.ends_with('_') && known.iter().any(|one| one.starts_with(name));
            assert!(
                several || known.contains(name) || OTHER_NAMES.contains(&name),
                "{} names {name}, which annals does not know",
                path.display()
            );
        }
    }
    assert!(named > 100, "only {named} names were found: where are the documents?");
    Ok(())
}

/// Every file of these folders that holds text.
fn documents(below: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![below.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let path = entry?.path();
            match path.is_dir() {
                true => folders.push(path),
                false if path.extension().is_some_and(|kind| kind == "png") => {}
                false => found.push(path),
            }
        }
    }
    Ok(found)
}

#[test]
fn the_compose_file_sets_only_what_annals_reads_and_opens_nothing_to_the_world() -> Result<()> {
    let text = fs::read_to_string(root().join("docker-compose.yml"))?;
    let compose: Value = serde_saphyr::from_str(&text)?;
    let known = settings()?;
    let services = compose["services"].as_object().context("services")?;
    let mut nodes = 0;
    for (name, service) in services {
        for port in service["ports"].as_array().into_iter().flatten() {
            let port = port.as_str().with_context(|| format!("a port of {name}"))?;
            assert!(port.starts_with("127.0.0.1:"), "{name} is open to the world: {port}");
        }
        if service["image"] == "annals" {
            nodes += 1;
            for (setting, _) in service["environment"].as_object().context("environment")? {
                let elsewhere = ["ANNALS_CONFIG", "RUST_LOG"].contains(&setting.as_str());
                let knows = known.contains(setting) || elsewhere || setting.starts_with("OTEL_");
                assert!(knows, "{name} sets {setting}, which annals does not know");
            }
            assert!(service["read_only"] == true && service["cap_drop"][0] == "ALL", "{name}");
        }
        // Whatever goes on for ever comes back by itself, and says whether it is well: annals by its image.
        if name != "secrets" {
            assert_eq!(service["restart"], "unless-stopped", "{name}");
            assert!(service["image"] == "annals" || service["healthcheck"].is_object(), "{name}");
        }
    }
    assert_eq!(nodes, 2);
    Ok(())
}
