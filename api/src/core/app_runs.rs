//! Runs of apps, as handlers begin and await them.

use super::Error;
use crate::app::App;
use commands::app_runs::{self, Finished, Outlook, RunError, Wish};
use domain::{Metadata, ids::RunId};

/// Begins a run on this node.
///
/// # Errors
/// As [`app_runs::begin`].
pub async fn begin(app: &App, wish: Wish, metadata: &Metadata) -> Result<RunId, RunError> {
    app_runs::begin(&*app.log, &app.reply, app.node, wish, metadata).await
}

/// What comes of a run, when it is over.
///
/// # Errors
/// [`Error::Unavailable`] when the server goes down before the run is over: another node goes on with it.
pub async fn outcome(app: &App, run: RunId) -> Result<Finished, Error> {
    let gone = || Error::Unavailable("the server is shutting down".to_owned());
    tokio::select! {
        outcome = app_runs::outcome(&*app.log, run) => match outcome? {
            Outlook::Over(finished) => Ok(finished),
            Outlook::Open => Err(gone()),
        },
        () = app.draining.cancelled() => Err(gone()),
    }
}
