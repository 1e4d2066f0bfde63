//! Flows: what an action of the assistant does, step by step.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Steps of a flow at most.
pub const MOST_STEPS: usize = 20;
/// Collections that steps may read and write, each of them a person's own.
pub const COLLECTIONS: [&str; 3] = [NODES, "post_drafts", "message_drafts"];
/// What the assistant knows of a person.
pub const NODES: &str = "user_nodes";

/// What is done under a name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flow {
    /// The name that models use; unique.
    pub slug: String,
    /// For people.
    pub name: String,
    /// What it is good for; models are told.
    #[serde(default)]
    pub description: String,
    /// Whether it may be run.
    #[serde(default = "yes")]
    pub active: bool,
    /// What is done, in order.
    pub steps: Vec<Step>,
}

fn yes() -> bool {
    true
}

/// One thing that is done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// What.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// With what; texts may speak of the input and of earlier results, see [`resolve`].
    #[serde(default)]
    pub config: Map<String, Value>,
    /// Under which name later steps speak of the result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result_key: Option<String>,
}

/// What a step does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Reads one thing of a collection, or its newest.
    DirectusRead,
    /// Adds a thing to a collection.
    DirectusWrite,
    /// Changes a thing.
    DirectusUpdate,
    /// Deletes a thing.
    DirectusDelete,
    /// Looks for things in a collection.
    DirectusSearch,
    /// Starts a flow at the third party; not to be had here.
    DirectusTrigger,
    /// Puts a job into its queue.
    BullmqEnqueue,
    /// Asks the model.
    ModelCall,
    /// Looks for what the assistant knows of the person.
    MemoryRecall,
    /// Classifies a text.
    TaxonomyTag,
    /// Looks for skills.
    SkillsActivate,
    /// Starts a browser; not to be had here.
    StagehandStart,
    /// Opens a page; not to be had here.
    StagehandNavigate,
    /// Works a page; not to be had here.
    StagehandAct,
    /// Reads a page; not to be had here.
    StagehandExtract,
    /// Ends a browser; not to be had here.
    StagehandClose,
}

/// Why flows cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// Not a name.
    #[error("{0:?} is no name of a flow: letters, digits, '-', '_' and '.', 64 at most")]
    Slug(String),
    /// Too much, or nothing.
    #[error("the flow {0} has no steps, or more than {MOST_STEPS}")]
    Steps(String),
    /// Two results of one name, or one that cannot be spoken of.
    #[error("the flow {0} cannot call a result {1:?}")]
    ResultKey(String, String),
}

/// All flows, by their slugs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Flows(BTreeMap<String, Flow>);

impl Flows {
    /// Of these; of several of one slug the last one counts.
    ///
    /// # Errors
    /// As [`Unusable`].
    pub fn of(flows: impl IntoIterator<Item = Flow>) -> Result<Self, Unusable> {
        let mut all = BTreeMap::new();
        for flow in flows {
            check(&flow)?;
            all.insert(flow.slug.clone(), flow);
        }
        Ok(Self(all))
    }

    /// The flow of this slug.
    pub fn find(&self, slug: &str) -> Option<&Flow> {
        self.0.get(slug)
    }

    /// Those that may be run, by their slugs.
    pub fn active(&self) -> impl Iterator<Item = &Flow> {
        self.0.values().filter(|flow| flow.active)
    }
}

fn check(flow: &Flow) -> Result<(), Unusable> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if flow.slug.is_empty() || flow.slug.len() > 64 || !flow.slug.chars().all(fits) {
        return Err(Unusable::Slug(flow.slug.clone()));
    }
    if flow.steps.is_empty() || flow.steps.len() > MOST_STEPS {
        return Err(Unusable::Steps(flow.slug.clone()));
    }
    let mut keys = vec![INPUT];
    for key in flow.steps.iter().filter_map(|step| step.result_key.as_deref()) {
        let named = !key.is_empty() && key.chars().all(is_name);
        if !named || keys.contains(&key) {
            return Err(Unusable::ResultKey(flow.slug.clone(), key.to_owned()));
        }
        keys.push(key);
    }
    Ok(())
}

/// What a flow was called with, as texts speak of it.
const INPUT: &str = "input";

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// What later steps may speak of: the input, and results by their keys.
#[derive(Debug, Clone, Default)]
pub struct Known(Map<String, Value>);

impl Known {
    /// At the beginning.
    pub fn of(input: Map<String, Value>) -> Self {
        Self(Map::from_iter([(INPUT.to_owned(), input.into())]))
    }

    /// A step has a result.
    pub fn learn(&mut self, key: &str, result: Value) {
        self.0.insert(key.to_owned(), result);
    }

    /// Results by their keys.
    pub fn results(mut self) -> Map<String, Value> {
        self.0.remove(INPUT);
        self.0
    }
}

