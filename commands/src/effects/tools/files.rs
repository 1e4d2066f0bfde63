//! Reading and writing single files of the workspace.

mod update;

use super::{
    Call, Outcome, Place, Tool, Tools, ToolsUnavailable,
    builtin::{
        Answer, arguments, clipped, has_workspace, json_answer, metadata, told, tool, workspace,
    },
};
use crate::workspaces::{Error, Workspaces};
use domain::workspace_file::{Basis, Content, FileId, FilePath, Refusal};
use futures::future::{BoxFuture, ready};
use serde::Deserialize;
use serde_json::{Value, json};
use std::hash::{DefaultHasher, Hash, Hasher};
use tokio::sync::{Mutex, MutexGuard};
use update::{Operation, updated};

/// Most bytes of a text that is read or changed as a whole.
const TEXT: u64 = 8 << 20;
/// Lines that are read unless told otherwise.
const LINES: usize = 400;
/// Most bytes that are read at once; a run cuts longer results.
const ANSWER: usize = 40_000;
/// Characters of one line that are shown.
const LINE: usize = 2_000;
/// How often a change is made anew when other nodes, or uploads, change the same file at the same moment.
const ATTEMPTS: usize = 8;
/// Changes that are made at once; those of one file take turns.
const TURNS: usize = 64;

/// Files of the workspace.
pub struct Files {
    workspaces: Workspaces,
    turns: [Mutex<()>; TURNS],
}

#[derive(Deserialize)]
struct Read {
    file_path: String,
    #[serde(default)]
    start_line: Option<i64>,
    #[serde(default)]
    end_line: Option<i64>,
    #[serde(default)]
    include_line_numbers: Option<bool>,
}

#[derive(Deserialize)]
struct Write {
    file_path: String,
    content: String,
    #[serde(default)]
    mode: Mode,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Mode {
    #[default]
    Overwrite,
    Append,
}

#[derive(Deserialize)]
struct Update {
    file_path: String,
    #[serde(default)]
    operations: Vec<Operation>,
    /// A single operation may stand beside the path.
    #[serde(flatten)]
    single: Operation,
}

impl Files {
    /// Files in these workspaces.
    pub fn new(workspaces: Workspaces) -> Self {
        Self { workspaces, turns: std::array::from_fn(|_| Mutex::default()) }
    }

    async fn read(&self, place: &Place, call: &Call) -> Answer {
        let wanted: Read = arguments(call)?;
        let path = path(&wanted.file_path)?;
        let Some((text, _)) = self.text(place, &path).await? else { return Err(missing(&path)) };
        lines(&path, &text, &wanted)
    }

    async fn write(&self, place: &Place, call: &Call) -> Answer {
        let Write { file_path, content, mode } = arguments(call)?;
        let path = path(&file_path)?;
        if content.len() as u64 > TEXT {
            return Err(format!("a text has at most {TEXT} bytes"));
        }
        let total = match mode {
            Mode::Overwrite => {
                let (basis, size) = (Basis::Anything, content.len());
                self.store(place, call, &path, content, basis).await.map_err(told)?;
                size
            }
            Mode::Append => {
                let appended = |old: Option<&str>| Ok([old.unwrap_or_default(), &content].concat());
                self.change(place, call, &path, appended).await?.len()
            }
        };
        json_answer(&json!({"status": "success", "file_path": path, "size": total}))
    }

    async fn update(&self, place: &Place, call: &Call) -> Answer {
        let Update { file_path, mut operations, single } = arguments(call)?;
        let path = path(&file_path)?;
        if single != Operation::default() {
            operations.push(single);
        }
        if operations.is_empty() {
            return Err("operations says what to change".to_owned());
        }
        let changed = |old: Option<&str>| match old {
            Some(old) => updated(old, &operations),
            None => Err(missing(&path)),
        };
        let text = self.change(place, call, &path, changed).await?;
        let size = text.len();
        json_answer(&json!({"status": "success", "file_path": path, "size": size}))
    }

    /// The turn of a change to this file. Two files may share one; the call's deadline bounds the wait.
    async fn turn(&self, place: &Place, path: &FilePath) -> MutexGuard<'_, ()> {
        let mut hasher = DefaultHasher::new();
        FileId::of(&workspace(place), path).hash(&mut hasher);
        let turn = usize::try_from(hasher.finish() % TURNS as u64).unwrap_or_default();
        self.turns[turn].lock().await
    }

    /// Makes a new text from the old one. When somebody else was faster, it is made from theirs: nothing is lost.
    async fn change(
        &self,
        place: &Place,
        call: &Call,
        path: &FilePath,
        make: impl Fn(Option<&str>) -> Answer,
    ) -> Answer {
        let _turn = self.turn(place, path).await;
        for _ in 0..ATTEMPTS {
            let old = self.text(place, path).await?;
            let text = make(old.as_ref().map(|(text, _)| text.as_str()))?;
            if text.len() as u64 > TEXT {
                return Err(format!("the text would have more than {TEXT} bytes"));
            }
            let basis = match old {
                Some((_, content)) => Basis::Content(content.blob),
                None => Basis::Absence,
            };
            match self.store(place, call, path, text.clone(), basis).await {
                Ok(()) => return Ok(text),
                Err(Error::Refused(Refusal::Changed)) => {}
                Err(error) => return Err(told(error)),
            }
        }
        Err(Refusal::Changed.to_string())
    }

