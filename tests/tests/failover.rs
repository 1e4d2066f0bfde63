//! Two servers on one database: runs are followed from anywhere, taken over, handed over, replaced.

#![expect(clippy::unwrap_used, reason = "tests")]

use annals_tests::{
    app::Person,
    audit::audit,
    database::Database,
    lines::{Lines, check_snapshot, check_whole, is_end, parsed},
    model_server::{Fate, ModelServer, Script, text},
    process::{Folder, Server, Setup},
};
use anyhow::{Context, Result};
use api::event_store::owners::Leases;
use commands::nodes::LEASE;
use domain::subscription_group::GroupId;
use embedded::{Durability, Options};
use esdb::{Claim, Owners};
use futures::future::try_join_all;
use serde_json::{Value, json};
use sqlx::PgPool;
use std::{net::SocketAddr, time::Instant};
use tokio::{task::JoinHandle, try_join};
use uuid::Uuid;

const SESSION: &str = "s";

struct Two {
    model: ModelServer,
    a: Server,
    b: Server,
    at_a: Person,
    at_b: Person,
    database: embedded::Server,
    _folder: Folder,
}

impl Two {
    async fn start() -> Result<Self> {
        let model = ModelServer::start(Script::default()).await?;
        let folder = Folder::new("failover");
        let mut options = Options::new(folder.path().join("shared"));
        options.durability = Durability::FastForTests;
        let database = embedded::start(options).await?;
        let setup = |name: &str| {
            Setup::on(&folder.path().join(name), database.url()).with_model(&model.base_url())
        };
        // One after the other: both would make the first administrator.
        let a = setup("a").start().await?;
        let b = setup("b").start().await?;
        let (at_a, at_b) = try_join!(a.admin(), b.admin())?;
        Ok(Self { model, a, b, at_a, at_b, database, _folder: folder })
    }

    /// A run at A, with so many lines read.
    async fn run_at_a(
        &self,
        path: &str,
        script: &Script,
        count: usize,
    ) -> Result<(Lines, Vec<String>)> {
        let mut stream = self.at_a.say(path, SESSION, &script.message("hello")).await?;
        let mut lines = Vec::new();
        stream.until(count, &mut lines).await?;
        Ok((stream, lines))
    }

    /// Reads the run's lines at B, from index `from` to the end, beside what else is done.
    async fn reader_at_b(&self, from: usize) -> Result<JoinHandle<Result<Vec<String>>>> {
        let mut stream = self.at_b.resume(SESSION, &format!("?last_index={from}")).await?;
        Ok(tokio::spawn(async move {
            let mut lines = Vec::new();
            stream.rest(&mut lines).await?;
            Ok(lines)
        }))
    }

    /// Nothing is broken in the end, and nobody waits for anything.
    async fn end(self) -> Result<()> {
        audit(self.database.url()).await?;
        drop(self.a);
        self.b.stop().await?;
        Ok(self.database.stop().await?)
    }
}

/// Long enough to be in its middle when something is done to it.
fn slow() -> Script {
    Script { deltas: 120, delay_ms: 20, ..Script::default() }
}

fn superseded(lines: &[String]) -> Result<usize> {
    Ok(parsed(lines)?.iter().filter(|line| line["metadata"]["superseded"] == true).count())
}

