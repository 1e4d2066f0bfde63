//! Running commands on this machine: off unless the operator turns it on.
//!
//! A command works on a copy of the workspace in a folder of its own; what it changed there becomes events afterwards. It
//! gets none of our environment, limits on time, memory, files and processes, and ends with everything it started. Where
//! we are root it runs as an account that owns nothing else. Otherwise it runs as ours: it can read what this server can.

mod copy;
mod process;

use super::{
    Call, Outcome, Place, Tool, Tools, ToolsUnavailable,
    builtin::{Answer, arguments, has_workspace, json_answer, metadata, tool, workspace},
};
use crate::workspaces::Workspaces;
use copy::WorkingCopy;
use futures::future::{BoxFuture, ready};
use process::Finished;
use serde::Deserialize;
use serde_json::json;
use std::time::Duration;
use tokio::sync::Mutex;

/// Seconds a command may take unless told otherwise, and at most.
const TIME: (u64, u64) = (60, 300);
/// Longest command, in bytes.
const COMMAND: usize = 32 << 10;
/// How long all of a call may take: waiting for the one before it, copying, the command, copying back.
const DEADLINE: Duration = Duration::from_secs(2 * TIME.1 + 120);

/// Who may run commands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ShellAccess {
    /// Nobody.
    #[default]
    Off,
    /// Administrators.
    Admins,
    /// Everybody with a login.
    Everyone,
}

/// Commands on this machine.
pub struct Shell {
    workspaces: Workspaces,
    access: ShellAccess,
    /// One command at a time: each may take a whole processor and much memory.
    turn: Mutex<()>,
}

#[derive(Deserialize)]
struct Arguments {
    command: String,
    #[serde(default)]
    timeout: Option<u64>,
}

impl Shell {
    /// Commands in these workspaces, for these people.
    pub fn new(workspaces: Workspaces, access: ShellAccess) -> Self {
        if access != ShellAccess::Off {
            process::close_ourselves();
        }
        Self { workspaces, access, turn: Mutex::new(()) }
    }

    fn allows(&self, place: &Place) -> bool {
        has_workspace(place)
            && match self.access {
                ShellAccess::Off => false,
                ShellAccess::Admins => place.admin,
                ShellAccess::Everyone => true,
            }
    }

    async fn run(&self, place: &Place, call: &Call) -> Answer {
        let Arguments { command, timeout } = arguments(call)?;
        if command.trim().is_empty() || command.len() > COMMAND || command.contains('\0') {
            return Err(format!("a command is a text of 1 to {COMMAND} bytes without NUL"));
        }
        let time = Duration::from_secs(timeout.unwrap_or(TIME.0).clamp(1, TIME.1));
        let turn = self.turn.lock().await;
        let copy = WorkingCopy::make(&self.workspaces, workspace(place)).await?;
        let finished =
            process::run(&command, copy.folder(), copy.account(), time).await.map_err(|error| {
                tracing::warn!(%error, "a command cannot be started");
                "the command cannot be started".to_owned()
            })?;
        let changes = copy.take_back(&self.workspaces, &metadata(place, call)).await?;
        drop(turn);
        let Finished { exit_code, stdout, stderr, timed_out } = finished;
        json_answer(&json!({
            "exit_code": exit_code,
            "stdout": stdout,
            "stderr": stderr,
            "timed_out": timed_out,
            "written": changes.written,
            "deleted": changes.deleted,
            "not_kept": changes.refused,
        }))
    }
}

impl Tools for Shell {
    fn list<'a>(&'a self, place: &'a Place) -> BoxFuture<'a, Result<Vec<Tool>, ToolsUnavailable>> {
        if !self.allows(place) {
            return Box::pin(ready(Ok(vec![])));
        }
        let timeout = json!({"type": "integer", "minimum": 1, "maximum": TIME.1, "default": TIME.0,
            "description": "Seconds"});
        let run = tool(
            "execute_shell_command",
            "Run a shell command in a copy of the workspace; files it changes there are kept.",
            json!({"command": {"type": "string"}, "timeout": timeout}),
            &["command"],
        );
        let run = Tool { idempotent: false, deadline: Some(DEADLINE), ..run };
        Box::pin(ready(Ok(vec![run])))
    }

    fn call<'a>(&'a self, place: &'a Place, call: &'a Call) -> BoxFuture<'a, Option<Outcome>> {
        Box::pin(async move {
            match call.name == "execute_shell_command" && self.allows(place) {
                true => Some(self.run(place, call).await.into()),
                false => None,
            }
        })
    }
}
