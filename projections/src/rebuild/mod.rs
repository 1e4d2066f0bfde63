//! Rebuilding a read model while the old one serves: build beside it, catch up, swap in one transaction.
//!
//! The copy lives in a schema of its own until it has seen exactly what the live tables have seen; then it takes their
//! place and their checkpoint. Whatever ends the process before that leaves the live tables as they were, and the next
//! rebuild removes what is left of the copy. Readers in `read committed` notice nothing. One in `repeatable read` has to
//! touch (or lock) a table of the read model in its first statement, else it may find the new table empty.

mod claim;
mod fold;
pub(crate) mod shadow;
mod swap;
#[cfg(test)]
mod tests;

pub use claim::{RebuildRow, rebuilds};
pub(crate) use fold::Fold;
pub use fold::FoldError;

use crate::{Feed, Projection, Projections, checkpoints};
use claim::Claim;
use domain::{Position, ids::UserId};
use shadow::run;
use sqlx::{Connection, PgConnection, PgPool};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// Positions that may be left for the transaction that swaps, in which the live read model waits.
const CLOSE: u64 = 500;
/// How often the copy may chase the live read model before the rest is left for that transaction anyway.
const CHASES: usize = 100;
/// How long the live tables are asked for.
const PATIENCE: Duration = Duration::from_secs(60);

/// How far a rebuild has come, in positions of the log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RebuildProgress {
    /// Folded in so far.
    pub done: u64,
    /// To be folded in as things stand; grows while the live read model moves on.
    pub total: u64,
}

/// A rebuild that succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rebuilt {
    /// Events applied.
    pub events: u64,
    /// The checkpoint of the live read model at the moment of the swap.
    pub position: Position,
    /// How long it took.
    pub elapsed: Duration,
}

/// Rebuilds that one process performs at a time: each keeps a connection and a core of the database busy.
const AT_ONCE: usize = 4;

/// The places for rebuilds of one process.
pub(crate) fn places() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(AT_ONCE))
}

impl Projections {
    /// Rebuilds the read model `name`; see [`rebuild`].
    ///
    /// # Errors
    /// [`FoldError`]; the live tables are as they were.
    pub async fn rebuild(
        &self,
        name: &str,
        progress: impl FnMut(RebuildProgress) + Send,
    ) -> Result<Rebuilt, FoldError> {
        self.claim_rebuild(name, None).await?.run(progress).await
    }

    /// Claims the rebuild of the read model `name` for `by`; from now on nobody else can have it, on no node.
    ///
    /// # Errors
    /// [`FoldError::Unknown`], [`FoldError::Busy`] when somebody has it, [`FoldError::Crowded`], or the database does not
    /// answer.
    pub async fn claim_rebuild(
        &self,
        name: &str,
        by: Option<&UserId>,
    ) -> Result<Claimed, FoldError> {
        let (pool, _, projection) = self.parts(name)?;
        let place = self.rebuild_place().ok_or(FoldError::Crowded)?;
        let claim = Claim::take(pool, projection.name(), by).await?;
        Ok(Claimed { projections: self.clone(), claim, name: projection.name(), _place: place })
    }
}

/// A rebuild that may begin. Dropped, also in the middle of the work, it leaves the live tables as they were.
pub struct Claimed {
    projections: Projections,
    claim: Claim,
    name: &'static str,
    _place: OwnedSemaphorePermit,
}

impl Claimed {
    /// Rebuilds; see [`rebuild`].
    ///
    /// # Errors
    /// [`FoldError`]; the live tables are as they were.
    pub async fn run(
        self,
        progress: impl FnMut(RebuildProgress) + Send,
    ) -> Result<Rebuilt, FoldError> {
        let (pool, feed, projection) = self.projections.parts(self.name)?;
        perform(self.claim, pool, feed, projection, progress).await
    }
}

