//! Checking that the log is what was written: positions, revisions, batches and their chain.

use super::{
    read::{recorded, signed},
    statement::BatchDigest,
};
use chrono::{DateTime, Utc};
use domain::{Position, Recorded, StreamId};
use futures::TryStreamExt;
use sha2::{Digest, Sha256};
use sqlx::PgPool;

/// Batches per page.
const PAGE: i64 = 500;
/// 2000-01-01, where PostgreSQL's clock begins, in microseconds of the Unix clock.
const POSTGRES_EPOCH: i64 = 946_684_800_000_000;

const HEAD: &str = "
    select position, chain, (select coalesce(max(position), 0) from events) from log_head";
const BATCHES: &str = "
    select first, last, digest, chain from log_batches
    where last > $1 and last <= $2 order by last limit $3";
const EVENTS: &str = "
    select position, revision, recorded_at, id, stream, type, data, metadata from events
    where position > $1 and position <= $2 order by position";
const SPARSE: &str = "
    select position, stream, revision, expected from (
        select position, stream, revision, row_number() over w - 1 as expected,
               lag(position, 1, 0::bigint) over w as before
        from events where position <= $1
        window w as (partition by stream order by revision)
    ) as numbered
    where revision <> expected or before > position order by position limit 1";

/// A log that is what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// Up to where it was checked: the head when the check began.
    pub head: Position,
    /// How many batches it was written in.
    pub batches: u64,
}

/// The first difference, or no answer.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// The log is not what was written.
    #[error("at position {position}: {reason}")]
    Differs {
        /// The first event, or the first event of the batch, that is not right.
        position: Position,
        /// What is not right.
        reason: Box<str>,
    },
    /// The database does not answer, or holds what is no event.
    #[error("the log cannot be read: {0}")]
    Unreadable(#[from] sqlx::Error),
}

fn differs<T>(position: i64, reason: impl Into<Box<str>>) -> Result<T, Broken> {
    let position = Position(position.max(0).cast_unsigned());
    Err(Broken::Differs { position, reason: reason.into() })
}

#[derive(sqlx::FromRow)]
struct Batch {
    first: i64,
    last: i64,
    digest: Vec<u8>,
    chain: Vec<u8>,
}

/// Reads the whole log and recomputes the chain. `progress` is told the position reached and the position to reach.
/// May run beside writers; what they add meanwhile is not looked at.
///
/// # Errors
/// The first difference found, or the database's failure.
pub async fn verify(pool: &PgPool, mut progress: impl FnMut(u64, u64)) -> Result<Verified, Broken> {
    let (head, head_chain, last): (i64, Vec<u8>, i64) =
        sqlx::query_as(HEAD).fetch_one(pool).await?;
    if last != head {
        let reason = format!("the head says the log ends at {head}, its last event is {last}");
        return differs(last.min(head) + 1, reason);
    }
    let mut chain = Chain { at: 0, value: vec![0; 32] };
    let mut batches = 0;
    while chain.at < head {
        let query = sqlx::query_as(BATCHES).bind(chain.at).bind(head).bind(PAGE);
        let page: Vec<Batch> = query.fetch_all(pool).await?;
        if page.is_empty() {
            return differs(chain.at + 1, "no batch is recorded from here to the head");
        }
        batches += page.len() as u64;
        chain.follow(pool, &page).await?;
        progress(chain.at.cast_unsigned(), head.cast_unsigned());
    }
    if chain.value != head_chain {
        return differs(head, "the chain of the batches does not end in the chain of the head");
    }
    let sparse: Option<(i64, String, i64, i64)> =
        sqlx::query_as(SPARSE).bind(head).fetch_optional(pool).await?;
    if let Some((position, stream, revision, expected)) = sparse {
        let reason = format!("stream {stream} has revision {revision} where {expected} belongs");
        return differs(position, reason);
    }
    Ok(Verified { head: Position(head.cast_unsigned()), batches })
}

/// The chain as far as it was recomputed.
struct Chain {
    at: i64,
    value: Vec<u8>,
}

impl Chain {
    /// Recomputes these batches.
    async fn follow(&mut self, pool: &PgPool, batches: &[Batch]) -> Result<(), Broken> {
        let end = batches.last().map_or(self.at, |batch| batch.last);
        let mut rows = sqlx::query(EVENTS).bind(self.at).bind(end).fetch(pool);
        let mut near: Option<StreamId> = None;
        for batch in batches {
            if batch.first != self.at + 1 || batch.last < batch.first {
                let reason = format!("no batch begins here; the next is {}", name(batch));
                return differs(self.at + 1, reason);
            }
            let mut digest = BatchDigest::default();
            let mut time = None;
            for position in batch.first..=batch.last {
                let row = rows.try_next().await?;
                let event = row.map(|row| recorded(&row, near.as_ref())).transpose()?;
                let Some(event) = event.filter(|it| signed(it.position.0) == position) else {
                    return differs(position, format!("an event of {} is missing", name(batch)));
                };
                if *time.get_or_insert(event.recorded_at) != event.recorded_at {
                    let reason = format!("its time is not that of {}", name(batch));
                    return differs(position, reason);
                }
                digest.add_recorded(&event);
                near = Some(event.stream);
            }
            self.link(batch, digest.finish(), time)?;
        }
        Ok(())
    }

