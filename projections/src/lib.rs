//! The read side: one file per read model, each with what it applies and what it answers.
//!
//! Projections have no ports: they take events and write rows, so rebuilding one can send no mail and call no model.
//! Statements name their tables without a schema, so that the same code fills the live tables and a copy built beside
//! them.
//!
//! [`Projections`] runs them: one task each, rows and checkpoint in one transaction, any number of nodes on the same
//! tables. [`rebuild`] folds the log anew beside the live tables and swaps, [`compare`] tells whether they are equal.

pub mod agent_tasks;
pub mod agents;
pub mod app_runs;
pub mod apps;
mod checkpoints;
mod compare;
pub mod conversations;
pub mod datasources;
pub mod documents;
pub mod fans;
pub mod invites;
pub mod items;
pub mod jobs;
pub mod knowledge_bases;
pub mod llm_providers;
pub mod logins;
pub mod mcp_servers;
pub mod meanings;
pub mod passages;
pub mod posts;
pub mod profiles;
mod rebuild;
pub mod retrieval;
mod runner;
pub mod skills;
pub mod todo_items;
pub mod uploads;
pub mod usage;
pub mod usage_days;
pub mod user_configs;
pub mod users;
pub mod versions;
mod wait;
mod words;
pub mod workspace_files;

pub use checkpoints::peek as reached;
pub use compare::{Comparison, Difference, compare};
pub use rebuild::{Claimed, FoldError, RebuildProgress, RebuildRow, Rebuilt, rebuild, rebuilds};
pub use runner::{
    Batch, Delivery, Failure, Feed, FeedError, Interest, NameTaken, Page, Projections, Status,
};
pub use wait::Lagging;

use domain::Recorded;
use futures::future::BoxFuture;
use sqlx::PgConnection;

/// A read model: tables that are a fold of the log, and nothing else.
pub trait Projection: Send + Sync + 'static {
    /// Name of its checkpoint and of `annals rebuild NAME`; a plural noun in snake case.
    fn name(&self) -> &'static str;

    /// The tables it owns, parents before children. Rows depend on events only: no clock, no sequence, no randomness.
    /// Their foreign keys stay among them, and nothing else (views, triggers, foreign keys) hangs on them, because a
    /// rebuild puts new tables in their place.
    fn tables(&self) -> &'static [&'static str];

    /// Categories of the events it wants.
    fn categories(&self) -> &'static [&'static str];

    /// Types it wants within these categories; empty for all.
    fn kinds(&self) -> &'static [&'static str] {
        &[]
    }

    /// Whether it takes events with NUL characters as they are in the log. `text` and `jsonb` columns cannot hold that
    /// character, so for all others it is replaced beforehand.
    fn takes_nul(&self) -> bool {
        false
    }

    /// Folds one event into the rows. Runs in the transaction that also moves the checkpoint, so every event is applied
    /// exactly once.
    fn apply<'a>(
        &'a self,
        db: &'a mut PgConnection,
        event: &'a Recorded,
    ) -> BoxFuture<'a, Result<(), ApplyError>>;
}

/// Why an event could not be folded in. The projection stops at that event and tries again.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The event does not fit its type: written by a newer version, or damaged.
    #[error("the event cannot be understood: {0}")]
    Undecodable(#[from] serde_json::Error),
    /// The database refused or is away.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Counters of the log fit the database's integers for longer than any log lasts.
pub(crate) fn column(counter: u64) -> i64 {
    i64::try_from(counter).unwrap_or(i64::MAX)
}
