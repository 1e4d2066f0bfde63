//! The model that writes about agents.

use crate::{
    effects::model::{
        Request,
        complete::{Unanswered, complete, object_in},
    },
    reactors::reply::Choice,
};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// How long one answer may take.
const WITHIN: Duration = Duration::from_secs(120);

/// A model and how it is called.
#[derive(Clone)]
pub struct Writer {
    /// The model.
    pub choice: Choice,
    /// Parameters of the call.
    pub parameters: Map<String, Value>,
}

impl Writer {
    /// Whether there is no model, so that templates have to do.
    pub fn is_offline(&self) -> bool {
        self.choice.model.name() == "offline"
    }

    /// The JSON object that the model answers; `None` when there is none in its answer.
    pub(super) async fn object(
        &self,
        task: &str,
        about: &str,
    ) -> Result<Option<Map<String, Value>>, Unanswered> {
        Ok(object_in(&self.answer(task, about).await?))
    }

    /// What the model answers.
    pub(super) async fn answer(&self, task: &str, about: &str) -> Result<String, Unanswered> {
        let messages = vec![
            json!({"role": "system", "content": task}),
            json!({"role": "user", "content": about}),
        ];
        let (endpoint, parameters) = (self.choice.endpoint.clone(), self.parameters.clone());
        let request = Request { endpoint, messages, parameters, ..Request::default() };
        complete(&*self.choice.model, request, WITHIN).await
    }
}

/// The text under the first of these keys that holds some.
pub(super) fn text(object: &Map<String, Value>, keys: &[&str]) -> Option<String> {
    let mut texts = keys.iter().filter_map(|key| object.get(*key)?.as_str());
    texts.find(|text| !text.trim().is_empty()).map(|text| text.trim().to_owned())
}
