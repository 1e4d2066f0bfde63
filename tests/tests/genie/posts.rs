use crate::world::{World, ask, good, refused};
use annals_tests::{
    app::{Person, TestApp},
    process::{Folder, Setup, eventually},
};
use anyhow::{Context, Result};
use chrono::{TimeDelta, Utc};
use domain::{
    ids::PostId,
    post::{self, Command, Post},
    user::Role,
};
use futures::future::try_join_all;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use std::path::Path;
use uuid::Uuid;

const PATH: &str = "/api/posts/schedule";
/// How often the scheduler looks, in milliseconds.
const OFTEN: (&str, &str) = ("ANNALS_POST_SCHEDULER_MS", "50");

/// A driver that notes each post that it is given; while there is a file `hold`, it waits first.
const DRIVER: &str = r#"#!/bin/sh
here=$(dirname "$0")
wish=$(cat)
touch "$here/begun"
while [ -e "$here/hold" ]; do sleep 0.05; done
case "$wish" in *"fail me"*) echo "the platform says no" >&2; exit 1;; esac
echo "$1 $wish" >> "$here/posted"
echo '{"url": "https://example.org/1"}'
"#;

fn driver(folder: &Path) -> Result<String> {
    std::fs::create_dir_all(folder)?;
    let program = folder.join("driver");
    std::fs::write(&program, DRIVER)?;
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    Ok(program.to_string_lossy().into_owned())
}

fn posted(folder: &Path) -> usize {
    std::fs::read_to_string(folder.join("posted")).map_or(0, |text| text.lines().count())
}

fn schedule(who: &Person, text: &str, at: Option<TimeDelta>) -> RequestBuilder {
    let at = at.map(|at| (Utc::now() + at).to_rfc3339());
    who.post(PATH).json(&json!({"platform": "x", "content_text": text, "scheduled_time": at}))
}

fn now() -> Option<TimeDelta> {
    Some(TimeDelta::zero())
}

fn hour() -> Option<TimeDelta> {
    Some(TimeDelta::hours(1))
}

fn id(answer: &Value) -> Result<PostId> {
    Ok(answer["post"]["id"].as_str().context("an id")?.parse()?)
}

async fn over(who: &Person, id: PostId) -> Result<Value> {
    eventually("the end of the post", async || {
        let post = good(who.get(&format!("/api/posts/{id}"))).await?["post"].clone();
        Ok((post["status"] == "posted" || post["status"] == "failed").then_some(post))
    })
    .await
}

#[tokio::test]
async fn a_post_is_kept_listed_and_cancelled() -> Result<()> {
    let world = World::start().await?;
    let (ann, bob) = (world.creator("ann").await?, world.creator("bob").await?);
    let body = json!({"platform": "reddit", "caption": "Grüße 🦀", "scheduledTime": null,
        "platform_meta": {"subreddit": "rust", "title": "Hi"}});
    let (status, drafted) = ask(ann.post(PATH).json(&body)).await?;
    let post = &drafted["post"];
    let told = (status, &post["status"], &post["content_text"], &post["scheduled_time"]);
    assert_eq!(told, (201, &json!("draft"), &json!("Grüße 🦀"), &Value::Null));
    assert_eq!(drafted["quota"], json!({"limit": 3, "usage": 0, "remaining": 3}));
    let scheduled = good(schedule(&ann, "later", hour())).await?;
    assert_eq!(scheduled["quota"], json!({"limit": 3, "usage": 1, "remaining": 2}));
    let listed = good(ann.get("/api/posts?status=queued")).await?;
    assert_eq!(listed["meta"], json!({"total_count": 2, "filter_count": 1}));
    assert_eq!(listed["data"][0]["id"], scheduled["post"]["id"]);
    assert_eq!(good(bob.get("/api/posts")).await?["data"], json!([]));
    let path = format!("/api/posts/{}", id(&scheduled)?);
    for request in [bob.get(&path), bob.request(Method::DELETE, &path)] {
        assert_eq!(refused(request).await?, (404, "not_found".to_owned()));
    }
    good(ann.request(Method::DELETE, &path)).await?;
    assert_eq!(refused(ann.request(Method::DELETE, &path)).await?.0, 404);
    assert_eq!(refused(ann.get(&path)).await?.0, 404);
    assert_eq!(good(schedule(&ann, "again", hour())).await?["quota"]["usage"], 1);
    let kinds = ["PostDrafted", "PostScheduled", "PostCancelled", "PlaceTaken", "PlaceFreed"];
    let counts = try_join_all(kinds.map(|kind| world.count(kind))).await?;
    assert_eq!(counts, [3, 2, 1, 2, 1]);
    world.app.stop().await
}

