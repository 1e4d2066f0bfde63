//! MCP servers over HTTP, on a whole node, against a real server of both transports.

#![expect(clippy::unwrap_used, reason = "tests")]

mod calls;
mod pool;
mod room;
mod servers;
