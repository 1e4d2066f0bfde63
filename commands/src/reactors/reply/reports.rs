//! What a model gives away by one call, and what it is told of that afterwards.

use super::Delegate;
use crate::effects::tools::{Outcome, Status};
use serde_json::{Map, Value, json};

/// Tasks of one call at most.
pub(super) const TASKS: usize = 8;
/// Characters of a session id at most.
const LONGEST_ID: usize = 255;

/// A task for another agent.
pub(super) struct Task<'a> {
    pub delegate: &'a Delegate,
    pub content: String,
    /// The session the model wants it done in. Older prompts have models name one, and clients look for lines by it.
    pub session: Option<String>,
}

/// What came of a task.
pub(super) struct Report<'a> {
    pub task: &'a Task<'a>,
    pub session_id: String,
    pub status: &'static str,
    pub result: String,
}

/// What came of all tasks of a call.
pub(super) struct Reports<'a>(pub Vec<Report<'a>>);

/// How many tasks a call asks for.
pub(super) fn asked(wish: &Map<String, Value>) -> usize {
    wish.get("tasks").and_then(Value::as_array).map_or(1, Vec::len).min(TASKS)
}

/// The tasks a call asks for; one alone may stand there without a list.
///
/// # Errors
/// With what is wrong, for the model.
pub(super) fn tasks<'a>(
    wish: &Map<String, Value>,
    team: &'a [Delegate],
) -> Result<Vec<Task<'a>>, String> {
    match wish.get("tasks") {
        Some(Value::Array(tasks)) if tasks.is_empty() => Err("tasks is empty".to_owned()),
        Some(Value::Array(tasks)) if tasks.len() > TASKS => {
            Err(format!("at most {TASKS} tasks at once"))
        }
        Some(Value::Array(tasks)) => tasks.iter().map(|wish| task(wish, team)).collect(),
        Some(_) => Err("tasks is not a list".to_owned()),
        None => Ok(vec![task(&Value::Object(wish.clone()), team)?]),
    }
}

fn task<'a>(wish: &Value, team: &'a [Delegate]) -> Result<Task<'a>, String> {
    let text = |keys: &[&str]| {
        let texts = keys.iter().filter_map(|key| wish[*key].as_str().map(str::trim));
        texts.filter(|text| !text.is_empty()).map(str::to_owned).next()
    };
    let content = text(&["content", "task", "message"]).ok_or("content is missing")?;
    let named = text(&["agent_id", "agent_name", "agent"]);
    let delegate = match (&named, team) {
        (None, [one]) => Some(one),
        (None, _) => return Err("agent_id is missing".to_owned()),
        (Some(named), team) => {
            let by = |part: fn(&Delegate) -> &str| team.iter().find(|one| part(one) == named);
            by(|one| &one.key).or_else(|| by(|one| &one.name))
        }
    };
    let delegate = delegate.ok_or_else(|| {
        let keys: Vec<&str> = team.iter().map(|one| one.key.as_str()).collect();
        let named = named.unwrap_or_default();
        format!("there is no agent {named}; available: {}", keys.join(", "))
    })?;
    let fits = |id: &String| !id.contains('\0') && id.chars().count() <= LONGEST_ID;
    Ok(Task { delegate, content, session: text(&["session_id"]).filter(fits) })
}

impl From<Reports<'_>> for Outcome {
    /// A call whose every task failed has failed.
    fn from(Reports(reports): Reports<'_>) -> Self {
        let done = reports.iter().any(|report| report.status == "completed");
        let shown: Vec<Value> = reports.into_iter().map(Value::from).collect();
        let content = json!({"results": shown}).to_string();
        Self { status: if done { Status::Success } else { Status::Error }, content }
    }
}

impl From<Report<'_>> for Value {
    fn from(Report { task, session_id, status, result }: Report<'_>) -> Self {
        let Delegate { key, name, .. } = task.delegate;
        json!({"agent_id": key, "agent_name": name, "session_id": session_id, "status": status,
            "result": result})
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::run::Settings;

    fn team(keys: &[&str]) -> Vec<Delegate> {
        let one = |key: &&str| Delegate {
            key: (*key).to_owned(),
            name: key.to_uppercase(),
            description: String::new(),
            agent_id: None,
            settings: Settings::default(),
        };
        keys.iter().map(one).collect()
    }

    fn found(wish: &Value, team: &[Delegate]) -> Result<Vec<(String, String)>, String> {
        let wish = wish.as_object().cloned().unwrap_or_default();
        let tasks = tasks(&wish, team)?.into_iter();
        Ok(tasks.map(|task| (task.delegate.key.clone(), task.content)).collect())
    }

    #[test]
    fn agents_are_named_by_key_or_name_and_one_needs_no_name() {
        let two = team(&["a", "b"]);
        let pair = |key: &str, content: &str| (key.to_owned(), content.to_owned());
        let wish =
            json!({"tasks": [{"agent_id": "b", "content": "x"}, {"agent_name": "A", "task": "y"}]});
        assert_eq!(found(&wish, &two), Ok(vec![pair("b", "x"), pair("a", "y")]));
        assert_eq!(
            found(&json!({"agent_id": "a", "content": "x"}), &two),
            Ok(vec![pair("a", "x")])
        );
        assert_eq!(found(&json!({"content": "x"}), &team(&["a"])), Ok(vec![pair("a", "x")]));
    }

    #[test]
    fn what_is_wrong_is_told() {
        let two = team(&["a", "b"]);
        let many = vec![json!({"agent_id": "a", "content": "x"}); TASKS + 1];
        for (wish, reason) in [
            (json!({"tasks": []}), "tasks is empty"),
            (json!({"tasks": "x"}), "tasks is not a list"),
            (json!({"tasks": many}), "at most 8 tasks at once"),
            (json!({"content": "x"}), "agent_id is missing"),
            (json!({"agent_id": "a", "content": " "}), "content is missing"),
            (json!({"agent_id": "c", "content": "x"}), "there is no agent c; available: a, b"),
        ] {
            assert_eq!(found(&wish, &two), Err(reason.to_owned()), "{wish}");
        }
    }

    #[test]
    fn a_call_succeeds_if_a_task_does() {
        let team = team(&["a"]);
        let task = Task { delegate: &team[0], content: "x".to_owned(), session: None };
        let session_id = || "sub".to_owned();
        let report = |status| Report {
            task: &task,
            session_id: session_id(),
            status,
            result: "r".to_owned(),
        };
        let told = Outcome::from(Reports(vec![report("failed"), report("completed")]));
        assert_eq!(told.status, Status::Success);
        assert!(told.content.contains("\"session_id\":\"sub\""), "{}", told.content);
        assert_eq!(Outcome::from(Reports(vec![report("failed")])).status, Status::Error);
    }
}
