//! The publisher against a real broker and a real database.

#![expect(clippy::unwrap_used, reason = "tests")]

use super::{BrokerUrl, Publisher, STREAM, State, message, testing::NatsServer};
use crate::log::{Append, EventLog, memory::MemoryLog};
use async_nats::jetstream::{self, message::StreamMessage, stream::Config};
use domain::{Expected, NewEvent, Position};
use serde_json::{json, value::RawValue};
use sqlx::{Connection, PgConnection, PgPool};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use tokio::time::timeout;
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_secs(60);

struct Scenario {
    log: Arc<MemoryLog>,
    pool: PgPool,
    nats: NatsServer,
}

/// A log, a database with the table of checkpoints, a broker.
async fn given() -> Scenario {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let server = embedded::testing::server_url().await.unwrap();
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("publish_{}_{number}", std::process::id());
    let mut db = PgConnection::connect(&server).await.unwrap();
    for statement in [format!("drop database if exists {name}"), format!("create database {name}")]
    {
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut db).await.unwrap();
    }
    let options: sqlx::postgres::PgConnectOptions = server.parse().unwrap();
    let pool = PgPool::connect_with(options.database(&name)).await.unwrap();
    migrations::MIGRATOR.run(&pool).await.unwrap();
    Scenario { log: Arc::new(MemoryLog::new()), pool, nats: NatsServer::start().await.unwrap() }
}

