//! The one writer of a node: takes whatever waits, commits it as one batch, answers everybody for themselves.

use super::{
    lookup,
    plan::{Memory, Plan, Reply, Request, Write},
    statement::{self, Failure, Line, Written},
};
use crate::{
    log::{Append, AppendError, Appended, tail::Tail},
    pulse,
};
use domain::{Position, Recorded, Revision};
use sqlx::{ConnectOptions, Connection, PgConnection, postgres::PgConnectOptions};
use std::{
    collections::VecDeque,
    future::Future,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::sync::mpsc;

/// A batch takes no further request when it has this many events.
const EVENTS: usize = 500;
/// A batch takes no further request when it weighs this much, bytes.
const BYTES: usize = 1 << 20;
/// After this long a silent connection counts as lost.
const SILENCE: Duration = Duration::from_secs(10);
/// Longest pause between two attempts to reach the database.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How the writer's connection is called in `pg_stat_activity`.
pub(super) const APPLICATION: &str = "annals-log-writer";

/// In whose name batches are announced.
pub(super) struct Announcer {
    /// This node.
    pub(super) node: Box<str>,
    /// Whether anybody else listens.
    pub(super) company: Arc<AtomicBool>,
}

impl Announcer {
    /// Empty when nobody else listens.
    fn name(&self) -> &str {
        if self.company.load(Relaxed) { &self.node } else { "" }
    }
}

/// How a batch is committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// On what is remembered of the streams: one round trip.
    Hopeful,
    /// After another node was in the way: the end of the log is locked and the streams are read anew.
    Locked,
}

/// The writer. Ends when nobody can send it requests any more.
pub(super) struct Writer {
    options: PgConnectOptions,
    announcer: Announcer,
    tail: Arc<Tail>,
    queue: mpsc::Receiver<Request>,
    later: Vec<Request>,
    connection: Option<PgConnection>,
    memory: Memory,
    failures: u32,
}

impl Writer {
    pub(super) fn new(
        options: PgConnectOptions,
        announcer: Announcer,
        tail: Arc<Tail>,
        queue: mpsc::Receiver<Request>,
    ) -> Self {
        // The same statement over and over: planned once, and too small for a compiler to pay off.
        let options = options
            .options([("plan_cache_mode", "force_generic_plan"), ("jit", "off")])
            // Should this process freeze while it holds the lock of the log's end.
            .options([("idle_in_transaction_session_timeout", "5s")])
            .application_name(APPLICATION)
            .disable_statement_logging();
        let (later, connection, memory, failures) = (Vec::new(), None, Memory::new(), 0);
        Self { options, announcer, tail, queue, later, connection, memory, failures }
    }

    /// Serves until the last sender is gone.
    pub(super) async fn run(mut self) {
        while let Some(batch) = self.collect().await {
            self.settle(batch).await;
        }
    }

    /// What is waiting, up to the size of a batch; waits for the first.
    async fn collect(&mut self) -> Option<Vec<Request>> {
        let mut batch = std::mem::take(&mut self.later);
        if batch.is_empty() {
            batch.push(self.queue.recv().await?);
        }
        // Whoever was just answered may want to append again: let them, and they share this commit.
        tokio::task::yield_now().await;
        let weight = |request: &Request| {
            let events = request.append.events.iter();
            events.map(|event| event.data.get().len() + event.metadata.get().len()).sum::<usize>()
        };
        let mut events: usize = batch.iter().map(|request| request.append.events.len()).sum();
        let mut bytes: usize = batch.iter().map(weight).sum();
        while events < EVENTS && bytes < BYTES {
            let Ok(request) = self.queue.try_recv() else { break };
            events += request.append.events.len();
            bytes += weight(&request);
            batch.push(request);
        }
        Some(batch)
    }

