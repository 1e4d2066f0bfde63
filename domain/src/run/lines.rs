//! The lines inside a run's events, read without copying them.

use serde::Deserialize;
use serde_json::value::RawValue;

/// Consecutive lines of a run.
#[derive(Debug)]
pub struct Lines<'a> {
    /// Index of the first.
    pub first: u64,
    /// The lines.
    pub lines: Vec<&'a RawValue>,
    /// Whether the last of them is the run's end line.
    pub end: bool,
}

/// The lines in an event of this type and with these fields; `None` when it carries none.
///
/// # Errors
/// When the fields do not fit the type.
pub fn lines_in<'a>(
    kind: &str,
    data: &'a RawValue,
) -> Result<Option<Lines<'a>>, serde_json::Error> {
    #[derive(Deserialize)]
    struct Recorded<'a> {
        first: u64,
        #[serde(borrow)]
        lines: Vec<&'a RawValue>,
    }
    #[derive(Deserialize)]
    struct Ended<'a> {
        index: u64,
        #[serde(borrow)]
        line: &'a RawValue,
    }
    Ok(match kind {
        "LinesRecorded" | "SubRunRelayed" => {
            let Recorded { first, lines } = serde_json::from_str(data.get())?;
            (!lines.is_empty()).then_some(Lines { first, lines, end: false })
        }
        "RunEnded" => {
            let Ended { index, line } = serde_json::from_str(data.get())?;
            Some(Lines { first: index, lines: vec![line], end: true })
        }
        _ => None,
    })
}
