//! House law: which crate may know which, what dialects may import, how long a file may be.

use anyhow::{Context, Result};
use serde_json::Value;
use std::{
    collections::BTreeMap,
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
