//! Knowledge bases against a real database: events in, rows and answers out.

#![expect(clippy::unwrap_used, reason = "tests")]

mod api;
mod documents;
mod formats;
mod meanings;
mod models;
mod quality;
mod scenario;
mod search;
mod tasks;
