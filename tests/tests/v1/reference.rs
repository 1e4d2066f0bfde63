//! `docs/api.md` and the table of the README are made from the documents: `UPDATE_REFERENCE=1 cargo test -p annals-tests --test v1 reference`.

use anyhow::{Context, Result};
use api::openapi::Name;
use serde_json::Value;
use std::{env, fmt::Write, fs, path::Path};

/// The documents in the order of the README, what they are called there, and their prefixes.
const DIALECTS: [(Name, &str, &str); 4] = [
    (Name::Sage, "Sage", "/sage"),
    (Name::Llmstack, "LLMStack", "/llmstack"),
    (Name::Genie, "GenieHelper", "/genie"),
    (Name::V1, "native `/v1` and operations", ""),
];
const BEGIN: &str =
    "<!-- made by: UPDATE_REFERENCE=1 cargo test -p annals-tests --test v1 reference -->\n";
const END: &str = "<!-- end -->";

struct Operation {
    call: String,
    summary: String,
    logins: String,
    older: bool,
}

/// The groups of a document, in its order, with their operations.
fn groups(name: Name) -> Result<Vec<(String, Vec<Operation>)>> {
    let document: Value = serde_json::from_str(&name.json()?)?;
    let tags = document["tags"].as_array().into_iter().flatten();
    let mut groups: Vec<(String, Vec<Operation>)> =
        tags.filter_map(|tag| Some((tag["name"].as_str()?.to_owned(), vec![]))).collect();
    for (path, item) in document["paths"].as_object().into_iter().flatten() {
        for (method, operation) in item.as_object().context("no operations")? {
            let call = format!("{} {path}", method.to_uppercase());
            let tag = operation["tags"][0].as_str().with_context(|| format!("{call}: no group"))?;
            let group = groups.iter_mut().find(|(name, _)| name == tag);
            let (_, group) = group.with_context(|| format!("{call}: no such group {tag}"))?;
            let summary = operation["summary"].as_str();
            let summary = summary.with_context(|| format!("{call}: no summary"))?.to_owned();
            let older = operation["deprecated"] == true;
            let logins = logins(operation.get("security").unwrap_or(&document["security"]));
            group.push(Operation { call, summary, logins, older });
        }
    }
    groups.retain(|(_, operations)| !operations.is_empty());
    Ok(groups)
}

/// Any of these lets a caller in.
fn logins(security: &Value) -> String {
    let ways = security.as_array().into_iter().flatten().map(|way| {
        let names: Vec<_> =
            way.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
        if names.is_empty() { "–".to_owned() } else { names.join(" + ") }
    });
    let ways: Vec<_> = ways.collect();
    if ways.is_empty() { "–".to_owned() } else { ways.join(", ") }
}

/// The whole reference.
fn reference() -> Result<String> {
    let mut page = format!(
        "{BEGIN}# Every operation\n\nWith requests, answers and errors: `/docs` on a running server, or \
         `annals openapi sage|llmstack|genie|v1`. Each dialect is\nserved at the root and, alone, below its prefix.\n"
    );
    for (name, title, prefix) in DIALECTS {
        let alone =
            if prefix.is_empty() { String::new() } else { format!(", alone below `{prefix}`") };
        write!(page, "\n## {title}{alone}\n")?;
        for (tag, operations) in groups(name)? {
            write!(
                page,
                "\n### {title}: {tag}\n\n| operation | what it does | login |\n|---|---|---|\n"
            )?;
            for Operation { call, summary, logins, older } in operations {
                let older = if older { " (older name)" } else { "" };
                let summary = summary.trim_end_matches('.').replace('|', "\\|").replace('\n', " ");
                writeln!(page, "| `{call}` | {summary}{older} | {logins} |")?;
            }
        }
    }
    Ok(page + END + "\n")
}

/// The rows of the README.
fn overview() -> Result<String> {
    let mut rows = String::from("| API | operations | of which |\n|---|---|---|\n");
    for (name, title, _) in DIALECTS {
        let groups = groups(name)?;
        let count: usize = groups.iter().map(|(_, operations)| operations.len()).sum();
        let groups: Vec<_> =
            groups.iter().map(|(tag, operations)| format!("{tag} {}", operations.len())).collect();
        writeln!(rows, "| {title} | {count} | {} |", groups.join(" · "))?;
    }
    Ok(rows)
}

#[test]
fn reference_and_readme_tell_what_the_documents_tell() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let (reference_path, readme_path) = (root.join("docs/api.md"), root.join("README.md"));
    let readme = fs::read_to_string(&readme_path).unwrap();
    let (before, rest) = readme.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let readme_now = format!("{before}{BEGIN}{}{END}{after}", overview().unwrap());
    let reference_now = reference().unwrap();
    if env::var_os("UPDATE_REFERENCE").is_some() {
        fs::write(&readme_path, &readme_now).unwrap();
        fs::write(&reference_path, &reference_now).unwrap();
    }
    let advice = "UPDATE_REFERENCE=1 cargo test -p annals-tests --test v1 reference";
    let told = fs::read_to_string(&reference_path).unwrap_or_default();
    assert!(told == reference_now, "docs/api.md is out of date: {advice}");
    assert!(
        fs::read_to_string(&readme_path).unwrap() == readme_now,
        "README.md is out of date: {advice}"
    );
}