/// Text of the last message that lines make.
fn answer(lines: &[String]) -> Value {
    annals_tests::fold::fold(lines).pop().map(|message| message["content"].clone()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_server_is_killed_goes_on_at_the_other() -> Result<()> {
    let two = Two::start().await?;
    let (mut stream, mut seen) = two.run_at_a("/api/web-stream", &slow(), 10).await?;
    let run = stream.run()?;
    let from_start = two.reader_at_b(0).await?;
    let from_ten = two.reader_at_b(10).await?;
    stream.until(30, &mut seen).await?;

    let Two { a, .. } = two;
    a.kill()?;
    assert!(stream.rest(&mut seen).await.is_err(), "a killed server ends no stream");
    let mut back = two.at_b.resume(SESSION, &format!("?last_index={}", seen.len())).await?;
    assert_eq!(back.run()?, run);
    back.rest(&mut seen).await?;

    check_whole(&seen)?;
    assert_eq!((superseded(&seen)?, answer(&seen)), (1, json!(text(120) + "\n")));
    assert_eq!(from_start.await??, seen);
    assert_eq!(from_ten.await??, seen[10..]);
    assert_eq!(two.at_b.replay(SESSION).await?, seen);
    check_snapshot(&two.at_b.messages(SESSION).await?, &seen, 0)?;
    audit(two.database.url()).await?;
    two.b.stop().await?;
    Ok(two.database.stop().await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_told_to_end_hands_its_runs_over_at_once() -> Result<()> {
    let two = Two::start().await?;
    let (mut stream, mut seen) = two.run_at_a("/api/web-stream", &slow(), 20).await?;
    let mut at_b = two.at_b.resume(SESSION, "").await?;
    let mut lines = Vec::new();
    at_b.until(20, &mut lines).await?;

    let Two { a, .. } = two;
    a.stop().await?;
    let ended = Instant::now();
    stream.rest(&mut seen).await.context("a stream that ends in order, to be taken up again")?;
    assert!(!seen.iter().any(|line| is_end(line)), "the run has not ended");
    while superseded(&lines)? == 0 {
        let count = lines.len();
        at_b.until(count + 1, &mut lines).await?;
    }
    assert!(ended.elapsed() < LEASE, "as if it had been killed: {:?}", ended.elapsed());
    at_b.rest(&mut lines).await?;
    check_whole(&lines)?;
    assert_eq!(answer(&lines), text(120) + "\n");
    assert_eq!(seen, lines[..seen.len()]);
    two.b.stop().await?;
    Ok(two.database.stop().await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_tied_to_a_killed_server_is_interrupted_and_not_begun_again() -> Result<()> {
    let two = Two::start().await?;
    let (_stream, seen) = two.run_at_a("/api/stream", &slow(), 20).await?;
    let reader = two.reader_at_b(0).await?;
    let Two { a, .. } = two;
    a.kill()?;
    let lines = reader.await??;
    check_whole(&lines)?;
    assert_eq!(seen, lines[..seen.len()]);
    assert_eq!(two.model.calls().count(), 1, "its reader is gone");
    two.b.stop().await?;
    Ok(two.database.stop().await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_at_the_other_server_outlives_the_performer() -> Result<()> {
    let two = Two::start().await?;
    let (_stream, _) = two.run_at_a("/api/web-stream", &slow(), 20).await?;
    let reader = two.reader_at_b(0).await?;
    let Two { a, .. } = two;
    a.kill()?;
    let interrupt = two.at_b.post("/api/sessions/s/interrupt").send().await?;
    assert_eq!(interrupt.status(), 200);
    check_whole(&reader.await??)?;
    assert_eq!(two.model.calls().count(), 1, "stopped, and begun again");
    two.b.stop().await?;
    Ok(two.database.stop().await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_are_stopped_and_replaced_across_servers() -> Result<()> {
    let two = Two::start().await?;
    let (mut stopped, mut lines) = two.run_at_a("/api/web-stream", &slow(), 10).await?;
    two.at_b.post("/api/sessions/s/interrupt").send().await?.error_for_status()?;
    stopped.rest(&mut lines).await?;
    check_whole(&lines)?;
    assert_eq!(two.model.calls().fate_of(0).await?, Fate::Abandoned);

    let (mut replaced, mut old) = two.run_at_a("/api/web-stream", &slow(), 10).await?;
    let quick = Script { deltas: 5, ..Script::default() }.message("something else");
    let mut stream = two.at_b.say("/api/web-stream", SESSION, &quick).await?;
    let mut new = Vec::new();
    stream.rest(&mut new).await?;
    replaced.rest(&mut old).await?;
    assert_ne!(stream.run()?, replaced.run()?);
    check_whole(&old)?;
    check_whole(&new)?;
    assert_eq!(answer(&new), text(5) + "\n");
    assert_eq!(two.model.calls().fate_of(1).await?, Fate::Abandoned);
    // Of the old run by its name; without one, the last run is meant.
    let mut again = Vec::new();
    let query = format!("?run_id={}", replaced.run()?);
    two.at_b.resume(SESSION, &query).await?.rest(&mut again).await?;
    assert_eq!(again, old);
    assert_eq!(two.at_a.replay(SESSION).await?, new);
    two.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_thought_dead_says_nothing_more() -> Result<()> {
    let two = Two::start().await?;
    let (mut stream, mut seen) = two.run_at_a("/api/web-stream", &slow(), 20).await?;
    let mut at_b = two.at_b.resume(SESSION, "").await?;
    two.a.stand_still()?;
    let mut lines = Vec::new();
    while superseded(&lines)? == 0 {
        let count = lines.len();
        at_b.until(count + 1, &mut lines).await?;
    }
    two.a.go_on()?;
    at_b.rest(&mut lines).await?;
    check_whole(&lines)?;
    assert_eq!((superseded(&lines)?, answer(&lines)), (1, json!(text(120) + "\n")));
    // The reader at A never noticed.
    stream.rest(&mut seen).await?;
    assert_eq!(seen, lines);
    assert_eq!(two.model.calls().count(), 2, "begun again once");
    two.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn of_fifty_charges_at_two_servers_the_three_that_fit_succeed() -> Result<()> {
    let two = Two::start().await?;
    let db = PgPool::connect(two.database.url()).await?;
    let head = async || -> Result<i64> {
        Ok(sqlx::query_scalar("select max(position) from events").fetch_one(&db).await?)
    };
    let before = head().await?;
    let charges = (0..50).map(|number| {
        let person = if number % 2 == 0 { &two.at_a } else { &two.at_b };
        let body = json!({"operation": "post_creations"});
        let charge = person.post("/api/usage/increment").json(&body);
        async move {
            let response = charge.send().await?;
            anyhow::Ok((response.status().as_u16(), response.json::<Value>().await?))
        }
    });
    let answers = try_join_all(charges).await?;
    let (good, bad): (Vec<_>, Vec<_>) = answers.into_iter().partition(|(status, _)| *status == 200);
    assert_eq!((good.len(), bad.len()), (3, 47), "{bad:#?}");
    for (status, body) in &bad {
        assert_eq!((*status, &body["error"]), (403, &json!("tier_limit_reached")), "{body}");
        assert_eq!((&body["ok"], &body["reason"]), (&json!(false), &json!("limit_reached")));
    }
    assert_eq!(head().await? - before, 3, "refusals leave no trace");
    db.close().await;
    two.end().await
}

/// How much longer the only lease holds, in seconds by the database's clock.
async fn holds(db: &PgPool) -> Result<f64> {
    let left = "select extract(epoch from held_until - now())::float8 from subscription_owners";
    Ok(sqlx::query_scalar(left).fetch_one(db).await?)
}

async fn lapse(db: &PgPool, by: &str) -> Result<()> {
    sqlx::query("update subscription_owners set held_until = now() - $1::interval")
        .bind(by)
        .execute(db)
        .await?;
    Ok(())
}

#[tokio::test]
async fn one_node_at_a_time_delivers_a_persistent_subscription() -> Result<()> {
    let database = Database::create().await?;
    let db = PgPool::connect(&database.url()).await?;
    let [a, b] = [(); 2].map(|()| Leases::new(db.clone(), Uuid::new_v4()));
    let [at_a, at_b] = [1, 2].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    let group = GroupId(Uuid::new_v4());
    let theirs = |at: SocketAddr| Claim::Theirs(at.ip().to_string(), at.port());

    assert_eq!(a.claim(group, at_a).await?, Claim::Ours);
    assert_eq!(b.claim(group, at_b).await?, theirs(at_a), "another is told where");
    b.release(group).await;
    assert_eq!(b.claim(group, at_b).await?, theirs(at_a), "nobody gives back another's");

    lapse(&db, "-1 second").await?;
    assert_eq!(a.claim(group, at_a).await?, Claim::Ours);
    assert!(holds(&db).await? > 5.0, "a claim made again holds longer");
    assert_eq!(b.claim(group, at_b).await?, theirs(at_a));

    lapse(&db, "1 second").await?;
    assert_eq!(b.claim(group, at_b).await?, Claim::Ours, "what has lapsed is anybody's");
    assert_eq!(a.claim(group, at_a).await?, theirs(at_b));
    b.release(group).await;
    assert_eq!(
        a.claim(group, at_a).await?,
        Claim::Ours,
        "what is given back is waited for by nobody"
    );

    let again = Leases::new(db.clone(), Uuid::new_v4());
    assert_eq!(
        again.claim(group, at_a).await?,
        Claim::Ours,
        "who listens there now is there alone"
    );

    lapse(&db, "2 hours").await?;
    b.release(GroupId(Uuid::new_v4())).await;
    let kept: i64 =
        sqlx::query_scalar("select count(*) from subscription_owners").fetch_one(&db).await?;
    assert_eq!(kept, 0, "what nobody asks for is forgotten");
    db.close().await;
    database.remove().await
}
