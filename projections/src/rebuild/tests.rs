//! Rebuilding and comparing, against a real database.

#![expect(clippy::unwrap_used, reason = "tests")]

use super::{FoldError, RebuildProgress, rebuild};
use crate::{
    Projections, compare,
    runner::testing::{Scenario, given, until},
};
use domain::Position;
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

const STROKES: &str = "select strokes, revision from pets";
const NAMES: &str = "select conname as name, pg_get_constraintdef(oid) as is from pg_constraint
     where connamespace = 'public'::regnamespace
     union all select indexname, indexdef from pg_indexes where schemaname = 'public'
     union all select relname, relacl::text || reloptions::text from pg_class where relname = 'pets'
     order by 1, 2";
const LEFT: &str = "select nspname from pg_namespace where nspname like 'rebuild%'";

fn arrived() -> (&'static str, Value) {
    ("Arrived", json!({"owner": "ann", "note": {"b": 1, "a": "é"}}))
}

/// A pet that has been stroked `times` times, applied by a node.
async fn stroked(times: u64) -> (Scenario, Projections) {
    let scenario = given(&[arrived()]).await;
    for _ in 0..times {
        scenario.append("Stroked", &json!({}));
    }
    let node = scenario.node();
    scenario.when_applied_by(&node).await;
    (scenario, node)
}

async fn tamper(scenario: &Scenario, statement: &'static str) {
    sqlx::raw_sql(statement).execute(&scenario.pool).await.unwrap();
}

