//! Providers as clients send them.

use crate::{
    core::{Error, Problem},
    sage::Fault,
};
use commands::effects::{Sensitive, secret::is_masked};
use domain::llm_provider::{Change, Config, Patch};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Number, Value, json};
use utoipa::ToSchema;

/// Most bytes of a key; those of OpenAI have 164.
const LONGEST_KEY: usize = 4_096;

/// A model provider, or what is to change of one.
// What is missing is found out here and not by the parser, whose errors show what was sent: keys, too.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(as = ModelProviderChange)]
pub(super) struct Body {
    /// As the model without it.
    #[schema(min_length = 1, max_length = 255)]
    pub name: Option<String>,
    /// Of an OpenAI-compatible server; public.
    #[schema(min_length = 1, max_length = 2_048)]
    pub base_url: Option<String>,
    /// Exactly one.
    #[schema(value_type = Option<Vec<String>>, min_items = 1, max_items = 1)]
    api_keys: Option<Keys>,
    #[schema(min_length = 1, max_length = 255)]
    pub model: Option<String>,
    /// Most tokens of an answer.
    #[serde(default)]
    #[schema(value_type = Option<u32>)]
    max_tokens: Change<u32>,
    #[serde(default)]
    #[schema(value_type = Option<f64>)]
    temperature: Change<Number>,
    #[serde(default)]
    #[schema(value_type = Option<f64>)]
    top_p: Change<Number>,
    #[serde(default)]
    #[schema(value_type = Option<f64>)]
    presence_penalty: Change<Number>,
    /// Tokens that the model can hold, prompt and answer together.
    #[serde(default)]
    #[schema(value_type = Option<u32>)]
    max_model_len: Change<u32>,
    supports_multimodal: Option<bool>,
    /// Whether it answers where no other is named.
    pub is_default: Option<bool>,
}

/// A model provider, with everything that it needs.
#[derive(ToSchema)]
#[schema(as = ModelProviderConfig)]
#[expect(dead_code, reason = "what is missing is told in the dialect's words")]
pub(super) struct Whole {
    #[serde(flatten)]
    rest: Body,
    #[schema(min_length = 1, max_length = 2_048)]
    base_url: String,
    #[schema(min_items = 1, max_items = 1)]
    api_keys: Vec<String>,
    #[schema(min_length = 1, max_length = 255)]
    model: String,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Keys {
    List(Vec<Sensitive>),
    Other(IgnoredAny),
}

type Result<T> = std::result::Result<T, Fault>;

impl Body {
    /// The key; `None` when the list was left out.
    pub fn key(&self) -> Result<Option<Sensitive>> {
        let keys = match &self.api_keys {
            None => return Ok(None),
            Some(Keys::List(keys)) => keys,
            Some(Keys::Other(_)) => {
                return Err(invalid("list_type", "api_keys", "Input should be a list of strings"));
            }
        };
        let mut keys = keys.iter().map(|key| key.expose().trim()).filter(|key| !key.is_empty());
        let (Some(key), None) = (keys.next(), keys.next()) else {
            return Err(bad_key("Exactly one API key is required"));
        };
        if key.chars().any(char::is_control) {
            return Err(bad_key("The API key has to be a single line"));
        }
        if key.len() > LONGEST_KEY {
            return Err(bad_key("The API key is too long"));
        }
        Ok(Some(Sensitive::from(key.to_owned())))
    }

    /// The key, where there is no saved one to fall back to.
    pub fn required_key(&self) -> Result<Sensitive> {
        let key = self.key()?.ok_or_else(|| missing("api_keys"))?;
        if is_masked(key.expose()) {
            return Err(bad_key("The API key is masked"));
        }
        Ok(key)
    }

    /// The whole provider; without a name it is called as its model.
    pub fn config(&self) -> Result<Config> {
        let base_url = self.base_url.clone().ok_or_else(|| missing("base_url"))?;
        let model = self.model.clone().ok_or_else(|| missing("model"))?;
        let name = self.name.clone().unwrap_or_else(|| model.clone());
        Ok(Config::new(name, base_url, model).patched(&self.patch()))
    }

    /// What is to change; a name, URL or model of null is as good as none.
    pub fn patch(&self) -> Patch {
        let clean = |text: &Option<String>| text.as_ref().map(|text| text.replace('\0', ""));
        Patch {
            name: clean(&self.name),
            base_url: clean(&self.base_url),
            model: clean(&self.model),
            max_tokens: self.max_tokens,
            temperature: self.temperature.clone(),
            top_p: self.top_p.clone(),
            presence_penalty: self.presence_penalty.clone(),
            max_model_len: self.max_model_len,
            supports_multimodal: self.supports_multimodal,
        }
    }
}

fn missing(field: &str) -> Fault {
    invalid("missing", field, "Field required")
}

fn bad_key(why: &str) -> Fault {
    invalid("value_error", "api_keys", &format!("Value error, {why}"))
}

fn invalid(kind: &'static str, field: &str, msg: &str) -> Fault {
    let loc = vec![json!("body"), json!(field)];
    Fault::Core(Error::Invalid(vec![Problem {
        kind,
        loc,
        msg: msg.to_owned(),
        input: Value::Null,
    }]))
}
