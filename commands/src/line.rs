//! Standing in line: where one run works at a time, the next one waits for its end.

use crate::{
    chat::{is_over, wait_for_end},
    execute::Failure,
    log::EventLog,
};
use domain::ids::RunId;
use std::time::Duration;
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout_at},
};

/// How long a run waits for those before it.
const WITHIN: Duration = Duration::from_secs(120);
/// Runs of this process that may wait.
static WAITING: Semaphore = Semaphore::const_new(256);

/// The line is too long, or the run in front goes on for too long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TooLong;

/// Asks until it is the asker's turn. `ask` is told which run is over, if the one in the way is, and answers with the run
/// that is in the way.
pub(crate) async fn stand<E, F>(
    log: &dyn EventLog,
    ask: impl Fn(Option<RunId>) -> F,
) -> Result<(), E>
where
    E: From<TooLong> + From<Failure>,
    F: Future<Output = Result<Option<RunId>, E>>,
{
    let deadline = Instant::now() + WITHIN;
    let mut over = None;
    let mut waiting = None;
    while let Some(other) = ask(over).await? {
        if waiting.is_none() {
            waiting = Some(WAITING.try_acquire().map_err(|_| TooLong)?);
        }
        if !is_over(log, other).await? {
            let end = wait_for_end(log, other, WITHIN);
            if !timeout_at(deadline, end).await.unwrap_or(false) {
                return Err(TooLong.into());
            }
        }
        over = Some(other);
    }
    Ok(())
}
