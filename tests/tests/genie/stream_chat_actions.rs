use crate::{
    queue::over,
    stream_chat::{Room, answered, chat, text_in, types},
    world::{ask, good, refused},
};
use annals_tests::{
    app::Person,
    audit::audit,
    form::Form,
    model_server::{ModelServer, Script},
    skill_archive::zip,
};
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn says(text: &str) -> Script {
    Script { says: Some(text.to_owned()), ..Script::default() }
}

/// What actions did, as clients are shown: name and status.
fn shown(events: &[Value]) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let actions = events.iter().filter_map(|event| event.get("action"));
    actions.map(|action| (text(&action["slug"]), text(&action["status"]))).collect()
}

fn named(all: &[(&str, &str)]) -> Vec<(String, String)> {
    all.iter().map(|(slug, status)| ((*slug).to_owned(), (*status).to_owned())).collect()
}

/// The outcomes on record, in order.
async fn audited(room: &Room) -> Result<Vec<Value>> {
    let filter = commands::log::Filter::all().kinds(&["ToolFinished"]);
    let log = &room.world.app.app.log;
    let page = log.read_all(domain::Position::START, 1_000, &filter).await?;
    page.events
        .iter()
        .map(|event| {
            let data: Value = serde_json::from_str(event.data.get())?;
            Ok(data["message"]["metadata"].clone())
        })
        .collect()
}

async fn kept(who: &Person, collection: &str) -> Result<Vec<Value>> {
    let body = good(who.get(&format!("/items/{collection}"))).await?;
    body["data"].as_array().cloned().context("a list")
}

/// §2.8, §16.3
#[tokio::test]
async fn what_the_model_wants_done_is_done_and_not_shown() -> Result<()> {
    let room = Room::open(&[]).await?;
    let ann = room.settled("ann").await?;
    room.model.follow(says(
        "Gern – ich merke es mir. [ACTION:taxonomy-tag:{\"text\": \"a new video ] }\"}] Done! \
         [ACTION:no-such:{}][1]",
    ));
    let (_, events) = answered(chat(&ann, "tag it")).await?;
    assert_eq!(text_in(&events), "Gern – ich merke es mir.  Done! [1]");
    let done = [("taxonomy-tag", "started"), ("taxonomy-tag", "success"), ("no-such", "miss")];
    assert_eq!(shown(&events), named(&done));
    let kinds = types(&events);
    assert_eq!(kinds[kinds.len() - 2..], ["stage_update", "finalizeResponseStream"]);
    assert!(events.iter().all(|event| !event.to_string().contains("ACTION")), "{events:?}");
    let outcomes = audited(&room).await?;
    assert_eq!(outcomes[0], json!({"slug": "taxonomy-tag", "outcome": "success"}));
    assert_eq!(outcomes[1], json!({"slug": "no-such", "outcome": "miss"}));
    let usage = good(ann.get("/api/usage")).await?;
    assert_eq!(usage["usage"]["taxonomy_tags"], 1);
    room.model.follow(Script::default());
    answered(chat(&ann, "which tags?")).await?;
    let told = room.told().join("\n");
    assert!(
        told.contains("announcement") && !told.contains("[ACTION:taxonomy-tag:{\"text\""),
        "{told}"
    );
    room.close().await
}

#[tokio::test]
async fn drafts_are_kept_for_their_owner_and_paid_for_once() -> Result<()> {
    let room = Room::open(&[]).await?;
    let (ann, bob) = (room.settled("ann").await?, room.settled("bob").await?);
    let tag = "[ACTION:post-create:{\"topic\": \"$5 for the sea\", \"platform\": \"x\"}]";
    room.model.follow(says(tag));
    for place in 1..=4 {
        let (_, events) = answered(chat(&ann, "draft it")).await?;
        // The tier of starters has three.
        let outcome = if place < 4 { "success" } else { "error" };
        assert_eq!(shown(&events)[1], ("post-create".to_owned(), outcome.to_owned()), "{place}");
        assert_eq!(text_in(&events), "");
    }
    let drafts = kept(&ann, "post_drafts").await?;
    assert_eq!(drafts.len(), 3);
    assert_eq!(
        (&drafts[0]["topic"], &drafts[0]["status"]),
        (&json!("$5 for the sea"), &json!("draft"))
    );
    assert_eq!(kept(&bob, "post_drafts").await?, Vec::<Value>::new());
    let usage = good(ann.get("/api/usage")).await?;
    assert_eq!(usage["usage"]["post_creations"], 3);
    room.close().await
}

