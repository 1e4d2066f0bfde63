//! Calls with many appends, over the log in memory.

#![expect(clippy::unwrap_used, reason = "tests")]

use super::{OPEN, answers};
use crate::{
    append::BYTES,
    content::IdForm,
    names::identifier,
    wire::{
        shared::Timeout,
        streams::{
            BatchAppendReq, BatchAppendResp,
            batch_append_req::{
                Options, ProposedMessage,
                options::{DeadlineOption, ExpectedStreamPosition as Expect},
            },
            batch_append_resp::{Result as Outcome, success::CurrentRevisionOption},
        },
    },
};
use commands::log::{
    Append, AppendError, Appended, Batch, Delivery, Direction, EventLog, Filter, Page, ReadError,
    memory::MemoryLog,
};
use domain::{Position, Revision, StreamId};
use futures::{
    FutureExt, Stream, StreamExt,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use prost::Name;
use prost_types::Duration as WireDuration;
use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::sync::Semaphore;
use tonic::{Code, Status};
use uuid::Uuid;

/// Appends to streams of the category `slow` wait until they are let through.
#[derive(Clone)]
struct Gated {
    log: MemoryLog,
    gate: Arc<Semaphore>,
}

impl Gated {
    fn new() -> Self {
        Self { log: MemoryLog::new(), gate: Arc::new(Semaphore::new(0)) }
    }

    fn answers(
        &self,
        chunks: impl Stream<Item = BatchAppendReq> + Send + 'static,
    ) -> BoxStream<'static, Result<BatchAppendResp, Status>> {
        answers(Arc::new(self.clone()), "op".into(), &["closed"], chunks.map(Ok)).boxed()
    }
}

impl EventLog for Gated {
    fn append(&self, append: Append) -> BoxFuture<'_, Result<Appended, AppendError>> {
        async {
            if append.stream.category() == "slow" {
                self.gate.acquire().await.unwrap().forget();
            }
            self.log.append(append).await
        }
        .boxed()
    }

    fn read<'a>(
        &'a self,
        stream: &'a StreamId,
        from: Revision,
        direction: Direction,
        limit: usize,
    ) -> BoxFuture<'a, Result<Batch, ReadError>> {
        self.log.read(stream, from, direction, limit)
    }

    fn read_all<'a>(
        &'a self,
        after: Position,
        limit: usize,
        filter: &'a Filter,
    ) -> BoxFuture<'a, Result<Page, ReadError>> {
        self.log.read_all(after, limit, filter)
    }

    fn subscribe(&self, after: Position, filter: Filter) -> BoxStream<'static, Delivery> {
        self.log.subscribe(after, filter)
    }

    fn follow(&self, stream: StreamId, from: Revision) -> BoxStream<'static, Batch> {
        self.log.follow(stream, from)
    }

    fn head(&self) -> BoxFuture<'_, Result<Position, ReadError>> {
        self.log.head()
    }
}

/// An append of one event, in one chunk.
fn append(number: u128, stream: &str, expected: Expect) -> BatchAppendReq {
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let event = ProposedMessage {
        id: Some(IdForm::Text.of(Uuid::new_v4())),
        metadata: [header("type", "Seen"), header("content-type", "application/json")].into(),
        custom_metadata: Default::default(),
        data: "{}".into(),
    };
    BatchAppendReq {
        correlation_id: Some(IdForm::Structured.of(Uuid::from_u128(number))),
        options: Some(Options {
            stream_identifier: Some(identifier(stream)),
            expected_stream_position: Some(expected),
            deadline_option: None,
        }),
        proposed_messages: vec![event],
        is_final: true,
    }
}

fn within(seconds: i64, mut append: BatchAppendReq) -> BatchAppendReq {
    let deadline = WireDuration { seconds, nanos: 0 };
    append.options.as_mut().unwrap().deadline_option = Some(DeadlineOption::Deadline(deadline));
    append
}

/// Which append is answered, and the revision it came to, or why it did not.
fn told(answer: Option<Result<BatchAppendResp, Status>>) -> (u128, Result<u64, Code>) {
    let answer = answer.unwrap().unwrap();
    let number = crate::content::parse_id(&answer.correlation_id.unwrap()).unwrap().as_u128();
    let outcome = match answer.result.unwrap() {
        Outcome::Success(success) => match success.current_revision_option.unwrap() {
            CurrentRevisionOption::CurrentRevision(revision) => Ok(revision),
            CurrentRevisionOption::NoStream(()) => panic!("nothing was written"),
        },
        Outcome::Error(error) => {
            if error.code == i32::from(Code::DeadlineExceeded) {
                assert!(error.details.unwrap().type_url.ends_with(&Timeout::full_name()));
            }
            Err(Code::from(error.code))
        }
    };
    (number, outcome)
}

