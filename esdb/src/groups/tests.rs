//! Groups at work over the log in memory: what is recorded, and what goes on after an end.

#![expect(clippy::unwrap_used, reason = "tests")]

use super::{
    actor::{Call, Word},
    owners::{Claim, Owners, Unknown},
    serving::{Answers, Serving},
    shelf::{shelf, shelf_named},
};
use crate::{
    content::IdForm,
    read::{Begin, Wish},
    wire::{
        persistent_subscriptions::{ReadResp, read_resp},
        streams::{ReadResp as StreamResp, read_resp::Content},
    },
};
use commands::{
    execute::execute,
    log::{Append, Direction, EventLog, Filter, memory::MemoryLog},
};
use domain::{
    Decider, Expected, Metadata, NewEvent, Position,
    admins::Everywhere,
    subscription_group::{
        Command, Group, GroupId, Groups, Name,
        checkpoint::Checkpoint,
        delivery::Verdict,
        parked,
        settings::{Settings, Start},
    },
};
use futures::{FutureExt, StreamExt, future::BoxFuture};
use serde_json::value::RawValue;
use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{sync::mpsc, time::timeout};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};
use uuid::Uuid;

const SOON: Duration = Duration::from_secs(20);
const STREAM: &str = "order-1";

/// Who has which group.
type Held = Arc<Mutex<HashMap<GroupId, u16>>>;

/// A node at this port.
struct Lease(Held, u16);

impl Owners for Lease {
    fn claim(&self, group: GroupId, _: SocketAddr) -> BoxFuture<'_, Result<Claim, Unknown>> {
        let owner = *self.0.lock().unwrap().entry(group).or_insert(self.1);
        let claim =
            if owner == self.1 { Claim::Ours } else { Claim::Theirs("there".to_owned(), owner) };
        std::future::ready(Ok(claim)).boxed()
    }

    fn release(&self, group: GroupId) -> BoxFuture<'_, ()> {
        self.0.lock().unwrap().retain(|held, owner| *held != group || *owner != self.1);
        std::future::ready(()).boxed()
    }
}

struct Node {
    serving: Serving,
    draining: CancellationToken,
}

impl Node {
    fn new(log: &Arc<dyn EventLog>, held: &Held, port: u16) -> Self {
        let draining = CancellationToken::new();
        let owners = Arc::new(Lease(held.clone(), port));
        Self { serving: Serving::new(log.clone(), owners, draining.clone()), draining }
    }

    async fn consume(&self, group: &Group) -> Result<Consumer, Status> {
        let id = self.serving.next_call();
        let call = || {
            let (out, answers) = mpsc::channel(100);
            let (who, from) = ("op".to_owned(), String::new());
            (Call { id, who, from, room: 10, ids: IdForm::Text, out }, answers)
        };
        let at = SocketAddr::from(([127, 0, 0, 1], 1));
        let (words, answers) = self.serving.join(&name(), group, at, call).await?;
        Ok(Consumer { id, words, answers })
    }

    async fn end(self) {
        self.draining.cancel();
        timeout(SOON, self.serving.ended()).await.unwrap();
    }
}

struct Consumer {
    id: u64,
    words: mpsc::Sender<Word>,
    answers: Answers,
}

impl Consumer {
    /// The next message: its number, how often it came back, its id.
    async fn next(&mut self) -> (u64, i32, Uuid) {
        let ReadResp { content } = self.answer().await.unwrap();
        let Some(read_resp::Content::Event(event)) = content else { panic!("no event") };
        let Some(read_resp::read_event::Count::RetryCount(retries)) = event.count else {
            panic!("no count")
        };
        let event = event.event.unwrap();
        let id = crate::content::parse_id(&event.id.unwrap()).unwrap();
        (event.stream_revision, retries, id)
    }

    async fn answer(&mut self) -> Result<ReadResp, Status> {
        timeout(SOON, self.answers.recv()).await.unwrap().unwrap()
    }

    async fn ack(&self, id: Uuid) {
        assert!(self.words.send(Word::Ack(vec![id])).await.is_ok());
    }

    async fn nack(&self, id: Uuid, verdict: Verdict) {
        let word = Word::Nack(self.id, vec![id], verdict, "broken".to_owned());
        assert!(self.words.send(word).await.is_ok());
    }
}