    async fn store(
        &self,
        place: &Place,
        call: &Call,
        path: &FilePath,
        text: String,
        basis: Basis,
    ) -> Result<(), Error> {
        let (workspace, metadata) = (workspace(place), metadata(place, call));
        self.workspaces.write(&workspace, path, text.into(), basis, &metadata).await?;
        Ok(())
    }

    /// The text of a file, and the content it was read from.
    async fn text(
        &self,
        place: &Place,
        path: &FilePath,
    ) -> Result<Option<(String, Content)>, String> {
        let found = self.workspaces.find(&workspace(place), path).await.map_err(told)?;
        let Some(content) = found else { return Ok(None) };
        let bytes = self.workspaces.bytes(&content, TEXT).await.map_err(told)?;
        match String::from_utf8(bytes.into()) {
            Ok(text) => Ok(Some((text, content))),
            Err(_) => Err(format!("{path} is not text in UTF-8")),
        }
    }
}

pub(super) fn path(text: &str) -> Result<FilePath, String> {
    FilePath::parse(text).map_err(|bad| format!("{text:?}: {bad}"))
}

fn missing(path: &FilePath) -> String {
    format!("there is no file {path}")
}

/// Lines from `start_line` to `end_line`, both included and counted from 1.
fn lines(path: &FilePath, text: &str, wanted: &Read) -> Answer {
    let total = text.lines().count();
    let number = |line: i64| usize::try_from(line).unwrap_or(0).max(1);
    let first = wanted.start_line.map_or(1, number);
    let last = wanted.end_line.map_or(first.saturating_add(LINES - 1), number).min(total);
    let numbered = wanted.include_line_numbers.unwrap_or(true);
    let (mut content, mut next) = (String::new(), first);
    for line in text.lines().skip(first - 1).take((last + 1).saturating_sub(first)) {
        let (shown, cut) = clipped(line, LINE);
        let line = match numbered {
            true => format!("{next:>5} | {shown}{}\n", if cut { "…" } else { "" }),
            false => format!("{shown}{}\n", if cut { "…" } else { "" }),
        };
        if content.len() + line.len() > ANSWER {
            break;
        }
        content.push_str(&line);
        next += 1;
    }
    json_answer(&json!({
        "file_path": path,
        "content": content,
        "start_line": first,
        "end_line": next - 1,
        "total_lines": total,
        "truncated": next <= total,
    }))
}

impl Tools for Files {
    fn list<'a>(&'a self, place: &'a Place) -> BoxFuture<'a, Result<Vec<Tool>, ToolsUnavailable>> {
        Box::pin(ready(Ok(if has_workspace(place) { tools() } else { vec![] })))
    }

    fn call<'a>(&'a self, place: &'a Place, call: &'a Call) -> BoxFuture<'a, Option<Outcome>> {
        Box::pin(async move {
            let answer = match call.name.as_str() {
                _ if !has_workspace(place) => return None,
                "file_read" => self.read(place, call).await,
                "file_write" => self.write(place, call).await,
                "file_update" => self.update(place, call).await,
                _ => return None,
            };
            Some(answer.into())
        })
    }
}

fn tools() -> Vec<Tool> {
    let file: Value = json!({"type": "string", "description": "Path relative to the workspace, for example notes/plan.md"});
    let line = |which: &str| json!({"type": "integer", "minimum": 1, "description": which});
    let read = tool(
        "file_read",
        "Read lines of a text file in the workspace.",
        json!({
            "file_path": file,
            "start_line": line("First line, from 1; 1 when left out"),
            "end_line": line("Last line, included; 400 lines are read when left out"),
            "include_line_numbers": {"type": "boolean", "default": true},
        }),
        &["file_path"],
    );
    let write = tool(
        "file_write",
        "Write a text file in the workspace; folders come into being by themselves.",
        json!({
            "file_path": file,
            "content": {"type": "string"},
            "mode": {"type": "string", "enum": ["overwrite", "append"], "default": "overwrite"},
        }),
        &["file_path", "content"],
    );
    let operation = json!({"type": "object", "required": ["replacement"], "properties": {
        "search_pattern": {"type": "string", "description":
            "Text to replace, or a regular expression when the text does not occur literally"},
        "replace_all": {"type": "boolean", "default": false, "description":
            "Without it the pattern has to occur exactly once"},
        "start_line": line("First line to replace, instead of a pattern"),
        "end_line": line("Last line to replace, included"),
        "replacement": {"type": "string"},
    }});
    let update = tool(
        "file_update",
        "Change parts of a text file: replace what matches a pattern, or a range of lines. Operations apply one after the \
         other; either all do or none.",
        json!({"file_path": file, "operations": {"type": "array", "items": operation}}),
        &["file_path", "operations"],
    );
    // Neither can be repeated blindly: what is appended would be there twice, what is replaced not be found again.
    let once = |tool: Tool| Tool { idempotent: false, ..tool };
    vec![read, once(write), once(update)]
}
