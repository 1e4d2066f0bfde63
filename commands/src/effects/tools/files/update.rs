//! Changing parts of a text.

use super::TEXT;
use crate::effects::tools::builtin::Answer;
use regex::{NoExpand, Regex, RegexBuilder};
use serde::Deserialize;

/// Largest compiled pattern, in bytes: what bounds the time a match takes per byte of text.
const PATTERN: usize = 1 << 18;
/// Longest text in which an expression is looked for, in bytes; a literal text is found in any.
const SEARCHED: usize = 1 << 20;

/// One change: what matches a pattern, or a range of lines, becomes something else.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Operation {
    search_pattern: Option<String>,
    replace_all: bool,
    start_line: Option<usize>,
    end_line: Option<usize>,
    replacement: Option<String>,
}

/// The text after all operations, or why one of them cannot be done.
pub(super) fn updated(text: &str, operations: &[Operation]) -> Answer {
    let mut text = text.to_owned();
    for (index, operation) in operations.iter().enumerate() {
        let changed = operation.apply(&text);
        text = changed.map_err(|reason| format!("operation {}: {reason}", index + 1))?;
        if text.len() as u64 > TEXT {
            return Err(format!("the text would have more than {TEXT} bytes"));
        }
    }
    Ok(text)
}

impl Operation {
    fn apply(&self, text: &str) -> Answer {
        let Some(replacement) = &self.replacement else {
            return Err("replacement is missing".to_owned());
        };
        match (self.search_pattern.as_deref(), self.start_line, self.end_line) {
            (Some(""), ..) => Err("search_pattern is empty".to_owned()),
            (Some(pattern), None, None) => self.search(text, pattern, replacement),
            (None, Some(first), Some(last)) => lines(text, first, last, replacement),
            _ => Err("give either search_pattern, or start_line and end_line".to_owned()),
        }
    }

    fn search(&self, text: &str, pattern: &str, replacement: &str) -> Answer {
        let literal = text.matches(pattern).count();
        let regex = match literal {
            0 if text.len() > SEARCHED => return Err(format!("{pattern:?} does not occur")),
            0 => Some(compiled(pattern)?),
            _ => None,
        };
        let found = regex.as_ref().map_or(literal, |regex| regex.find_iter(text).count());
        match found {
            0 => return Err(format!("{pattern:?} does not occur")),
            1 => {}
            _ if self.replace_all => {}
            _ => {
                return Err(format!(
                    "{pattern:?} occurs {found} times; make it longer, or set replace_all"
                ));
            }
        }
        let most = text.len().saturating_add(found.saturating_mul(replacement.len()));
        if most as u64 > 2 * TEXT {
            return Err("the text would become too long".to_owned());
        }
        Ok(match regex {
            Some(regex) => regex.replace_all(text, NoExpand(replacement)).into_owned(),
            None => text.replace(pattern, replacement),
        })
    }
}

fn compiled(pattern: &str) -> Result<Regex, String> {
    let built = RegexBuilder::new(pattern).size_limit(PATTERN).multi_line(true).build();
    built.map_err(|_| format!("{pattern:?} does not occur, and is no regular expression either"))
}

/// The lines from `first` to `last`, counted from 1 and both included, become `replacement`.
fn lines(text: &str, first: usize, last: usize, replacement: &str) -> Answer {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    if first == 0 || first > last || last > lines.len() {
        return Err(format!("there are lines 1 to {}", lines.len()));
    }
    let (before, after) = (lines[..first - 1].concat(), lines[last..].concat());
    let ends = replacement.is_empty() || replacement.ends_with('\n') || after.is_empty();
    Ok([before.as_str(), replacement, if ends { "" } else { "\n" }, &after].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(pattern: &str, replacement: &str, replace_all: bool) -> Operation {
        Operation {
            search_pattern: Some(pattern.to_owned()),
            replacement: Some(replacement.to_owned()),
            replace_all,
            ..Operation::default()
        }
    }

    fn range(first: usize, last: usize, replacement: &str) -> Operation {
        Operation {
            start_line: Some(first),
            end_line: Some(last),
            replacement: Some(replacement.to_owned()),
            ..Operation::default()
        }
    }

    #[test]
    fn a_pattern_is_a_text_first_and_an_expression_second() {
        assert_eq!(updated("a.c abc", &[search("a.c", "x", false)]), Ok("x abc".to_owned()));
        assert_eq!(updated("abc adc", &[search("a.c", "$0", true)]), Ok("$0 $0".to_owned()));
        assert_eq!(updated("a\nb\n", &[search("^b$", "c", false)]), Ok("a\nc\n".to_owned()));
    }

    #[test]
    fn what_is_not_meant_exactly_is_not_done() {
        for (text, operation) in [
            ("aa", search("a", "b", false)),
            ("aa", search("x", "b", true)),
            ("aa", search("(", "b", true)),
            ("aa", search("", "b", true)),
            ("aa", Operation { replacement: None, ..search("a", "", true) }),
            ("aa", Operation { start_line: Some(1), ..search("a", "", true) }),
            ("a\nb", range(0, 1, "x")),
            ("a\nb", range(2, 1, "x")),
            ("a\nb", range(1, 3, "x")),
        ] {
            assert!(updated(text, std::slice::from_ref(&operation)).is_err(), "{operation:?}");
        }
    }

    #[test]
    fn lines_are_replaced_whole() {
        assert_eq!(updated("a\nb\nc\n", &[range(2, 2, "x")]), Ok("a\nx\nc\n".to_owned()));
        assert_eq!(updated("a\nb\nc", &[range(3, 3, "x")]), Ok("a\nb\nx".to_owned()));
        assert_eq!(updated("a\nb\nc\n", &[range(1, 2, "")]), Ok("c\n".to_owned()));
    }

    #[test]
    fn a_small_wish_makes_no_giant() {
        let text = "a".repeat(1 << 20);
        let giant = updated(&text, &[search("a", &"b".repeat(1 << 20), true)]);
        assert!(giant.is_err());
        let everywhere = updated(&text, &[search("x*", &"b".repeat(1 << 10), true)]);
        assert!(everywhere.is_err());
    }
}
