//! Publishes every event to NATS JetStream, for analytics and other systems.
//!
//! A subscriber of the log with its own checkpoint, which moves only when the broker has acknowledged. Of several nodes
//! one publishes; the others stand by. After an outage it goes on behind the last event that the stream holds, so that
//! the stream ends with every event exactly once and in order, however long it took.

mod broker;
mod leader;
mod message;
mod session;
pub mod testing;
#[cfg(test)]
mod tests;

pub use broker::BrokerUrl;
pub use message::{payload, subject};
pub use session::STREAM;

use crate::log::EventLog;
use domain::Position;
use leader::Leader;
use session::Session;
use sqlx::PgPool;
use std::{fmt, sync::Arc, time::Duration};
use tokio::{
    sync::{Mutex, watch},
    task::JoinHandle,
    time::timeout,
};

/// How often a node that stands by asks whether it may publish.
const STANDBY: Duration = Duration::from_secs(2);
/// Longest pause between two attempts to reach the broker.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// How long the end of the task is awaited.
const GRACE: Duration = Duration::from_secs(10);

/// What this node's publisher is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Nothing yet.
    Starting,
    /// Another node publishes.
    Standby,
    /// Connected and publishing.
    Publishing,
    /// The broker or the database is away; it is tried again.
    Waiting(Arc<str>),
}

/// How the publisher is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// What it is doing.
    pub state: State,
    /// Everything up to here has been acknowledged, as far as this node knows.
    pub position: Position,
}

/// The publisher of this node. The task ends with the handle.
pub struct Publisher {
    stop: watch::Sender<bool>,
    status: watch::Receiver<Status>,
    task: Mutex<Option<JoinHandle<()>>>,
}

/// Why a session came to its end.
#[derive(Debug)]
enum End {
    Stopped,
    Failed(Arc<str>),
}

impl End {
    fn because(reason: impl fmt::Display) -> Self {
        Self::Failed(reason.to_string().into())
    }
}

impl From<sqlx::Error> for End {
    fn from(error: sqlx::Error) -> Self {
        Self::Failed(format!("checkpoint: {error}").into())
    }
}

impl Publisher {
    /// Starts publishing, or standing by. `pool` leads to the database with the table `checkpoints`; one connection is
    /// taken out of it for good while this node publishes.
    pub fn start(log: Arc<dyn EventLog>, pool: PgPool, broker: BrokerUrl) -> Self {
        let (stop, stopped) = watch::channel(false);
        let begin = Status { state: State::Starting, position: Position::START };
        let (report, status) = watch::channel(begin);
        let task = Task { log, pool, broker, report, stopped };
        Self { stop, status, task: Mutex::new(Some(tokio::spawn(task.run()))) }
    }

    /// How it is doing now.
    pub fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// How it is doing, from now on.
    pub fn watch(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// Ends the task after what is under way has been acknowledged, or a few seconds have passed.
    pub async fn shutdown(&self) {
        self.stop.send_replace(true);
        if let Some(mut task) = self.task.lock().await.take()
            && timeout(GRACE, &mut task).await.is_err()
        {
            // Safe at any point: the next session looks at what the stream holds.
            task.abort();
        }
    }
}

/// Whether a publisher could work with this broker: the version of the server. Makes nothing there.
///
/// # Errors
/// Why not, without the address.
pub async fn check(broker: &BrokerUrl) -> Result<String, String> {
    match session::check(broker).await {
        Ok(version) => Ok(version),
        Err(End::Failed(reason)) => Err(reason.to_string()),
        Err(End::Stopped) => Err("stopped".to_owned()),
    }
}

struct Task {
    log: Arc<dyn EventLog>,
    pool: PgPool,
    broker: BrokerUrl,
    report: watch::Sender<Status>,
    stopped: watch::Receiver<bool>,
}

impl Task {
    async fn run(self) {
        let shortest = Duration::from_millis(200);
        let mut pause = shortest;
        loop {
            let before = self.report.borrow().position;
            let reason = match self.publish().await {
                Err(End::Stopped) => return,
                Err(End::Failed(reason)) => Some(reason),
                Ok(()) => None,
            };
            if self.report.borrow().position > before {
                pause = shortest;
            }
            let wait = if reason.is_some() { pause } else { STANDBY };
            if reason.is_some() {
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            self.say(reason.map_or(State::Standby, State::Waiting));
            if timeout(wait, stopped(self.stopped.clone())).await.is_ok() {
                return;
            }
        }
    }

    /// Publishes until something fails. `Ok` when another node does it.
    async fn publish(&self) -> Result<(), End> {
        let Some(mut leader) = Leader::claim(&self.pool).await? else { return Ok(()) };
        let opened = Session::open(&*self.log, &self.broker, &leader);
        let outcome = tokio::select! {
            () = stopped(self.stopped.clone()) => Err(End::Stopped),
            session = opened => match session {
                Ok(session) => {
                    self.say(State::Publishing);
                    session.run(&*self.log, &mut leader, &self.report, self.stopped.clone()).await
                }
                Err(end) => Err(end),
            },
        };
        leader.resign().await;
        outcome
    }

    fn say(&self, state: State) {
        self.report.send_if_modified(|status| {
            if status.state == state {
                return false;
            }
            match &state {
                State::Waiting(reason) => tracing::warn!(%reason, "publishing waits"),
                state => tracing::info!(?state, "publishing"),
            }
            status.state = state;
            true
        });
    }
}

/// Until the process is about to end, or the handle is gone.
async fn stopped(mut stop: watch::Receiver<bool>) {
    let _gone_counts_too = stop.wait_for(|stop| *stop).await.is_err();
}
