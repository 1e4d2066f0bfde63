//! Finding files and what is in them.

mod grep;

use super::{
    Call, Outcome, Place, Tool, Tools, ToolsUnavailable,
    builtin::{Answer, arguments, has_workspace, json_answer, told, tool, workspace},
    files::path,
};
use crate::workspaces::{
    Listed, Workspaces,
    tree::{self, View},
};
use domain::workspace_file::{FilePath, MAX_FILES};
use futures::future::{BoxFuture, ready};
use globset::{GlobBuilder, GlobSet};
use serde::Deserialize;
use serde_json::{Value, json};

/// Entries of a folder, or files found, that are named in one answer.
const NAMED: usize = 500;
/// Longest pattern, in bytes.
const PATTERN: usize = 1_000;

/// Searches in the workspace.
pub struct Find {
    workspaces: Workspaces,
}

#[derive(Deserialize)]
struct ListDir {
    #[serde(default)]
    path: Option<String>,
    #[serde(default)]
    depth: Option<usize>,
    #[serde(default)]
    include_hidden: bool,
}

#[derive(Deserialize)]
struct Glob {
    pattern: String,
    #[serde(default)]
    path: Option<String>,
    #[serde(default)]
    head_limit: Option<usize>,
}

impl Find {
    /// Searches in these workspaces.
    pub fn new(workspaces: Workspaces) -> Self {
        Self { workspaces }
    }

    async fn list_dir(&self, place: &Place, call: &Call) -> Answer {
        let wanted: ListDir = arguments(call)?;
        let folder = folder(wanted.path.as_deref())?;
        let files = self.files(place, folder.as_ref()).await?;
        if let (Some(folder), true) = (&folder, files.is_empty()) {
            return Err(format!("there is no folder {folder}"));
        }
        let depth = Some(wanted.depth.unwrap_or(2).max(1) - 1);
        let view = View { folder: folder.as_ref(), depth, hidden: wanted.include_hidden };
        let shown = tree::shown(&files, view);
        let entries: Vec<Value> = shown.entries.iter().take(NAMED).map(entry).collect();
        json_answer(&json!({
            "path": folder,
            "entries": entries,
            "truncated": shown.entries.len() > NAMED,
            "truncated_by_depth": shown.cut,
        }))
    }

    /// Files whose path below the folder matches, last written first.
    async fn glob(&self, place: &Place, call: &Call) -> Answer {
        let Glob { pattern, path, head_limit } = arguments(call)?;
        let matcher = matcher(&pattern)?;
        let folder = folder(path.as_deref())?;
        let mut files = self.files(place, folder.as_ref()).await?;
        files.retain(|file| matcher.is_match(inner(&file.path, folder.as_ref())));
        files.sort_by_key(|file| std::cmp::Reverse(file.modified_at));
        let limit = head_limit.unwrap_or(200).clamp(1, NAMED);
        let named: Vec<&str> = files.iter().take(limit).map(|file| file.path.as_str()).collect();
        json_answer(&json!({
            "pattern": pattern,
            "files": named,
            "count": named.len(),
            "truncated": files.len() > limit,
        }))
    }

    async fn files(&self, place: &Place, folder: Option<&FilePath>) -> Result<Vec<Listed>, String> {
        let limit = MAX_FILES as usize;
        self.workspaces.list(&workspace(place), folder, limit).await.map_err(told)
    }
}

fn entry(entry: &tree::Entry) -> Value {
    json!({"path": entry.path, "size": entry.size, "is_directory": entry.folder,
        "modified": entry.modified_at.format("%Y-%m-%dT%H:%M:%SZ").to_string()})
}

/// The folder of this name; none, `.` and `/` are the workspace itself.
fn folder(text: Option<&str>) -> Result<Option<FilePath>, String> {
    match text.map(str::trim).unwrap_or_default() {
        "" | "." | "./" | "/" => Ok(None),
        text => path(text).map(Some),
    }
}

fn inner<'a>(path: &'a FilePath, folder: Option<&FilePath>) -> &'a str {
    folder.and_then(|folder| path.below(folder)).unwrap_or(path.as_str())
}

/// `*` stays within a name; a pattern without a slash is looked for in every folder.
fn matcher(pattern: &str) -> Result<GlobSet, String> {
    if pattern.is_empty() || pattern.len() > PATTERN {
        return Err(format!("a pattern has 1 to {PATTERN} bytes"));
    }
    let pattern = pattern.strip_prefix("./").unwrap_or(pattern);
    let anywhere = match pattern.contains('/') {
        true => pattern.to_owned(),
        false => format!("**/{pattern}"),
    };
    let glob = GlobBuilder::new(&anywhere).literal_separator(true).build();
    // A set of one: a matcher alone panics at patterns that nest too deep.
    let set = glob.and_then(|glob| GlobSet::new([glob]));
    set.map_err(|error| format!("{pattern:?}: {}", error.kind()))
}

impl Tools for Find {
    fn list<'a>(&'a self, place: &'a Place) -> BoxFuture<'a, Result<Vec<Tool>, ToolsUnavailable>> {
        Box::pin(ready(Ok(if has_workspace(place) { tools() } else { vec![] })))
    }

    fn call<'a>(&'a self, place: &'a Place, call: &'a Call) -> BoxFuture<'a, Option<Outcome>> {
        Box::pin(async move {
            let answer = match call.name.as_str() {
                _ if !has_workspace(place) => return None,
                "list_dir" => self.list_dir(place, call).await,
                "glob" => self.glob(place, call).await,
                "grep" => self.grep(place, call).await,
                _ => return None,
            };
            Some(answer.into())
        })
    }
}

fn tools() -> Vec<Tool> {
    let folder = json!({"type": "string",
        "description": "Folder relative to the workspace; all of it when left out"});
    let limit = json!({"type": "integer", "minimum": 1, "maximum": NAMED, "default": 200});
    let flag = json!({"type": "boolean", "default": false});
    let list_dir = tool(
        "list_dir",
        "List files and folders of the workspace.",
        json!({"path": folder, "depth": {"type": "integer", "minimum": 1, "default": 2}, "include_hidden": flag}),
        &[],
    );
    let glob = tool(
        "glob",
        "Find files of the workspace by a pattern such as *.md or src/**/*.rs, last written first.",
        json!({"pattern": {"type": "string"}, "path": folder, "head_limit": limit}),
        &["pattern"],
    );
    let lines = json!({"type": "integer", "minimum": 0, "maximum": 20, "default": 0});
    let grep = tool(
        "grep",
        "Search the text files of the workspace for a regular expression, line by line.",
        json!({
            "pattern": {"type": "string"},
            "path": folder,
            "glob": {"type": "string", "description": "Only files that match, for example *.py"},
            "output_mode": {"type": "string", "default": "content",
                "enum": ["content", "files_with_matches", "count"]},
            "case_insensitive": flag,
            "context_lines": lines,
            "head_limit": limit,
        }),
        &["pattern"],
    );
    vec![list_dir, glob, grep]
}
