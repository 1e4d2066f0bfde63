//! The native API over HTTP.
#![expect(clippy::unwrap_used, reason = "tests")]

mod operations;
