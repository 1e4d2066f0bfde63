//! Whether a definition can be: what is wrong with it, and where.

use super::{Definition, definition::TYPES, plan::INPUT};
use std::{collections::BTreeSet, fmt};

/// Characters of a name.
const NAME: usize = 100;
/// Steps, and input fields.
const MANY: usize = 200;
/// Bytes of a definition as JSON.
const LARGEST: usize = 512 << 10;
/// Names that templates and outputs use for something else.
const RESERVED: &[&str] = &[INPUT, "input", "output", "agent", "coordinator", "bookkeeping"];

/// Something wrong in a definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw {
    /// Where: `processors[2].id`; empty for the whole.
    pub path: String,
    /// What.
    pub text: String,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "" => f.write_str(&self.text),
            path => write!(f, "{path}: {}", self.text),
        }
    }
}

impl Definition {
    /// Looks for the first thing that is wrong.
    ///
    /// # Errors
    /// With that.
    pub fn check(&self) -> Result<(), Flaw> {
        if self.name.trim().is_empty() {
            return Err(flaw("", "name is required"));
        }
        if self.name.chars().count() > NAME {
            return Err(flaw("name", format!("longer than {NAME} characters")));
        }
        if self.type_slug.is_empty() {
            return Err(flaw("", "type_slug is required"));
        }
        if !TYPES.contains(&self.type_slug.as_str()) {
            let known = TYPES.join(", ");
            let text = format!("unknown app type \"{}\"; known: {known}", self.type_slug);
            return Err(flaw("type_slug", text));
        }
        for (place, field) in self.input_fields.iter().enumerate() {
            let name = field.get("name").and_then(serde_json::Value::as_str);
            if name.is_none_or(str::is_empty) {
                return Err(flaw(format!("input_fields[{place}]"), "name is required"));
            }
        }
        self.check_steps()?;
        let many = self.processors.len().max(self.input_fields.len()) > MANY;
        let size = serde_json::to_string(self).map_or(usize::MAX, |json| json.len());
        match many || size > LARGEST {
            true => Err(flaw("", format!("larger than {MANY} steps or {LARGEST} bytes"))),
            false => Ok(()),
        }
    }

    fn check_steps(&self) -> Result<(), Flaw> {
        let mut seen = BTreeSet::new();
        for (place, step) in self.processors.iter().enumerate() {
            let at = |field: &str| format!("processors[{place}].{field}");
            if RESERVED.contains(&step.id.as_str()) {
                return Err(flaw(at("id"), format!("\"{}\" is a reserved name", step.id)));
            }
            let plain = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
            if step.id.len() > NAME || !step.id.chars().all(plain) {
                let text = format!("an id has at most {NAME} letters, digits, '_' and '-'");
                return Err(flaw(at("id"), text));
            }
            if !seen.insert(step.id.as_str()) {
                return Err(flaw(
                    at("id"),
                    format!("\"{}\" is the id of an earlier step", step.id),
                ));
            }
            for (field, slug) in
                [("provider_slug", &step.provider_slug), ("processor_slug", &step.processor_slug)]
            {
                if slug.is_empty() {
                    return Err(flaw(
                        format!("processors[{place}]"),
                        format!("{field} is required"),
                    ));
                }
            }
        }
        // Tools of an agent are called when the model says so.
        let stuck = if self.is_agent() { vec![] } else { self.stuck() };
        let Some(first) = stuck.first() else { return Ok(()) };
        let ids: Vec<&str> =
            stuck.iter().map(|place| self.processors[*place].id.as_str()).collect();
        let text = format!("steps wait for one another and would never run: {}", ids.join(", "));
        Err(flaw(format!("processors[{first}]"), text))
    }
}

fn flaw(path: impl Into<String>, text: impl Into<String>) -> Flaw {
    Flaw { path: path.into(), text: text.into() }
}
