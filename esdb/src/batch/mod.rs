//! `BatchAppend`: many appends over one call, each in chunks, each with an answer of its own.
//!
//! Appends to different streams do not wait for each other; those to one stream are made one after the other, in the order in which their last
//! chunks came. While as much as may be held is under way nothing more is read, so whoever sends too fast waits.

mod collect;
mod lanes;
mod settle;
#[cfg(test)]
mod tests;

use crate::{
    names::Closed,
    wire::{
        shared::Uuid as WireUuid,
        streams::{BatchAppendReq, BatchAppendResp, batch_append_req::Options},
    },
};
use async_stream::try_stream;
use collect::Collection;
use commands::log::EventLog;
use domain::{NewEvent, ids::UserId};
use futures::{Stream, StreamExt, stream::FuturesUnordered};
use lanes::Lanes;
use settle::{late, settle};
use std::{pin::pin, sync::Arc};
use tokio::time::{Instant, sleep_until};
use tonic::Status;

/// Appends of one call that may be under way at the same time, and as many that are not complete.
const OPEN: usize = 256;

/// An append whose last chunk has come.
struct Whole {
    /// By which the client knows it.
    correlation: WireUuid,
    options: Options,
    events: Vec<Result<NewEvent, Status>>,
    /// There were more than may be, and none of them is kept.
    too_large: bool,
    /// Bytes.
    weight: usize,
    /// When the client does not wait any more.
    deadline: Option<Instant>,
}

impl Whole {
    /// The name of its stream, whatever it is worth.
    fn lane(&self) -> Vec<u8> {
        let named = self.options.stream_identifier.as_ref();
        named.map(|identifier| identifier.stream_name.to_vec()).unwrap_or_default()
    }
}

/// What happens next in a call.
enum Next {
    Chunk(Option<Result<BatchAppendReq, Status>>),
    Settled(settle::Settled),
    Late,
}

/// What a call with these chunks is answered.
pub(crate) fn answers(
    log: Arc<dyn EventLog>,
    by: UserId,
    closed: Closed,
    chunks: impl Stream<Item = Result<BatchAppendReq, Status>> + Send,
) -> impl Stream<Item = Result<BatchAppendResp, Status>> + Send {
    try_stream! {
        let mut chunks = pin!(chunks);
        let (mut open, mut lanes) = (Collection::of(by), Lanes::default());
        let (mut more, mut under_way) = (true, FuturesUnordered::new());
        while more || !under_way.is_empty() {
            let room = more && lanes.has_room(open.weight());
            let deadline = lanes.deadline();
            let next = tokio::select! {
                Some(settled) = under_way.next() => Next::Settled(settled),
                () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => Next::Late,
                chunk = chunks.next(), if room => Next::Chunk(chunk),
            };
            match next {
                Next::Chunk(None) => more = false,
                Next::Chunk(Some(chunk)) => {
                    let whole = open.take(chunk?)?;
                    if let Some(append) = whole.and_then(|whole| lanes.enter(whole)) {
                        under_way.push(settle(log.clone(), closed, append));
                    }
                }
                Next::Settled(settled) => {
                    if let Some(append) = lanes.leave(&settled.lane, settled.weight) {
                        under_way.push(settle(log.clone(), closed, append));
                    }
                    yield settled.answer;
                }
                Next::Late => {
                    for append in lanes.late(Instant::now()) {
                        yield late(append);
                    }
                }
            }
        }
    }
}
