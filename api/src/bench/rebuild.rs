//! Rebuilding every read model from a log as use leaves it behind.

use super::{
    mix::{self, Pens},
    scratch::Scratch,
};
use crate::{cli::rebuild::AT_ONCE, compose::read_models, feed::LogFeed};
use anyhow::Result;
use commands::{
    effects::{embedder_builtin::Builtin, embedder_memo::PostgresMemo},
    log::{
        EventLog,
        bench::{Meter, Report, Row, Timed},
        postgres::{PostgresLog, Settings},
    },
};
use futures::{StreamExt, TryStreamExt, stream};
use projections::{Projection, Projections};
use sqlx::PgPool;
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

/// How long the read models may take to follow the log in the first place.
const PATIENCE: Duration = Duration::from_secs(3_600);
/// The raw read is repeated so often.
const READS: u32 = 3;
const SELECT: &str = "
    select position, revision, recorded_at, id, stream, type, data, metadata from events
    order by position";

/// A log of about `events` events (conversations with their lines, people, charges, documents), and every read model
/// rebuilt from it: one after the other for the rows of single read models, which count the events they want; then all, as
/// `annals rebuild --all` does it, for the last row, which counts the whole log. The baseline is one raw SELECT of the log.
pub(super) async fn rebuild(scratch: &Scratch, events: u64) -> Result<Report> {
    let pool = &scratch.pool;
    let log: Arc<dyn EventLog> = PostgresLog::open(pool.clone(), Settings::default()).await?;
    let embedder = Arc::new(Builtin);
    let memo = Arc::new(PostgresMemo(pool.clone()));
    let pens = Pens { log: log.clone(), embedder, memo };
    let written = mix::write(&pens, events).await?;
    scratch.settle().await?;
    let feed = Arc::new(LogFeed(log.clone()));
    let meter = Meter::new(pool).await?;
    let raw = raw(pool).await?;
    let against = || ("one raw SELECT of the log".to_owned(), &raw);
    let mut results = Vec::new();

    let (cpu, began) = (meter.read(), Instant::now());
    let projections = Projections::start(pool.clone(), feed.clone(), read_models())?;
    projections.wait_for_all(log.head().await?, PATIENCE).await?;
    let first = took(written, began.elapsed(), meter.since(cpu));
    projections.shutdown().await;
    scratch.settle().await?;

    for projection in read_models() {
        let (cpu, began) = (meter.read(), Instant::now());
        let rebuilt = projections::rebuild(pool, &*feed, &*projection, |_| {}).await?;
        let timed = took(rebuilt.events, began.elapsed(), meter.since(cpu));
        let more = BTreeMap::from([("events", rebuilt.events as f64)]);
        results.push(Row { more, ..timed.against(projection.name(), against()) });
    }
    let (cpu, began) = (meter.read(), Instant::now());
    let rebuild = async |projection: Arc<dyn Projection>| {
        projections::rebuild(pool, &*feed, &*projection, |_| {}).await
    };
    let mut rebuilds = stream::iter(read_models()).map(rebuild).buffer_unordered(AT_ONCE);
    while rebuilds.try_next().await?.is_some() {}
    let all = took(written, began.elapsed(), meter.since(cpu));
    let more = BTreeMap::from([("events", written as f64)]);
    let row = first.against("following the log, all at once", against());
    results.push(Row { more: more.clone(), ..row });
    results.push(Row { more, ..all.against("all read models", against()) });
    Ok(Report { bench: "rebuild", results })
}

fn took(events: u64, wall: Duration, cpu_us: Option<u64>) -> Timed {
    Timed { events, calls_us: vec![micros(wall)], wall, cpu_us }
}

fn micros(wall: Duration) -> u32 {
    wall.as_micros().try_into().unwrap_or(u32::MAX)
}

async fn raw(pool: &PgPool) -> Result<Timed> {
    let mut raw = Timed::default();
    let mut connection = pool.acquire().await?;
    for _ in 0..READS {
        let (began, mut count) = (Instant::now(), 0);
        let mut rows = sqlx::query(SELECT).fetch(&mut *connection);
        while rows.try_next().await?.is_some() {
            count += 1;
        }
        raw.add(took(count, began.elapsed(), None));
    }
    Ok(raw)
}
