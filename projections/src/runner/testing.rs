//! given / when / then for read models: events in, rows out. With a toy read model and a log that is a vector.

#![expect(clippy::unwrap_used, reason = "tests")]

use super::{Batch, Delivery, Feed, FeedError, Interest, Page, Projections, Status};
use crate::{ApplyError, Projection};
use domain::{Position, Recorded, Revision};
use futures::{
    StreamExt,
    future::{BoxFuture, ready},
    stream::{self, BoxStream},
};
use serde_json::{Value, json, value::RawValue};
use sqlx::{Connection, PgConnection, PgPool, postgres::PgPoolOptions};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};
use tokio::sync::watch;
use uuid::Uuid;

pub const PATIENCE: Duration = Duration::from_secs(30);
const CHECKPOINTS: &str = include_str!("../../../migrations/sql/0002_checkpoints.sql");
const REBUILDS: &str = include_str!("../../../migrations/sql/0181_rebuilds.sql");
const TABLES: &str = "
    create extension vector;
    create table owners (id text primary key, name text not null check (name <> ''));
    create table pets (
        id text primary key,
        owner text not null references owners on delete cascade,
        note json,
        strokes bigint not null default 0,
        revision bigint not null,
        face vector(3) not null default '[1, 2, 3]',
        words tsvector generated always as (to_tsvector('simple', id)) stored
    );
    create index pets_alike on pets using hnsw (face vector_cosine_ops) with (m = 8);
    create index pets_words on pets using gin (words);
    create index pets_by_owner on pets (owner, strokes desc);
    create index pets_loved on pets (strokes) where strokes > 0;";

/// A log that is a vector.
pub struct VecFeed {
    events: Mutex<Batch>,
    head: watch::Sender<u64>,
}

impl VecFeed {
    pub fn append(&self, stream: &str, kind: &str, data: &Value) -> Position {
        let mut events = self.events.lock().unwrap();
        let position = events.len() as u64 + 1;
        let raw = |value: &Value| RawValue::from_string(value.to_string()).unwrap();
        events.push(Arc::new(Recorded {
            id: Uuid::from_u128(u128::from(position)),
            stream: stream.parse().unwrap(),
            revision: Revision(position),
            position: Position(position),
            kind: kind.into(),
            data: raw(data),
            metadata: raw(&json!({})),
            recorded_at: chrono::DateTime::UNIX_EPOCH,
        }));
        self.head.send_replace(position);
        Position(position)
    }

    fn page(&self, after: Position, limit: usize, interest: Interest) -> Page {
        let events = self.events.lock().unwrap();
        let seen = events.iter().skip(after.0 as usize).take(limit);
        let scanned = seen.clone().next_back().map_or(after, |event| event.position);
        Page { events: seen.filter(|event| interest.admits(event)).cloned().collect(), scanned }
    }
}

/// What the feed hands to tasks shares the vector.
pub struct SharedFeed(pub Arc<VecFeed>);

impl Feed for SharedFeed {
    fn subscribe(&self, after: Position, interest: Interest) -> BoxStream<'static, Delivery> {
        let start = (self.0.clone(), self.0.head.subscribe(), after);
        stream::unfold(start, move |(log, mut head, after)| async move {
            head.wait_for(|head| *head > after.0).await.ok()?;
            let page = log.page(after, 100, interest);
            let delivery = Delivery { events: page.events, position: page.scanned };
            Some((delivery, (log, head, page.scanned)))
        })
        .boxed()
    }

    fn read_all(
        &self,
        after: Position,
        limit: usize,
        interest: Interest,
    ) -> BoxFuture<'_, Result<Page, FeedError>> {
        Box::pin(ready(Ok(self.0.page(after, limit, interest))))
    }

    fn head(&self) -> BoxFuture<'_, Result<Position, FeedError>> {
        Box::pin(ready(Ok(Position(*self.0.head.borrow()))))
    }
}

/// Pets, their owners, and how often they were stroked.
#[derive(Default)]
pub struct Pets {
    /// Whether it knows what to do with `Bitten`.
    pub knows_bites: AtomicBool,
    /// Applications per event, committed or not.
    pub applied: AtomicU32,
}

