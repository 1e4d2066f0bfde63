//! What an app is: what it asks for, which steps it takes, and what it says in the end.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

/// The kinds of apps that can be made.
pub const TYPES: &[&str] = &["web", "text-chat", "agent", "workflow", "voice-agent"];

/// A definition, as its owner wrote it. Keys that we do not know are kept.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Definition {
    /// 1 to 100 characters.
    pub name: String,
    /// For people.
    pub description: String,
    /// URL or data URL of an image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub icon: Option<String>,
    /// One of [`TYPES`].
    pub type_slug: String,
    /// What this kind of app is told besides.
    pub config: Map<String, Value>,
    /// What it asks for; each with at least a `name`.
    pub input_fields: Vec<Map<String, Value>>,
    /// `{"markdown": template}`.
    pub output_template: Map<String, Value>,
    /// Its steps; an agent's tools.
    pub processors: Vec<Processor>,
    /// `web_config`, `slack_config`, `discord_config`, `twilio_config`: stored and shown.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub integrations: Map<String, Value>,
}

/// One step, or one tool of an agent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Processor {
    /// Key of the step, unique in its app.
    #[serde(deserialize_with = "or_default")]
    pub id: String,
    /// For people.
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    /// For people, and for the model that may call it.
    #[serde(deserialize_with = "or_default")]
    pub description: String,
    /// Who makes it.
    #[serde(deserialize_with = "or_default")]
    pub provider_slug: String,
    /// Which of theirs it is.
    #[serde(deserialize_with = "or_default")]
    pub processor_slug: String,
    /// What it works on; every string is a template.
    #[serde(deserialize_with = "or_default")]
    pub input: Map<String, Value>,
    /// How it works; every string is a template.
    #[serde(deserialize_with = "or_default")]
    pub config: Map<String, Value>,
    /// What a model is told of its output, when it is a tool.
    #[serde(deserialize_with = "or_default")]
    pub output_template: Map<String, Value>,
    /// What a model is asked for, when it is a tool.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Option::is_none")]
    pub input_fields: Option<Vec<Map<String, Value>>>,
    /// All else.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// What a new version says in another way; all else stays.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Patch {
    /// See [`Definition::name`].
    pub name: Option<String>,
    /// See [`Definition::description`].
    pub description: Option<String>,
    /// See [`Definition::icon`].
    pub icon: Option<String>,
    /// See [`Definition::type_slug`].
    pub type_slug: Option<String>,
    /// The number of the kind: 1 web, 2 text-chat, 3 agent.
    pub app_type: Option<u64>,
    /// See [`Definition::config`].
    pub config: Option<Map<String, Value>>,
    /// See [`Definition::input_fields`].
    pub input_fields: Option<Vec<Map<String, Value>>>,
    /// See [`Definition::output_template`].
    pub output_template: Option<Map<String, Value>>,
    /// See [`Definition::processors`]; an empty list keeps the old one.
    pub processors: Option<Vec<Processor>>,
    /// See [`Definition::integrations`].
    pub web_config: Option<Map<String, Value>>,
    /// See [`Definition::integrations`].
    pub slack_config: Option<Map<String, Value>>,
    /// See [`Definition::integrations`].
    pub discord_config: Option<Map<String, Value>>,
    /// See [`Definition::integrations`].
    pub twilio_config: Option<Map<String, Value>>,
}

impl Definition {
    /// The template of what the app says; empty when it has none.
    pub fn template(&self) -> &str {
        markdown(&self.output_template)
    }

    /// Whether a model decides which steps are taken.
    pub fn is_agent(&self) -> bool {
        self.type_slug == "agent"
    }

    /// This definition with the patch's say. Steps without a key are called by their place, as the first releases did.
    #[must_use]
    pub fn patched(&self, patch: &Patch) -> Self {
        let mut new = self.clone();
        set(&mut new.name, &patch.name);
        set(&mut new.description, &patch.description);
        set(&mut new.type_slug, &patch.type_slug);
        set(&mut new.config, &patch.config);
        set(&mut new.input_fields, &patch.input_fields);
        set(&mut new.output_template, &patch.output_template);
        if patch.icon.is_some() {
            new.icon.clone_from(&patch.icon);
        }
        if let (None, Some(number)) = (&patch.type_slug, patch.app_type) {
            let numbered = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
            let slug = numbered.filter(|place| *place < 3).and_then(|place| TYPES.get(place));
            new.type_slug = slug.map_or_else(|| number.to_string(), |slug| (*slug).to_owned());
        }
        if let Some(processors @ [_, ..]) = patch.processors.as_deref() {
            new.processors = processors.to_vec();
            for (place, processor) in new.processors.iter_mut().enumerate() {
                if processor.id.is_empty() {
                    processor.id = format!("_inputs{}", place + 1);
                }
            }
        }
        for (key, config) in [
            ("web_config", &patch.web_config),
            ("slack_config", &patch.slack_config),
            ("discord_config", &patch.discord_config),
            ("twilio_config", &patch.twilio_config),
        ] {
            if let Some(config) = config {
                new.integrations.insert(key.to_owned(), Value::Object(config.clone()));
            }
        }
        new
    }

    /// This definition with one of its steps only, and that step's output as all it says; `None` when it has no such step.
    /// Of other steps, templates know nothing then.
    #[must_use]
    pub fn alone(&self, step: &str) -> Option<Self> {
        let step = self.processors.iter().find(|processor| processor.id == step)?.clone();
        let mut alone = self.clone();
        "web".clone_into(&mut alone.type_slug);
        alone.processors = vec![step];
        alone.output_template.clear();
        Some(alone)
    }

    /// The input with the defaults of declared fields that are absent.
    pub fn filled(&self, mut input: Map<String, Value>) -> Map<String, Value> {
        for field in &self.input_fields {
            if let (Some(Value::String(name)), Some(default)) =
                (field.get("name"), field.get("default"))
                && !default.is_null()
            {
                input.entry(name.clone()).or_insert_with(|| default.clone());
            }
        }
        input
    }
}

impl Processor {
    /// `provider/slug`, which says what it is.
    pub fn slug(&self) -> String {
        format!("{}/{}", self.provider_slug, self.processor_slug)
    }

    /// The template of what a model is told of its output; empty when it has none.
    pub fn template(&self) -> &str {
        markdown(&self.output_template)
    }
}

fn markdown(template: &Map<String, Value>) -> &str {
    template.get("markdown").and_then(Value::as_str).unwrap_or_default()
}

fn set<T: Clone>(field: &mut T, new: &Option<T>) {
    if let Some(new) = new {
        field.clone_from(new);
    }
}

/// `null` says as much as nothing.
fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
