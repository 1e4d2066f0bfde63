//! The task of one read model.

use super::storable;
use super::{Batch, Delivery, Failure, Feed, Interest, Trouble, failure::Backoff};
use crate::{Projection, checkpoints, wait::Progress};
use domain::{Position, Recorded};
use futures::{FutureExt, StreamExt};
use sqlx::{AssertSqlSafe, PgConnection, PgPool};
use std::{
    panic::AssertUnwindSafe,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval, timeout},
};

/// Events per transaction: enough to share a commit, few enough to let another node in soon.
const EVENTS: usize = 500;
/// Waiting deliveries that may share a transaction.
const DELIVERIES: usize = 16;
/// How often an idle task looks at its checkpoint, and stores how far it has come.
const TICK: Duration = Duration::from_secs(2);
/// Longest pause before a stuck event is tried again.
const POISON_CAP: Duration = Duration::from_secs(30);
/// Longest pause before an absent database is tried again: it is usually back within seconds.
const ABSENT_CAP: Duration = Duration::from_secs(3);
/// A transaction that has taken so long takes in no further event: what waits for the ones before shall see them.
const LONG: Duration = Duration::from_secs(2);
/// No transaction takes longer; a connection whose other end is gone without a word would.
const DEADLINE: Duration = Duration::from_secs(120);
/// No statement takes longer.
const STATEMENT: Duration = Duration::from_secs(60);
/// An event that does not make it in these times gets twice as much each time it is tried again, up to so many times as much:
/// on a slow machine a large one is late, and never stuck.
const PATIENCE: u32 = 16;

/// Commits here need not wait for the disk: the log is the truth, and a crash of the database takes rows and checkpoint
/// back together, so the events are applied again. The timeouts keep one stuck node from stopping the others.
fn begin(patience: u32) -> String {
    let statement = (STATEMENT * patience).as_secs();
    format!(
        "begin; set local synchronous_commit = off; set local lock_timeout = '10s'; \
         set local statement_timeout = '{statement}s'; set local idle_in_transaction_session_timeout = '30s'"
    )
}

/// Follows the log for one read model.
pub(super) struct Task {
    projection: Arc<dyn Projection>,
    feed: Arc<dyn Feed>,
    pool: PgPool,
    progress: watch::Sender<Progress>,
    stop: watch::Receiver<bool>,
    /// The checkpoint as last seen in the database.
    stored: Position,
    /// Everything up to here is applied or of no interest. At or after `stored`.
    passed: Position,
    /// How many times as long a transaction may take.
    patience: u32,
}

impl Task {
    pub fn new(
        projection: Arc<dyn Projection>,
        feed: Arc<dyn Feed>,
        pool: PgPool,
        progress: watch::Sender<Progress>,
        stop: watch::Receiver<bool>,
    ) -> Self {
        let start = Position::START;
        Self { projection, feed, pool, progress, stop, stored: start, passed: start, patience: 1 }
    }

    /// Runs until it is told to stop.
    pub async fn run(mut self) {
        let name = self.projection.name();
        let mut backoff = Backoff::up_to(ABSENT_CAP);
        loop {
            let before = self.passed;
            match self.follow().await {
                Err(Trouble::Stopped) => return,
                Err(Trouble::Rewound) => {
                    tracing::warn!(
                        projection = name,
                        "the database lost commits; applying them again"
                    );
                    continue;
                }
                Err(Trouble::Unavailable(reason) | Trouble::Poison(reason)) => {
                    if self.progress.borrow().unavailable.is_none() {
                        tracing::warn!(projection = name, %reason, "read model waits");
                    }
                    self.progress.send_modify(|now| now.unavailable = Some(reason));
                }
                Ok(never) => match never {},
            }
            if self.passed > before {
                backoff = Backoff::up_to(ABSENT_CAP);
            }
            if self.pause(backoff.pause()).await.is_err() {
                return;
            }
        }
    }

