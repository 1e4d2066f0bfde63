//! Chat over HTTP as the Sage contract has it: streams, resume, interrupts, conversations, agents.

#![expect(clippy::unwrap_used, reason = "tests")]

mod active;
mod agents;
mod conversations;
mod delegation;
mod extra_mcp;
mod interrupts;
mod refusals;
mod resume;
mod room;
mod stream;
mod tools;
mod turns;
mod whole;
