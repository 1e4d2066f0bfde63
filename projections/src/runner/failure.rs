//! Whose fault a failure is: the event's, or the world's.

use crate::ApplyError;
use std::{any::Any, sync::Arc, time::Duration};

/// Why a transaction came to nothing.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// An event cannot be applied. Repeating it alone tells which.
    Poison(Arc<str>),
    /// The database or the log is away, busy or out of room; it will pass.
    Unavailable(Arc<str>),
    /// The database knows less than it did: it crashed and took back its last commits.
    Rewound,
    /// The process is about to end.
    Stopped,
}

impl From<sqlx::Error> for Trouble {
    fn from(error: sqlx::Error) -> Self {
        let reason = error.to_string().into();
        if passes(&error) { Self::Unavailable(reason) } else { Self::Poison(reason) }
    }
}

impl From<ApplyError> for Trouble {
    fn from(error: ApplyError) -> Self {
        match error {
            ApplyError::Database(error) => error.into(),
            undecodable @ ApplyError::Undecodable(_) => {
                Self::Poison(undecodable.to_string().into())
            }
        }
    }
}

impl Trouble {
    /// A read model that panicked on an event.
    pub fn panicked(cause: &(dyn Any + Send)) -> Self {
        let said = cause
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| cause.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("no message");
        Self::Poison(format!("the read model panicked: {said}").into())
    }
}

/// Whether the same statement may succeed later without anybody changing the event or the code.
fn passes(error: &sqlx::Error) -> bool {
    use sqlx::Error as E;
    match error {
        E::Io(_)
        | E::Tls(_)
        | E::Protocol(_)
        | E::PoolTimedOut
        | E::PoolClosed
        | E::WorkerCrashed
        | E::BeginFailed => true,
        // 08 connection, 40 rolled back (deadlock, serialization), 53 out of resources, 55 lock not to be had,
        // 57 cancelled or shutting down, 58 system error, 25P03 idle too long in a transaction.
        E::Database(refusal) => refusal.code().is_some_and(|code| {
            code == "25P03"
                || ["08", "40", "53", "55", "57", "58"].iter().any(|class| code.starts_with(class))
        }),
        _ => false,
    }
}

/// Pauses that double up to a cap.
#[derive(Debug)]
pub(crate) struct Backoff {
    next: Duration,
    cap: Duration,
}

impl Backoff {
    /// From a tenth of a second up to `cap`.
    pub fn up_to(cap: Duration) -> Self {
        Self { next: Duration::from_millis(100), cap }
    }

    /// How long to pause this time.
    pub fn pause(&mut self) -> Duration {
        let now = self.next;
        self.next = (now * 2).min(self.cap);
        now
    }
}
