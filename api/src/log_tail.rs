//! The last events of the log.

use crate::{app::App, core::Error};
use commands::log::Filter;
use domain::{Metadata, Position, Recorded, ids::UserId};
use std::sync::Arc;

/// Events looked at in one go, from the end of the log backwards.
const STEP: u64 = 2_000;
/// Events looked at in all: somebody who did nothing for so long is not looked for any further.
const FARTHEST: u64 = 200_000;

/// The last `limit` events, newest first, and where the log ends; of this person only, if any, also while somebody else acted
/// in their name.
///
/// # Errors
/// When the log does not answer.
pub async fn last(
    app: &App,
    limit: usize,
    user: Option<&UserId>,
) -> Result<(Vec<(Arc<Recorded>, Metadata)>, Position), Error> {
    let head = app.head().await?;
    let (mut found, mut end, filter) = (Vec::new(), head.0, Filter::all());
    while end > 0 && found.len() < limit && head.0 - end < FARTHEST {
        let begin = end.saturating_sub(STEP);
        let (mut step, mut at) = (Vec::new(), Position(begin));
        while at.0 < end {
            let most = usize::try_from(end - at.0).unwrap_or(1);
            let page = app.log.read_all(at, most, &filter).await?;
            step.extend(page.events.into_iter().filter(|event| event.position.0 <= end));
            at = page.scanned;
        }
        for event in step.into_iter().rev() {
            let Ok(metadata) = event.metadata() else { continue };
            if user.is_none_or(|user| concerns(&metadata, user)) {
                found.push((event, metadata));
            }
        }
        end = begin;
    }
    found.truncate(limit);
    Ok((found, head))
}

fn concerns(metadata: &Metadata, user: &UserId) -> bool {
    metadata.actor == *user || metadata.on_behalf_of.as_ref().is_some_and(|of| of == user)
}
