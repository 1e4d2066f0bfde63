//! Runs that go on, as a stream of snapshots.

use super::Error;
use crate::app::App;
use commands::log::Filter;
use domain::ids::UserId;
use futures::{Stream, StreamExt};
use projections::conversations::{self, RunRow};

/// The runs that go on at once, and again after every start and end of a run, until the server drains. `owner` `None`
/// for everybody's.
///
/// # Errors
/// When log or database do not answer.
pub async fn snapshots(
    app: &App,
    owner: Option<UserId>,
) -> Result<impl Stream<Item = Vec<RunRow>> + Send + use<>, Error> {
    let head = app.log.head().await?;
    let wanted = Filter::categories(&["run"]).kinds(&["RunRequested", "RunEnded"]);
    let changes = app.log.subscribe(head, wanted);
    app.caught_up("conversations", Some(head)).await;
    let first = conversations::going_on(&app.db, owner.as_ref()).await?;
    let app = app.clone();
    Ok(async_stream::stream! {
        let ids = |runs: &[RunRow]| runs.iter().map(|run| run.run_id).collect::<Vec<_>>();
        let mut last = ids(&first);
        yield first;
        let draining = app.draining.clone().cancelled_owned();
        let mut changes = std::pin::pin!(changes.take_until(draining));
        while let Some(change) = changes.next().await {
            if change.events.is_empty() {
                continue;
            }
            app.caught_up("conversations", Some(change.position)).await;
            match conversations::going_on(&app.db, owner.as_ref()).await {
                Ok(runs) if ids(&runs) != last => {
                    last = ids(&runs);
                    yield runs;
                }
                Ok(_) => {}
                Err(error) => Error::from(error).log(),
            }
        }
    })
}
