//! The backend alone: the contract against another process, and that process killed under load.

use annals_tests::{chance::Chance, log_server::LogServer};
use anyhow::{Context, Result, ensure};
use commands::log::{
    Direction, EventLog, Filter,
    contract::{Backend, some, stream},
};
use domain::{Expected, Position, Revision, StreamId};
use futures::StreamExt;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::{
    task::JoinHandle,
    time::{sleep, timeout},
};

/// Writers, each with a stream and a follower of it.
const WRITERS: usize = 6;
/// How often the log is killed.
const KILLS: u64 = 3;
/// How long the readers may take in the end.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_contract_holds_in_another_process() -> Result<()> {
    let server = LogServer::start(&[]).await?;
    commands::log_contract!(in turn server);
    server.finish().await?;
    Ok(())
}

/// Appends single events with exact expectations until told to stop; how many.
fn write(log: &Arc<dyn EventLog>, stream: &StreamId, stop: &Arc<AtomicBool>) -> JoinHandle<u64> {
    let (log, stream, stop) = (log.clone(), stream.clone(), stop.clone());
    tokio::spawn(async move {
        let mut written = 0;
        while !stop.load(SeqCst) {
            let expected = match written {
                0 => Expected::NoStream,
                n => Expected::Exact(Revision(n - 1)),
            };
            let appended = log.append(some(&stream, expected, 1)).await.unwrap();
            assert_eq!(appended.revision.0, written);
            written += 1;
        }
        written
    })
}

/// Nobody who uses the backend hears of the deaths: every append is answered once, every event delivered once, in order.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_log_that_is_killed_is_only_slow() -> Result<()> {
    let (mut chance, mut server) = (Chance::seeded(), LogServer::start(&[]).await?);
    let log = server.open().await;
    let begin = log.head().await?;
    let stop = Arc::new(AtomicBool::new(false));
    let streams: Vec<_> = (0..WRITERS).map(|_| stream("load")).collect();
    let writers: Vec<_> = streams.iter().map(|stream| write(&log, stream, &stop)).collect();
    let mut everything = log.subscribe(begin, Filter::all());
    let (seen, mut delivered) = tokio::sync::watch::channel(vec![]);
    let reader = tokio::spawn(async move {
        while let Some(delivery) = everything.next().await {
            let news = delivery.events.iter().map(|event| event.position.0);
            seen.send_modify(|seen: &mut Vec<u64>| seen.extend(news));
        }
    });
    for _ in 0..KILLS {
        let more = delivered.borrow().len() + 20 + usize::try_from(chance.below(200))?;
        timeout(PATIENCE, delivered.wait_for(|seen| seen.len() >= more)).await??;
        // Not to wait for anything: any moment between two deliveries will do.
        sleep(Duration::from_micros(chance.below(5_000))).await;
        server.kill()?;
        server.restart().await?;
    }
    let more = delivered.borrow().len() + 20;
    timeout(PATIENCE, delivered.wait_for(|seen| seen.len() >= more)).await??;
    stop.store(true, SeqCst);
    let mut written = vec![];
    for writer in writers {
        written.push(writer.await?);
    }
    let total: u64 = written.iter().sum();
    let whole = |seen: &Vec<u64>| seen.len() as u64 >= total;
    let seen = timeout(PATIENCE, delivered.wait_for(whole)).await.context("a gap")??.clone();
    ensure!(seen == (begin.0 + 1..=begin.0 + total).collect::<Vec<_>>(), "{seen:?}");
    ensure!(log.head().await? == Position(begin.0 + total));
    for (stream, written) in streams.iter().zip(written) {
        let all = log.read(stream, Revision(0), Direction::Forward, usize::MAX).await?;
        ensure!(all.len() as u64 == written, "{} of {written} events", all.len());
        let mut following = log.follow(stream.clone(), Revision(0));
        let mut next = 0;
        while next < written {
            for event in timeout(PATIENCE, following.next()).await?.context("it ended")? {
                ensure!(event.revision.0 == next, "{} after {next} events", event.revision.0);
                next += 1;
            }
        }
    }
    reader.abort();
    server.finish().await?;
    Ok(())
}
