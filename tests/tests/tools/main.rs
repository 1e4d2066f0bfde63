//! Tools and workspaces over HTTP, on a whole node.

#![expect(clippy::unwrap_used, reason = "tests")]

mod exec;
mod room;
mod rows;
mod shell;
mod transfer;
mod workspace;