/// The value with every `$key.field` in its texts replaced. A text that is nothing else becomes the value itself; within
/// a text, texts appear as they are, nothing as nothing, and anything else as JSON. A key that nothing has is left as
/// it stands: not every dollar is ours.
pub fn resolve(value: &Value, known: &Known) -> Value {
    match value {
        Value::String(text) => resolve_text(text, known),
        Value::Array(all) => all.iter().map(|one| resolve(one, known)).collect(),
        Value::Object(fields) => {
            let field = |(name, value): (&String, &Value)| (name.clone(), resolve(value, known));
            Value::Object(fields.iter().map(field).collect())
        }
        plain => plain.clone(),
    }
}

fn resolve_text(text: &str, known: &Known) -> Value {
    let mut resolved = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        resolved.push_str(&rest[..at]);
        let (path, after) = path(&rest[at + 1..]);
        match path.split_first().and_then(|(key, fields)| Some((known.0.get(*key)?, fields))) {
            Some((found, fields)) => {
                let found = fields.iter().try_fold(found, |value, field| match value {
                    Value::Array(all) => all.get(field.parse::<usize>().ok()?),
                    other => other.get(field),
                });
                if resolved.is_empty() && after.is_empty() && rest.len() == text.len() {
                    return found.cloned().unwrap_or_default();
                }
                match found {
                    None | Some(Value::Null) => {}
                    Some(Value::String(text)) => resolved.push_str(text),
                    Some(other) => resolved.push_str(&other.to_string()),
                }
                rest = after;
            }
            None => {
                resolved.push('$');
                rest = &rest[at + 1..];
            }
        }
    }
    resolved.push_str(rest);
    resolved.into()
}

/// The names at the beginning of a text, joined by dots, and what comes after. A dot that no name follows ends a
/// sentence.
fn path(text: &str) -> (Vec<&str>, &str) {
    let (mut names, mut rest) = (Vec::new(), text);
    loop {
        let from = if names.is_empty() { Some(rest) } else { rest.strip_prefix('.') };
        let Some(from) = from else { return (names, rest) };
        let end = from.find(|c| !is_name(c)).unwrap_or(from.len());
        if end == 0 {
            return (names, rest);
        }
        names.push(&from[..end]);
        rest = &from[end..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn known() -> Known {
        let input = json!({"topic": "sea", "n": 3, "list": [{"a": "b"}]});
        let mut known = Known::of(input.as_object().cloned().unwrap_or_default());
        known.learn("draft", json!({"text": "Waves", "none": null}));
        known
    }

    #[test]
    fn texts_speak_of_the_input_and_of_results() {
        for (text, meant) in [
            ("$input.topic", json!("sea")),
            ("$input.n", json!(3)),
            ("$input.list.0.a", json!("b")),
            ("$draft", json!({"text": "Waves", "none": null})),
            ("$draft.missing", json!(null)),
            ("About $input.topic: $draft.text.", json!("About sea: Waves.")),
            ("$input.n$input.n", json!("33")),
            ("x$draft.none$draft.missing!", json!("x!")),
            ("$5, $other.field and $", json!("$5, $other.field and $")),
            ("ä$input.topicß", json!("äseaß")),
        ] {
            assert_eq!(resolve(&json!(text), &known()), meant, "{text}");
        }
        let nested = json!({"a": ["$input.n", {"b": "$draft.text"}], "c": 1});
        assert_eq!(resolve(&nested, &known()), json!({"a": [3, {"b": "Waves"}], "c": 1}));
    }

    #[test]
    fn what_is_put_in_is_not_looked_at_again() {
        let input = json!({"a": "$draft.text"});
        let mut known = Known::of(input.as_object().cloned().unwrap_or_default());
        known.learn("draft", json!({"text": "secret"}));
        assert_eq!(resolve(&json!("<$input.a>"), &known), json!("<$draft.text>"));
    }

    #[test]
    fn flows_that_make_no_sense_are_unusable() {
        let flow = |slug: &str, keys: &[&str]| Flow {
            slug: slug.to_owned(),
            name: String::new(),
            description: String::new(),
            active: true,
            steps: keys
                .iter()
                .map(|key| Step {
                    kind: Kind::MemoryRecall,
                    config: Map::new(),
                    result_key: Some((*key).to_owned()),
                })
                .collect(),
        };
        assert!(Flows::of([flow("a", &["x", "y"])]).is_ok());
        let refused = |flow| Flows::of([flow]).err();
        assert_eq!(refused(flow("a b", &["x"])), Some(Unusable::Slug("a b".to_owned())));
        assert_eq!(refused(flow("a", &[])), Some(Unusable::Steps("a".to_owned())));
        for keys in [["x", "x"], ["input", "x"], ["x y", "x"]] {
            assert!(matches!(refused(flow("a", &keys)), Some(Unusable::ResultKey(..))), "{keys:?}");
        }
    }
}
