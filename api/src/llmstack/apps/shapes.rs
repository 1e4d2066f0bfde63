//! Bodies of apps, as the document tells of them. What is read is the definition of the domain.

use serde_json::{Map, Value};
use utoipa::ToSchema;

/// An app to be.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a shape for the document; the definition is read by the domain")]
pub struct NewApp {
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    type_slug: AppType,
    /// Whether it is published at once, for all who know where; a draft is not.
    #[schema(default = false, required = false)]
    is_published: bool,
    #[serde(flatten)]
    rest: Version,
}

/// What a new version says in another way. What is not named stays.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a shape for the document; the definition is read by the domain")]
pub struct AppChange {
    #[schema(min_length = 1, max_length = 100)]
    name: Option<String>,
    type_slug: Option<AppType>,
    #[serde(flatten)]
    rest: Version,
}

/// What an app is; for numbers, `app_type` is taken as well (1 to 3).
#[derive(ToSchema)]
#[schema(rename_all = "kebab-case")]
#[expect(dead_code, reason = "a shape for the document; the definition is read by the domain")]
pub enum AppType {
    Web,
    TextChat,
    /// A model decides which steps are taken.
    Agent,
    Workflow,
    /// Can be stored, and not be run.
    VoiceAgent,
}

/// What can be said of a version. Keys of steps and fields that nobody here knows are kept.
#[derive(ToSchema)]
#[schema(as = AppVersionWish)]
#[expect(dead_code, reason = "a shape for the document; the definition is read by the domain")]
pub struct Version {
    description: Option<String>,
    /// URL or data URL of an image.
    icon: Option<String>,
    /// What this type of app is told besides.
    #[schema(value_type = Option<Object>)]
    config: Option<Map<String, Value>>,
    /// What it asks for.
    input_fields: Option<Vec<InputField>>,
    output_template: Option<Template>,
    /// Its steps; an agent's tools. An empty list keeps those that there are.
    processors: Option<Vec<Step>>,
    /// Where it may be shown: `allowed_sites`.
    #[schema(value_type = Option<Object>)]
    web_config: Option<Map<String, Value>>,
    #[schema(value_type = Option<Object>)]
    slack_config: Option<Map<String, Value>>,
    #[schema(value_type = Option<Object>)]
    discord_config: Option<Map<String, Value>>,
    #[schema(value_type = Option<Object>)]
    twilio_config: Option<Map<String, Value>>,
    /// Whether it is only for those who may change the app.
    #[schema(default = true, required = false)]
    draft: bool,
    /// What to remember of it.
    comment: Option<String>,
}

/// Something that an app asks for. Other keys are kept.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a shape for the document; the definition is read by the domain")]
pub struct InputField {
    /// Its key in the input.
    #[schema(min_length = 1)]
    name: String,
    title: Option<String>,
    /// What is asked for, such as `string`, `number`, `boolean`, `select` or `file`.
    r#type: Option<String>,
    description: Option<String>,
    required: Option<bool>,
    /// What counts when nothing is sent.
    default: Option<Value>,
}

/// What is made of an output.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a shape for the document; the definition is read by the domain")]
pub struct Template {
    /// A Liquid template.
    markdown: Option<String>,
}

/// A step, or a tool of an agent. Other keys are kept.
#[derive(ToSchema)]
#[schema(as = Processor)]
#[expect(dead_code, reason = "a shape for the document; the definition is read by the domain")]
pub struct Step {
    /// Key of the step, unique in its app; without one it is `_inputs` and its place.
    id: Option<String>,
    name: Option<String>,
    /// For people, and for the model that may call it.
    description: Option<String>,
    /// Who makes it, such as `promptly`.
    provider_slug: String,
    /// Which of theirs it is, such as `llm`.
    processor_slug: String,
    /// What it works on; every string is a template.
    #[schema(value_type = Option<Object>)]
    input: Option<Map<String, Value>>,
    /// How it works; every string is a template.
    #[schema(value_type = Option<Object>)]
    config: Option<Map<String, Value>>,
    /// What a model is told of its output, when it is a tool.
    output_template: Option<Template>,
    /// What a model is asked for, when it is a tool.
    input_fields: Option<Vec<InputField>>,
}

/// A step, or a tool of an agent, as its owner wrote it.
#[derive(ToSchema)]
#[schema(as = AppDataProcessor)]
#[expect(dead_code, reason = "a shape for the document; the domain's own is written")]
pub struct ShownStep {
    /// Key of the step, unique in its app.
    id: String,
    name: String,
    description: String,
    provider_slug: String,
    processor_slug: String,
    #[schema(value_type = Object)]
    input: Map<String, Value>,
    #[schema(value_type = Object)]
    config: Map<String, Value>,
    #[schema(value_type = Object)]
    output_template: Map<String, Value>,
    /// Only there if it has some.
    #[schema(nullable = false, value_type = Option<Vec<Object>>)]
    input_fields: Option<Vec<Map<String, Value>>>,
}
