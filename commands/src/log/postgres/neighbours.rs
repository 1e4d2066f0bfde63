//! What other nodes write: learnt from notifications, with a slow poll as the safety net, and read into the tail.

use super::Reader;
use crate::log::{Filter, ReadError, tail::Tail};
use domain::Position;
use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgListener, PgPoolOptions},
};
use std::{sync::Arc, time::Duration};

/// The channel on which a batch is announced: node, space, last position.
const CHANNEL: &str = "annals_log";
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

/// Fills the gaps of the tail, for ever.
pub(super) async fn fill(reader: Reader, tail: Arc<Tail>) {
    let mut known = tail.watch_known();
    loop {
        let beyond = known.wait_for(|known| *known > tail.head().0);
        let announced = match tokio::time::timeout(POLL, beyond).await {
            Ok(Ok(known)) => Some(Position(*known)),
            Ok(Err(_)) => return,
            Err(_) => None,
        };
        let target = match announced {
            Some(position) => Ok(position),
            None => reader.head().await,
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
