use crate::world::{World, ask, good, refused};
use annals_tests::{
    app::Person,
    process::{Folder, eventually},
};
use anyhow::{Context, Result};
use commands::log::{Batch, Filter};
use domain::Position;
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use uuid::Uuid;

fn goose(who: &Person, operation: &str, params: Value) -> RequestBuilder {
    who.post("/api/goose").json(&json!({"operation": operation, "params": params}))
}

async fn recorded(world: &World, filter: &Filter) -> Result<Batch> {
    Ok(world.app.app.log.read_all(Position::START, 10_000, filter).await?.events)
}

#[tokio::test]
async fn administrators_do_what_is_on_the_list() -> Result<()> {
    let world = World::start().await?;
    let (admin, ann) = (world.admin().await?, world.creator("ann").await?);
    let status = good(goose(&admin, "status", json!({}))).await?;
    assert!(status["result"]["events"].as_u64() > Some(0) && status["operation"] == "status");
    let pro = json!({"userId": ann.user, "tier": "pro", "period": "monthly", "start": "2026-01-31T00:00:00Z"});
    assert_eq!(good(goose(&admin, "users.set_tier", pro)).await?["result"]["tier"], "pro");
    assert_eq!(good(ann.get("/api/usage")).await?["limits"]["post_creations"], 200);
    let codes = good(goose(&admin, "invites.create", json!({"count": 3}))).await?;
    assert_eq!(codes["result"]["codes"].as_array().map(Vec::len), Some(3));
    let suspended = json!({"userId": ann.user, "status": "suspended"});
    good(goose(&admin, "users.set_status", suspended)).await?;
    assert_eq!(ask(ann.get("/users/me")).await?.0, 401);
    let listed = good(goose(&admin, "users.list", json!({"limit": 1}))).await?;
    assert_eq!(listed["result"]["total_count"], 2);
    good(goose(&admin, "users.erase", json!({"userId": ann.user}))).await?;
    assert_eq!(refused(goose(&admin, "users.erase", json!({"userId": ann.user}))).await?.0, 404);
    world.app.stop().await
}

/// §16.14
#[tokio::test]
async fn nobody_else_does_and_nothing_else_is_done() -> Result<()> {
    let world = World::start().await?;
    let (admin, ann) = (world.admin().await?, world.creator("ann").await?);
    assert_eq!(refused(goose(&ann, "status", json!({}))).await?.0, 403);
    let begun = admin.post("/api/impersonate").json(&json!({"userId": ann.user}));
    let token = good(begun).await?["access_token"].as_str().context("a token")?.to_owned();
    let as_ann = Person::calling(&world.app.base_url, &format!("Bearer {token}"))?;
    let forbidden = (403, "impersonation_forbidden".to_owned());
    assert_eq!(refused(goose(&as_ann, "status", json!({}))).await?, forbidden);
    for (operation, params) in [
        ("shell", json!({})),
        ("users.set_tier", json!({"userId": ann.user})),
        ("users.set_tier", json!({"userId": ann.user, "tier": "platinum"})),
        ("users.set_status", json!({"userId": ann.user, "status": "gone"})),
        ("invites.create", json!({"count": 101})),
        ("users.list", json!({"limit": "all"})),
        ("invites.create", json!({"maxUses": 0})),
        ("audit.tail", json!({"limit": 0})),
        ("projections.rebuild", json!({"name": "nothing"})),
        ("projections.state", json!({"id": "x"})),
    ] {
        assert_eq!(refused(goose(&admin, operation, params)).await?.0, 400, "{operation}");
    }
    assert_eq!(world.count("OperationCalled").await?, 0, "what makes no sense leaves nothing");
    assert_eq!(refused(admin.post("/api/goose").json(&json!({}))).await?.0, 400);
    world.app.stop().await
}

