//! Filters that clients ask the server to apply.

use crate::{
    status,
    wire::streams::read_req::options::{FilterOptions, filter_options as wire},
};
use commands::log;
use domain::Recorded;
use fancy_regex::{Regex, RegexBuilder};
use tonic::Status;

/// Events between two checkpoints when the client leaves it open.
const WINDOW: u64 = 32;
/// Prefixes in one filter.
const PREFIXES: usize = 1_000;
/// Longest regular expression, bytes.
const PATTERN: usize = 10_000;
/// Steps that an expression that needs look-around may take for one name.
const STEPS: usize = 10_000;
/// What the parts of an expression that need none may weigh once they are compiled, bytes each.
const COMPILED: usize = 1 << 20;
/// Instructions of the rest: expressions that call themselves grow when they are compiled.
const INSTRUCTIONS: usize = 100_000;

/// An expression takes too many steps for a name. Whether it matches is not known, so it is neither shown nor passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooHard;

impl From<TooHard> for Status {
    fn from(TooHard: TooHard) -> Self {
        status::invalid("the regular expression of the filter takes too many steps")
    }
}

/// What a reader of the whole log wants to see.
#[derive(Debug)]
pub(crate) struct Filter {
    on: On,
    by: By,
    /// Events looked at between two checkpoints.
    pub(crate) window: u64,
}

#[derive(Debug)]
enum On {
    Stream,
    Kind,
}

#[derive(Debug)]
enum By {
    Prefixes(Vec<String>),
    Pattern(Box<Regex>),
}

impl Filter {
    /// The filter in these options; `None` when everything passes.
    pub(crate) fn of(options: FilterOptions) -> Result<Option<Self>, Status> {
        let (on, expression) = match options.filter {
            Some(wire::Filter::StreamIdentifier(expression)) => (On::Stream, expression),
            Some(wire::Filter::EventType(expression)) => (On::Kind, expression),
            None => return Ok(None),
        };
        let by = if !expression.regex.is_empty() {
            if expression.regex.len() > PATTERN {
                return Err(status::invalid("the regular expression is too long"));
            }
            // Clients exclude by looking ahead, which needs a step limit.
            let mut pattern = RegexBuilder::new(&expression.regex);
            pattern
                .backtrack_limit(STEPS)
                .delegate_size_limit(COMPILED)
                .max_prog_size(INSTRUCTIONS);
            let pattern = pattern.build();
            By::Pattern(Box::new(pattern.map_err(|error| status::invalid(error.to_string()))?))
        } else if expression.prefix.is_empty() || expression.prefix.len() > PREFIXES {
            return Err(status::invalid(
                "a filter has a regular expression or 1 to 1,000 prefixes",
            ));
        } else {
            By::Prefixes(expression.prefix)
        };
        let window = match options.window {
            Some(wire::Window::Max(max)) => u64::from(max.max(1)),
            _ => WINDOW,
        };
        let window = window * u64::from(options.checkpoint_interval_multiplier.max(1));
        Ok(Some(Self { on, by, window }))
    }

    /// Whether this event passes.
    pub(crate) fn admits(&self, event: &Recorded) -> Result<bool, TooHard> {
        let text = match self.on {
            On::Stream => event.stream.as_str(),
            On::Kind => &event.kind,
        };
        match &self.by {
            By::Prefixes(prefixes) => Ok(prefixes.iter().any(|prefix| text.starts_with(prefix))),
            By::Pattern(pattern) => pattern.is_match(text).map_err(|_| TooHard),
        }
    }

    /// What the log can leave out before anybody looks: other categories, when only whole categories are asked for.
    pub(crate) fn coarse(&self) -> log::Filter {
        match (&self.on, &self.by) {
            (On::Stream, By::Prefixes(prefixes)) => {
                let whole = prefixes.iter().map(|prefix| Some(prefix.split_once('-')?.0));
                let categories: Option<Vec<&str>> = whole.collect();
                categories.map_or_else(log::Filter::all, |names| log::Filter::categories(&names))
            }
            _ => log::Filter::all(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::wire::streams::read_req::options::filter_options::Expression;
    use chrono::DateTime;
    use domain::{Position, Revision};
    use serde_json::value::RawValue;
    use std::time::{Duration, Instant};
    use tonic::Code;
    use uuid::Uuid;

    fn filter(regex: &str) -> Result<Filter, Status> {
        let expression = Expression { regex: regex.to_owned(), prefix: vec![] };
        let filter = Some(wire::Filter::EventType(expression));
        let options = FilterOptions { filter, ..FilterOptions::default() };
        Filter::of(options).map(Option::unwrap)
    }

    fn event(kind: &str) -> Recorded {
        let empty = RawValue::from_string("{}".to_owned()).unwrap();
        Recorded {
            id: Uuid::nil(),
            stream: "thing-1".parse().unwrap(),
            revision: Revision(0),
            position: Position(1),
            kind: kind.into(),
            data: empty.clone(),
            metadata: empty,
            recorded_at: DateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn what_clients_send_by_themselves_is_understood() {
        for (regex, seen, unseen) in [
            (r"^[^\$].*", "Seen", "$seen"),
            (r"^(?!(?:\$.+|Hidden)$)", "Seen", "Hidden"),
            (r"^(?:Seen|Heard)$", "Heard", "Heards"),
        ] {
            let filter = filter(regex).unwrap();
            assert_eq!(filter.admits(&event(seen)), Ok(true), "{regex}");
            assert_eq!(filter.admits(&event(unseen)), Ok(false), "{regex}");
        }
    }

    #[test]
    fn an_expression_that_takes_for_ever_is_neither_yes_nor_no() {
        let begun = Instant::now();
        // A reference back needs backtracking, and there are exponentially many ways to fail.
        let filter = filter(r"^((a|aa)+)+\1b$").unwrap();
        let longest = event(&"a".repeat(256));
        assert_eq!(filter.admits(&longest), Err(TooHard));
        assert_eq!(filter.admits(&event("aab")), Ok(true));
        assert_eq!(Status::from(TooHard).code(), Code::InvalidArgument);
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    }

    #[test]
    fn an_expression_that_would_fill_the_memory_is_refused() {
        let begun = Instant::now();
        let nested = format!("{}x{}", "(".repeat(2_000), ")".repeat(2_000));
        for regex in [
            r"((\w{1000}){1000}){1000}",
            r"(?<a>x\g<a>?\g<a>?\g<a>?\g<a>?\g<a>?)",
            r"(?=(\w{900}))\1(?=(\d{900}\w{900}))",
            nested.as_str(),
        ] {
            let refused = filter(regex).err().map(|status| status.code());
            assert_eq!(refused, Some(Code::InvalidArgument), "{regex:.60}");
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    }
}