#[tokio::test]
async fn streams_do_not_wait_for_each_other_and_each_keeps_its_order() {
    let log = Gated::new();
    let mut answers = log.answers(stream::iter([
        append(1, "slow-a", Expect::NoStream(())),
        append(2, "slow-a", Expect::StreamPosition(0)),
        append(3, "slow-b", Expect::NoStream(())),
        append(4, "fast-a", Expect::NoStream(())),
        append(5, "fast-a", Expect::NoStream(())),
        append(6, "closed-a", Expect::Any(())),
        append(7, "fast-a", Expect::StreamPosition(0)),
    ]));
    let mut quick = vec![];
    for _ in 0..4 {
        quick.push(told(answers.next().await));
    }
    let conflict = Err(Code::FailedPrecondition);
    let of_fast = quick.iter().filter(|(number, _)| *number != 6).copied().collect::<Vec<_>>();
    assert_eq!(of_fast, [(4, Ok(0)), (5, conflict), (7, Ok(1))], "a conflict is one append's");
    assert!(quick.contains(&(6, Err(Code::PermissionDenied))));
    assert!(answers.next().now_or_never().is_none(), "the slow ones wait");

    log.gate.add_permits(3);
    let mut slow = vec![];
    for _ in 0..3 {
        slow.push(told(answers.next().await));
    }
    assert!(answers.next().await.is_none());
    let place = |number| slow.iter().position(|(other, _)| *other == number);
    assert!(place(1) < place(2), "{slow:?}");
    slow.sort_unstable_by_key(|(number, _)| *number);
    assert_eq!(slow, [(1, Ok(0)), (2, Ok(1)), (3, Ok(0))]);
}

#[tokio::test]
async fn an_append_that_is_too_large_is_refused_and_its_neighbours_are_not() {
    let log = Gated::new();
    let whole = append(1, "fast-a", Expect::NoStream(()));
    let heavy = |is_final| {
        let mut chunk = append(2, "fast-b", Expect::NoStream(()));
        chunk.proposed_messages[0].data = vec![b'1'; BYTES / 2].into();
        BatchAppendReq { is_final, ..chunk }
    };
    let more = |is_final| BatchAppendReq { options: None, ..heavy(is_final) };
    let chunks = [heavy(false), more(false), whole, more(false), more(true)];
    let mut answers = log.answers(stream::iter(chunks));
    assert_eq!(told(answers.next().await), (1, Ok(0)));
    assert_eq!(told(answers.next().await), (2, Err(Code::InvalidArgument)));
    assert!(answers.next().await.is_none());
    assert_eq!(log.head().await.unwrap(), Position(1));
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_no_longer_is_told_so_and_others_go_on() {
    let log = Gated::new();
    let mut answers = log.answers(stream::iter([
        within(0, append(1, "fast-a", Expect::NoStream(()))),
        append(2, "slow-a", Expect::NoStream(())),
        within(5, append(3, "slow-a", Expect::Any(()))),
        append(4, "slow-a", Expect::StreamPosition(0)),
        within(9, append(5, "slow-b", Expect::Any(()))),
    ]));
    let late = Err(Code::DeadlineExceeded);
    assert_eq!(told(answers.next().await), (1, late), "over before it began");
    let begun = tokio::time::Instant::now();
    assert_eq!(told(answers.next().await), (3, late), "over while it waited for another");
    assert_eq!(begun.elapsed().as_secs(), 5);
    assert_eq!(told(answers.next().await), (5, late), "over under way");
    assert_eq!(begun.elapsed().as_secs(), 9);
    log.gate.add_permits(2);
    assert_eq!(told(answers.next().await), (2, Ok(0)));
    assert_eq!(told(answers.next().await), (4, Ok(1)));
    assert!(answers.next().await.is_none());
    let read = log.read_all(Position::START, 10, &Filter::all()).await.unwrap();
    assert_eq!(read.events.len(), 2, "nobody's late append is written");
}

#[tokio::test]
async fn what_is_too_much_at_once_is_not_read_yet() {
    let (log, taken) = (Gated::new(), Arc::new(AtomicUsize::new(0)));
    let counted = taken.clone();
    let chunks = stream::iter(0..1_000).map(move |number| {
        counted.fetch_add(1, Relaxed);
        append(number, &format!("slow-{number}"), Expect::NoStream(()))
    });
    let mut answers = pin!(log.answers(chunks));
    let waited = tokio::time::timeout(Duration::from_millis(50), answers.next()).await;
    assert!(waited.is_err());
    assert_eq!(taken.load(Relaxed), OPEN);
    log.gate.add_permits(1_000);
    assert_eq!(answers.filter(|answer| std::future::ready(answer.is_ok())).count().await, 1_000);
}
