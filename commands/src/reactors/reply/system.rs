//! The system prompt: what the agent is, what it knows, and how it shall work.

use crate::effects::model::Passage;
use domain::run::{Memory, Settings};
use serde_json::Value;
use std::fmt::Write as _;

const THINK: &str = "# Way of working\nThink before you act: work out what is really asked, \
    what is known and what is missing, and lay out the steps. After each result check whether it fits, \
    and change the plan when it does not. Check the answer once more before you give it.";
const PLAN: &str = "# Plan\nBegin with a short numbered plan of the steps, then carry it out.";

/// What closes a run that shall have a summary.
pub(super) const SUMMARY: &str = "Summarize for the user what was done in this run and what came of it: \
    the results first, then what is left open. Be brief, call no tools, and write in the user's language.";

/// What asks for suggestions.
pub(super) const SUGGEST: &str = "Suggest three short questions that the user might want to ask next. \
    Answer with one question per line and nothing else: no numbers, no introduction. Write in the user's language.";

/// The system prompt; `None` when there is nothing to say. `remembered` is what the user talked about elsewhere.
pub(super) fn prompt(
    settings: &Settings,
    passages: &[Passage],
    remembered: &[String],
) -> Option<String> {
    let mut text = settings.system_prefix.clone().unwrap_or_default();
    // Writing into a String cannot fail.
    if !settings.system_context.is_empty() {
        text.push_str("\n\n# Context\n");
        for (key, value) in &settings.system_context {
            let plain = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let _ = writeln!(text, "- {key}: {plain}");
        }
    }
    if !settings.workflows.is_empty() {
        text.push_str("\n\n# Workflows\nWhen the task fits one of these, follow its steps.\n");
        for (name, steps) in &settings.workflows {
            let _ = writeln!(text, "\n## {name}");
            workflow(&mut text, steps);
        }
    }
    if !settings.skills.is_empty() {
        let names = settings.skills.join(", ");
        let _ = write!(
            text,
            "\n\n# Skills\nAt hand: {names}. Read one with load_skill before you use it.\n"
        );
        if !settings.asked_skills.is_empty() {
            let asked = settings.asked_skills.join(", ");
            let _ = writeln!(text, "The user asks to use: {asked}.");
        }
    }
    if settings.deep_thinking {
        let _ = write!(text, "\n\n{THINK}");
    }
    if settings.plan {
        let _ = write!(text, "\n\n{PLAN}");
    }
    if settings.memory == Memory::User && !remembered.is_empty() {
        text.push_str("\n\n# What the user talked about in other sessions, newest first\n");
        remembered.iter().for_each(|title| {
            let _ = writeln!(text, "- {title}");
        });
    }
    if !passages.is_empty() {
        text.push_str("\n\n# Passages from the attached knowledge bases\n");
        for passage in passages {
            let _ = writeln!(text, "\n[{}: {}]\n{}", passage.document, passage.title, passage.text);
        }
    }
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// Steps are a list of texts; anything else is shown as it was sent.
fn workflow(text: &mut String, steps: &Value) {
    match steps {
        Value::Array(steps) => {
            for (number, step) in steps.iter().enumerate() {
                let plain = step.as_str().map_or_else(|| step.to_string(), str::to_owned);
                let _ = writeln!(text, "{}. {plain}", number + 1);
            }
        }
        Value::String(step) => {
            let _ = writeln!(text, "{step}");
        }
        other => {
            let _ = writeln!(text, "{other}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(settings: &Settings) -> String {
        prompt(settings, &[], &["Taxes".to_owned()]).unwrap_or_default()
    }

    #[test]
    fn nothing_set_says_nothing() {
        assert_eq!(prompt(&Settings::default(), &[], &[]), None);
    }

    #[test]
    fn everything_that_is_set_is_told() {
        let map = |value: Value| value.as_object().cloned().unwrap_or_default();
        let settings = Settings {
            system_prefix: Some("Be brief.".to_owned()),
            system_context: map(json!({"city": "Bern", "n": 3})),
            workflows: map(json!({"report": ["collect", "write"], "odd": "alone"})),
            skills: vec!["tables".to_owned(), "maps".to_owned()],
            asked_skills: vec!["maps".to_owned()],
            deep_thinking: true,
            plan: true,
            memory: Memory::User,
            ..Settings::default()
        };
        let told = of(&settings);
        for part in [
            "Be brief.\n",
            "- city: Bern\n- n: 3\n",
            "## report\n1. collect\n2. write\n",
            "## odd\nalone\n",
            "At hand: tables, maps.",
            "asks to use: maps.",
            THINK,
            PLAN,
            "- Taxes",
        ] {
            assert!(told.contains(part), "{part} is not in {told}");
        }
    }

    #[test]
    fn a_session_remembers_nothing_else() {
        let settings = Settings { deep_thinking: true, ..Settings::default() };
        assert!(!of(&settings).contains("Taxes"));
    }
}
