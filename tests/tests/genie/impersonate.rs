use crate::world::{World, ask, good, refused};
use annals_tests::app::Person;
use anyhow::{Context, Result};
use commands::log::Filter;
use domain::{Metadata, Position, user::Role};
use serde_json::{Value, json};

async fn act_as(world: &World, admin: &Person, user: &str) -> Result<Person> {
    let wish = json!({"userId": user, "reason": " ticket 7 "});
    let begun = good(admin.post("/api/impersonate").json(&wish)).await?;
    assert_eq!(begun["expires"], 1_800_000);
    let token = begun["access_token"].as_str().context("a token")?;
    Person::calling(&world.app.base_url, &format!("Bearer {token}"))
}

/// §16.14
#[tokio::test]
async fn an_administrator_acts_as_somebody_and_both_are_on_record() -> Result<()> {
    let world = World::start().await?;
    let (admin, ann) = (world.admin().await?, world.creator("ann").await?);
    let as_ann = act_as(&world, &admin, ann.user.as_str()).await?;
    let me = good(as_ann.get("/users/me")).await?;
    assert_eq!(me["data"]["first_name"], "ann");
    let counted = json!({"operation": "taxonomy_tags"});
    good(as_ann.post("/api/usage/increment").json(&counted)).await?;
    let filter = Filter::all().kinds(&["UsageCharged"]);
    let page = world.app.app.log.read_all(Position::START, 10_000, &filter).await?;
    let metadata: Metadata = serde_json::from_str(page.events[0].metadata.get())?;
    assert_eq!(metadata.on_behalf_of, Some(ann.user.clone()));
    let admin_id = good(admin.get("/users/me")).await?["data"]["id"].clone();
    assert_eq!(json!(uuid::Uuid::parse_str(metadata.actor.as_str())?.to_string()), admin_id);
    let opened = Filter::all().kinds(&["LoginOpened"]);
    let opened = world.app.app.log.read_all(Position::START, 10_000, &opened).await?.events;
    let last: Value = serde_json::from_str(opened.last().context("a login")?.data.get())?;
    assert_eq!(
        (&last["impersonator"], &last["reason"]),
        (&json!(metadata.actor), &json!("ticket 7"))
    );
    let nested = as_ann.post("/api/impersonate").json(&json!({"userId": "x"}));
    assert_eq!(refused(nested).await?, (403, "impersonation_forbidden".to_owned()));
    assert_eq!(ask(as_ann.request("DELETE".parse()?, "/api/impersonate")).await?.0, 200);
    assert_eq!(ask(as_ann.get("/users/me")).await?.0, 401);
    assert_eq!(refused(admin.request("DELETE".parse()?, "/api/impersonate")).await?.0, 400);
    world.app.stop().await
}

#[tokio::test]
async fn who_may_not_act_as_whom() -> Result<()> {
    let world = World::start().await?;
    let (admin, ann) = (world.admin().await?, world.creator("ann").await?);
    let other = world.person("other", Role::Administrator).await?;
    let me = good(admin.get("/users/me")).await?["data"]["id"].clone();
    let begin = |who: &Person, body: Value| who.post("/api/impersonate").json(&body);
    for (who, body, status) in [
        (&ann, json!({"userId": other.user}), 403),
        (&admin, json!({"userId": me}), 400),
        (&admin, json!({"userId": other.user}), 403),
        (&admin, json!({"userId": "nobody"}), 404),
        (&admin, json!({}), 400),
        (&admin, json!({"userId": ann.user, "reason": "x".repeat(501)}), 400),
    ] {
        assert_eq!(refused(begin(who, body.clone())).await?.0, status, "{body}");
    }
    assert_eq!(world.count("LoginOpened").await?, 3);
    world.app.stop().await
}

#[tokio::test]
async fn who_administers_no_longer_acts_as_nobody_any_more() -> Result<()> {
    let world = World::start().await?;
    let (ann, other) =
        (world.creator("ann").await?, world.person("other", Role::Administrator).await?);
    let as_ann = act_as(&world, &other, ann.user.as_str()).await?;
    let demoted = json!({"userId": other.user, "role": "Creator"});
    let (name, secret) = crate::world::SECRET;
    let sync = world.app.nobody()?.post("/api/rbac-sync").header(name, secret).json(&demoted);
    good(sync).await?;
    assert_eq!(ask(as_ann.get("/users/me")).await?.0, 401);
    world.app.stop().await
}