#[tokio::test]
async fn every_call_is_an_event_without_secrets() -> Result<()> {
    let world = World::start().await?;
    let (admin, ann) = (world.admin().await?, world.creator("ann").await?);
    let params = json!({"userId": ann.user, "tier": "pro", "password": "hunter2 hunter2"});
    good(goose(&admin, "users.set_tier", params)).await?;
    good(goose(&admin, "invites.create", json!({"maxUses": 2}))).await?;
    let said = json!({"platform": "x", "content_text": "dear diary"});
    good(ann.post("/api/posts/schedule").json(&said)).await?;
    let tail = good(goose(&admin, "audit.tail", json!({"limit": 500}))).await?;
    let events = tail["result"]["events"].as_array().context("events")?;
    assert!(events[0]["type"] == "OperationCalled" && events.len() > 10);
    let called = events.iter().find(|event| event["data"]["params"]["tier"] == "pro");
    assert_eq!(called.context("the call")?["data"]["operation"], "users.set_tier");
    let all = recorded(&world, &Filter::all()).await?;
    let all: String = all.iter().map(|event| event.data.get()).collect();
    assert!(!all.contains("hunter2") && all.contains("[redacted]"));
    assert!(!tail.to_string().contains("dear diary"));
    let of_ann = json!({"userId": ann.user, "limit": 5});
    let of_ann = good(goose(&admin, "audit.tail", of_ann)).await?;
    let of_ann = of_ann["result"]["events"].as_array().context("events")?;
    assert!(!of_ann.is_empty() && of_ann.iter().all(|event| event["actor"] == of_ann[0]["actor"]));
    assert_eq!(of_ann[0]["type"], "PostDrafted");
    world.app.stop().await
}

#[tokio::test]
async fn drained_queues_begin_nothing_until_they_are_resumed_on_any_node() -> Result<()> {
    let world = World::start().await?;
    let (admin, ann) = (world.admin().await?, world.creator("ann").await?);
    let other = annals_tests::app::TestApp::on(&world.app.database_url(), &[]).await?;
    for _ in 0..2 {
        let drained = good(goose(&admin.at(&other), "queue.drain", json!({}))).await?;
        assert_eq!(drained["result"]["state"], "drained");
    }
    let id = Uuid::new_v4();
    let wish = json!({"jobId": id, "operation": "scrape_profile"});
    good(ann.post("/api/queue/media").json(&wish)).await?;
    let stats = good(ann.get("/api/queue/stats")).await?["stats"]["scrape-jobs"].clone();
    assert_eq!((&stats["waiting"], &stats["active"]), (&json!(1), &json!(0)));
    assert_eq!(good(goose(&admin, "status", json!({}))).await?["result"]["queue_state"], "drained");
    assert_eq!(world.count("JobStarted").await?, 0);
    assert_eq!(good(goose(&admin, "queue.resume", json!({}))).await?["result"]["state"], "running");
    eventually("the end of the job", async || {
        let job = good(ann.get(&format!("/api/queue/jobs/{id}"))).await?;
        Ok((job["job"]["status"] == "failed").then_some(()))
    })
    .await?;
    assert_eq!((world.count("QueueDrained").await?, world.count("QueueResumed").await?), (1, 1));
    other.stop().await?;
    world.app.stop().await
}

#[tokio::test]
async fn skills_are_read_anew_by_all_nodes() -> Result<()> {
    let folder = Folder::new("genie-skills");
    std::fs::create_dir_all(folder.path())?;
    let place = folder.path().to_string_lossy().into_owned();
    let write = |name: &str, text: &str| {
        let text = format!("---\nname: {name}\ncategory: x\ndescription: {text}\n---\nText");
        std::fs::write(folder.path().join(format!("{name}.md")), text)
    };
    write("one", "1")?;
    write("two", "2")?;
    let settings = [("ANNALS_GENIE_SKILLS", place.as_str())];
    let world = World::with(&settings).await?;
    let other = annals_tests::app::TestApp::on(&world.app.database_url(), &settings).await?;
    let (admin, ann) = (world.admin().await?, world.creator("ann").await?);
    write("two", "3")?;
    write("three", "4")?;
    std::fs::remove_file(folder.path().join("one.md"))?;
    let reloaded = good(goose(&admin, "skills.reload", json!({}))).await?["result"].clone();
    let counts = [&reloaded["added"], &reloaded["changed"], &reloaded["removed"]];
    assert_eq!(counts, [&json!(1), &json!(1), &json!(1)]);
    assert_eq!(good(ann.get("/api/skills/two")).await?["data"]["description"], "3");
    assert_eq!(refused(ann.get("/genie/api/skills/one")).await?.0, 404);
    eventually("the other node", async || {
        Ok((ask(ann.at(&other).get("/api/skills/three")).await?.0 == 200).then_some(()))
    })
    .await?;
    other.stop().await?;
    world.app.stop().await
}

