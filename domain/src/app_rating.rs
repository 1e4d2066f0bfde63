//! What somebody thinks of a run of an app of theirs.

use crate::{Decider, Kind, ids::RunId};
use serde::{Deserialize, Serialize};

/// Characters of a remark.
const REMARK: usize = 10_000;
/// Characters of a grade.
const GRADE: usize = 100;

/// Kept for ever. Variant names are the event types in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// Whoever ran it said how good it was.
    AppRunRated {
        /// How good, in the client's own words or numbers; empty when nothing was said of it.
        quality: String,
        /// What else was said.
        remark: String,
    },
}

/// What somebody wants. Whether the run is theirs is established by the caller.
#[derive(Debug, Clone)]
pub enum Command {
    /// Say how good it was. What is `None` stays as it was said before.
    Rate {
        /// See [`Event::AppRunRated`].
        quality: Option<String>,
        /// See [`Event::AppRunRated`].
        remark: Option<String>,
    },
}

/// The state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AppRating {
    quality: String,
    remark: String,
}

/// Why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// More than anybody reads.
    #[error("a quality has at most {GRADE} characters, feedback at most {REMARK}")]
    TooLong,
}

impl crate::Refusal for Refusal {
    fn kind(&self) -> Kind {
        Kind::Invalid
    }
}

impl Decider for AppRating {
    const CATEGORY: &'static str = "app_rating";
    type Id = RunId;
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Refusal> {
        let Command::Rate { quality, remark } = command;
        let quality = quality.clone().unwrap_or_else(|| self.quality.clone());
        let remark = remark.clone().unwrap_or_else(|| self.remark.clone());
        if quality.chars().count() > GRADE || remark.chars().count() > REMARK {
            return Err(Refusal::TooLong);
        }
        Ok(match quality == self.quality && remark == self.remark {
            true => vec![],
            false => vec![Event::AppRunRated { quality, remark }],
        })
    }

    fn evolve(self, event: &Event) -> Self {
        let Event::AppRunRated { quality, remark } = event;
        Self { quality: quality.clone(), remark: remark.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::given;

    fn rate(quality: Option<&str>, remark: Option<&str>) -> Command {
        Command::Rate { quality: quality.map(str::to_owned), remark: remark.map(str::to_owned) }
    }

    fn rated(quality: &str, remark: &str) -> Event {
        Event::AppRunRated { quality: quality.to_owned(), remark: remark.to_owned() }
    }

    #[test]
    fn what_is_not_said_anew_stays() {
        given::<AppRating>([]).when(rate(Some("good"), None)).then([rated("good", "")]);
        given::<AppRating>([rated("good", "")])
            .when(rate(None, Some("but slow")))
            .then([rated("good", "but slow")]);
        given::<AppRating>([rated("good", "x")]).when(rate(Some("good"), None)).then_nothing();
        given::<AppRating>([]).when(rate(None, None)).then_nothing();
    }

    #[test]
    fn nobody_reads_a_book() {
        let book = "x".repeat(REMARK + 1);
        given::<AppRating>([]).when(rate(None, Some(&book))).then_refused(Refusal::TooLong);
        given::<AppRating>([]).when(rate(Some(&book), None)).then_refused(Refusal::TooLong);
    }
}
