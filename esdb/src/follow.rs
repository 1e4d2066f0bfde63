//! `Read` as a subscription: what is there, a word that it is all, then what comes. It never ends well: when the server goes down it
//! ends with an error, upon which clients come back with the position they have.

use crate::{
    append::last,
    names::Source,
    read::{Begin, View, Wish, resolved},
    status,
    wire::streams::{
        ReadResp,
        read_resp::{self, CaughtUp, Checkpoint, Content, SubscriptionConfirmation},
    },
};
use async_stream::try_stream;
use chrono::Utc;
use commands::log::EventLog;
use domain::{Position, Revision, StreamId};
use futures::{FutureExt, Stream, StreamExt};
use prost_types::Timestamp;
use std::{pin::pin, sync::Arc};
use tokio::task::coop::consume_budget;
use tonic::Status;
use uuid::Uuid;

/// One stream, after the revision in the wish.
pub(crate) fn stream(
    log: Arc<dyn EventLog>,
    name: StreamId,
    wish: Wish,
) -> impl Stream<Item = Result<ReadResp, Status>> + Send {
    try_stream! {
        yield confirmation();
        let end = last(&*log, &name).await.map_err(|error| status::unreadable(&error))?;
        let next = match wish.from {
            Begin::Start => 0,
            Begin::At(at) => at.saturating_add(1),
            Begin::End => end.map_or(0, |end| end.0 + 1),
        };
        let mut behind = end.is_some_and(|end| end.0 >= next);
        if !behind {
            yield caught_up(end, None);
        }
        let mut batches = log.follow(name, Revision(next));
        while let Some(batch) = batches.next().await {
            let at = batch.last().map(|event| event.revision);
            for event in &batch {
                yield resolved(&*log, event, &wish).await?;
            }
            if behind && at >= end {
                behind = false;
                yield caught_up(at, None);
            }
        }
    }
}

/// The whole log after the position in the wish, with checkpoints over what a filter hides.
pub(crate) fn all(
    log: Arc<dyn EventLog>,
    view: View,
    wish: Wish,
) -> impl Stream<Item = Result<ReadResp, Status>> + Send {
    try_stream! {
        yield confirmation();
        let end = log.head().await.map_err(|error| status::unreadable(&error))?;
        let mut at = match wish.from {
            Begin::Start => Position::START,
            Begin::At(at) => Position(at),
            Begin::End => end,
        };
        // Links are checked for by revision, which is their position: no checkpoints.
        let window = match &view {
            View::Events(Some(filter)) => Some(filter.window),
            View::Events(None) | View::Links(..) => None,
        };
        let (mut told, mut behind) = (at, at < end);
        if !behind {
            yield caught_up(None, Some(at));
        }
        let mut deliveries = pin!(log.subscribe(at, view.coarse()).peekable());
        while let Some(delivery) = deliveries.next().await {
            for event in &delivery.events {
                consume_budget().await;
                if view.admits(event)? {
                    told = event.position;
                    yield view.show(&*log, event, &wish).await?;
                }
            }
            at = delivery.position;
            let reached = behind && at >= end;
            // Also whenever there is nothing more to look at: nobody has to wait for the window to fill.
            let due = |window| at.0 - told.0 >= window || deliveries.as_mut().peek().now_or_never().is_none();
            if at > told && window.is_some_and(due) {
                told = at;
                yield checkpoint(at);
            }
            if reached {
                behind = false;
                yield caught_up(None, Some(at));
            }
        }
    }
}

/// A stream that no event can ever come to.
pub(crate) fn nowhere() -> impl Stream<Item = Result<ReadResp, Status>> + Send {
    let begin = futures::stream::iter([Ok(confirmation()), Ok(caught_up(None, None))]);
    begin.chain(futures::stream::pending())
}

/// What a source means to somebody who subscribes to it.
pub(crate) fn source(
    log: Arc<dyn EventLog>,
    source: Source,
    wish: Wish,
) -> futures::stream::BoxStream<'static, Result<ReadResp, Status>> {
    match (View::links(&source), source) {
        (Some(view), _) => all(log, view, wish).boxed(),
        (None, Source::Stream(name)) => stream(log, name, wish).boxed(),
        (None, _) => nowhere().boxed(),
    }
}

fn confirmation() -> ReadResp {
    let subscription_id = Uuid::new_v4().to_string();
    ReadResp { content: Some(Content::Confirmation(SubscriptionConfirmation { subscription_id })) }
}

fn checkpoint(at: Position) -> ReadResp {
    let (commit_position, prepare_position) = (at.0, at.0);
    let checkpoint = Checkpoint { commit_position, prepare_position, timestamp: Some(now()) };
    ReadResp { content: Some(Content::Checkpoint(checkpoint)) }
}

fn caught_up(revision: Option<Revision>, position: Option<Position>) -> ReadResp {
    let position = position
        .filter(|at| *at > Position::START)
        .map(|Position(at)| read_resp::Position { commit_position: at, prepare_position: at });
    let stream_revision = revision.map(|revision| revision.0.cast_signed());
    let caught_up = CaughtUp { timestamp: Some(now()), stream_revision, position };
    ReadResp { content: Some(Content::CaughtUp(caught_up)) }
}

fn now() -> Timestamp {
    let now = Utc::now();
    let nanos = i32::try_from(now.timestamp_subsec_nanos()).unwrap_or_default();
    Timestamp { seconds: now.timestamp(), nanos }
}
