//! What an installation tells and offers to everybody, and what only administrators may change: over HTTP, on a whole
//! node, with reply and events.
#![expect(clippy::unwrap_used, reason = "tests")]

mod files;
mod imports;
mod info;
mod jaeger;
mod read_models;
mod releases;
mod upload;
mod versions;
mod world;