#[tokio::test]
async fn a_rebuild_puts_right_what_was_wrong_and_keeps_every_name() {
    let (scenario, node) = stroked(3).await;
    tamper(&scenario, "grant select on pets to public; alter table pets set (fillfactor = 90)")
        .await;
    tamper(&scenario, "update pets set strokes = 77; insert into owners values ('eve', 'eve')")
        .await;
    let names = scenario.rows(NAMES).await;
    let mut seen = Vec::new();
    let rebuilt = node.rebuild("pets", |progress| seen.push(progress)).await.unwrap();
    assert_eq!((rebuilt.events, rebuilt.position), (4, Position(4)));
    assert_eq!(seen, [RebuildProgress { done: 4, total: 4 }]);
    scenario.then_rows(STROKES, json!([{"strokes": 3, "revision": 4}])).await;
    scenario.then_rows("select id from owners", json!([{"id": "ann"}])).await;
    scenario.then_rows(LEFT, json!([])).await;
    assert_eq!(scenario.rows(NAMES).await, names);
    // The cascade of the new tables works, and leads to the new table.
    scenario.append("OwnerLeft", &json!({"owner": "ann"}));
    scenario.when_applied_by(&node).await;
    scenario.then_rows("select id from pets", json!([])).await;
    assert!(matches!(node.rebuild("dogs", |_| ()).await, Err(FoldError::Unknown(_))));
    node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writing_and_reading_go_on_during_rebuilds() {
    let (scenario, node) = stroked(520).await;
    let other = scenario.node();
    let (done, rebuilds) = (AtomicBool::new(false), 2);
    let write = async {
        while !done.load(Ordering::Relaxed) {
            scenario.append("Stroked", &json!({}));
            scenario.when_applied_by(&other).await;
        }
    };
    // The pool's connections keep the prepared statement from before the swap.
    let read = async {
        let mut strokes = 0;
        while !done.load(Ordering::Relaxed) {
            let (id, now): (String, i64) = sqlx::query_as(
                "select p.id, p.strokes from pets p join owners o on o.id = p.owner",
            )
            .fetch_one(&scenario.pool)
            .await
            .unwrap();
            assert!(id == "rex" && now >= strokes, "from {strokes} back to {now}");
            strokes = now;
        }
    };
    let work = async {
        for _ in 0..rebuilds {
            node.rebuild("pets", |_| ()).await.unwrap();
        }
        done.store(true, Ordering::Relaxed);
    };
    tokio::join!(write, read, work);
    for node in [&node, &other] {
        scenario.when_applied_by(node).await;
        assert!(node.status().await[0].failure.is_none());
    }
    let head = scenario.head().0;
    scenario.then_rows(STROKES, json!([{"strokes": head - 1, "revision": head}])).await;
    let comparison = node.compare("pets").await.unwrap();
    assert_eq!(comparison.difference, None);
    node.shutdown().await;
    other.shutdown().await;
}

#[tokio::test]
async fn a_copy_left_by_a_crash_is_replaced_and_a_second_rebuild_is_refused() {
    let (scenario, node) = stroked(3).await;
    tamper(&scenario, "create schema rebuild_pets; create table rebuild_pets.pets (old int)").await;
    let mut other = PgConnection::connect(&scenario.url).await.unwrap();
    let claim = "select pg_advisory_lock(hashtextextended('annals rebuild pets', 0))";
    sqlx::query(claim).execute(&mut other).await.unwrap();
    assert!(matches!(node.rebuild("pets", |_| ()).await, Err(FoldError::Busy)));
    other.close().await.unwrap();
    // The claim goes when the server has noticed that the connection has gone.
    while matches!(node.rebuild("pets", |_| ()).await, Err(FoldError::Busy)) {}
    scenario.then_rows(LEFT, json!([])).await;
    scenario.then_rows(STROKES, json!([{"strokes": 3, "revision": 4}])).await;
    node.shutdown().await;
}

#[tokio::test]
async fn a_rebuild_waits_for_readers_that_hold_the_tables() {
    let (scenario, node) = stroked(3).await;
    let mut reader = PgConnection::connect(&scenario.url).await.unwrap();
    sqlx::raw_sql("begin; select * from pets").execute(&mut reader).await.unwrap();
    let release = async {
        let waiting =
            "select 1 as one from pg_locks where not granted and mode = 'AccessExclusiveLock'";
        while scenario.rows(waiting).await == json!([]) {
            tokio::task::yield_now().await;
        }
        sqlx::raw_sql("select * from owners; commit").execute(&mut reader).await.unwrap();
    };
    let (rebuilt, ()) = tokio::join!(node.rebuild("pets", |_| ()), release);
    assert_eq!(rebuilt.unwrap().events, 4);
    node.shutdown().await;
}

#[tokio::test]
async fn poison_ends_a_rebuild_and_leaves_the_live_tables() {
    let (scenario, node) = stroked(1).await;
    scenario.pets.knows_bites.store(true, Ordering::Relaxed);
    scenario.append("Bitten", &json!({}));
    scenario.when_applied_by(&node).await;
    scenario.pets.knows_bites.store(false, Ordering::Relaxed);
    let error = node.rebuild("pets", |_| ()).await.unwrap_err();
    assert!(matches!(error, FoldError::Poison { position: Position(3), .. }), "{error}");
    scenario.then_rows(LEFT, json!([])).await;
    scenario.then_rows(STROKES, json!([{"strokes": 1, "revision": 2}])).await;
    node.shutdown().await;
}

#[tokio::test]
async fn a_rebuild_stops_exactly_at_the_checkpoint_of_a_stuck_read_model() {
    let (scenario, node) = stroked(1).await;
    scenario.append("Bitten", &json!({}));
    scenario.append("Stroked", &json!({}));
    until(&node, |status| status.failure.is_some()).await;
    node.shutdown().await;
    let feed = scenario.feed();
    let rebuilt = rebuild(&scenario.pool, &*feed, &*scenario.pets, |_| ()).await.unwrap();
    assert_eq!((rebuilt.events, rebuilt.position), (2, Position(2)));
    scenario.pets.knows_bites.store(true, Ordering::Relaxed);
    let node = scenario.node();
    scenario.when_applied_by(&node).await;
    scenario.then_rows(STROKES, json!([{"strokes": 2, "revision": 4}])).await;
    node.shutdown().await;
}

#[tokio::test]
async fn a_comparison_finds_a_changed_a_missing_and_a_foreign_row() {
    let (scenario, node) = stroked(2).await;
    assert_eq!(node.compare("pets").await.unwrap().difference, None);
    let difference = async || node.compare("pets").await.unwrap().difference.unwrap();

    tamper(&scenario, "update pets set face = '[1, 2, 4]'").await;
    assert!(difference().await.live.is_some_and(|row| row.contains("[1,2,4]")));
    tamper(&scenario, "update pets set face = '[1, 2, 3]'").await;
    assert_eq!(node.compare("pets").await.unwrap().difference, None);

    tamper(&scenario, r#"update pets set note = '{"a": "e"}'"#).await;
    let changed = difference().await;
    assert_eq!((changed.table, &*changed.key), ("pets", r#"{"id":"rex"}"#));
    let note = |row: Option<String>| -> Value {
        let row: Value = serde_json::from_str(&row.unwrap()).unwrap();
        serde_json::from_str(row["note"].as_str().unwrap()).unwrap()
    };
    assert_eq!(note(changed.live), json!({"a": "e"}));
    assert_eq!(note(changed.folded), json!({"b": 1, "a": "é"}));

    tamper(&scenario, "delete from pets").await;
    let missing = difference().await;
    assert!(missing.live.is_none() && missing.folded.is_some());

    tamper(&scenario, "insert into owners values ('eve', 'eve')").await;
    let foreign = difference().await;
    assert_eq!((foreign.table, &*foreign.key), ("owners", r#"{"id":"eve"}"#));
    assert!(foreign.live.is_some() && foreign.folded.is_none());
    assert!(foreign.to_string().ends_with("folded no such row"), "{foreign}");
    node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_comparison_during_writes_compares_one_moment() {
    let (scenario, node) = stroked(300).await;
    let feed = scenario.feed();
    for _ in 0..5 {
        scenario.append("Stroked", &json!({}));
        let comparison = compare(&scenario.pool, &*feed, &*scenario.pets).await.unwrap();
        assert_eq!(comparison.difference, None);
        assert!(comparison.events >= 301);
    }
    assert!(node.wait_for("pets", scenario.head(), Duration::from_secs(9)).await.is_ok());
    node.shutdown().await;
}
