//! The appends of a call whose last chunk has not come yet.

use super::{OPEN, Whole};
use crate::{
    append::{BYTES, EVENTS},
    content::{Proposed, parse_id},
    status,
    wire::streams::{
        BatchAppendReq,
        batch_append_req::{Options, ProposedMessage, options::DeadlineOption},
    },
};
use chrono::Utc;
use domain::{NewEvent, ids::UserId};
use prost_types::Timestamp;
use std::{collections::HashMap, time::Duration};
use tokio::time::Instant;
use tonic::Status;
use uuid::Uuid;

/// A deadline further away is none.
const NEVER: Duration = Duration::from_secs(24 * 60 * 60);

/// Chunks by what they belong to.
pub(super) struct Collection {
    by: UserId,
    open: HashMap<Uuid, Open>,
    /// Bytes in all of them.
    weight: usize,
}

struct Open {
    options: Options,
    events: Vec<Result<NewEvent, Status>>,
    /// It will be refused, so that nothing of it is kept.
    too_large: bool,
    weight: usize,
    deadline: Option<Instant>,
}

impl Collection {
    /// Nothing yet, by this caller.
    pub(super) fn of(by: UserId) -> Self {
        Self { by, open: HashMap::new(), weight: 0 }
    }

    /// Bytes that are held.
    pub(super) fn weight(&self) -> usize {
        self.weight
    }

    /// Takes a chunk; the append when it was the last of it.
    ///
    /// # Errors
    /// When the call as a whole makes no sense. Clients send all their appends over one call: what is wrong with one is that one's.
    pub(super) fn take(&mut self, chunk: BatchAppendReq) -> Result<Option<Whole>, Status> {
        let BatchAppendReq { correlation_id, options, proposed_messages, is_final } = chunk;
        let Some(correlation) = correlation_id else {
            return Err(status::invalid("an append has no correlation id"));
        };
        let id = parse_id(&correlation)?;
        if let Some(options) = options {
            let deadline = deadline(&options);
            let (events, too_large) = (Vec::new(), false);
            let open = Open { options, events, too_large, weight: 0, deadline };
            if self.open.len() == OPEN || self.open.insert(id, open).is_some() {
                return Err(status::invalid("an append begins twice, or too many are open"));
            }
        }
        let Some(open) = self.open.get_mut(&id) else {
            return Err(status::invalid("an append begins with its options"));
        };
        for message in proposed_messages {
            let proposed = Proposed::from(message);
            let weight = proposed.weight();
            if self.weight + weight > BYTES || open.events.len() == EVENTS {
                open.too_large = true;
            }
            if open.too_large {
                self.weight -= std::mem::take(&mut open.weight);
                open.events.clear();
                continue;
            }
            open.weight += weight;
            self.weight += weight;
            open.events.push(proposed.event(&self.by));
        }
        if !is_final {
            return Ok(None);
        }
        let whole = self.open.remove(&id).map(|open| {
            let Open { options, events, too_large, weight, deadline } = open;
            self.weight -= weight;
            Whole { correlation, options, events, too_large, weight, deadline }
        });
        Ok(whole)
    }
}

/// When the client does not wait any more, by this machine's clock. The clients in Rust and for Node send a moment in place of a duration,
/// half a century by its looks: that is no deadline here, as it is none in the original.
fn deadline(options: &Options) -> Option<Instant> {
    let left = match options.deadline_option.as_ref()? {
        // One that is over has nothing left.
        DeadlineOption::Deadline(left) => Duration::try_from(*left).unwrap_or_default(),
        DeadlineOption::Deadline21100(Timestamp { seconds, nanos }) => {
            let nanos = u32::try_from(*nanos).unwrap_or_default();
            let at = chrono::DateTime::from_timestamp(*seconds, nanos)?;
            (at - Utc::now()).to_std().unwrap_or_default()
        }
    };
    (left < NEVER).then(|| Instant::now() + left)
}

impl From<ProposedMessage> for Proposed {
    fn from(message: ProposedMessage) -> Self {
        let ProposedMessage { id, metadata, custom_metadata, data } = message;
        Self { id, metadata, custom_metadata, data }
    }
}
