//! What other nodes write: learnt from notifications, with a slow poll as the safety net, and read into the tail.

use super::Reader;
use crate::log::{Filter, ReadError, tail::Tail};
use domain::Position;
use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgListener, PgPoolOptions},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::time::MissedTickBehavior;

/// The channel on which a batch is announced: node, space, last position.
const CHANNEL: &str = "annals_log";
/// How a listening connection is called in `pg_stat_activity`, before the node's name; one per node.
const LISTENER: &str = "annals-log-listener";
/// How often the head is read although nobody announced anything.
const POLL: Duration = Duration::from_secs(1);
/// Pause after a failure.
const PAUSE: Duration = Duration::from_millis(500);
/// Events per page while a gap is filled.
const PAGE: usize = 1_000;
/// A gap of more events than this is left to the readers, each of which has its own pages to read.
const FAR: u64 = 50_000;

/// Hears the announcements of other nodes, for ever.
pub(super) async fn listen(options: PgConnectOptions, node: Box<str>, tail: Arc<Tail>) {
    // A pool of one: the listener wants to own the way to its connection.
    let options = options.application_name(&format!("{LISTENER} {node}"));
    let pool = PgPoolOptions::new().max_connections(1).connect_lazy_with(options);
    loop {
        if let Err(error) = hear(&pool, &node, &tail).await {
            tracing::debug!(%error, "notifications are interrupted");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn hear(pool: &PgPool, node: &str, tail: &Tail) -> sqlx::Result<()> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(CHANNEL).await?;
    loop {
        let news = listener.recv().await?;
        if let Some((author, position)) = news.payload().split_once(' ')
            && author != node
            && let Ok(position) = position.parse()
        {
            tail.reaches(Position(position));
        }
    }
}

/// Fills the gaps of the tail and keeps an eye on who else is there, for ever.
pub(super) async fn fill(
    reader: Reader,
    node: Box<str>,
    tail: Arc<Tail>,
    company: Arc<AtomicBool>,
) {
    let mut known = tail.watch_known();
    let mut poll = tokio::time::interval(POLL);
    poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let announced = async {
            // The sender lives in the tail.
            known
                .wait_for(|known| *known > tail.head().0)
                .await
                .map_or(tail.head(), |it| Position(*it))
        };
        let target = tokio::select! {
            target = announced => Ok(target),
            _ = poll.tick() => look_around(&reader, &node, &company).await,
        };
        let filled = match target {
            Ok(target) => fill_to(&reader, &tail, target).await,
            Err(error) => Err(error),
        };
        if let Err(error) = filled {
            tracing::debug!(%error, "the tail cannot be filled");
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Where the log ends. A node that listens alone need not announce what it writes, which spares every commit a lock that
/// all databases of the server share; one that has just come finds what it has missed by its own poll.
async fn look_around(
    reader: &Reader,
    node: &str,
    company: &AtomicBool,
) -> Result<Position, ReadError> {
    // This node's own listener may not have connected yet, and must not be taken for another one, nor missed.
    let others = reader.connections(LISTENER, &format!("{LISTENER} {node}")).await?;
    company.store(others > 0, Relaxed);
    reader.head().await
}

async fn fill_to(reader: &Reader, tail: &Tail, target: Position) -> Result<(), ReadError> {
    if target.0.saturating_sub(tail.head().0) > FAR {
        tail.jump(target);
    }
    while tail.head() < target {
        let page = reader.page(tail.head(), PAGE, &Filter::all()).await?;
        if page.events.is_empty() {
            return Err(ReadError("the log ends before what was announced".into()));
        }
        tail.publish(page.events);
    }
    Ok(())
}
