//! The runner against a real database.

#![expect(clippy::unwrap_used, reason = "tests")]

use super::testing::{PATIENCE, Scenario, given, until};
use domain::Position;
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use std::{sync::atomic::Ordering, time::Duration};

const STROKES: &str = "select strokes, revision from pets";

fn arrived() -> (&'static str, Value) {
    ("Arrived", json!({"owner": "ann", "note": {"b": 1, "a": "é"}}))
}

fn stroked() -> (&'static str, Value) {
    ("Stroked", json!({}))
}

async fn stored(scenario: &Scenario) -> i64 {
    sqlx::query_scalar("select position from checkpoints where name = 'pets'")
        .fetch_one(&scenario.pool)
        .await
        .unwrap()
}

#[tokio::test]
async fn history_and_what_follows_become_rows() {
    let scenario = given(&[arrived(), stroked()]).await;
    let node = scenario.node();
    scenario.when_applied_by(&node).await;
    scenario.append("Stroked", &json!({}));
    scenario.when_applied_by(&node).await;
    scenario
        .then_rows(
            "select id, owner, note, strokes, revision from pets",
            json!([{"id": "rex", "owner": "ann", "note": {"b": 1, "a": "é"}, "strokes": 2, "revision": 3}]),
        )
        .await;
    assert_eq!(stored(&scenario).await, 3);
    node.shutdown().await;
}

#[tokio::test]
async fn positions_without_events_of_interest_count_at_once_and_are_stored_later() {
    let scenario = given(&[arrived()]).await;
    let node = scenario.node();
    for _ in 0..250 {
        scenario.log.append("stone-1", "Lay", &json!({}));
    }
    scenario.when_applied_by(&node).await;
    assert_eq!(until(&node, |s| s.lag == 0).await.position, Position(251));
    while stored(&scenario).await < 251 {
        tokio::task::yield_now().await;
    }
    node.shutdown().await;
}

#[tokio::test]
async fn waiting_for_the_future_ends_at_its_deadline() {
    let scenario = given(&[arrived()]).await;
    let node = scenario.node();
    scenario.when_applied_by(&node).await;
    let lagging = node.wait_for("pets", Position(2), Duration::from_millis(5)).await.unwrap_err();
    assert_eq!((lagging.wanted, lagging.reached), (Position(2), Some(Position(1))));
    assert!(node.wait_for("dogs", Position(0), PATIENCE).await.is_err_and(|l| l.reached.is_none()));
}

#[tokio::test]
async fn a_transaction_that_dies_before_its_commit_leaves_nothing() {
    let scenario = given(&[arrived()]).await;
    let node = scenario.node();
    scenario.when_applied_by(&node).await;
    // The row is held, so that the transaction of the next event hangs after it has taken the checkpoint.
    let mut holder = PgConnection::connect(&scenario.url).await.unwrap();
    sqlx::raw_sql("begin; update pets set strokes = strokes").execute(&mut holder).await.unwrap();
    scenario.append("Stroked", &json!({}));
    let kill = "select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock' and query like '%strokes + 1%'";
    while sqlx::query(kill).fetch_all(&scenario.pool).await.unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    until(&node, |status| status.unavailable.is_some() && status.failure.is_none()).await;
    scenario.then_rows(STROKES, json!([{"strokes": 0, "revision": 1}])).await;
    holder.close().await.unwrap();
    scenario.when_applied_by(&node).await;
    scenario.then_rows(STROKES, json!([{"strokes": 1, "revision": 2}])).await;
    assert!(
        scenario.pets.applied.load(Ordering::Relaxed) > 2,
        "it was applied twice, once in vain"
    );
    node.shutdown().await;
}