    /// Subscribes after the checkpoint and applies what comes.
    async fn follow(&mut self) -> Result<std::convert::Infallible, Trouble> {
        let name = self.projection.name();
        self.stored = within(checkpoints::load(&self.pool, name)).await?;
        self.passed = self.stored;
        self.report();
        let interest = Interest::of(&*self.projection);
        let mut waiting = self.feed.subscribe(self.stored, interest).ready_chunks(DELIVERIES);
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = stopped(self.stop.clone()) => return Err(Trouble::Stopped),
                _ = tick.tick() => self.store().await?,
                deliveries = waiting.next() => match deliveries {
                    Some(deliveries) => self.take(deliveries).await?,
                    None => return Err(Trouble::Unavailable("the feed of events has ended".into())),
                },
            }
        }
    }

    /// Applies deliveries that were waiting, a bounded number of events at a time.
    async fn take(&mut self, deliveries: Vec<Delivery>) -> Result<(), Trouble> {
        let Some(end) = deliveries.last().map(|last| last.position) else { return Ok(()) };
        let events: Batch = deliveries.into_iter().flat_map(|one| one.events).collect();
        let mut chunks = events.chunks(EVENTS).peekable();
        while let Some(chunk) = chunks.next() {
            let last = chunk.last().map_or(end, |event| event.position);
            let upto = if chunks.peek().is_some() { last } else { end };
            match self.transact(chunk, upto).await {
                // One of them is poison: everything before it shall be committed.
                Err(Trouble::Poison(_)) => {
                    for event in chunk {
                        self.insist(event).await?;
                    }
                }
                done => done?,
            }
            if *self.stop.borrow() {
                return Err(Trouble::Stopped);
            }
        }
        self.passed = self.passed.max(end);
        self.report();
        Ok(())
    }

    /// Applies one event, however often it takes.
    async fn insist(&mut self, event: &Arc<Recorded>) -> Result<(), Trouble> {
        let mut backoff = Backoff::up_to(POISON_CAP);
        loop {
            match self.transact(std::slice::from_ref(event), event.position).await {
                Err(Trouble::Poison(reason)) => self.stuck(event, reason),
                done => return done,
            }
            self.pause(backoff.pause()).await?;
        }
    }

    /// The events after the checkpoint, and the checkpoint: one transaction, or several where one would take long.
    async fn transact(&mut self, events: &[Arc<Recorded>], upto: Position) -> Result<(), Trouble> {
        loop {
            let began = Instant::now();
            let attempt = self.patiently(self.attempt(events, upto)).await;
            if matches!(attempt, Err(Trouble::Unavailable(_))) && began.elapsed() >= STATEMENT {
                self.patience = (self.patience * 2).min(PATIENCE);
            }
            self.stored = attempt?;
            self.patience = 1;
            self.passed = self.stored.max(self.passed);
            self.report();
            if self.stored >= upto {
                return Ok(());
            }
            if *self.stop.borrow() {
                return Err(Trouble::Stopped);
            }
        }
    }

    /// Waits for a transaction, and shows life meanwhile.
    async fn patiently(
        &self,
        attempt: impl Future<Output = Result<Position, Trouble>>,
    ) -> Result<Position, Trouble> {
        let mut attempt = pin!(timeout(DEADLINE * self.patience, attempt));
        loop {
            match timeout(TICK, &mut attempt).await {
                Ok(ended) => return ended.unwrap_or_else(|_| Err(too_slow())),
                Err(_) => self.show_life(),
            }
        }
    }

    /// Where the checkpoint came to lie.
    async fn attempt(&self, events: &[Arc<Recorded>], upto: Position) -> Result<Position, Trouble> {
        let name = self.projection.name();
        let mut db =
            self.pool.begin_with(AssertSqlSafe(begin(self.patience))).await.map_err(unavailable)?;
        let Some(stored) = checkpoints::lock(&mut db, name).await.map_err(unavailable)? else {
            return Err(Trouble::Rewound);
        };
        // The events at hand follow `self.stored`; what lies between has to be fetched again.
        if stored < self.stored {
            return Err(Trouble::Rewound);
        }
        if stored >= upto {
            db.rollback().await.map_err(unavailable)?;
            return Ok(stored);
        }
        let (began, mut last) = (Instant::now(), stored);
        for event in events {
            if event.position <= stored {
                continue;
            }
            if began.elapsed() >= LONG {
                break;
            }
            apply(&*self.projection, &mut db, event).await?;
            last = event.position;
        }
        let all = events.last().is_none_or(|event| event.position <= last);
        let reached = if all { upto } else { last };
        checkpoints::advance(&mut db, name, reached).await.map_err(unavailable)?;
        // Constraints that wait for the end of the transaction speak here.
        db.commit().await?;
        Ok(reached)
    }

    /// Stores how far the task has come without events of interest, and notices when the database lost commits.
    async fn store(&mut self) -> Result<(), Trouble> {
        let (name, pool) = (self.projection.name(), &self.pool);
        if self.passed > self.stored
            && within(checkpoints::pass(pool, name, self.stored, self.passed)).await?
        {
            self.stored = self.passed;
        }
        let now = within(checkpoints::peek(pool, name)).await?;
        if now < self.stored {
            return Err(Trouble::Rewound);
        }
        self.stored = now;
        self.passed = now.max(self.passed);
        self.report();
        Ok(())
    }

    /// Waits, and shows life meanwhile.
    async fn pause(&self, pause: Duration) -> Result<(), Trouble> {
        let end = Instant::now() + pause;
        loop {
            self.show_life();
            let rest = end.saturating_duration_since(Instant::now());
            if rest.is_zero() {
                return Ok(());
            }
            if timeout(rest.min(TICK), stopped(self.stop.clone())).await.is_ok() {
                return Err(Trouble::Stopped);
            }
        }
    }

    fn show_life(&self) {
        self.progress.send_if_modified(|now| {
            now.heartbeat = Instant::now();
            false
        });
    }

    /// Tells the others where the rows stand. Called only when the database has just answered.
    fn report(&self) {
        self.progress.send_if_modified(|now| {
            let moved = now.position != self.passed;
            now.position = self.passed;
            now.heartbeat = Instant::now();
            now.unavailable = None;
            now.failure.take_if(|stuck| stuck.position <= self.passed);
            moved
        });
    }

    fn stuck(&self, event: &Recorded, reason: Arc<str>) {
        let (name, at) = (self.projection.name(), event.position);
        self.progress.send_modify(|now| {
            let before = now.failure.take().filter(|stuck| stuck.position == at);
            let (since, attempts) =
                before.map_or((Instant::now(), 0), |stuck| (stuck.since, stuck.attempts));
            if attempts == 0 {
                tracing::error!(projection = name, position = at.0, kind = %event.kind, %reason,
                    "an event cannot be applied; the read model stops here and tries again");
            }
            let kind = event.kind.clone();
            let attempts = attempts.saturating_add(1);
            now.heartbeat = Instant::now();
            now.failure = Some(Failure { position: at, kind, reason, since, attempts });
        });
    }
}

