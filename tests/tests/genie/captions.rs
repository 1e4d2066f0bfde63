use crate::world::{World, ask, good, refused};
use annals_tests::{
    app::Person,
    model_server::{ModelServer, Script},
    process::{Folder, Setup, eventually},
};
use anyhow::{Context, Result};
use domain::user::Role;
use futures::future::try_join_all;
use serde_json::json;

const PATH: &str = "/api/captions/generate";

/// §16.4
#[tokio::test]
async fn of_fifty_at_once_three_are_written() -> Result<()> {
    let world = World::start().await?;
    let ann = world.creator("ann").await?;
    let answers = try_join_all((0..50).map(|_| ask(ann.post(PATH)))).await?;
    let (good, bad): (Vec<_>, Vec<_>) = answers.into_iter().partition(|(status, _)| *status == 200);
    assert_eq!((good.len(), bad.len()), (3, 47));
    for (_, body) in good {
        assert_eq!((&body["model"], &body["platform"]), (&json!("template"), &json!("onlyfans")));
        assert!(body["caption"].as_str().is_some_and(|text| text.contains("new content drop")));
    }
    for (status, body) in bad {
        let told = (status, &body["error"], &body["reason"]);
        assert_eq!(told, (403, &json!("tier_limit_reached"), &json!("limit_reached")));
    }
    let usage = crate::world::good(ann.get("/api/usage")).await?;
    assert_eq!(usage["remaining"]["post_creations"], 0);
    world.app.stop().await
}

#[tokio::test]
async fn what_came_to_nothing_is_not_charged() -> Result<()> {
    let settings = [
        ("ANNALS_LLM_BASE_URL", "http://127.0.0.1:9"),
        ("ANNALS_LLM_API_KEY", "k"),
        ("ANNALS_LLM_MODEL", "m"),
    ];
    let world = World::with(&settings).await?;
    let ann = world.creator("ann").await?;
    assert_eq!(refused(ann.post(PATH)).await?, (500, "generation_failed".to_owned()));
    assert_eq!(good(ann.get("/api/usage")).await?["usage"]["post_creations"], 0);
    assert_eq!((world.count("UsageReleased").await?, world.count("UsageConfirmed").await?), (1, 0));
    world.app.stop().await
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_and_costs_nothing() -> Result<()> {
    let world = World::start().await?;
    let ann = world.creator("ann").await?;
    for body in [
        json!({"platform": "myspace"}),
        json!({"length": "endless"}),
        json!({"tone": "x".repeat(201)}),
        json!({"topic": "x".repeat(501)}),
        json!({"topic": 7}),
    ] {
        assert_eq!(refused(ann.post(PATH).json(&body)).await?.0, 400, "{body}");
    }
    let viewer = world.person("vic", Role::Viewer).await?;
    assert_eq!(refused(viewer.post(PATH)).await?, (403, "forbidden".to_owned()));
    assert_eq!(world.count("UsageReserved").await?, 0);
    world.app.stop().await
}

/// §16.4
#[tokio::test]
async fn an_allowance_that_cannot_be_determined_allows_nothing_and_shows_zeros() -> Result<()> {
    let limits = r#"{"creator": {"post_creations": 3}}"#;
    let world = World::with(&[("ANNALS_TIER_LIMITS", limits)]).await?;
    let ann = world.creator("ann").await?;
    let (status, body) = ask(ann.post(PATH)).await?;
    assert_eq!((status, &body["reason"]), (403, &json!("quota_check_failed")));
    assert_eq!(good(ann.get("/api/usage")).await?["usage"]["post_creations"], 0);
    world.app.stop().await
}

#[tokio::test]
async fn a_caption_whose_server_dies_is_neither_lost_nor_charged_twice() -> Result<()> {
    let model = ModelServer::start(Script { silent: true, ..Script::default() }).await?;
    let folder = Folder::new("genie-captions");
    let setup = Setup::embedded(folder.path())
        .with_model(&model.base_url())
        .with("ANNALS_ALLOW_PRIVATE_URLS", "true");
    let server = setup.start().await?;
    let admin = server.admin().await?;
    let usage = async |who: &Person| {
        anyhow::Ok(good(who.get("/api/usage")).await?["usage"]["post_creations"].clone())
    };
    let asked = tokio::spawn(admin.post(PATH).send());
    eventually("the model's turn", async || Ok((model.calls().count() == 1).then_some(()))).await?;
    server.kill()?;
    assert!(asked.await?.is_err(), "nobody was told of a caption");

    model.follow(Script { deltas: 3, ..Script::default() });
    let server = setup.start().await?;
    let admin = server.admin().await?;
    assert_eq!(usage(&admin).await?, 1, "held until it cannot be going on any more");
    good(admin.post(PATH)).await?;
    assert_eq!(usage(&admin).await?, 2);
    let events = good(admin.get("/v1/events?category=quota")).await?;
    let events = events["events"].as_array().context("events")?.clone();
    let kinds: Vec<_> = events.iter().map(|event| event["type"].as_str()).collect();
    let expected = ["UsageReserved", "UsageReserved", "UsageConfirmed"];
    assert_eq!(kinds, expected.map(Some));
    let first = &events[0]["data"];
    assert_ne!(first["reservation"], events[2]["data"]["reservation"]);
    let ends: chrono::DateTime<chrono::Utc> =
        first["expires_at"].as_str().context("an end")?.parse()?;
    assert!(ends < chrono::Utc::now() + chrono::TimeDelta::minutes(2));
    server.stop().await
}
