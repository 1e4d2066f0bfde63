//! How a provider is called.

use super::Refusal;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Number, Value};

/// Tokens that fit in a model whose window nobody named.
const WINDOW: u32 = 64_000;
/// Most characters of names.
const LONGEST_NAME: usize = 255;
/// Most characters of a URL.
const LONGEST_URL: usize = 2_048;

/// How a provider is called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// For people.
    pub name: String,
    /// The URL above `/chat/completions`, without trailing slash.
    pub base_url: String,
    /// The model's name there.
    pub model: String,
    /// Most tokens of an answer.
    #[serde(default)]
    pub max_tokens: Option<u32>,
    /// Sampling temperature.
    #[serde(default)]
    pub temperature: Option<Number>,
    /// Nucleus sampling.
    #[serde(default)]
    pub top_p: Option<Number>,
    /// Presence penalty.
    #[serde(default)]
    pub presence_penalty: Option<Number>,
    /// Tokens of the model's window.
    pub max_model_len: u32,
    /// Whether it takes images.
    #[serde(default)]
    pub supports_multimodal: bool,
}

/// What becomes of a value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Change<T> {
    /// It stays; in JSON: it is not there.
    #[default]
    Keep,
    /// It is unset; in JSON: null.
    Clear,
    /// It is set.
    Set(T),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Change<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Self::Clear, Self::Set))
    }
}

impl<T: Clone> Change<T> {
    /// The value after the change.
    pub fn apply(&self, old: &Option<T>) -> Option<T> {
        match self {
            Self::Keep => old.clone(),
            Self::Clear => None,
            Self::Set(new) => Some(new.clone()),
        }
    }
}

/// A partial change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Patch {
    /// Another name.
    pub name: Option<String>,
    /// Another URL.
    pub base_url: Option<String>,
    /// Another model.
    pub model: Option<String>,
    /// Most tokens of an answer.
    pub max_tokens: Change<u32>,
    /// Sampling temperature.
    pub temperature: Change<Number>,
    /// Nucleus sampling.
    pub top_p: Change<Number>,
    /// Presence penalty.
    pub presence_penalty: Change<Number>,
    /// Tokens of the model's window; cleared, it is what is assumed of all models.
    pub max_model_len: Change<u32>,
    /// Whether it takes images.
    pub supports_multimodal: Option<bool>,
}

impl Config {
    /// A provider of which nothing but this is known.
    pub fn new(name: String, base_url: String, model: String) -> Self {
        Self {
            name,
            base_url,
            model,
            max_tokens: None,
            temperature: None,
            top_p: None,
            presence_penalty: None,
            max_model_len: WINDOW,
            supports_multimodal: false,
        }
    }

    /// With this change.
    #[must_use]
    pub fn patched(&self, patch: &Patch) -> Self {
        let kept = |new: &Option<String>, old: &String| new.as_ref().unwrap_or(old).clone();
        Self {
            name: kept(&patch.name, &self.name),
            base_url: kept(&patch.base_url, &self.base_url),
            model: kept(&patch.model, &self.model),
            max_tokens: patch.max_tokens.apply(&self.max_tokens),
            temperature: patch.temperature.apply(&self.temperature),
            top_p: patch.top_p.apply(&self.top_p),
            presence_penalty: patch.presence_penalty.apply(&self.presence_penalty),
            max_model_len: patch.max_model_len.apply(&Some(self.max_model_len)).unwrap_or(WINDOW),
            supports_multimodal: patch.supports_multimodal.unwrap_or(self.supports_multimodal),
        }
    }

    /// The parameters of a call, by the protocol's names; unset ones are not there, so that no provider meets what it
    /// does not know.
    pub fn parameters(&self) -> Map<String, Value> {
        let number = |name: &str, value: &Option<Number>| {
            value.clone().map(|value| (name.to_owned(), Value::Number(value)))
        };
        let parameters = [
            number("max_tokens", &self.max_tokens.map(Number::from)),
            number("temperature", &self.temperature),
            number("top_p", &self.top_p),
            number("presence_penalty", &self.presence_penalty),
        ];
        parameters.into_iter().flatten().collect()
    }

    pub(super) fn check(&self) -> Result<(), Refusal> {
        let fits = |text: &str, most| !text.trim().is_empty() && text.chars().count() <= most;
        match self {
            _ if !fits(&self.name, LONGEST_NAME) => Err(Refusal::BadName),
            _ if !fits(&self.model, LONGEST_NAME) => Err(Refusal::BadModel),
            _ if !fits(&self.base_url, LONGEST_URL) => Err(Refusal::BadUrl),
            _ => Ok(()),
        }
    }
}
