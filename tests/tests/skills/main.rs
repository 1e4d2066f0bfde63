//! Skills over HTTP as the Sage contract has them, and as models load them.

#![expect(clippy::unwrap_used, reason = "tests")]

mod agents;
mod archives;
mod hall;
mod loading;
mod shelf;
mod urls;
