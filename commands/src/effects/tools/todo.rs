//! The to-do list of a conversation.

use super::{
    Call, Outcome, Place, Tool, Tools, ToolsUnavailable,
    builtin::{Answer, arguments, json_answer, metadata, tool},
};
use crate::{
    execute::{self, Error, Failure, Loaded},
    log::EventLog,
};
use domain::{
    ids::ConversationId,
    todo_list::{Change, Command, Status, TodoList},
};
use futures::future::{BoxFuture, ready};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// To-do lists, straight from the log.
pub struct Todo {
    log: Arc<dyn EventLog>,
}

#[derive(Deserialize)]
struct Tasks {
    tasks: Vec<Change>,
}

impl Todo {
    /// The lists in this log.
    pub fn new(log: Arc<dyn EventLog>) -> Self {
        Self { log }
    }

    async fn write(&self, place: &Place, call: &Call) -> Answer {
        let Tasks { tasks } = arguments(call)?;
        let list = place.conversation.ok_or_else(nowhere)?;
        let (command, metadata) = (Command::Note(tasks), metadata(place, call));
        match execute::execute::<TodoList>(&*self.log, &list, &command, &metadata).await {
            Ok(decided) => json_answer(&shown(&decided.state)),
            Err(Error::Refused(refusal)) => Err(refusal.to_string()),
            Err(Error::Failed(failure)) => Err(away(&failure)),
        }
    }

    async fn read(&self, place: &Place) -> Answer {
        let list: ConversationId = place.conversation.ok_or_else(nowhere)?;
        let loaded = Loaded::<TodoList>::load(&*self.log, &list).await;
        json_answer(&shown(loaded.map_err(|failure| away(&failure))?.state()))
    }
}

fn nowhere() -> String {
    "a to-do list belongs to a conversation, and there is none here".to_owned()
}

fn away(failure: &Failure) -> String {
    tracing::warn!(%failure, "a tool cannot reach a to-do list");
    "the to-do list does not answer; try again later".to_owned()
}

/// The list as the model and Sage's clients read it; those show `name`.
fn shown(list: &TodoList) -> Value {
    let open = list.0.iter().filter(|item| item.status != Status::Completed).count();
    let mut tasks = json!(list.0);
    for task in tasks.as_array_mut().into_iter().flatten() {
        task["name"] = task["content"].clone();
    }
    json!({"tasks": tasks, "total": list.0.len(), "unfinished": open})
}

impl Tools for Todo {
    fn list<'a>(&'a self, _: &'a Place) -> BoxFuture<'a, Result<Vec<Tool>, ToolsUnavailable>> {
        let text = json!({"type": "string"});
        let item = json!({"type": "object", "required": ["id"], "properties": {
            "id": {"type": "string", "description": "Unique within the list, for example t1"},
            "content": {"type": "string", "description": "What to do; needed for a new task"},
            "status": {"type": "string", "enum": ["pending", "in_progress", "completed"]},
            "conclusion": text,
        }});
        let write = tool(
            "todo_write",
            "Plan and track the steps of the work: add tasks, or change the ones named by id. Send only what is new or \
             different. Mark a task in_progress before working on it and completed with a conclusion after.",
            json!({"tasks": {"type": "array", "items": item}}),
            &["tasks"],
        );
        let read = tool("todo_read", "Read the to-do list of this conversation.", json!({}), &[]);
        Box::pin(ready(Ok(vec![write, read])))
    }

    fn call<'a>(&'a self, place: &'a Place, call: &'a Call) -> BoxFuture<'a, Option<Outcome>> {
        Box::pin(async move {
            let answer = match call.name.as_str() {
                "todo_write" => self.write(place, call).await,
                "todo_read" => self.read(place).await,
                _ => return None,
            };
            Some(answer.into())
        })
    }
}
