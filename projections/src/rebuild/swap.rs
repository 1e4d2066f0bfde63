//! The moment in which the copy takes the place of the live tables.

use super::{Build, FoldError, PATIENCE, checkpoints, run};
use domain::Position;
use sqlx::Connection;
use std::time::{Duration, Instant};

/// Pause between two attempts, in which the readers that queued up behind the first get their turn.
const PAUSE: Duration = Duration::from_millis(200);
/// Attempts that give up before a reader's deadlock check (one second) could choose that reader as the victim. Later ones
/// wait longer than that second, because only then does an automatic vacuum step aside.
const POLITE: u32 = 5;

impl<P: FnMut(Position, Position) + Send> Build<'_, P> {
    /// Swaps as soon as the live tables can be had.
    pub(super) async fn swap(&mut self, live: &str) -> Result<(), FoldError> {
        let begun = Instant::now();
        for attempt in 0.. {
            let wait = if attempt < POLITE { "500ms" } else { "1500ms" };
            let before = (self.fold.at, self.fold.events);
            match self.try_swap(live, wait).await {
                Err(FoldError::Database(error)) if is_contention(&error) => {
                    (self.fold.at, self.fold.events) = before;
                }
                done => return done,
            }
            if begun.elapsed() > PATIENCE {
                break;
            }
            tokio::time::sleep(PAUSE).await;
            self.catch_up().await?;
        }
        Err(FoldError::InUse)
    }

    /// Holding the live checkpoint, folds the rest up to exactly there and exchanges the tables.
    async fn try_swap(&mut self, live: &str, wait: &str) -> Result<(), FoldError> {
        let (name, tables) = (self.projection.name(), self.projection.tables());
        // The checkpoint first, as the live read model does: the two cannot deadlock.
        let mut db = self.db.begin_with("begin; set local lock_timeout = '15s'").await?;
        let held = checkpoints::lock(&mut db, name).await?;
        self.fold.advance(&mut db, held.unwrap_or(Position::START)).await?;
        let old: Vec<String> = tables.iter().map(|table| format!("{live}.{table}")).collect();
        let old = old.join(", ");
        run(&mut db, format!("set local lock_timeout = '{wait}'")).await?;
        run(&mut db, format!("lock table {old} in access exclusive mode")).await?;
        // Not `cascade`: what others have built on the tables is theirs to remove.
        run(&mut db, format!("drop table {old}")).await?;
        for table in tables {
            run(&mut db, format!("alter table {}.{table} set schema {live}", self.schema)).await?;
        }
        run(&mut db, format!("drop schema {}", self.schema)).await?;
        Ok(db.commit().await?)
    }
}

/// Lock timeout or deadlock: another try may succeed.
fn is_contention(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .and_then(|refusal| refusal.code())
        .is_some_and(|code| matches!(&*code, "55P03" | "40P01"))
}
