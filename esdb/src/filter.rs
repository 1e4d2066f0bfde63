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
/// Steps after which an expression that needs look-around counts as not matching.
const STEPS: usize = 10_000;

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
            let pattern = RegexBuilder::new(&expression.regex).backtrack_limit(STEPS).build();
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
    pub(crate) fn admits(&self, event: &Recorded) -> bool {
        let text = match self.on {
            On::Stream => event.stream.as_str(),
            On::Kind => &event.kind,
        };
        match &self.by {
            By::Prefixes(prefixes) => prefixes.iter().any(|prefix| text.starts_with(prefix)),
            By::Pattern(pattern) => pattern.is_match(text).unwrap_or(false),
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
