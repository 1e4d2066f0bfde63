//! Login, registration, roles and usage over HTTP, on a whole node: given events, when request, then reply and events.

#![expect(clippy::unwrap_used, reason = "tests")]

mod browser;
mod cross_origin;
mod event_store;
mod guarding;
mod mail;
mod modes;
mod registration;
mod roles;
mod server;
mod session;
mod upstream;
mod upstream_refusals;
mod usage;
mod users;