/// Rebuilds a read model from the log, up to its checkpoint, and puts the result in the place of the live tables.
///
/// Other nodes and this one may go on projecting, reading and writing all the while. `progress` is told after each page;
/// [`rebuilds`] tells everybody else.
///
/// # Errors
/// [`FoldError`]; the live tables are as they were.
pub async fn rebuild(
    pool: &PgPool,
    feed: &dyn Feed,
    projection: &dyn Projection,
    progress: impl FnMut(RebuildProgress) + Send,
) -> Result<Rebuilt, FoldError> {
    let claim = Claim::take(pool, projection.name(), None).await?;
    perform(claim, pool, feed, projection, progress).await
}

async fn perform(
    claim: Claim,
    pool: &PgPool,
    feed: &dyn Feed,
    projection: &dyn Projection,
    mut progress: impl FnMut(RebuildProgress) + Send,
) -> Result<Rebuilt, FoldError> {
    let begun = Instant::now();
    let diary = claim.diary();
    let schema = format!("rebuild_{}", projection.name());
    let (tell, told) = watch::channel(RebuildProgress::default());
    let fold = Fold::new(feed, projection, |at: Position, end: Position| {
        let now = RebuildProgress { done: at.0, total: end.0 };
        tell.send_replace(now);
        progress(now);
    });
    let mut build = Build { db: claim.db, projection, fold, schema };
    let outcome = tokio::select! {
        outcome = build.run() => outcome,
        never = diary.follow(pool, told.clone()) => match never {},
    };
    if outcome.is_err() {
        // Only tidiness: the next rebuild would do the same.
        if let Err(error) = build.clear().await {
            tracing::warn!(schema = build.schema, %error, "the unfinished copy is still there");
        }
    }
    let (events, position) = (build.fold.events, build.fold.at);
    let end = outcome.as_ref().map(|()| events).map_err(ToString::to_string);
    let reached = *told.borrow();
    diary.end(pool, end, reached).await;
    // The end of the connection gives the claim up as well, but the server takes its time to notice that.
    let unclaimed = run(&mut build.db, "select pg_advisory_unlock_all()".to_owned()).await;
    if let Err(error) = unclaimed.and(build.db.close().await) {
        tracing::debug!(%error, "the connection of a rebuild did not close cleanly");
    }
    outcome.map(|()| Rebuilt { events, position, elapsed: begun.elapsed() })
}

struct Build<'a, P> {
    db: PgConnection,
    projection: &'a dyn Projection,
    fold: Fold<'a, P>,
    /// Of the copy; a name is a plural noun in snake case, so it needs no quotes.
    schema: String,
}

impl<P: FnMut(Position, Position) + Send> Build<'_, P> {
    async fn run(&mut self) -> Result<(), FoldError> {
        let live: String = sqlx::query_scalar("select quote_ident(current_schema())")
            .fetch_one(&mut self.db)
            .await?;
        self.clear().await?;
        // The copy can be built anew, so its commits need not wait for the disk; the swap's does all the same, because
        // it deletes files.
        run(&mut self.db, "set synchronous_commit = off".to_owned()).await?;
        run(&mut self.db, format!("create schema {}", self.schema)).await?;
        shadow::make(&mut self.db, self.projection, &self.schema).await?;
        self.catch_up().await?;
        for table in self.projection.tables() {
            run(&mut self.db, format!("analyze {}.{table}", self.schema)).await?;
        }
        self.swap(&live).await
    }

    async fn clear(&mut self) -> sqlx::Result<()> {
        run(&mut self.db, format!("drop schema if exists {} cascade", self.schema)).await
    }

    /// Folds until the copy is close to the live checkpoint; never beyond it, or the live read model would apply those
    /// events a second time after the swap.
    async fn catch_up(&mut self) -> Result<(), FoldError> {
        for _ in 0..CHASES {
            let live = checkpoints::peek(&mut self.db, self.projection.name()).await?;
            if live.0.saturating_sub(self.fold.at.0) <= CLOSE {
                break;
            }
            self.fold.advance(&mut self.db, live).await?;
        }
        Ok(())
    }
}
