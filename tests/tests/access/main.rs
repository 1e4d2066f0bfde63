//! Login, registration, roles and usage over HTTP, on a whole node: given events, when request, then reply and events.

#![expect(clippy::unwrap_used, reason = "tests")]

mod guarding;
mod modes;
mod registration;
mod roles;
mod server;
mod session;
mod usage;
