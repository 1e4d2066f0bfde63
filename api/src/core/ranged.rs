//! Which part of a file that never changes a request asks for: conditions and ranges of RFC 9110.

use axum::http::{HeaderMap, HeaderName, Method, header};
use std::ops::Range;

/// What to answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// All of it: 200.
    Whole,
    /// These bytes, at least one: 206.
    Part(Range<u64>),
    /// The client has it: 304.
    NotModified,
    /// A condition does not hold: 412.
    Failed,
    /// Nothing of it lies in the range: 416.
    Unsatisfiable,
}

/// What a request with these headers wants of a file of `size` bytes whose strong entity tag, quotes included, is `tag`.
/// Ranges that are malformed, in another unit or several at once are ignored, as the RFC allows.
pub fn wanted(method: &Method, headers: &HeaderMap, tag: &str, size: u64) -> Wanted {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    if tags(headers, header::IF_MATCH).is_some_and(|tags| !names(&tags, tag, Comparison::Strong)) {
        return Wanted::Failed;
    }
    if tags(headers, header::IF_NONE_MATCH).is_some_and(|t| names(&t, tag, Comparison::Weak)) {
        return Wanted::NotModified;
    }
    // A date never matches: there is none to compare it with.
    let same = text(header::IF_RANGE).is_none_or(|known| known.trim() == tag);
    if *method != Method::GET || !same {
        return Wanted::Whole;
    }
    text(header::RANGE).map_or(Wanted::Whole, |range| part(range, size))
}

/// All values of a list header, as one list; `None` when it is absent.
fn tags(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    let values: Vec<&str> =
        headers.get_all(&name).iter().map(|value| value.to_str().unwrap_or_default()).collect();
    (!values.is_empty()).then(|| values.join(","))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Strong,
    Weak,
}

fn names(list: &str, tag: &str, comparison: Comparison) -> bool {
    // Tags of files are hexadecimal, so a comma never stands within one that could match.
    list.split(',').map(str::trim).any(|one| {
        let weak = one.strip_prefix("W/").filter(|_| comparison == Comparison::Weak);
        one == "*" || weak.unwrap_or(one) == tag
    })
}

fn part(range: &str, size: u64) -> Wanted {
    let Some((unit, set)) = range.split_once('=') else { return Wanted::Whole };
    let Some((first, last)) = set.trim().split_once('-') else { return Wanted::Whole };
    if !unit.trim().eq_ignore_ascii_case("bytes") || set.contains(',') {
        return Wanted::Whole;
    }
    let (first, last) = match (number(first), number(last)) {
        (Some(Number::Absent), Some(Number::Is(0))) => return Wanted::Unsatisfiable,
        // The last so many.
        (Some(Number::Absent), Some(Number::Is(count))) => (size.saturating_sub(count), size),
        (Some(Number::Is(first)), Some(Number::Absent)) => (first, size),
        (Some(Number::Is(first)), Some(Number::Is(last))) if first <= last => {
            (first, last.saturating_add(1).min(size))
        }
        _ => return Wanted::Whole,
    };
    if first < last { Wanted::Part(first..last) } else { Wanted::Unsatisfiable }
}

enum Number {
    Absent,
    Is(u64),
}

/// `None` when it is no number; one that is too large lies beyond every file.
fn number(text: &str) -> Option<Number> {
    let text = text.trim();
    if text.is_empty() {
        return Some(Number::Absent);
    }
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| Number::Is(text.parse().unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    const TAG: &str = "\"ab12\"";

    fn ask(pairs: &[(HeaderName, &'static str)]) -> Wanted {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name, HeaderValue::from_static(value));
        }
        wanted(&Method::GET, &headers, TAG, 10)
    }

    fn range(value: &'static str) -> Wanted {
        ask(&[(header::RANGE, value)])
    }

    #[test]
    fn one_range_is_a_part() {
        for (sent, expected) in [
            ("bytes=0-3", 0..4),
            ("bytes=4-", 4..10),
            ("bytes=-3", 7..10),
            ("bytes=-99", 0..10),
            ("Bytes= 9-99999999999999999999999", 9..10),
        ] {
            assert_eq!(range(sent), Wanted::Part(expected), "{sent}");
        }
    }

    #[test]
    fn a_range_beyond_the_end_cannot_be_had() {
        for sent in ["bytes=10-", "bytes=10-20", "bytes=-0", "bytes=99999999999999999999-"] {
            assert_eq!(range(sent), Wanted::Unsatisfiable, "{sent}");
        }
        let headers = HeaderMap::from_iter([(header::RANGE, HeaderValue::from_static("bytes=0-"))]);
        assert_eq!(wanted(&Method::GET, &headers, TAG, 0), Wanted::Unsatisfiable);
    }

    #[test]
    fn what_is_no_single_range_is_ignored() {
        for sent in [
            "bytes=0-1,3-4",
            "bytes=5-2",
            "bytes=a-b",
            "bytes=-",
            "lines=1-2",
            "bytes",
            "bytes=+1-2",
        ] {
            assert_eq!(range(sent), Wanted::Whole, "{sent}");
        }
    }

    #[test]
    fn a_head_request_has_no_parts() {
        let headers =
            HeaderMap::from_iter([(header::RANGE, HeaderValue::from_static("bytes=0-1"))]);
        assert_eq!(wanted(&Method::HEAD, &headers, TAG, 10), Wanted::Whole);
    }

    #[test]
    fn a_part_is_sent_only_of_the_file_the_client_has_begun() {
        let with = |known| ask(&[(header::RANGE, "bytes=0-1"), (header::IF_RANGE, known)]);
        assert_eq!(with(TAG), Wanted::Part(0..2));
        for other in ["\"other\"", "W/\"ab12\"", "Sat, 21 Nov 2026 12:00:00 GMT"] {
            assert_eq!(with(other), Wanted::Whole, "{other}");
        }
    }

    #[test]
    fn who_has_it_gets_nothing() {
        for known in [TAG, "W/\"ab12\"", "\"x\", \"ab12\"", "*"] {
            assert_eq!(ask(&[(header::IF_NONE_MATCH, known)]), Wanted::NotModified, "{known}");
        }
        let both = [(header::IF_NONE_MATCH, "\"x\""), (header::IF_NONE_MATCH, TAG)];
        assert_eq!(ask(&both), Wanted::NotModified);
        assert_eq!(ask(&[(header::IF_NONE_MATCH, "\"x\"")]), Wanted::Whole);
    }

    #[test]
    fn a_condition_on_another_file_fails() {
        assert_eq!(ask(&[(header::IF_MATCH, "\"x\"")]), Wanted::Failed);
        assert_eq!(ask(&[(header::IF_MATCH, "W/\"ab12\"")]), Wanted::Failed);
        assert_eq!(ask(&[(header::IF_MATCH, TAG)]), Wanted::Whole);
    }
}
