//! Parameters of a job, read with words for its owner.

use crate::reactors::queue::Failed;
use serde_json::{Map, Value};

/// The parameters; names in snake case are found in camel case, too.
#[derive(Clone, Copy)]
pub(super) struct Params<'a>(pub &'a Map<String, Value>);

impl Params<'_> {
    fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).or_else(|| self.0.get(&camel(name))).filter(|value| !value.is_null())
    }

    pub fn text(&self, name: &str) -> Option<String> {
        self.get(name)?.as_str().map(str::to_owned).filter(|text| !text.is_empty())
    }

    pub fn texts(&self, name: &str) -> Result<Vec<String>, Failed> {
        let list = self.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
        let texts: Option<Vec<String>> =
            list.iter().map(|text| text.as_str().map(str::to_owned)).collect();
        let bad = || Failed::for_good(format!("{name} has to be a list of at most 20 texts"));
        texts.filter(|texts| texts.len() <= 20).ok_or_else(bad)
    }

    /// A whole number within these bounds.
    pub fn number(&self, name: &str, from: u32, to: u32) -> Result<Option<u32>, Failed> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
        let fits = number.filter(|number| (from..=to).contains(number));
        let bad = || Failed::for_good(format!("{name} has to be a number from {from} to {to}"));
        fits.map(Some).ok_or_else(bad)
    }

    pub fn needed(&self, name: &str, from: u32, to: u32) -> Result<u32, Failed> {
        let missing = || Failed::for_good(format!("{name} is required"));
        self.number(name, from, to)?.ok_or_else(missing)
    }

    /// Seconds, with a fraction.
    pub fn seconds(&self, name: &str) -> Result<Option<f64>, Failed> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let seconds = value.as_f64().filter(|seconds| (0.0..=86_400.0).contains(seconds));
        let bad = || Failed::for_good(format!("{name} has to be a number of seconds"));
        seconds.map(Some).ok_or_else(bad)
    }
}

fn camel(name: &str) -> String {
    let mut parts = name.split('_');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |camel, part| {
        let mut letters = part.chars();
        let head = letters.next().map(|c| c.to_ascii_uppercase().to_string()).unwrap_or_default();
        camel + &head + letters.as_str()
    })
}