fn name() -> Name {
    Name { source: STREAM.to_owned(), group: "billing".to_owned() }
}

fn metadata() -> Metadata {
    Metadata::system(Uuid::now_v7())
}

async fn append(log: &Arc<dyn EventLog>, count: usize) {
    let raw = |json: &str| RawValue::from_string(json.to_owned()).unwrap();
    let event = |_| NewEvent {
        id: Uuid::now_v7(),
        kind: "Seen".into(),
        data: raw("{}"),
        metadata: serde_json::value::to_raw_value(&metadata()).unwrap(),
    };
    let events = (0..count).map(event).collect();
    let stream = STREAM.parse().unwrap();
    log.append(Append { stream, expected: Expected::Any, events }).await.unwrap();
}

/// A log with three events and a group on them.
async fn given(settings: Settings) -> (Arc<dyn EventLog>, Held, Group) {
    let log: Arc<dyn EventLog> = Arc::new(MemoryLog::new());
    append(&log, 3).await;
    let id = GroupId(Uuid::now_v7());
    let command = Command::Create { id, name: name(), settings, start: Start::Beginning };
    let decided = execute::<Groups>(&*log, &Everywhere, &command, &metadata()).await.unwrap();
    let group = decided.state.get(&name()).unwrap().clone();
    (log, Held::default(), group)
}

async fn recorded(log: &Arc<dyn EventLog>, category: &str) -> usize {
    let filter = Filter::categories(&[category]);
    log.read_all(Position::START, 1_000, &filter).await.unwrap().events.len()
}

fn exception(status: &Status) -> &str {
    status.metadata().get("exception").unwrap().to_str().unwrap()
}

#[tokio::test]
async fn what_was_answered_does_not_come_after_an_end_and_what_was_not_does() {
    let (log, held, group) = given(Settings::default()).await;
    let node = Node::new(&log, &held, 1);
    let mut consumer = node.consume(&group).await.unwrap();
    let ids = [consumer.next().await, consumer.next().await, consumer.next().await];
    assert_eq!(ids.map(|(number, retries, _)| (number, retries)), [(0, 0), (1, 0), (2, 0)]);
    consumer.ack(ids[0].2).await;
    consumer.ack(ids[2].2).await;
    // What is asked after an answer is answered after it was heard.
    let standing = node.serving.standing(group.id).await.unwrap();
    assert_eq!(standing.counts.flying, 1);
    node.end().await;
    assert_eq!(consumer.answer().await.unwrap_err().code(), Code::Unavailable);
    let node = Node::new(&log, &held, 2);
    let mut consumer = node.consume(&group).await.unwrap();
    assert_eq!(consumer.next().await.0, 1);
    assert_eq!(consumer.next().await.0, 2);
    node.end().await;
}

#[tokio::test]
async fn many_answers_are_one_checkpoint() {
    let settings = Settings { checkpoint_after: 600_000, ..Settings::default() };
    let (log, held, group) = given(settings).await;
    append(&log, 97).await;
    let node = Node::new(&log, &held, 1);
    let mut consumer = node.consume(&group).await.unwrap();
    for _ in 0..100 {
        let (_, _, id) = consumer.next().await;
        consumer.ack(id).await;
    }
    assert_eq!(recorded(&log, Checkpoint::CATEGORY).await, 0);
    node.end().await;
    assert_eq!(recorded(&log, Checkpoint::CATEGORY).await, 1);
}

