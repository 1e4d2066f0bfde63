//! Accounts, logins, roles, secrets and quotas on a real database and a log in memory.

#![expect(clippy::unwrap_used, reason = "tests")]

mod accounts;
mod codes;
mod quotas;
mod read_models;
mod standing;
mod upstream;
mod vault;
mod world;
