//! From an append to those who follow live.

use super::{Author, BenchError, Report, Row, measure::Timed};
use crate::log::{
    EventLog, Filter,
    postgres::{PostgresLog, Settings},
};
use domain::{Position, Revision};
use futures::StreamExt;
use sqlx::PgPool;
use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};

/// Writers beside which deliveries are timed.
const WRITERS: usize = 8;
/// Streams that are followed, each by one follower.
const FOLLOWED: usize = 1_000;

/// When events came to a reader, or were acknowledged to their writer, by position.
type Times = Vec<(u64, Instant)>;

/// How much later than its writer's answer an event reaches a subscriber of the whole log, and 1,000 followers of 1,000
/// streams; `p50_us` and `p99_us` are that lag. The baseline is the rate of the same appends.
///
/// # Errors
/// When the database fails.
pub async fn tail(pool: &PgPool, seconds: u64) -> Result<Report, BenchError> {
    let log = PostgresLog::open(pool.clone(), Settings::default()).await?;
    let time = Duration::from_secs(seconds.max(1));
    let results = vec![subscriber(&log, time).await?, followers(&log, time).await?];
    Ok(Report { bench: "tail", results })
}

async fn subscriber(log: &Arc<PostgresLog>, time: Duration) -> Result<Row, BenchError> {
    let begin = log.head().await?;
    let mut deliveries = log.subscribe(begin, Filter::all());
    let (done, mut end) = watch::channel(None::<Position>);
    let reader = tokio::spawn(async move {
        let (mut seen, mut at) = (Times::new(), begin);
        while end.borrow().is_none_or(|end| at < end) {
            tokio::select! {
                Some(delivery) = deliveries.next() => {
                    let now = Instant::now();
                    seen.extend(delivery.events.iter().map(|event| (event.position.0, now)));
                    at = delivery.position;
                }
                Ok(()) = end.changed() => {}
                // Nobody waits for the answer any more.
                else => break,
            }
        }
        seen
    });
    let authors = (0..WRITERS).map(|_| Author::new()).collect::<Result<_, _>>()?;
    let (answered, wall) = write(log, authors, time).await?;
    done.send_replace(Some(log.head().await?));
    Ok(lag("subscriber", WRITERS, answered, reader.await?, wall))
}

async fn followers(log: &Arc<PostgresLog>, time: Duration) -> Result<Row, BenchError> {
    let authors = (0..FOLLOWED).map(|_| Author::new()).collect::<Result<Vec<_>, _>>()?;
    let (seen, mut received) = mpsc::channel(4_096);
    let mut readers = JoinSet::new();
    for author in &authors {
        let mut batches = log.follow(author.stream.clone(), Revision(0));
        let seen = seen.clone();
        readers.spawn(async move {
            while let Some(batch) = batches.next().await {
                let now = Instant::now();
                let times: Times = batch.iter().map(|event| (event.position.0, now)).collect();
                if seen.send(times).await.is_err() {
                    return;
                }
            }
        });
    }
    let writing = write(log, authors, time);
    let collecting = async {
        let mut all = Times::new();
        while let Ok(Some(times)) =
            tokio::time::timeout(Duration::from_secs(1), received.recv()).await
        {
            all.extend(times);
        }
        all
    };
    let (written, seen) = tokio::join!(writing, collecting);
    let (answered, wall) = written?;
    Ok(lag("followers", FOLLOWED, answered, seen, wall))
}

/// Lets the authors write for this long; when each event was acknowledged.
async fn write(
    log: &Arc<PostgresLog>,
    authors: Vec<Author>,
    time: Duration,
) -> Result<(Times, Duration), BenchError> {
    let begin = Instant::now();
    let end = begin + time;
    let mut tasks = JoinSet::new();
    for mut author in authors {
        let log = log.clone();
        tasks.spawn(async move {
            let mut answered = Times::new();
            // Within one stream, so that its follower sees everything.
            while Instant::now() < end && (answered.len() as u64) < super::STREAM {
                answered.push((author.append(&*log, 1).await?, Instant::now()));
            }
            Ok::<_, BenchError>(answered)
        });
    }
    let mut answered = Times::new();
    while let Some(done) = tasks.join_next().await {
        answered.extend(done??);
    }
    Ok((answered, begin.elapsed()))
}

fn lag(name: &'static str, readers: usize, answered: Times, seen: Times, wall: Duration) -> Row {
    let seen: HashMap<u64, Instant> = seen.into_iter().collect();
    let lag = |(position, answered): &(u64, Instant)| {
        let lag = seen.get(position)?.saturating_duration_since(*answered);
        Some(lag.as_micros().try_into().unwrap_or(u32::MAX))
    };
    let calls_us: Vec<u32> = answered.iter().filter_map(lag).collect();
    let written = Timed { events: answered.len() as u64, wall, ..Timed::default() };
    let delivered = Timed { events: calls_us.len() as u64, calls_us, wall, cpu_us: None };
    let row = delivered.against(name, ("the appends themselves".to_owned(), &written));
    Row { writers: Some(readers), ..row }
}
