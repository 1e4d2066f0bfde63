//! The same log by two ways: straight, and over the EventStoreDB protocol.

use super::{
    BenchError, Report, Row, SLICE,
    append::Writer,
    catchup::{fill, pages, subscribe, timed},
    measure::{Meter, Timed, run},
    slices,
};
use crate::log::EventLog;
use sqlx::PgPool;
use std::sync::Arc;

/// Events that are written to be read, per second of the asked duration.
const PER_SECOND: u64 = 4_000;
/// How often the ways to read take turns.
const ROUNDS: u32 = 3;

/// One event per append with 1, 8, 32 and 256 writers, 100 events per append with one, and the whole log through a subscription and
/// through pages, by the way `far`; against the same by the way `near`. The server is the one behind this pool.
///
/// # Errors
/// When one of the two fails.
pub async fn elsewhere(
    pool: &PgPool,
    near: &Arc<dyn EventLog>,
    far: &Arc<dyn EventLog>,
    seconds: u64,
) -> Result<Report, BenchError> {
    let meter = Meter::new(pool).await?;
    let against = || "the same without the protocol".to_owned();
    let mut results = Vec::new();
    for (name, writers, batch) in [
        ("append", 1, 1),
        ("append", 8, 1),
        ("append", 32, 1),
        ("append", 256, 1),
        ("append batches", 1, 100),
    ] {
        let (mut here, mut there) =
            (Writer::several(near, writers, batch)?, Writer::several(far, writers, batch)?);
        let (mut ours, mut theirs) = (Timed::default(), Timed::default());
        for _ in 0..slices(seconds) {
            theirs.add(run(&mut here, SLICE, &meter).await?);
            ours.add(run(&mut there, SLICE, &meter).await?);
        }
        let row = ours.against(name, (against(), &theirs));
        results.push(Row { writers: Some(writers), batch: Some(batch), ..row });
    }
    fill(&**near, seconds.max(1) * PER_SECOND).await?;
    let mut cases =
        ["subscribe", "read_all"].map(|name| (name, [Timed::default(), Timed::default()]));
    for _ in 0..ROUNDS {
        for (way, log) in [far, near].into_iter().enumerate() {
            cases[0].1[way].add(timed(&meter, subscribe(&**log)).await?);
            cases[1].1[way].add(timed(&meter, pages(&**log)).await?);
        }
    }
    for (name, [ours, theirs]) in cases {
        let row = ours.against(name, (against(), &theirs));
        results.push(Row { writers: Some(1), ..row });
    }
    Ok(Report { bench: "eventstore", results })
}
