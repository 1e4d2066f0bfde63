//! Other spellings of the same: `elif`, `loop.index`, and `{{ … }}` as the tag that we read it as.

use regex::{Captures, Regex};
use std::sync::LazyLock;

/// The tag that stands for `{{ … }}`.
pub(super) const SAY: &str = "say";

#[expect(clippy::unwrap_used, reason = "a fixed expression")]
static PARTS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?s)(\{%-?\s*raw\s*-?%\}.*?\{%-?\s*endraw\s*-?%\})|\{\{(-?)(.*?)(-?)\}\}|\{%.*?%\}",
    )
    .unwrap()
});
#[expect(clippy::unwrap_used, reason = "a fixed expression")]
static LOOP: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\bloop\.(index0?|revindex0?|first|last|length)\b").unwrap());
#[expect(clippy::unwrap_used, reason = "a fixed expression")]
static ELIF: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^(\{%-?\s*)elif\b").unwrap());

/// The template in the one spelling that the parser knows.
pub(super) fn ours(template: &str) -> String {
    let respelled = |found: &Captures<'_>| {
        if let Some(raw) = found.get(1) {
            return raw.as_str().to_owned();
        }
        if let (Some(left), Some(said), Some(right)) = (found.get(2), found.get(3), found.get(4)) {
            let said = LOOP.replace_all(said.as_str(), "forloop.$1");
            return format!("{{%{} {SAY} {said} {}%}}", left.as_str(), right.as_str());
        }
        let tag = ELIF.replace(&found[0], "${1}elsif").into_owned();
        LOOP.replace_all(&tag, "forloop.$1").into_owned()
    };
    PARTS.replace_all(template, respelled).into_owned()
}
