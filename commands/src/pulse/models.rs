//! What the providers of models do, by kind of provider and by model. People name models as they like: only so many are
//! counted by name, all others together.

use super::{Counter, Counts, FAR, Histogram};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

/// Models that are counted by name.
const MOST: usize = 50;
/// Bytes of a model's name at most; a longer one is counted with the others.
const LONGEST: usize = 100;
/// What the others are called.
const OTHER: &str = "other";

/// What one model does.
#[derive(Debug)]
pub struct Provided {
    /// From the call to the first piece of an answer.
    pub first_token: Histogram,
    /// From the call to the end of an answer, however it ended.
    pub turn: Histogram,
    /// Tokens read, as the provider counts them.
    pub prompt_tokens: Counter,
    /// Tokens written, as the provider counts them.
    pub completion_tokens: Counter,
    /// Calls that were made again.
    pub retries: Counter,
    /// Turns that came to no good end; see [`crate::effects::model::ModelError::class`].
    pub errors: Counts<6>,
}

impl Provided {
    const fn new() -> Self {
        Self {
            first_token: Histogram::new(FAR),
            turn: Histogram::new(FAR),
            prompt_tokens: Counter::new(),
            completion_tokens: Counter::new(),
            retries: Counter::new(),
            errors: Counts::new([
                "unreachable",
                "timeout",
                "rate_limited",
                "status",
                "broken",
                "misconfigured",
            ]),
        }
    }
}

/// Kind of provider, and model.
pub type Name = (&'static str, Arc<str>);

static MODELS: Mutex<BTreeMap<Name, Arc<Provided>>> = Mutex::new(BTreeMap::new());

/// The counters of this model.
pub fn of(provider: &'static str, model: &str) -> Arc<Provided> {
    let mut models = MODELS.lock().unwrap_or_else(PoisonError::into_inner);
    named(&mut models, provider, model)
}

fn named(
    models: &mut BTreeMap<Name, Arc<Provided>>,
    provider: &'static str,
    model: &str,
) -> Arc<Provided> {
    let model = if model.len() > LONGEST { OTHER } else { model };
    if let Some(known) = models.get(&(provider, model.into())) {
        return known.clone();
    }
    let model = if models.len() < MOST { model } else { OTHER };
    models.entry((provider, model.into())).or_insert_with(|| Arc::new(Provided::new())).clone()
}

/// All counters, by name.
pub fn each() -> Vec<(Name, Arc<Provided>)> {
    let models = MODELS.lock().unwrap_or_else(PoisonError::into_inner);
    models.iter().map(|(name, provided)| (name.clone(), provided.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_so_many_models_are_counted_by_name() {
        let mut models = BTreeMap::new();
        for number in 0..MOST * 2 {
            named(&mut models, "openai", &format!("model-{number}")).retries.add(1);
        }
        named(&mut models, "openai", &"x".repeat(LONGEST + 1)).retries.add(1);
        assert_eq!(models.len(), MOST + 1);
        let other = models.get(&("openai", OTHER.into())).map(|other| other.retries.get());
        assert_eq!(other, Some(MOST as u64 + 1));
    }
}