#[tokio::test]
async fn what_is_set_aside_is_readable_and_comes_again_on_wish() {
    let settings = Settings { max_retries: 1, ..Settings::default() };
    let (log, held, group) = given(settings).await;
    let node = Node::new(&log, &held, 1);
    let mut consumer = node.consume(&group).await.unwrap();
    let first = consumer.next().await;
    consumer.nack(first.2, Verdict::Park).await;
    let second = consumer.next().await;
    consumer.next().await;
    consumer.nack(second.2, Verdict::Retry).await;
    assert_eq!(consumer.next().await, (1, 1, second.2));
    consumer.nack(second.2, Verdict::Retry).await;
    let mut stream =
        log.follow(format!("subscription-{}", group.id).parse().unwrap(), domain::Revision(1));
    timeout(SOON, stream.next()).await.unwrap();
    let named = format!("$persistentsubscription-{STREAM}::billing-parked");
    assert_eq!(shelf_named(&named), Some(name()));
    let wish = Wish {
        from: Begin::Start,
        direction: Direction::Forward,
        count: 10,
        ids: IdForm::Text,
        resolve: false,
        bounds: false,
    };
    let shown: Vec<_> = shelf(log.clone(), name(), wish).collect().await;
    let link = |answer: Result<StreamResp, Status>| match answer.unwrap().content {
        Some(Content::Event(event)) => event.event.unwrap().data,
        _ => panic!("no event"),
    };
    let links: Vec<_> = shown.into_iter().map(link).collect();
    assert_eq!(links, ["0@order-1", "1@order-1"]);
    // Any node may wish.
    let replay = parked::Command::Replay { before: None };
    execute::<parked::Parked>(&*log, &group.id, &replay, &metadata()).await.unwrap();
    assert_eq!(consumer.next().await, (0, 0, first.2));
    assert_eq!(consumer.next().await, (1, 0, second.2));
    consumer.ack(first.2).await;
    assert_eq!(node.serving.standing(group.id).await.unwrap().counts.flying, 2);
    node.end().await;
    // The one that was not answered comes again, with the one that was never set aside.
    let node = Node::new(&log, &held, 1);
    let mut consumer = node.consume(&group).await.unwrap();
    let mut left = [consumer.next().await.0, consumer.next().await.0];
    left.sort_unstable();
    assert_eq!(left, [1, 2]);
    node.end().await;
}

#[tokio::test]
async fn one_node_delivers_and_others_say_which() {
    let (log, held, group) = given(Settings::default()).await;
    let (one, other) = (Node::new(&log, &held, 1), Node::new(&log, &held, 2));
    let mut consumer = one.consume(&group).await.unwrap();
    let refused = other.consume(&group).await.err().unwrap();
    assert_eq!((refused.message(), exception(&refused)), ("Leader info available", "not-leader"));
    assert_eq!(refused.metadata().get("leader-endpoint-port").unwrap(), "1");
    consumer.next().await;
    one.end().await;
    let mut consumer = other.consume(&group).await.unwrap();
    assert_eq!(consumer.next().await.0, 0);
    other.end().await;
}

#[tokio::test]
async fn a_change_by_any_node_drops_consumers() {
    let (log, held, group) = given(Settings::default()).await;
    let node = Node::new(&log, &held, 1);
    let mut consumer = node.consume(&group).await.unwrap();
    let (_, _, id) = consumer.next().await;
    consumer.ack(id).await;
    let (settings, start) = (Settings { max_retries: 0, ..Settings::default() }, Start::Beginning);
    let change = Command::Change { name: name(), settings, start };
    let decided = execute::<Groups>(&*log, &Everywhere, &change, &metadata()).await.unwrap();
    let dropped = loop {
        if let Err(status) = consumer.answer().await {
            break status;
        }
    };
    assert_eq!(exception(&dropped), "persistent-subscription-dropped");
    let changed = decided.state.get(&name()).unwrap();
    let mut consumer = node.consume(changed).await.unwrap();
    assert_eq!(consumer.next().await.0, 1);
    node.end().await;
}

#[tokio::test]
async fn who_stops_is_dropped_and_the_message_is_tried_by_another() {
    let (log, held, group) = given(Settings::default()).await;
    let node = Node::new(&log, &held, 1);
    let mut consumer = node.consume(&group).await.unwrap();
    let (_, _, id) = consumer.next().await;
    assert!(consumer.words.send(Word::Stop(consumer.id, vec![id])).await.is_ok());
    let dropped = loop {
        if let Err(status) = consumer.answer().await {
            break status;
        }
    };
    assert_eq!(dropped.code(), Code::Cancelled);
    let mut consumer = node.consume(&group).await.unwrap();
    let messages = [consumer.next().await, consumer.next().await, consumer.next().await];
    let told = messages.map(|(number, retries, _)| (number, retries));
    assert!(told.contains(&(0, 1)) && told.contains(&(1, 0)) && told.contains(&(2, 0)), "{told:?}");
    node.end().await;
}
