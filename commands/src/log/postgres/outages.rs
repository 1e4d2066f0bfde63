//! The database goes away at the worst of times.

use super::{
    testing::{Cutter, Fresh},
    verify,
    writer::APPLICATION,
};
use crate::log::{
    Append, AppendError, Appended, Delivery, Direction, EventLog, Filter,
    contract::{some, stream},
};
use anyhow::Context;
use domain::{Expected, Position, Revision, StreamId};
use embedded::Shutdown;
use futures::{StreamExt, future::try_join_all, stream::BoxStream};
use sqlx::{Connection, PgConnection};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::task::JoinHandle;

const WRITERS: u64 = 8;
const PATIENCE: Duration = Duration::from_secs(120);

/// Appends events one by one until told to stop, each expecting the one before; an append without answer is repeated
/// as it was. How many there are in the end.
async fn write(
    log: Arc<dyn EventLog>,
    stream: StreamId,
    stop: Arc<AtomicBool>,
) -> anyhow::Result<u64> {
    let mut count = 0;
    while !stop.load(SeqCst) {
        let last: Option<u64> = u64::checked_sub(count, 1);
        let expected = last.map_or(Expected::NoStream, |last| Expected::Exact(Revision(last)));
        let append = some(&stream, expected, 1);
        let Appended { revision, .. } = loop {
            match log.append(append.clone()).await {
                Err(AppendError::Unavailable(_)) => {}
                answer => break answer?,
            }
        };
        anyhow::ensure!(revision == Revision(count), "{revision} instead of {count}");
        count += 1;
    }
    Ok(count)
}

/// Writers, a subscriber and a follower; `trouble` is made so many `times`, always when the subscriber has seen some
/// hundred events more.
async fn endure(
    fresh: &Fresh,
    times: u32,
    mut trouble: impl AsyncFnMut() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let log: Arc<dyn EventLog> = fresh.node().await?;
    let streams: Vec<_> = (0..WRITERS).map(|_| stream("load")).collect();
    let mut followed = log.follow(streams[0].clone(), Revision(0));
    let mut subscribed = log.subscribe(Position::START, Filter::all());
    let stop = Arc::new(AtomicBool::new(false));
    let start = |stream: &StreamId| tokio::spawn(write(log.clone(), stream.clone(), stop.clone()));
    let writers: Vec<JoinHandle<_>> = streams.iter().map(start).collect();

    let mut seen = Vec::new();
    for _ in 0..times {
        see(&mut subscribed, &mut seen, 200).await?;
        trouble().await?;
    }
    see(&mut subscribed, &mut seen, 200).await?;
    stop.store(true, SeqCst);
    let counts: Vec<u64> =
        try_join_all(writers).await?.into_iter().collect::<anyhow::Result<_>>()?;
    let total: u64 = counts.iter().sum();

    let rest = total as usize - seen.len();
    see(&mut subscribed, &mut seen, rest).await?;
    assert_eq!(seen, (1..=total).collect::<Vec<_>>());
    let mut revisions = Vec::new();
    while revisions.len() < counts[0] as usize {
        let batch = followed.next().await.context("it never ends")?;
        revisions.extend(batch.iter().map(|event| event.revision.0));
    }
    assert_eq!(revisions, (0..counts[0]).collect::<Vec<_>>());
    for (stream, count) in streams.iter().zip(counts) {
        let all = log.read(stream, Revision(0), Direction::Forward, usize::MAX).await?;
        assert_eq!(all.len() as u64, count);
    }
    assert_eq!(verify(&fresh.pool(), |_, _| {}).await?.head, Position(total));
    Ok(())
}

/// Notes the positions of at least `more` events.
async fn see(
    subscribed: &mut BoxStream<'static, Delivery>,
    seen: &mut Vec<u64>,
    more: usize,
) -> anyhow::Result<()> {
    let enough = seen.len() + more;
    while seen.len() < enough {
        let delivery = subscribed.next().await.context("it never ends")?;
        seen.extend(delivery.events.iter().map(|event| event.position.0));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_when_the_database_restarts() -> anyhow::Result<()> {
    let folder = std::env::temp_dir().join(format!("annals-log-{}", uuid::Uuid::new_v4().simple()));
    let server = embedded::start(embedded::Options::new(&folder)).await?;
    let fresh = Fresh::on(server.url().parse()?).await?;
    let mut restarts = 0;
    let restart = async || {
        let how = if restarts % 2 == 0 { Shutdown::Immediate } else { Shutdown::Fast };
        restarts += 1;
        Ok(server.restart(how).await?)
    };
    tokio::time::timeout(PATIENCE, endure(&fresh, 4, restart)).await??;
    server.stop().await?;
    std::fs::remove_dir_all(folder)?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_doubled_when_the_writer_is_cut_off() -> anyhow::Result<()> {
    let fresh = Fresh::new().await?;
    let mut hand = PgConnection::connect_with(&fresh.options).await?;
    let mut kills = 0;
    let kill = async || {
        let victims = sqlx::query(
            "select pg_terminate_backend(pid) from pg_stat_activity
             where application_name = $1 and datname = current_database()",
        );
        kills += victims.bind(APPLICATION).execute(&mut hand).await?.rows_affected();
        Ok(())
    };
    tokio::time::timeout(PATIENCE, endure(&fresh, 10, kill)).await??;
    assert!(kills >= 5, "{kills} connections were cut");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_is_lost_after_the_commit_is_found_again() -> anyhow::Result<()> {
    let fresh = Fresh::new().await?;
    let cutter = Cutter::before(&fresh.options).await?;
    let log = fresh.node_behind(&cutter).await?;
    let mut subscribed = log.subscribe(Position::START, Filter::all());
    let stream = stream("thing");
    let first = some(&stream, Expected::NoStream, 1);
    log.append(first).await?;
    for n in 1..=5 {
        cutter.cut_next_answer();
        let appended = log.append(some(&stream, Expected::Exact(Revision(n - 1)), 1)).await?;
        assert_eq!(appended, Appended { revision: Revision(n), position: Position(n + 1) });
        assert_eq!(cutter.cuts(), n);
    }
    let mut seen = Vec::new();
    while seen.len() < 6 {
        let delivery = subscribed.next().await.expect("it never ends");
        seen.extend(delivery.events.iter().map(|event| event.position.0));
    }
    assert_eq!(seen, [1, 2, 3, 4, 5, 6]);
    Ok(())
}

#[tokio::test]
async fn appends_give_up_when_the_database_stays_away() -> anyhow::Result<()> {
    let fresh = Fresh::new().await?;
    let cutter = Cutter::before(&fresh.options).await?;
    let log = fresh.node_behind(&cutter).await?;
    let stream = stream("thing");
    log.append(some(&stream, Expected::NoStream, 1)).await?;
    cutter.close();
    let append = some(&stream, Expected::Any, 1);
    let answer = log.append(Append { ..append.clone() }).await;
    assert!(matches!(answer, Err(AppendError::Unavailable(_))), "{answer:?}");
    cutter.open();
    let answer = log.append(append).await?;
    assert_eq!(answer.position, Position(2));
    Ok(())
}