    /// Commits the batch, again and in smaller pieces if need be, until nobody waits for an answer any more.
    async fn settle(&mut self, batch: Vec<Request>) {
        let mut rounds = VecDeque::from([(batch, Mode::Hopeful)]);
        while let Some((mut round, mode)) = rounds.pop_front() {
            round.retain(|request| !request.reply.is_closed());
            let Err(error) = self.commit(&mut round, mode).await else { continue };
            let failure = Failure::of(&error);
            tracing::debug!(%error, ?failure, requests = round.len(), "a batch was not committed");
            match failure {
                Failure::Lost => {
                    self.pause(&error).await;
                    rounds.push_front((round, mode));
                }
                Failure::Taken if mode == Mode::Hopeful => {
                    rounds.push_front((round, Mode::Locked));
                }
                _ if round.len() > 1 => {
                    rounds.extend(round.into_iter().map(|request| (vec![request], mode)));
                }
                _ => {
                    let refusal = refusal(failure, &error);
                    round.into_iter().for_each(|request| request.settle(Err(refusal.clone())));
                }
            }
        }
    }

    /// One attempt. Requests that are settled, sent back or deferred leave `requests`; on an error the others stay.
    async fn commit(&mut self, requests: &mut Vec<Request>, mode: Mode) -> sqlx::Result<()> {
        if requests.is_empty() {
            return Ok(());
        }
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => in_time(self.options.connect()).await?,
        };
        let done = match mode {
            Mode::Hopeful => self.commit_hopefully(&mut connection, requests).await,
            Mode::Locked => self.commit_locked(&mut connection, requests).await,
        };
        match &done {
            Ok(()) => self.recovered(),
            Err(error) if Failure::of(error) == Failure::Lost => return done,
            Err(_) => {}
        }
        self.connection = Some(connection);
        done
    }

    /// The one statement; what this writer remembers of the streams may turn out to be stale.
    async fn commit_hopefully(
        &mut self,
        connection: &mut PgConnection,
        requests: &mut Vec<Request>,
    ) -> sqlx::Result<()> {
        let plan = self.plan(connection, requests).await?;
        let written = self.write(connection, &plan).await;
        self.conclude(plan, written, requests)
    }

    /// With the end of the log locked first, so that no other node can write in between.
    async fn commit_locked(
        &mut self,
        connection: &mut PgConnection,
        requests: &mut Vec<Request>,
    ) -> sqlx::Result<()> {
        let mut transaction = in_time(connection.begin()).await?;
        in_time(statement::lock(&mut transaction)).await?;
        let plan = self.plan(&mut transaction, requests).await?;
        let written = match self.write(&mut transaction, &plan).await {
            Ok(written) => in_time(transaction.commit()).await.map(|()| written),
            error => error,
        };
        self.conclude(plan, written, requests)
    }

    /// Settles what the database or the memory knows already, and plans the rest.
    async fn plan(
        &mut self,
        connection: &mut PgConnection,
        requests: &mut Vec<Request>,
    ) -> sqlx::Result<Plan> {
        if requests.iter().any(|request| request.uncertain) {
            self.resolve(connection, requests).await?;
        }
        let unknown: Vec<&str> = self.memory.unknown(requests).into_iter().collect();
        if !unknown.is_empty() {
            for (stream, length) in in_time(lookup::lengths(connection, &unknown)).await? {
                self.memory.learn(stream, length);
            }
        }
        Ok(self.memory.plan(std::mem::take(requests)))
    }

    /// `None`: there was nothing to write.
    async fn write(
        &self,
        connection: &mut PgConnection,
        plan: &Plan,
    ) -> sqlx::Result<Option<Written>> {
        if plan.writes.is_empty() {
            return Ok(None);
        }
        let lines: Vec<Line<'_>> = plan.writes.iter().flat_map(Write::lines).collect();
        let begun = Instant::now();
        let name = self.announcer.name();
        let written = in_time(statement::write(connection, name, &lines)).await?;
        pulse::COMMIT_SECONDS.time(begun.elapsed());
        pulse::BATCH_EVENTS.count(lines.len());
        Ok(Some(written))
    }

    /// Answers, or gives the requests back for another attempt.
    fn conclude(
        &mut self,
        plan: Plan,
        written: sqlx::Result<Option<Written>>,
        requests: &mut Vec<Request>,
    ) -> sqlx::Result<()> {
        let Plan { writes, doubtful, mut later } = plan;
        self.later.append(&mut later);
        match written {
            Ok(written) => {
                if let Some(written) = written {
                    self.committed(writes, written);
                }
                // Only now: what made them doubtful is committed, so their callers will find it.
                doubtful.into_iter().for_each(Request::doubt);
                Ok(())
            }
            Err(error) => {
                self.memory.forget(&writes);
                let uncertain = matches!(Failure::of(&error), Failure::Taken | Failure::Lost);
                let undone = writes.into_iter().map(|write| write.request);
                // What a caller has seen may be stale by now: the next attempt looks for itself.
                requests.extend(undone.map(|it| Request { uncertain, seen: None, ..it }));
                requests.extend(doubtful.into_iter().map(|it| Request { seen: None, ..it }));
                Err(error)
            }
        }
    }

    /// Answers those of the uncertain requests that are in the log.
    async fn resolve(
        &mut self,
        connection: &mut PgConnection,
        requests: &mut Vec<Request>,
    ) -> sqlx::Result<()> {
        let uncertain = requests.iter().filter(|request| request.uncertain);
        let events = uncertain.flat_map(|request| &request.append.events);
        let ids: Vec<_> = events.map(|event| event.id).collect();
        let places = in_time(lookup::places(connection, &ids)).await?;
        for mut request in std::mem::take(requests) {
            match lookup::earlier(&request.append, &places) {
                Some(answer) => {
                    if let Ok(appended) = answer {
                        self.tail.reaches(appended.position);
                    }
                    request.settle(answer);
                }
                None => {
                    request.uncertain = false;
                    requests.push(request);
                }
            }
        }
        Ok(())
    }

    /// Publishes a committed batch, then answers its callers.
    fn committed(&mut self, writes: Vec<Write>, written: Written) {
        let mut position = written.base.0;
        let mut events = Vec::with_capacity(writes.len());
        let mut answers = Vec::with_capacity(writes.len());
        for write in writes {
            self.memory.committed(&write, Position(position + 1));
            let Write { request: Request { append, reply, .. }, first } = write;
            let Append { stream, events: new, .. } = append;
            let mut revision = first;
            for event in new {
                position += 1;
                events.push(Arc::new(Recorded {
                    id: event.id,
                    stream: stream.clone(),
                    revision: Revision(revision),
                    position: Position(position),
                    kind: event.kind,
                    data: event.data,
                    metadata: event.metadata,
                    recorded_at: written.recorded_at,
                }));
                revision += 1;
            }
            let appended =
                Appended { revision: Revision(revision - 1), position: Position(position) };
            answers.push((reply, appended));
        }
        self.tail.publish(events);
        for (reply, appended) in answers {
            drop(reply.send(Reply::Settled(Ok(appended))));
        }
    }

    /// Waits before the next attempt, longer each time; told once per outage.
    async fn pause(&mut self, error: &sqlx::Error) {
        if self.failures == 0 {
            tracing::warn!(%error, "the database is away; appends wait");
        }
        let pause = Duration::from_millis(10) * 2_u32.pow(self.failures.min(10));
        self.failures += 1;
        tokio::time::sleep(pause.min(LONGEST_PAUSE)).await;
    }

    fn recovered(&mut self) {
        if std::mem::take(&mut self.failures) > 0 {
            tracing::info!("the database is back; appends go on");
        }
    }
}

fn refusal(failure: Failure, error: &sqlx::Error) -> AppendError {
    match failure {
        Failure::NotStorable => AppendError::Invalid("the database cannot store it"),
        _ => AppendError::Unavailable(error.to_string().into()),
    }
}

/// A connection that stays silent is as good as lost.
async fn in_time<T>(answer: impl Future<Output = sqlx::Result<T>>) -> sqlx::Result<T> {
    let silent = |_| sqlx::Error::Io(io::Error::from(io::ErrorKind::TimedOut));
    tokio::time::timeout(SILENCE, answer).await.map_err(silent)?
}
