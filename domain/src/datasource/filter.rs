//! The grammar of filters as apps write them: `md_region == eu && md_year > 2020 || md_draft == true`.
//!
//! `&&` is split first, then `||` within each part: so `||` binds tighter. There are no parentheses, no `!=`, no escapes.

use crate::document::{Comparison, Filter};

/// Longest filter, in bytes.
const LONGEST: usize = 8 << 10;
/// Most conditions of one filter.
const TESTS: usize = 64;

/// Why a filter cannot be understood. Nobody may search without it then: it may be what keeps two customers apart.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadFilter {
    /// Not of the form `key == value`.
    #[error(
        "the search filter cannot be understood: {0:?} is no condition (key == value, >, < or LIKE)"
    )]
    NoCondition(String),
    /// Longer than anybody needs.
    #[error("the search filter is too long")]
    TooLong,
}

/// The filter in this text; `None` when it is blank.
///
/// # Errors
/// As [`BadFilter`].
pub fn parse(text: &str) -> Result<Option<Filter>, BadFilter> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    if text.len() > LONGEST || text.matches("&&").count() + text.matches("||").count() >= TESTS {
        return Err(BadFilter::TooLong);
    }
    let any = |part: &str| several(part.split("||").map(test), Filter::Any);
    several(text.split("&&").map(any), Filter::All).map(Some)
}

/// These as one; a single one stands for itself.
fn several(
    parts: impl Iterator<Item = Result<Filter, BadFilter>>,
    together: fn(Vec<Filter>) -> Filter,
) -> Result<Filter, BadFilter> {
    let mut parts = parts.collect::<Result<Vec<Filter>, BadFilter>>()?;
    match (parts.len(), parts.pop()) {
        (1, Some(only)) => Ok(only),
        (_, last) => {
            parts.extend(last);
            Ok(together(parts))
        }
    }
}

fn test(text: &str) -> Result<Filter, BadFilter> {
    let bad = || BadFilter::NoCondition(text.trim().chars().take(80).collect());
    let text = text.trim();
    let signs = [
        ("==", Comparison::Equal),
        (">", Comparison::Greater),
        ("<", Comparison::Less),
        (" LIKE ", Comparison::Contains),
    ];
    let found = signs.into_iter().filter_map(|(sign, meant)| Some((text.find(sign)?, sign, meant)));
    // The first sign counts; the value may hold others.
    let (at, sign, comparison) = found.min_by_key(|(at, ..)| *at).ok_or_else(bad)?;
    let (key, value) = (text[..at].trim(), text[at + sign.len()..].trim());
    let is_path = |c: char| c.is_alphanumeric() || "_-.:".contains(c);
    if key.is_empty() || !key.chars().all(is_path) || value.starts_with('=') {
        return Err(bad());
    }
    let quoted = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let value = quoted.unwrap_or(value);
    if value.is_empty() && quoted.is_none() {
        return Err(bad());
    }
    Ok(Filter::Test { key: key.to_owned(), comparison, value: value.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use Comparison::{Contains, Equal, Greater, Less};

    fn is(key: &str, comparison: Comparison, value: &str) -> Filter {
        Filter::Test { key: key.to_owned(), comparison, value: value.to_owned() }
    }

    #[test]
    fn conditions_have_a_key_a_sign_and_a_value() {
        for (text, filter) in [
            ("md_region == eu", is("md_region", Equal, "eu")),
            ("md_region==eu", is("md_region", Equal, "eu")),
            (" md_year > 2020 ", is("md_year", Greater, "2020")),
            ("md_year<2020", is("md_year", Less, "2020")),
            ("source LIKE policy", is("source", Contains, "policy")),
            ("source == \"a b > c\"", is("source", Equal, "a b > c")),
            ("source == https://a.b/c?d=e", is("source", Equal, "https://a.b/c?d=e")),
            ("md_k == \"\"", is("md_k", Equal, "")),
            ("md_k == a LIKE b", is("md_k", Equal, "a LIKE b")),
        ] {
            assert_eq!(parse(text), Ok(Some(filter)), "{text}");
        }
    }

    #[test]
    fn or_binds_tighter_than_and() {
        let meant = Filter::All(vec![
            is("a", Equal, "1"),
            Filter::Any(vec![is("b", Equal, "2"), is("c", Equal, "3")]),
        ]);
        assert_eq!(parse("a == 1 && b == 2 || c == 3"), Ok(Some(meant)));
        let meant = Filter::Any(vec![is("a", Equal, "1"), is("b", Equal, "2")]);
        assert_eq!(parse("a == 1 || b == 2"), Ok(Some(meant)));
    }

    #[test]
    fn blank_is_none_and_nonsense_is_never_nothing() {
        for blank in ["", "  ", "\n"] {
            assert_eq!(parse(blank), Ok(None));
        }
        for wrong in [
            "md_region",
            "md_region = eu",
            "md_region != eu",
            "== eu",
            "a ==",
            "a == 1 &&",
            "|| a == 1",
            "a == 1 && ",
            "(a == 1)",
            "a === 1",
            "a LIKE",
            "a b == 1",
        ] {
            assert!(matches!(parse(wrong), Err(BadFilter::NoCondition(_))), "{wrong}");
        }
        let long = vec!["a == 1"; TESTS + 1].join(" && ");
        assert_eq!(parse(&long), Err(BadFilter::TooLong));
        assert_eq!(parse(&format!("a == {}", "x".repeat(LONGEST))), Err(BadFilter::TooLong));
    }
}