    fn link(
        &mut self,
        batch: &Batch,
        digest: [u8; 32],
        time: Option<DateTime<Utc>>,
    ) -> Result<(), Broken> {
        if digest != *batch.digest {
            let reason = format!("the events of {} are not those that were written", name(batch));
            return differs(batch.first, reason);
        }
        let micros = time.map_or(0, |time| time.timestamp_micros() - POSTGRES_EPOCH);
        let mut next = Sha256::new();
        next.update(&self.value);
        next.update(digest);
        for number in [batch.first, batch.last, micros] {
            next.update(number.to_be_bytes());
        }
        self.value = next.finalize().to_vec();
        self.at = batch.last;
        if self.value == batch.chain {
            return Ok(());
        }
        let reason = format!("{} does not continue the chain before it", name(batch));
        differs(batch.first, reason)
    }
}

impl BatchDigest {
    fn add_recorded(&mut self, event: &Recorded) {
        let Recorded { stream, revision, id, kind, data, metadata, .. } = event;
        self.add(stream.as_str(), revision.0, id.as_bytes(), [kind, data.get(), metadata.get()]);
    }
}

fn name(batch: &Batch) -> String {
    format!("the batch {}–{}", batch.first, batch.last)
}

#[cfg(test)]
mod tests {
    use super::{Broken, verify};
    use crate::log::{
        EventLog,
        contract::{some, stream},
        postgres::testing::Fresh,
    };
    use domain::{Expected, Position};
    use futures::future::join_all;
    use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool};

    /// Ten batches of ten events, each on a stream of its own, and then something happens to the tables.
    async fn after(damage: &str) -> anyhow::Result<Result<u64, (u64, String)>> {
        let fresh = Fresh::new().await?;
        let log = fresh.node().await?;
        for _ in 0..10 {
            log.append(some(&stream("thing"), Expected::NoStream, 10)).await?;
        }
        let mut hand = PgConnection::connect_with(&fresh.options).await?;
        let sql = format!("set session_replication_role = replica; {damage}");
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut hand).await?;
        let (pool, mut reached): (PgPool, u64) = (fresh.pool(), 0);
        Ok(match verify(&pool, |position, _| reached = position).await {
            Ok(verified) => {
                assert_eq!((verified.head.0, verified.batches), (reached, 10));
                Ok(reached)
            }
            Err(Broken::Differs { position, reason }) => Err((position.0, reason.into())),
            Err(Broken::Unreadable(error)) => return Err(error.into()),
        })
    }

    #[tokio::test]
    async fn an_untouched_log_passes() -> anyhow::Result<()> {
        assert_eq!(after("").await?, Ok(100));
        Ok(())
    }

    #[tokio::test]
    async fn any_change_is_found_where_it_was_made() -> anyhow::Result<()> {
        let swap = "
            update events set position = -position where position in (33, 34);
            update events set position = 67 + position where position < 0;";
        let swap_batches = "
            update log_batches a set digest = b.digest, chain = b.chain from log_batches b
            where (a.last, b.last) in ((50, 60), (60, 50))";
        let forge_digest = "
            update events set data = '{}' where position = 77;
            update log_batches set digest = sha256('') where last = 80";
        for (damage, position) in [
            (r#"update events set data = '{"n": 2}' where position = 43"#, 41),
            (r#"update events set metadata = '{}' where position = 50"#, 41),
            ("update events set type = 'Other' where position = 1", 1),
            ("update events set id = gen_random_uuid() where position = 100", 91),
            ("update events set recorded_at = now() where position = 55", 55),
            ("update events set recorded_at = now() where position between 51 and 60", 51),
            ("delete from events where position = 17", 17),
            ("delete from events where position = 100", 100),
            ("delete from events where position > 90", 91),
            ("delete from log_batches where last = 30", 21),
            ("delete from log_batches where last = 100", 91),
            (swap, 31),
            (swap_batches, 41),
            (forge_digest, 71),
            ("update log_head set chain = sha256('')", 100),
            ("update log_head set position = 110", 101),
        ] {
            let found = after(damage).await?;
            assert_eq!(found.as_ref().map_err(|(at, _)| *at), Err(position), "{damage}: {found:?}");
        }
        Ok(())
    }

    #[tokio::test]
    async fn a_log_that_two_nodes_write_passes_while_it_grows() -> anyhow::Result<()> {
        let fresh = Fresh::new().await?;
        let (one, two) = (fresh.node().await?, fresh.node().await?);
        let shared = stream("thing");
        let writers = [&one, &two].map(|log| async {
            for _ in 0..50 {
                log.append(some(&shared, Expected::Any, 2)).await?;
            }
            anyhow::Ok(())
        });
        let pool = fresh.pool();
        let (written, during) = futures::join!(join_all(writers), verify(&pool, |_, _| {}));
        written.into_iter().collect::<anyhow::Result<Vec<()>>>()?;
        during?;
        assert_eq!(verify(&pool, |_, _| {}).await?.head, Position(200));
        Ok(())
    }
}
