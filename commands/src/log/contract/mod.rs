//! One test suite for every backend of the log: each function is a law, given a log that nobody else writes to meanwhile.

#![expect(clippy::unwrap_used, clippy::missing_panics_doc, reason = "tests")]

mod appends;
mod idempotence;
mod live;
mod reads;
mod writers;

pub use appends::*;
pub use idempotence::*;
pub use live::*;
pub use reads::*;
pub use writers::*;

use super::{Append, Appended, Batch, EventLog};
use domain::{Expected, NewEvent, Position, Recorded, Revision, StreamId};
use futures::{Stream, StreamExt, future::BoxFuture};
use serde_json::value::RawValue;
use std::{sync::Arc, time::Duration};
use uuid::Uuid;

/// How long anything may take that has to happen.
const PATIENCE: Duration = Duration::from_secs(60);

/// A log under test.
pub trait Backend: Send + Sync {
    /// One more way into the same log, as another process would have it.
    fn open(&self) -> BoxFuture<'_, Arc<dyn EventLog>>;
}

/// One test per law, or with `in turn` all laws one after the other, for a backend that is slow to make. The argument is an
/// expression that makes a backend; it may await.
#[macro_export]
macro_rules! log_contract {
    (in turn $backend:expr) => {
        $crate::log_contract! { @laws in_turn $backend }
    };
    (@laws $how:ident $backend:expr) => {
        $crate::log_contract! { @$how $backend =>
            every_expected_revision_meets_every_state
            a_refused_append_writes_nothing
            impossible_appends_are_refused
            payloads_come_back_byte_for_byte
            a_megabyte_fits
            events_carry_where_and_when
            the_same_append_again_answers_as_the_first_time
            half_known_appends_are_refused
            equal_appends_in_flight_are_written_once
            streams_read_both_ways
            the_whole_log_reads_in_pages
            filters_move_on_over_what_they_hide
            one_conflict_leaves_its_neighbours_alone
            many_writers_share_a_stream
            two_nodes_share_a_log
            a_subscription_joins_live_without_a_seam
            a_subscription_sees_other_nodes
            a_filtered_subscription_tells_how_far_it_is
            a_follower_joins_live_without_a_seam
            followers_see_only_their_stream
            a_slow_subscriber_holds_up_nobody
        }
    };
    (@in_turn $backend:expr => $($law:ident)+) => {{
        let backend = &$backend;
        $(
            eprintln!("{}", stringify!($law));
            $crate::log::contract::$law(backend).await;
        )+
    }};
    (@apart $backend:expr => $($law:ident)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $law() {
                let backend = $backend;
                $crate::log::contract::$law(&backend).await;
            }
        )+
    };
    ($backend:expr) => {
        $crate::log_contract! { @laws apart $backend }
    };
}

/// A stream of this category that nobody else uses.
pub fn stream(category: &str) -> StreamId {
    format!("{category}-{}", Uuid::new_v4()).parse().unwrap()
}

/// A new event with this payload.
pub fn event(kind: &str, data: &str) -> NewEvent {
    let json = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
    let metadata =
        json(r#"{"actor":"system","correlation_id":"00000000-0000-0000-0000-000000000000"}"#);
    NewEvent { id: Uuid::now_v7(), kind: kind.into(), data: json(data), metadata }
}

/// An append of `count` small events.
pub fn some(stream: &StreamId, expected: Expected, count: usize) -> Append {
    let events = (0..count).map(|n| event("Happened", &format!(r#"{{"n":{n}}}"#))).collect();
    Append { stream: stream.clone(), expected, events }
}

async fn append(log: &dyn EventLog, stream: &StreamId, count: usize) -> Appended {
    log.append(some(stream, Expected::Any, count)).await.unwrap()
}

/// What has to happen soon enough.
async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("it takes too long")
}

/// The next `count` events of batches.
async fn take(batches: &mut (impl Stream<Item = Batch> + Unpin), count: usize) -> Batch {
    let mut taken = Batch::new();
    while taken.len() < count {
        taken.extend(soon(batches.next()).await.expect("the stream has ended"));
    }
    taken
}

/// A way into the log, and where the log ends before anything is done.
async fn opened(backend: &dyn Backend) -> (Arc<dyn EventLog>, Position) {
    let log = backend.open().await;
    let end = log.head().await.unwrap();
    (log, end)
}

fn revisions(events: &[Arc<Recorded>]) -> Vec<u64> {
    events.iter().map(|event| event.revision.0).collect()
}

/// Positions, counted from where the log ended.
fn positions(events: &[Arc<Recorded>], begin: Position) -> Vec<u64> {
    events.iter().map(|event| event.position.0 - begin.0).collect()
}

fn exact(revision: u64) -> Expected {
    Expected::Exact(Revision(revision))
}
