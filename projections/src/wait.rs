//! Waiting until a read model has come far enough: read your writes.

use crate::runner::{Failure, Projections};
use domain::Position;
use futures::future::try_join_all;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::watch;

/// A read model that is not there yet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("read model {name} has not reached position {wanted} (it is at {reached:?})")]
pub struct Lagging {
    /// The read model.
    pub name: String,
    /// Where it should be.
    pub wanted: Position,
    /// Where it is; `None` when no read model of this name runs here.
    pub reached: Option<Position>,
}

/// What the task of a read model lets others see.
#[derive(Debug, Clone)]
pub(crate) struct Progress {
    pub position: Position,
    pub failure: Option<Failure>,
    pub unavailable: Option<Arc<str>>,
    pub heartbeat: Instant,
}

impl Progress {
    /// Waiting for `wanted` has no point: an event on the way cannot be applied.
    fn is_blocked(&self, wanted: Position) -> bool {
        self.failure.as_ref().is_some_and(|stuck| stuck.position <= wanted && stuck.attempts > 1)
    }
}

impl Projections {
    /// Waits until the rows of `name` reflect everything up to `position`.
    ///
    /// # Errors
    /// [`Lagging`] after `within`, or at once when the read model is stuck at an event on the way.
    pub async fn wait_for(
        &self,
        name: &str,
        position: Position,
        within: Duration,
    ) -> Result<(), Lagging> {
        let Some(mut progress) = self.progress(name) else {
            return Err(Lagging { name: name.to_owned(), wanted: position, reached: None });
        };
        let arrived = async {
            let seen =
                progress.wait_for(|now| now.position >= position || now.is_blocked(position)).await;
            seen.is_ok_and(|now| now.position >= position)
        };
        if let Ok(true) = tokio::time::timeout(within, arrived).await {
            return Ok(());
        }
        let reached = Some(progress.borrow().position);
        Err(Lagging { name: name.to_owned(), wanted: position, reached })
    }

    /// Waits until the rows of all read models reflect everything up to `position`.
    ///
    /// # Errors
    /// [`Lagging`] for the first that does not get there, as [`Projections::wait_for`].
    pub async fn wait_for_all(&self, position: Position, within: Duration) -> Result<(), Lagging> {
        try_join_all(self.names().map(|name| self.wait_for(name, position, within))).await?;
        Ok(())
    }
}

/// The two ends of a read model's progress, at the start.
pub(crate) fn progress() -> (watch::Sender<Progress>, watch::Receiver<Progress>) {
    watch::channel(Progress {
        position: Position::START,
        failure: None,
        unavailable: None,
        heartbeat: Instant::now(),
    })
}