#[tokio::test]
async fn of_many_at_once_as_many_wait_as_the_tier_allows() -> Result<()> {
    let world = World::start().await?;
    let ann = world.creator("ann").await?;
    let answers = try_join_all((0..12).map(|_| ask(schedule(&ann, "hi", hour())))).await?;
    let (good_ones, bad): (Vec<_>, Vec<_>) = answers.into_iter().partition(|a| a.0 == 201);
    assert_eq!((good_ones.len(), bad.len()), (3, 9));
    for (status, body) in bad {
        let told = (status, &body["error"], &body["reason"], &body["action"]);
        let expected = (
            403,
            &json!("tier_limit_reached"),
            &json!("limit_reached"),
            &json!("scheduled_queue_size"),
        );
        assert_eq!(told, expected);
    }
    assert_eq!(ask(schedule(&ann, "a draft", None)).await?.0, 201, "drafts take no place");
    // Somebody died between taking a place and freeing it: the place comes back.
    let cancelled = id(&good_ones[0].1)?;
    let metadata = domain::Metadata::system(Uuid::now_v7());
    world.app.app.execute::<Post>(&cancelled, &Command::Cancel, &metadata).await?;
    assert_eq!(ask(schedule(&ann, "hi", hour())).await?.0, 201);
    assert_eq!(ask(schedule(&ann, "hi", hour())).await?.0, 403);
    world.app.stop().await
}

