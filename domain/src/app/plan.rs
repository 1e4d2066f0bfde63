//! Which step waits for which: derived from the templates, never from the order in which steps are listed.

use super::{Definition, Processor, names};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The input's name in templates.
pub const INPUT: &str = "_inputs0";

impl Definition {
    /// Everything that templates may call the steps, and the steps' places: their ids, and `_inputs1`, `_inputs2` … by
    /// their place, where no step has that id.
    pub fn step_names(&self) -> BTreeMap<String, usize> {
        let places =
            (0..self.processors.len()).map(|place| (format!("_inputs{}", place + 1), place));
        let ids = self.processors.iter().enumerate().map(|(place, step)| (step.id.clone(), place));
        places.chain(ids).collect()
    }

    /// For each step the places of those that it waits for.
    pub fn dependencies(&self) -> Vec<BTreeSet<usize>> {
        let names = self.step_names();
        let waits = |step: &Processor| {
            let said = roots_in(step);
            said.iter().filter_map(|name| names.get(name).copied()).collect()
        };
        self.processors.iter().map(waits).collect()
    }

    /// Places of steps that wait for one another, and so for ever; empty when there are none.
    pub fn stuck(&self) -> Vec<usize> {
        let dependencies = self.dependencies();
        let mut done = BTreeSet::new();
        loop {
            let ready =
                |place: &usize| !done.contains(place) && dependencies[*place].is_subset(&done);
            let more: Vec<usize> = (0..dependencies.len()).filter(ready).collect();
            if more.is_empty() {
                return (0..dependencies.len()).filter(|place| !done.contains(place)).collect();
            }
            done.extend(more);
        }
    }

    /// The names under which the output template speaks of steps, with their places. Without a template it is all of them,
    /// under their ids.
    pub fn spoken_of(&self) -> Vec<(String, usize)> {
        if self.template().is_empty() {
            let ids = self.processors.iter().enumerate();
            return ids.map(|(place, step)| (step.id.clone(), place)).collect();
        }
        let said = names::roots(&names::modern(self.template()));
        self.step_names().into_iter().filter(|(name, _)| said.contains(name)).collect()
    }

    /// Whether the output template speaks of the input.
    pub fn speaks_of_input(&self) -> bool {
        names::roots(&names::modern(self.template())).contains(INPUT)
    }
}

fn roots_in(step: &Processor) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    step.input.values().chain(step.config.values()).for_each(|value| collect(value, &mut found));
    found
}

fn collect(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => found.extend(names::roots(&names::modern(text))),
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        Value::Object(fields) => fields.values().for_each(|field| collect(field, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