/// Applies one event; a panic is the event's failure, not the task's end.
pub(crate) async fn apply(
    projection: &dyn Projection,
    db: &mut PgConnection,
    event: &Recorded,
) -> Result<(), Trouble> {
    let clean;
    let event = if projection.takes_nul() {
        event
    } else {
        clean = storable(event);
        &*clean
    };
    match AssertUnwindSafe(projection.apply(db, event)).catch_unwind().await {
        Ok(applied) => Ok(applied?),
        Err(cause) => Err(Trouble::panicked(&*cause)),
    }
}

/// What fails outside of applying is never the event's fault.
fn unavailable(error: sqlx::Error) -> Trouble {
    Trouble::Unavailable(error.to_string().into())
}

/// Until the process is about to end, or the last handle to the read models is gone.
async fn stopped(mut stop: watch::Receiver<bool>) {
    let _gone_counts_too = stop.wait_for(|stop| *stop).await.is_err();
}

fn too_slow() -> Trouble {
    Trouble::Unavailable("the database takes too long".into())
}

async fn within<T>(statement: impl Future<Output = sqlx::Result<T>>) -> Result<T, Trouble> {
    match timeout(DEADLINE, statement).await {
        Ok(answer) => answer.map_err(unavailable),
        Err(_) => Err(too_slow()),
    }
}