#[tokio::test]
async fn the_same_key_is_the_same_post() -> Result<()> {
    let world = World::start().await?;
    let (ann, bob) = (world.creator("ann").await?, world.creator("bob").await?);
    let at = (Utc::now() + TimeDelta::hours(1)).to_rfc3339();
    let wish = |who: &Person, text: &str| {
        let body = json!({"platform": "x", "content": text, "scheduled_at": at});
        who.post(PATH).header("idempotency-key", "k-1").json(&body)
    };
    let answers = try_join_all((0..4).map(|_| good(wish(&ann, "hi")))).await?;
    assert!(answers.iter().all(|answer| answer["post"]["id"] == answers[0]["post"]["id"]));
    assert_eq!(refused(wish(&ann, "ho")).await?, (400, "post_conflict".to_owned()));
    assert_ne!(good(wish(&bob, "hi")).await?["post"]["id"], answers[0]["post"]["id"]);
    assert_eq!((world.count("PostDrafted").await?, world.count("PlaceTaken").await?), (2, 2));
    world.app.stop().await
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_and_leaves_nothing() -> Result<()> {
    let world = World::start().await?;
    let ann = world.creator("ann").await?;
    let at = |seconds: i64| (Utc::now() + TimeDelta::seconds(seconds)).to_rfc3339();
    for body in [
        json!({}),
        json!({"platform": "x"}),
        json!({"platform": "myspace", "content_text": "a"}),
        json!({"platform": "x", "content_text": "  "}),
        json!({"platform": "x", "content_text": "ü".repeat(281)}),
        json!({"platform": "onlyfans", "content_text": "a".repeat(5_001)}),
        json!({"platform": "reddit", "content_text": "a", "platform_meta": {"title": "t"}}),
        json!({"platform": "x", "content_text": "a", "platform_meta": []}),
        json!({"platform": "x", "content_text": "a", "scheduled_time": at(-120)}),
        json!({"platform": "x", "content_text": "a", "scheduled_time": at(400 * 86_400)}),
        json!({"platform": "x", "content_text": "a", "scheduled_time": "2027-01-01T10:00:00"}),
        json!({"platform": "x", "content_text": "a", "scheduled_time": 1_800_000_000}),
        json!({"platform": "x", "content_text": "a", "media_id": "m".repeat(201)}),
    ] {
        assert_eq!(refused(ann.post(PATH).json(&body)).await?.0, 400, "{body}");
    }
    for query in ["status=gone", "limit=-1", "offset=x"] {
        assert_eq!(refused(ann.get(&format!("/api/posts?{query}"))).await?.0, 400, "{query}");
    }
    let viewer = world.person("vic", Role::Viewer).await?;
    assert_eq!(refused(schedule(&viewer, "a", None)).await?, (403, "forbidden".to_owned()));
    assert_eq!(refused(schedule(&world.app.nobody()?, "a", None)).await?.0, 401);
    assert_eq!(world.count("PostDrafted").await? + world.count("PlaceTaken").await?, 0);
    world.app.stop().await
}

#[tokio::test]
async fn without_a_driver_nothing_pretends_to_have_been_posted() -> Result<()> {
    let world = World::with(&[OFTEN]).await?;
    let ann = world.creator("ann").await?;
    let post = over(&ann, id(&good(schedule(&ann, "hi", now())).await?)?).await?;
    let error = post["error_message"].as_str().context("a reason")?;
    assert!(post["status"] == "failed" && error.starts_with("driver_not_configured"), "{post}");
    assert_eq!((&post["posted_at"], world.count("PostPublished").await?), (&Value::Null, 0));
    eventually("a place that is free again", async || {
        let answer = good(schedule(&ann, "later", hour())).await?;
        let free = answer["quota"]["usage"] == 1;
        let path = format!("/api/posts/{}", id(&answer)?);
        good(ann.request(Method::DELETE, &path)).await?;
        Ok(free.then_some(()))
    })
    .await?;
    world.app.stop().await
}

#[tokio::test]
async fn a_post_follows_its_job_also_when_that_is_asked_for_again() -> Result<()> {
    let folder = Folder::new("genie-posts");
    let program = driver(folder.path())?;
    let world = World::with(&[OFTEN, ("ANNALS_PLATFORM_DRIVER", &program)]).await?;
    let ann = world.creator("ann").await?;
    let post = over(&ann, id(&good(schedule(&ann, "hi", now())).await?)?).await?;
    assert_eq!(
        (&post["status"], &post["result"]["url"]),
        (&json!("posted"), &json!("https://example.org/1"))
    );
    assert!(post["posted_at"].is_string() && posted(folder.path()) == 1);
    let failed = over(&ann, id(&good(schedule(&ann, "fail me", now())).await?)?).await?;
    let error = failed["error_message"].as_str().context("a reason")?;
    assert!(error.contains("the platform says no"), "{error}");
    let job = failed["publish_job_id"].as_str().context("a job")?;
    assert_eq!(world.count("JobStarted").await?, 2, "nothing is posted twice by itself");
    good(ann.post(&format!("/api/queue/retry/{job}"))).await?;
    eventually("the post's second failure", async || {
        Ok((world.count("PostFailed").await? == 2).then_some(()))
    })
    .await?;
    // Others' posts cannot be had by naming them in a job.
    let bob = world.creator("bob").await?;
    let wish = json!({"jobId": Uuid::new_v4(), "operation": "publish_post",
        "params": {"scheduled_post_id": failed["id"]}});
    let enqueued = good(bob.post("/api/queue/media").json(&wish)).await?;
    let job = enqueued["jobId"].as_str().context("an id")?.to_owned();
    let job = eventually("the end of the job", async || {
        let job = good(bob.get(&format!("/api/queue/jobs/{job}"))).await?["job"].clone();
        Ok((job["status"] == "failed").then_some(job))
    })
    .await?;
    assert!(job["error_message"].as_str().is_some_and(|text| text.contains("no such post")));
    assert_eq!(posted(folder.path()), 1);
    world.app.stop().await
}

#[tokio::test]
async fn two_nodes_publish_once_and_a_claim_without_a_job_is_taken_up() -> Result<()> {
    let folder = Folder::new("genie-posts");
    let program = driver(folder.path())?;
    let rarely = [("ANNALS_PLATFORM_DRIVER", program.as_str())];
    let world = World::with(&rarely).await?;
    let ann = world.creator("ann").await?;
    let claimed = id(&good(schedule(&ann, "claimed", now())).await?)?;
    // As by a node that dies right after.
    let publish = Command::Publish { job: post::job(claimed), now: Utc::now() };
    let metadata = domain::Metadata::system(Uuid::now_v7());
    world.app.app.execute::<Post>(&claimed, &publish, &metadata).await?;
    let due = id(&good(schedule(&ann, "due", now())).await?)?;
    world.app.settled().await?;
    let often = [OFTEN, rarely[0]];
    let url = world.app.database_url();
    let (one, other) = (TestApp::on(&url, &often).await?, TestApp::on(&url, &often).await?);
    for post in [claimed, due] {
        assert_eq!(over(&ann, post).await?["status"], "posted");
    }
    assert_eq!((posted(folder.path()), world.count("PostPublishing").await?), (2, 2));
    one.stop().await?;
    other.stop().await?;
    world.app.stop().await
}

/// §16.9
#[tokio::test]
async fn a_server_that_dies_publishes_once_or_says_that_it_does_not_know() -> Result<()> {
    let folder = Folder::new("genie-posts");
    let (program, data) = (driver(folder.path())?, folder.path().join("data"));
    let setup =
        Setup::embedded(&data).with(OFTEN.0, OFTEN.1).with("ANNALS_PLATFORM_DRIVER", &program);
    let server = setup.start().await?;
    let admin = server.admin().await?;
    let goose = |who: &Person, operation: &str| {
        good(who.post("/api/goose").json(&json!({"operation": operation})))
    };
    goose(&admin, "queue.drain").await?;
    let post = id(&good(schedule(&admin, "claimed", now())).await?)?;
    let publishing = eventually("a claim", async || {
        let post = good(admin.get(&format!("/api/posts/{post}"))).await?["post"].clone();
        Ok((post["status"] == "publishing").then_some(post))
    })
    .await?;
    assert!(publishing["publish_job_id"].is_string());
    server.kill()?;

    std::fs::write(folder.path().join("hold"), "")?;
    let server = setup.start().await?;
    let admin = server.admin().await?;
    goose(&admin, "queue.resume").await?;
    let begun = folder.path().join("begun");
    eventually("the driver", async || Ok(begun.exists().then_some(()))).await?;
    server.kill()?;
    std::fs::remove_file(folder.path().join("hold"))?;

    let server = setup.start().await?;
    let admin = server.admin().await?;
    let post = over(&admin, post).await?;
    assert_eq!(
        (&post["status"], &post["error_message"]),
        (&json!("failed"), &json!("interrupted"))
    );
    let fresh = over(&admin, id(&good(schedule(&admin, "fresh", now())).await?)?).await?;
    assert_eq!(fresh["status"], "posted");
    let stats = good(admin.get("/api/queue/stats")).await?["stats"]["scrape-jobs"].clone();
    assert_eq!(
        (&stats["completed"], &stats["failed"], &stats["active"]),
        (&json!(1), &json!(1), &json!(0))
    );
    server.stop().await
}