#[tokio::test]
async fn jobs_of_actions_are_the_callers_and_more_than_five_actions_are_not_taken() -> Result<()> {
    let room = Room::open(&[]).await?;
    let ann = room.settled("ann").await?;
    let tag = "[ACTION:media-process:{\"operation\": \"strip_metadata\", \"input_file\": \"x\"}]";
    room.model.follow(says(&tag.repeat(7)));
    let (_, events) = answered(chat(&ann, "strip it")).await?;
    let statuses: Vec<String> = shown(&events).into_iter().map(|(_, status)| status).collect();
    let done = statuses.iter().filter(|status| *status == "success").count();
    let refused = statuses.iter().filter(|status| *status == "error").count();
    assert_eq!((done, refused), (5, 2), "{statuses:?}");
    assert_eq!(room.world.count("JobEnqueued").await?, 5);
    room.model.follow(says("[ACTION:media-process:{\"operation\": \"rm -rf\"}]"));
    let (_, events) = answered(chat(&ann, "go")).await?;
    assert_eq!(shown(&events)[1].1, "error");
    assert_eq!(room.world.count("JobEnqueued").await?, 5);
    // Not compared with the log: the jobs go on.
    room.world.app.stop().await
}

#[tokio::test]
async fn flows_are_changed_and_switched_off_by_the_operator() -> Result<()> {
    let path = std::env::temp_dir().join(format!("annals-flows-{}.json", uuid::Uuid::new_v4()));
    let flows = json!([
        {"slug": "taxonomy-tag", "name": "Off", "active": false, "steps": [{"type": "taxonomy_tag"}]},
        {"slug": "browse", "name": "Browsing", "steps": [
            {"type": "directus_write", "result_key": "node", "config": {
                "collection": "user_nodes", "fields": {"name": "$input.name", "content": "green"}}},
            {"type": "directus_update", "config": {
                "collection": "user_nodes", "id": "$node.id", "fields": {"content": "blue"}}},
            {"type": "directus_search", "result_key": "found", "config": {
                "collection": "user_nodes", "query": "$node.name"}},
            {"type": "stagehand_navigate", "config": {"url": "https://example.org"}},
            {"type": "directus_delete", "config": {
                "collection": "user_nodes", "id": "$node.id"}},
        ]},
    ]);
    std::fs::write(&path, flows.to_string())?;
    let place = path.to_string_lossy().into_owned();
    let room = Room::open(&[("ANNALS_GENIE_FLOWS", place.as_str())]).await?;
    std::fs::remove_file(&path)?;
    let ann = room.settled("ann").await?;
    room.model.follow(says(
        "[ACTION:taxonomy-tag:{\"text\": \"a\"}] [ACTION:browse:{\"name\": \"sea\"}]",
    ));
    let (_, events) = answered(chat(&ann, "go")).await?;
    let done = [("taxonomy-tag", "error"), ("browse", "started"), ("browse", "error")];
    assert_eq!(shown(&events), named(&done));
    let nodes = kept(&ann, "user_nodes").await?;
    assert_eq!((nodes.len(), &nodes[0]["content"]), (1, &json!("blue")), "{nodes:?}");
    room.model.follow(Script::default());
    answered(chat(&ann, "and?")).await?;
    let told = room.told().join("\n");
    assert!(told.contains("driver_not_configured") && told.contains("switched off"), "{told}");
    room.close().await
}

/// §2.7
#[tokio::test]
async fn the_model_is_told_what_is_known_of_its_own_user() -> Result<()> {
    let room = Room::open(&[]).await?;
    let (ann, bob) = (room.settled("ann").await?, room.settled("bob").await?);
    let node = |name: &str, content: &str, tags: &[&str]| json!({"name": name, "content": content, "tags": tags});
    for one in [
        node("Beach fan", "Loves the beach at dawn", &["beach"]),
        node("Cats", "Has two cats", &["cats"]),
    ] {
        good(ann.post("/items/user_nodes").json(&one)).await?;
    }
    let of_bob = good(bob.post("/items/user_nodes").json(&node("Bob", "beach of Bob", &["beach"])));
    let of_bob = of_bob.await?["data"]["id"].as_str().context("an id")?.to_owned();
    answered(chat(&ann, "Plan a post for the beach")).await?;
    let system = room.told()[0].clone();
    assert!(system.contains("Loves the beach at dawn"), "{system}");
    assert!(!system.contains("of Bob") && !system.contains("two cats"), "{system}");
    assert!(system.contains("[ACTION:") && system.contains("memory-recall"), "{system}");
    assert!(system.contains("Skills that may help:\n- "), "{system}");
    let long = "sea ".repeat(2_000);
    for number in 0..9 {
        let one = node(&format!("Sea {number}"), &long, &["sea"]);
        good(ann.post("/items/user_nodes").json(&one)).await?;
    }
    answered(chat(&ann, "the sea?")).await?;
    let system = room.told()[0].clone();
    let known = system.split("\n\n").find(|part| part.starts_with("What you know"));
    let known = known.context("what is known")?.len();
    assert!((1_900..2_200).contains(&known), "{known}");
    // Another's things are as good as none.
    let path = format!("/items/user_nodes/{of_bob}");
    assert_eq!(refused(ann.get(&path)).await?, (404, "not_found".to_owned()));
    let change = ann.request(reqwest::Method::PATCH, &path).json(&json!({"name": "mine"}));
    assert_eq!(refused(change).await?.0, 404);
    assert_eq!(refused(ann.request(reqwest::Method::DELETE, &path)).await?.0, 404);
    assert_eq!(ask(bob.request(reqwest::Method::DELETE, &path)).await?.0, 204);
    assert_eq!(refused(bob.get(&path)).await?.0, 404);
    assert_eq!(refused(ann.get("/items/directus_users")).await?.0, 404);
    let empty = ann.post("/items/user_nodes").json(&json!({}));
    assert_eq!(refused(empty).await?.0, 400);
    room.close().await
}

