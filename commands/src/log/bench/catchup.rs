//! Reading everything from the beginning.

use super::{
    Author, BenchError, Report, Row,
    measure::{Meter, Timed},
};
use crate::log::{
    Direction, EventLog, Filter,
    postgres::{PostgresLog, Settings},
};
use domain::{Position, Revision, StreamId};
use futures::{StreamExt, TryStreamExt};
use sqlx::{Executor, PgPool};
use std::{future::Future, time::Instant};

/// Events per second of the asked duration that are written to be read.
const PER_SECOND: u64 = 25_000;
/// How often the ways to read take turns.
const ROUNDS: u32 = 5;
/// Events of the stream that is read as a stream.
const STREAM: u64 = 10_000;
/// Events per append while the log is filled, and per page.
const PAGE: usize = 500;

const SELECT: &str = "
    select position, revision, recorded_at, id, stream, type, data, metadata from events
    order by position";

/// The whole log through a subscription and through pages, and one stream of 10,000 events, every event decoded;
/// against one raw `SELECT` of the same rows by the same driver, nothing decoded.
///
/// # Errors
/// When the database fails.
pub async fn catchup(pool: &PgPool, seconds: u64) -> Result<Report, BenchError> {
    let log = PostgresLog::open(pool.clone(), Settings::default()).await?;
    let stream = fill(&*log, seconds.max(1) * PER_SECOND).await?;
    sqlx::raw_sql("vacuum analyze events").execute(pool).await?;
    // Opened after the writing, so that its ring is empty and everything comes from the database.
    let log = PostgresLog::open(pool.clone(), Settings::default()).await?;
    let meter = Meter::new(pool).await?;
    let mut cases: [(&'static str, Timed); 3] =
        ["subscribe", "read_all", "read"].map(|name| (name, Timed::default()));
    let mut raw = Timed::default();
    for _ in 0..ROUNDS {
        raw.add(timed(&meter, select(pool)).await?);
        cases[0].1.add(timed(&meter, subscribe(&*log)).await?);
        cases[1].1.add(timed(&meter, pages(&*log)).await?);
        cases[2].1.add(timed(&meter, read(&*log, &stream)).await?);
    }
    let baseline = "one raw SELECT of all rows, not decoded";
    let rows = cases.map(|(name, timed)| timed.against(name, (baseline.to_owned(), &raw)));
    let results = rows.into_iter().map(|row| Row { writers: Some(1), ..row }).collect();
    Ok(Report { bench: "catchup", results })
}

pub(super) async fn fill(log: &dyn EventLog, events: u64) -> Result<StreamId, BenchError> {
    let mut long = Author::new()?;
    let stream = long.stream.clone();
    let (mut author, mut written) = (Author::new()?, 0);
    while written < events.max(STREAM) {
        let author = if written < STREAM { &mut long } else { &mut author };
        author.append(log, PAGE).await?;
        written += PAGE as u64;
    }
    Ok(stream)
}

pub(super) async fn timed(
    meter: &Meter,
    read: impl Future<Output = Result<u64, BenchError>>,
) -> Result<Timed, BenchError> {
    let (cpu, begin) = (meter.read(), Instant::now());
    let events = read.await?;
    let wall = begin.elapsed();
    let call = wall.as_micros().try_into().unwrap_or(u32::MAX);
    Ok(Timed { events, calls_us: vec![call], wall, cpu_us: meter.since(cpu) })
}

async fn select(pool: &PgPool) -> Result<u64, BenchError> {
    let mut connection = pool.acquire().await?;
    let mut rows = connection.fetch(sqlx::query(SELECT));
    let mut count = 0;
    while rows.try_next().await?.is_some() {
        count += 1;
    }
    Ok(count)
}

pub(super) async fn subscribe(log: &dyn EventLog) -> Result<u64, BenchError> {
    let (head, mut count) = (log.head().await?, 0);
    let mut deliveries = log.subscribe(Position::START, Filter::all());
    while let Some(delivery) = deliveries.next().await {
        count += delivery.events.len() as u64;
        if delivery.position >= head {
            break;
        }
    }
    Ok(count)
}

pub(super) async fn pages(log: &dyn EventLog) -> Result<u64, BenchError> {
    let (mut at, mut count) = (Position::START, 0);
    loop {
        let page = log.read_all(at, 1_000, &Filter::all()).await?;
        if page.events.is_empty() {
            return Ok(count);
        }
        count += page.events.len() as u64;
        at = page.scanned;
    }
}

async fn read(log: &dyn EventLog, stream: &StreamId) -> Result<u64, BenchError> {
    let events = log.read(stream, Revision(0), Direction::Forward, usize::MAX).await?;
    Ok(events.len() as u64)
}