/// §16.10
#[tokio::test]
async fn rebuilt_read_models_answer_the_same_bytes() -> Result<()> {
    let world = World::start().await?;
    let (admin, ann) = (world.admin().await?, world.creator("ann").await?);
    let code = good(goose(&admin, "invites.create", json!({"maxUses": 2}))).await?;
    let code = code["result"]["codes"][0].as_str().context("a code")?.to_owned();
    let body = json!({"email": "new@example.org", "password": "long enough", "inviteCode": code});
    good(world.app.nobody()?.post("/api/register").json(&body)).await?;
    good(ann.post("/api/captions/generate")).await?;
    let counted = json!({"operation": "taxonomy_tags", "amount": 3});
    good(ann.post("/api/usage/increment").json(&counted)).await?;
    let state = json!({"state": "DATA_COLLECTION"});
    good(ann.request(reqwest::Method::PATCH, "/api/onboarding").json(&state)).await?;
    let post = json!({"platform": "x", "content_text": "hi", "scheduled_time": "2027-03-01T10:00:00+02:00"});
    let post = good(ann.post("/api/posts/schedule").json(&post)).await?;
    let post = post["post"]["id"].as_str().context("an id")?.to_owned();
    let job = Uuid::new_v4();
    let wish = json!({"jobId": job, "operation": "convert_image", "inputFileId": Uuid::new_v4()});
    good(ann.post("/api/queue/media").json(&wish)).await?;
    eventually("the end of the job", async || {
        let stats = good(ann.get("/api/queue/stats")).await?;
        let usage = good(ann.get("/api/usage")).await?;
        let back = usage["usage"]["media_modifications"] == 0;
        Ok((stats["stats"]["media-jobs"]["failed"] == 1 && back).then_some(()))
    })
    .await?;
    let mut paths: Vec<String> = [
        "/api/queue/stats",
        "/api/usage",
        "/api/onboarding",
        "/api/posts",
        "/users/me",
        "/genie/api/skills",
        "/genie/api/skills/trim-video",
        "/api/skills/trim-video/related",
    ]
    .map(str::to_owned)
    .to_vec();
    paths.extend([format!("/api/queue/jobs/{job}"), format!("/api/posts/{post}")]);
    let answers = async || {
        let mut all = Vec::new();
        for path in &paths {
            all.push(ann.get(path).send().await?.error_for_status()?.text().await?);
        }
        for path in ["/api/admin/invites".to_owned(), format!("/api/invite/{code}")] {
            all.push(admin.get(&path).send().await?.error_for_status()?.text().await?);
        }
        anyhow::Ok(all)
    };
    let before = answers().await?;
    let rebuilt = good(goose(&admin, "projections.rebuild", json!({}))).await?["result"].clone();
    assert!(
        rebuilt["state"] == "completed" && rebuilt["events_read"].as_u64() > Some(10),
        "{rebuilt}"
    );
    assert_eq!(answers().await?, before);
    let ended = recorded(&world, &Filter::all().kinds(&["OperationEnded"])).await?;
    let id = ended[0].stream.key().to_owned();
    let state = good(goose(&admin, "projections.state", json!({"id": id}))).await?;
    assert_eq!(state["result"], rebuilt);
    let unknown = json!({"id": Uuid::new_v4()});
    assert_eq!(refused(goose(&admin, "projections.state", unknown)).await?.0, 404);
    world.app.stop().await
}