/// §2.7, §8: what somebody brings along is known from then on, until they are gone.
#[tokio::test]
async fn the_model_is_told_what_an_export_says_of_its_user() -> Result<()> {
    let room = Room::open(&[]).await?;
    let ann = room.world.creator("ann").await?;
    let nodes = json!({"nodes": [
        {"id": "n1", "name": "Beach fan", "content": "Loves the beach at dawn", "tags": ["beach"],
         "related": [{"id": "n2", "weight": 0.9}], "date_created": "2020-01-01"},
        {"id": "n2", "name": "Old camera", "content": "Takes a film camera along"},
        {"id": "n3", "name": "Too long", "content": "x".repeat(40_000)},
        {"id": "n4", "name": null}, "no node",
    ]});
    let archive = zip(&[("export/user_nodes.json", nodes.to_string().as_bytes())])?;
    let bring = async || -> Result<Value> {
        let back = json!({"state": "DATA_COLLECTION", "userId": ann.user});
        let admin = room.world.admin().await?;
        good(admin.request(reqwest::Method::PATCH, "/api/onboarding").json(&back)).await?;
        let form = Form::default().raw(b"name=\"file\"; filename=\"export.zip\"", &archive);
        let sent = ann.post("/api/onboarding/zip-upload");
        let sent = sent.header("content-type", form.media_type()).body(form.end());
        over(&ann, good(sent).await?["jobId"].as_str().context("a job")?.parse()?).await
    };
    let job = bring().await?;
    let result = (&job["status"], &job["result"]["nodes"], &job["result"]["skipped"]);
    assert_eq!(result, (&json!("completed"), &json!(4), &json!(3)), "{job}");
    let known = kept(&ann, "user_nodes").await?;
    assert_eq!(known.len(), 2, "{known:?}");
    answered(chat(&ann, "Plan a post for the beach")).await?;
    let system = room.told()[0].clone();
    assert!(system.contains("Loves the beach at dawn"), "{system}");
    assert!(system.contains("film camera"), "what is related to it, too: {system}");

    // The same again is nothing new, and what somebody has deleted stays deleted.
    let camera = known.iter().find(|node| node["name"] == "Old camera").context("a node")?;
    let path = format!("/items/user_nodes/{}", camera["id"].as_str().context("an id")?);
    assert_eq!(ask(ann.request(reqwest::Method::DELETE, &path)).await?.0, 204);
    assert_eq!(bring().await?["result"]["skipped"], 4);
    assert_eq!(kept(&ann, "user_nodes").await?.len(), 1);
    assert_eq!(room.world.count("ItemWritten").await?, 2);

    // It goes with the account.
    let gone = json!({"operation": "users.erase", "params": {"userId": ann.user}});
    good(room.world.admin().await?.post("/api/goose").json(&gone)).await?;
    room.world.app.settled().await?;
    let rows = projections::items::count(&room.world.app.app.db, &ann.user, "user_nodes").await?;
    assert_eq!(rows, 0);
    room.close().await
}

/// §2.9
#[tokio::test]
async fn administrators_have_a_model_of_their_own() -> Result<()> {
    let hosted = ModelServer::start(Script { deltas: 2, ..Script::default() }).await?;
    let url = hosted.base_url();
    let settings = [
        ("ANNALS_GENIE_ADMIN_LLM_BASE_URL", url.as_str()),
        ("ANNALS_GENIE_ADMIN_LLM_MODEL", "large"),
    ];
    let room = Room::open(&settings).await?;
    let (admin, ann) = (room.world.admin().await?, room.settled("ann").await?);
    answered(chat(&admin, "hello")).await?;
    answered(chat(&ann, "hello")).await?;
    assert_eq!((hosted.calls().count(), room.model.calls().count()), (1, 1));
    assert_eq!(hosted.calls().all()[0].body["model"], "large");
    room.close().await
}

/// §16.10
#[tokio::test]
async fn what_is_kept_is_the_same_after_a_rebuild() -> Result<()> {
    let room = Room::open(&[]).await?;
    let ann = room.settled("ann").await?;
    for name in ["a", "b\u{0}c", "ä😀"] {
        good(ann.post("/items/user_nodes").json(&json!({"name": name, "n": 1.0}))).await?;
    }
    let raw =
        async || -> Result<String> { Ok(ann.get("/items/user_nodes").send().await?.text().await?) };
    let before = raw().await?;
    let ids: BTreeSet<String> =
        kept(&ann, "user_nodes").await?.iter().map(|one| one["id"].to_string()).collect();
    assert_eq!(ids.len(), 3);
    let app = &room.world.app.app;
    app.projections.rebuild("items", |_| ()).await?;
    assert_eq!(raw().await?, before);
    audit(&room.world.app.database_url()).await?;
    room.close().await
}
