//! Tools that do what their arguments say, for tests of the loop.

use commands::effects::tools::{Call, Outcome, Place, Source, Tool, Tools, ToolsUnavailable};
use futures::future::{BoxFuture, pending};
use serde_json::{Map, Value, json};
use std::{fs::OpenOptions, io::Write, sync::Arc, time::Duration};
use tokio::sync::watch;

/// How long a call of `impatient` may take.
pub const IMPATIENT: Duration = Duration::from_millis(50);

/// `echo` answers with `say`, `after` waits until another call said `word`, `fail` fails, `panic` panics, `hang` never
/// ends, `impatient` neither but has a short deadline, `twice` and `once` note in the file `note` that they were called,
/// hang the first time, and answer `say` the second; only `twice` says that it may be called twice.
#[derive(Debug, Clone, Default)]
pub struct Scripted {
    words: Arc<watch::Sender<Vec<String>>>,
}

const NAMES: [&str; 8] = ["echo", "after", "fail", "panic", "hang", "impatient", "once", "twice"];

impl Tools for Scripted {
    fn list<'a>(&'a self, _: &'a Place) -> BoxFuture<'a, Result<Vec<Tool>, ToolsUnavailable>> {
        let tool = |name: &str| Tool {
            name: name.to_owned(),
            description: format!("scripted: {name}"),
            parameters: json!({"type": "object", "properties": {}}),
            source: Source::BuiltIn,
            idempotent: name == "twice",
            deadline: (name == "impatient").then_some(IMPATIENT),
        };
        Box::pin(async move { Ok(NAMES.into_iter().map(tool).collect()) })
    }

    fn call<'a>(&'a self, _: &'a Place, call: &'a Call) -> BoxFuture<'a, Option<Outcome>> {
        Box::pin(async move {
            let said = text(&call.arguments, "say");
            Some(match call.name.as_str() {
                "echo" => {
                    self.words.send_modify(|words| words.push(said.clone()));
                    Outcome::success(said)
                }
                "after" => {
                    let word = text(&call.arguments, "word");
                    let mut words = self.words.subscribe();
                    let heard = words.wait_for(|words| words.contains(&word)).await.is_ok();
                    if heard { Outcome::success(said) } else { Outcome::error("nobody speaks") }
                }
                "fail" => Outcome::error(said),
                "panic" => panic!("as scripted"),
                "hang" | "impatient" => pending().await,
                "once" | "twice" => match noted(&text(&call.arguments, "note")) {
                    Ok(1) => pending().await,
                    Ok(_) => Outcome::success(said),
                    Err(error) => Outcome::error(error.to_string()),
                },
                _ => return None,
            })
        })
    }
}

fn text(arguments: &Map<String, Value>, name: &str) -> String {
    arguments.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// Adds a line to a file; how many there are then.
fn noted(path: &str) -> std::io::Result<usize> {
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    file.write_all(b"called\n")?;
    file.sync_all()?;
    Ok(std::fs::read_to_string(path)?.lines().count())
}
