use crate::world::{World, ask, good, refused};
use annals_tests::app::Person;
use anyhow::{Context, Result};
use reqwest::RequestBuilder;
use serde_json::{Value, json};

fn goose(who: &Person, operation: &str, params: Value) -> RequestBuilder {
    who.post("/api/goose").json(&json!({"operation": operation, "params": params}))
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
    ] {
        assert_eq!(refused(goose(&admin, operation, params)).await?.0, 400, "{operation}");
    }
    assert_eq!(refused(admin.post("/api/goose").json(&json!({}))).await?.0, 400);
    world.app.stop().await
}
