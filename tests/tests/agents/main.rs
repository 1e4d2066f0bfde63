//! Agents over HTTP as the Sage contract has them: changed, shared, drafted.

#![expect(clippy::unwrap_used, reason = "tests")]

mod change;
mod room;
mod sharing;
mod tasks;
mod wording;
mod writing;