#[tokio::test]
async fn what_took_long_is_committed_before_what_comes_after_it() {
    let scenario = given(&[arrived()]).await;
    scenario.log.append("pet-tom", "Arrived", &json!({"owner": "ann"}));
    let node = scenario.node();
    scenario.when_applied_by(&node).await;
    node.shutdown().await;
    // Rex takes longer than a transaction should, and Tom cannot be stroked at all.
    sqlx::raw_sql(
        "create function take_long() returns trigger language plpgsql as
            $$ begin perform pg_sleep(2.1); return new; end $$;
         create trigger slow before update on pets for each row when (new.id = 'rex') execute function take_long()",
    )
    .execute(&scenario.pool)
    .await
    .unwrap();
    let mut holder = PgConnection::connect(&scenario.url).await.unwrap();
    let hold = "begin; update pets set strokes = strokes where id = 'tom'";
    sqlx::raw_sql(hold).execute(&mut holder).await.unwrap();
    scenario.append("Stroked", &json!({}));
    scenario.log.append("pet-tom", "Stroked", &json!({}));
    let node = scenario.node();
    until(&node, |status| status.position == Position(3)).await;
    let strokes = "select id, strokes from pets order by id";
    let rex = json!({"id": "rex", "strokes": 1});
    scenario.then_rows(strokes, json!([rex, {"id": "tom", "strokes": 0}])).await;
    holder.close().await.unwrap();
    scenario.when_applied_by(&node).await;
    scenario.then_rows(strokes, json!([rex, {"id": "tom", "strokes": 1}])).await;
    node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_on_one_database_apply_each_event_once() {
    let scenario = given(&[arrived()]).await;
    let nodes = [scenario.node(), scenario.node()];
    for _ in 0..700 {
        scenario.append("Stroked", &json!({}));
        tokio::task::yield_now().await;
    }
    for node in &nodes {
        scenario.when_applied_by(node).await;
    }
    scenario.then_rows(STROKES, json!([{"strokes": 700, "revision": 701}])).await;
    nodes[0].shutdown().await;
    scenario.append("Stroked", &json!({}));
    scenario.when_applied_by(&nodes[1]).await;
    scenario.then_rows(STROKES, json!([{"strokes": 701, "revision": 702}])).await;
    nodes[1].shutdown().await;
}

#[tokio::test]
async fn poison_stops_the_read_model_at_its_event_until_it_can_be_applied() {
    let bitten = ("Bitten", json!({}));
    let scenario = given(&[arrived(), stroked(), bitten, stroked()]).await;
    let node = scenario.node();
    let failure = until(&node, |s| s.failure.is_some()).await.failure.unwrap();
    assert_eq!((failure.position, &*failure.kind), (Position(3), "Bitten"));
    assert!(failure.reason.contains("cannot be understood"), "{}", failure.reason);
    // Everything before it is committed, nothing after it.
    scenario.then_rows(STROKES, json!([{"strokes": 1, "revision": 2}])).await;
    assert_eq!(stored(&scenario).await, 2);
    node.wait_for("pets", Position(2), PATIENCE).await.unwrap();
    // Waiting for more has no point; the answer comes long before the deadline.
    until(&node, |s| s.failure.as_ref().is_some_and(|f| f.attempts > 1)).await;
    assert!(node.wait_for("pets", Position(3), Duration::from_secs(3600)).await.is_err());

    scenario.pets.knows_bites.store(true, Ordering::Relaxed);
    until(&node, |s| s.failure.is_none()).await;
    scenario.when_applied_by(&node).await;
    scenario.then_rows(STROKES, json!([{"strokes": 2, "revision": 4}])).await;
    node.shutdown().await;
}

#[tokio::test]
async fn a_refusal_of_the_database_and_a_panic_are_poison_too() {
    for (kind, said) in [("Arrived", "duplicate key"), ("Exploded", "no more pets")] {
        let scenario = given(&[arrived(), (kind, json!({"owner": "bob"}))]).await;
        let node = scenario.node();
        let failure = until(&node, |s| s.failure.is_some()).await.failure.unwrap();
        assert_eq!((failure.position, &*failure.kind), (Position(2), kind));
        assert!(failure.reason.contains(said), "{}", failure.reason);
        node.shutdown().await;
    }
}

#[tokio::test]
async fn commits_that_the_database_lost_are_applied_again() {
    let scenario = given(&[arrived(), stroked(), stroked()]).await;
    let node = scenario.node();
    scenario.when_applied_by(&node).await;
    // As after a crash: rows and checkpoint went back together.
    sqlx::raw_sql(
        "begin; update pets set strokes = 1, revision = 2;
         update checkpoints set position = 2; commit",
    )
    .execute(&scenario.pool)
    .await
    .unwrap();
    scenario.append("Stroked", &json!({}));
    scenario.when_applied_by(&node).await;
    while stored(&scenario).await < 4 {
        tokio::task::yield_now().await;
    }
    scenario.then_rows(STROKES, json!([{"strokes": 3, "revision": 4}])).await;
    node.shutdown().await;
}
