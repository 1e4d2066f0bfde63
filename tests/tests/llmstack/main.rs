//! The LLMStack dialect over HTTP: tokens, apps, runs, sessions.

#![expect(clippy::unwrap_used, reason = "tests")]

mod agents;
mod apps;
mod auth;
mod calls;
mod crash;
mod datasources;
mod errors;
mod history;
mod models;
mod room;
mod runs;
mod secrets;
mod sessions;
mod stitched;
mod ws;