impl Projection for Pets {
    fn name(&self) -> &'static str {
        "pets"
    }

    fn tables(&self) -> &'static [&'static str] {
        &["owners", "pets"]
    }

    fn categories(&self) -> &'static [&'static str] {
        &["pet"]
    }

    fn apply<'a>(
        &'a self,
        db: &'a mut PgConnection,
        event: &'a Recorded,
    ) -> BoxFuture<'a, Result<(), ApplyError>> {
        Box::pin(async move {
            self.applied.fetch_add(1, Ordering::Relaxed);
            let id = event.stream.key();
            let data: Value = serde_json::from_str(event.data.get())?;
            match &*event.kind {
                "Arrived" => {
                    let owner = data["owner"].as_str();
                    sqlx::query("insert into owners values ($1, $1) on conflict do nothing")
                        .bind(owner)
                        .execute(&mut *db)
                        .await?;
                    sqlx::query(
                        "insert into pets (id, owner, note, revision) values ($1, $2, $3, $4)",
                    )
                    .bind(id)
                    .bind(owner)
                    .bind(&data["note"])
                    .bind(event.revision.0 as i64)
                    .execute(db)
                    .await?;
                }
                "Stroked" => {
                    sqlx::query(
                        "update pets set strokes = strokes + 1, revision = $2 where id = $1",
                    )
                    .bind(id)
                    .bind(event.revision.0 as i64)
                    .execute(db)
                    .await?;
                }
                "OwnerLeft" => {
                    sqlx::query("delete from owners where id = $1")
                        .bind(data["owner"].as_str())
                        .execute(db)
                        .await?;
                }
                "Bitten" if !self.knows_bites.load(Ordering::Relaxed) => {
                    serde_json::from_str::<()>("{")?;
                }
                "Exploded" => panic!("no more pets"),
                _ => {}
            }
            Ok(())
        })
    }
}

/// A fresh database, a log, and the read model of pets.
pub struct Scenario {
    pub url: String,
    pub pool: PgPool,
    pub log: Arc<VecFeed>,
    pub pets: Arc<Pets>,
}

/// Starts a scenario with the history of a pet `pet-rex` of Ann.
pub async fn given(history: &[(&str, Value)]) -> Scenario {
    let url = database().await;
    let pool = PgPoolOptions::new().max_connections(8).connect(&url).await.unwrap();
    sqlx::raw_sql(CHECKPOINTS).execute(&pool).await.unwrap();
    sqlx::raw_sql(REBUILDS).execute(&pool).await.unwrap();
    sqlx::raw_sql(TABLES).execute(&pool).await.unwrap();
    let log = Arc::new(VecFeed { events: Mutex::new(Vec::new()), head: watch::channel(0).0 });
    let scenario = Scenario { url, pool, log, pets: Arc::new(Pets::default()) };
    for (kind, data) in history {
        scenario.append(kind, data);
    }
    scenario
}

impl Scenario {
    pub fn append(&self, kind: &str, data: &Value) -> Position {
        self.log.append("pet-rex", kind, data)
    }

    pub fn feed(&self) -> Arc<dyn Feed> {
        Arc::new(SharedFeed(self.log.clone()))
    }

    pub fn head(&self) -> Position {
        Position(*self.log.head.borrow())
    }

    /// A node that runs the read model.
    pub fn node(&self) -> Projections {
        Projections::start(self.pool.clone(), self.feed(), vec![self.pets.clone()]).unwrap()
    }

    /// Waits until a node has applied everything.
    pub async fn when_applied_by(&self, node: &Projections) {
        node.wait_for_all(self.head(), PATIENCE).await.unwrap();
    }

    pub async fn then_rows(&self, query: &'static str, rows: Value) {
        assert_eq!(self.rows(query).await, rows, "{query}");
    }

    pub async fn rows(&self, query: &'static str) -> Value {
        let all = format!("select coalesce(json_agg(found), '[]') from ({query}) found");
        sqlx::query_scalar(sqlx::AssertSqlSafe(all)).fetch_one(&self.pool).await.unwrap()
    }
}

/// Asks again until the status is as wanted.
pub async fn until(node: &Projections, wanted: impl Fn(&Status) -> bool) -> Status {
    let found = async {
        loop {
            let status = node.status().await.remove(0);
            if wanted(&status) {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, found).await.expect("the status never came")
}

/// A database of its own for each test.
async fn database() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let server = embedded::testing::server_url().await.unwrap();
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("projections_{}_{number}", std::process::id());
    let mut db = PgConnection::connect(&server).await.unwrap();
    for statement in [format!("drop database if exists {name}"), format!("create database {name}")]
    {
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut db).await.unwrap();
    }
    let (base, query) = server.split_once('?').unwrap_or((&server, ""));
    let host = base.rsplit_once('/').unwrap().0;
    format!("{host}/{name}?{query}")
}