impl Scenario {
    async fn append(&self, stream: &str, data: &str) -> Position {
        let raw = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
        let event = NewEvent {
            id: Uuid::new_v4(),
            kind: "Written".into(),
            data: raw(data),
            metadata: raw(r#"{"actor": "ann"}"#),
        };
        let stream = stream.parse().unwrap();
        let append = Append { stream, expected: Expected::Any, events: vec![event] };
        self.log.append(append).await.unwrap().position
    }

    fn publisher(&self) -> Publisher {
        Publisher::start(self.log.clone(), self.pool.clone(), BrokerUrl(self.nats.url()))
    }

    async fn jetstream(&self) -> jetstream::Context {
        jetstream::new(async_nats::connect(self.nats.url()).await.unwrap())
    }

    /// A stream that forgets message ids at once, so that nothing rests on the broker's own check for duplicates.
    async fn forgetful_stream(&self) {
        let config = Config {
            name: STREAM.to_owned(),
            subjects: vec!["annals.>".to_owned()],
            duplicate_window: Duration::from_millis(100),
            ..Config::default()
        };
        self.jetstream().await.create_stream(config).await.unwrap();
    }

    async fn messages(&self) -> Vec<StreamMessage> {
        let stream = self.jetstream().await.get_stream(STREAM).await.unwrap();
        let mut messages = Vec::new();
        for sequence in 1..=stream.cached_info().state.last_sequence {
            messages.push(stream.get_raw_message(sequence).await.unwrap());
        }
        messages
    }

    /// The stream holds every event of the log, once and in order.
    async fn then_the_stream_is_the_log(&self) {
        let page = self.log.read_all(Position::START, 100_000, &Default::default()).await.unwrap();
        let events: Vec<_> = page.events.iter().map(|event| event.id.to_string()).collect();
        let ids: Vec<_> =
            self.messages().await.iter().map(|message| header(message, "Nats-Msg-Id")).collect();
        assert_eq!(ids.len(), events.len());
        assert_eq!(ids, events);
    }
}

fn header(message: &StreamMessage, name: &str) -> String {
    message.headers.get(name).unwrap().to_string()
}

async fn published(publisher: &Publisher, position: Position) {
    let mut status = publisher.watch();
    timeout(PATIENCE, status.wait_for(|now| now.position >= position)).await.unwrap().unwrap();
}

async fn in_state(publisher: &Publisher, wanted: impl Fn(&State) -> bool) {
    let mut status = publisher.watch();
    timeout(PATIENCE, status.wait_for(|now| wanted(&now.state))).await.unwrap().unwrap();
}

#[tokio::test]
async fn every_event_arrives_as_it_was_written() {
    let scenario = given().await;
    let written = r#"{"b":1,  "a":"é😀"}"#;
    scenario.append("note-a.b é", written).await;
    let publisher = scenario.publisher();
    let head = scenario.append("note-2", "{}").await;
    published(&publisher, head).await;
    let messages = scenario.messages().await;
    let first = &messages[0];
    assert_eq!(first.subject.as_str(), "annals.note.a%2Eb%20%C3%A9.Written");
    let headers = [message::POSITION, "Annals-Stream", "Annals-Revision"].map(|n| header(first, n));
    assert_eq!(headers, ["1", "note-a%2Eb%20%C3%A9", "0"]);
    let event = scenario.log.read_all(Position::START, 1, &Default::default()).await.unwrap();
    let event = &event.events[0];
    let (id, at) = (event.id, json!(event.recorded_at));
    assert_eq!(header(first, "Nats-Msg-Id"), id.to_string());
    let expected = format!(
        r#"{{"id":"{id}","position":1,"stream":"note-a.b é","revision":0,"type":"Written","data":{written},"metadata":{{"actor": "ann"}},"recorded_at":{at}}}"#
    );
    assert_eq!(std::str::from_utf8(&first.payload).unwrap(), expected);
    scenario.then_the_stream_is_the_log().await;
    let stream = scenario.jetstream().await.get_stream(STREAM).await.unwrap();
    assert_eq!(stream.cached_info().config.duplicate_window, Duration::from_secs(120));
    publisher.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_killed_under_load_ends_with_every_event_once() {
    let mut scenario = given().await;
    scenario.forgetful_stream().await;
    let publisher = scenario.publisher();
    for _ in 0..3 {
        let head = scenario.append("note-1", "{}").await;
        for i in 0..1500 {
            scenario.append(&format!("note-{}", i % 7), r#"{"text":"some words"}"#).await;
        }
        // In the middle of them.
        published(&publisher, Position(head.0 + 200)).await;
        scenario.nats.kill().await.unwrap();
        for i in 0..300 {
            scenario.append(&format!("note-{i}"), r#"{"round":1}"#).await;
        }
        in_state(&publisher, |state| matches!(state, State::Waiting(_))).await;
        scenario.nats.restart().await.unwrap();
    }
    let head = scenario.append("note-1", "{}").await;
    published(&publisher, head).await;
    scenario.then_the_stream_is_the_log().await;
    publisher.shutdown().await;
}

#[tokio::test]
async fn the_stream_counts_more_than_the_checkpoint() {
    let scenario = given().await;
    scenario.forgetful_stream().await;
    for _ in 0..300 {
        scenario.append("note-1", "{}").await;
    }
    // Acknowledgements that never came, a broker that lost its last messages: the checkpoint is behind, or ahead.
    for checkpoint in ["0", "7", "position + 3"] {
        let head = scenario.append("note-1", "{}").await;
        let publisher = scenario.publisher();
        published(&publisher, head).await;
        publisher.shutdown().await;
        let tamper = format!("update checkpoints set position = {checkpoint}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(tamper)).execute(&scenario.pool).await.unwrap();
    }
    let head = scenario.append("note-1", "{}").await;
    let publisher = scenario.publisher();
    published(&publisher, head).await;
    scenario.then_the_stream_is_the_log().await;
    publisher.shutdown().await;
}

#[tokio::test]
async fn of_two_nodes_one_publishes_until_it_leaves() {
    let scenario = given().await;
    let head = scenario.append("note-1", "{}").await;
    let first = scenario.publisher();
    published(&first, head).await;
    let second = scenario.publisher();
    in_state(&second, |state| *state == State::Standby).await;
    first.shutdown().await;
    let head = scenario.append("note-1", "{}").await;
    published(&second, head).await;
    scenario.then_the_stream_is_the_log().await;
    second.shutdown().await;
}

#[tokio::test]
async fn an_event_larger_than_the_broker_takes_is_announced_without_its_data() {
    let scenario = given().await;
    let data = format!(r#"{{"text":"{}"}}"#, "x".repeat(1_048_000));
    let head = scenario.append("note-1", &data).await;
    let publisher = scenario.publisher();
    published(&publisher, head).await;
    let message = scenario.messages().await.remove(0);
    assert_eq!(header(&message, "Annals-Data-Omitted"), data.len().to_string());
    let payload: serde_json::Value = serde_json::from_slice(&message.payload).unwrap();
    assert_eq!((&payload["data"], &payload["position"]), (&json!(null), &json!(1)));
    publisher.shutdown().await;
}

#[tokio::test]
async fn a_stream_of_another_log_is_left_alone() {
    let scenario = given().await;
    let head = scenario.append("note-1", "{}").await;
    let publisher = scenario.publisher();
    published(&publisher, head).await;
    publisher.shutdown().await;
    let other = Scenario { log: Arc::new(MemoryLog::new()), ..scenario };
    other.append("note-2", "{}").await;
    other.append("note-2", "{}").await;
    let publisher = other.publisher();
    let foreign =
        |state: &State| matches!(state, State::Waiting(why) if why.contains("not in this log"));
    in_state(&publisher, foreign).await;
    assert_eq!(other.messages().await.len(), 1);
    publisher.shutdown().await;
}

#[tokio::test]
async fn the_address_may_carry_a_login() {
    let scenario = given().await;
    let nats = NatsServer::start_with(&["--user", "ann", "--pass", "p@ss:1"]).await.unwrap();
    let at = nats.url().replace("nats://", "@");
    let start = |login: &str| {
        let url = BrokerUrl(format!("nats://{login}{at}"));
        Publisher::start(scenario.log.clone(), scenario.pool.clone(), url)
    };
    let head = scenario.append("note-1", "{}").await;
    let refused = start("ann:wrong");
    in_state(&refused, |state| matches!(state, State::Waiting(why) if !why.contains("wrong")))
        .await;
    refused.shutdown().await;
    let publisher = start("ann:p%40ss%3A1");
    published(&publisher, head).await;
    publisher.shutdown().await;
}
