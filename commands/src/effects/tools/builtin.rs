//! What the built-in tools have in common.

use super::{Call, Outcome, Place, Source, Tool};
use crate::workspaces;
use domain::{Metadata, ids::UserId, workspace_file::Workspace};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use uuid::Uuid;

/// What a tool answers: content for the model, or why not.
pub(super) type Answer = Result<String, String>;

impl From<Answer> for Outcome {
    fn from(answer: Answer) -> Self {
        match answer {
            Ok(content) => Self::success(content),
            Err(reason) => Self::error(reason),
        }
    }
}

/// A built-in tool without effects that could not be repeated.
pub(super) fn tool(name: &str, description: &str, properties: Value, required: &[&str]) -> Tool {
    let parameters = json!({"type": "object", "properties": properties, "required": required});
    Tool {
        name: name.to_owned(),
        description: description.to_owned(),
        parameters,
        source: Source::BuiltIn,
        idempotent: true,
        deadline: None,
    }
}

/// The arguments of a call, or what is wrong with them.
pub(super) fn arguments<T: DeserializeOwned>(call: &Call) -> Result<T, String> {
    // Models send null for what they leave out.
    let given = call.arguments.iter().filter(|(_, value)| !value.is_null());
    let given = given.map(|(name, value)| (name.clone(), value.clone())).collect();
    serde_json::from_value(Value::Object(given))
        .map_err(|error| format!("wrong arguments: {error}"))
}

/// An answer that is JSON.
pub(super) fn json_answer(value: &Value) -> Answer {
    Ok(value.to_string())
}

/// Metadata of what a call brings about: done by the owner, and going back to the run. A direct call has the id of its
/// request.
pub(super) fn metadata(place: &Place, call: &Call) -> Metadata {
    let run = place.run.map(|run| run.0);
    Metadata {
        actor: place.owner.clone(),
        on_behalf_of: None,
        correlation: run.or_else(|| call.id.parse().ok()).unwrap_or_else(Uuid::now_v7),
        causation: None,
        traceparent: None,
    }
}

/// Whether there is a workspace to work in: people without a login have none, since they would all meet in it.
pub(super) fn has_workspace(place: &Place) -> bool {
    place.owner != UserId::anonymous()
}

/// The workspace that is worked in.
pub(super) fn workspace(place: &Place) -> Workspace {
    Workspace { owner: place.owner.clone(), agent: place.agent.clone() }
}

/// What a model may know of a failure: what it can do something about, and nothing of the machine.
pub(super) fn told(error: workspaces::Error) -> String {
    use crate::effects::blobs;
    match error {
        workspaces::Error::Refused(_)
        | workspaces::Error::InTheWay(_)
        | workspaces::Error::Full
        | workspaces::Error::Blobs(blobs::Error::TooLarge(_)) => error.to_string(),
        error => {
            tracing::warn!(%error, "a tool cannot reach its workspace");
            "the workspace does not answer; try again later".to_owned()
        }
    }
}

/// At most `limit` characters of a text, and whether that was not all.
pub(super) fn clipped(text: &str, limit: usize) -> (&str, bool) {
    match text.char_indices().nth(limit) {
        Some((end, _)) => (&text[..end], true),
        None => (text, false),
    }
}
