//! Files, to-do lists and directly called tools.

use super::stored;
use crate::Stored;
use annals_domain::{
    document::BlobHash,
    todo_list::{self, Item, Status, TodoList},
    tool_call::{self, Ending, ToolCall},
    workspace_file::{self, FilePath, Workspace, WorkspaceFile},
};
use anyhow::Result;

pub fn all() -> Result<Vec<Stored>> {
    let mut all = files()?;
    all.extend(stored!(TodoList, todo_list::Event;
        TaskPlanned => [todo_list::Event::TaskPlanned { item: item(Status::Pending, None) }],
        TaskRevised => [
            todo_list::Event::TaskRevised { item: item(Status::InProgress, None) },
            todo_list::Event::TaskRevised { item: item(Status::Completed, Some("42")) },
        ],
    ));
    let started = |agent: Option<&str>| tool_call::Event::ToolCallStarted {
        tool: "grep".to_owned(),
        source: "builtin".to_owned(),
        agent: agent.map(Into::into),
    };
    let ended = |ending| tool_call::Event::ToolCallEnded { ending };
    all.extend(stored!(ToolCall, tool_call::Event;
        ToolCallStarted => [started(Some("agent_0123abcd")), started(None)],
        ToolCallEnded => [ended(Ending::Success), ended(Ending::Error), ended(Ending::Cancelled)],
    ));
    Ok(all)
}

fn item(status: Status, conclusion: Option<&str>) -> Item {
    let conclusion = conclusion.map(str::to_owned);
    Item { id: "t1".to_owned(), content: "Count".to_owned(), status, conclusion }
}

fn files() -> Result<Vec<Stored>> {
    use workspace_file::Event;
    let written = |agent: Option<&str>| -> Result<Event> {
        Ok(Event::FileWritten {
            workspace: Workspace { owner: "ann".into(), agent: agent.map(Into::into) },
            path: FilePath::parse("notes/größe.md")?,
            blob: BlobHash("ab".repeat(32)),
            size: 4096,
            media_type: "text/markdown".to_owned(),
        })
    };
    Ok(stored!(WorkspaceFile, Event;
        FileWritten => [written(Some("agent_0123abcd"))?, written(None)?],
        FileDeleted => [Event::FileDeleted {}],
    ))
}
