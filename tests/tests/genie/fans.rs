use crate::world::{World, ask, good, refused};
use annals_tests::{app::Person, audit::audit};
use anyhow::{Context, Result};
use domain::{
    Metadata,
    billing::Tier,
    user::{self, Role, User},
};
use serde_json::{Value, json};
use uuid::Uuid;

const PATH: &str = "/api/fans";

async fn keep(who: &Person, fan: Value) -> Result<String> {
    let kept = good(who.post(PATH).json(&fan)).await?;
    Ok(kept["data"]["id"].as_str().context("an id")?.to_owned())
}

async fn names(who: &Person, query: &str) -> Result<Vec<String>> {
    let page = good(who.get(&format!("{PATH}?{query}"))).await?;
    let data = page["data"].as_array().context("a list")?;
    Ok(data.iter().map(|fan| fan["display_name"].as_str().unwrap_or("?").to_owned()).collect())
}

fn fan(number: u32, more: Value) -> Value {
    let mut fan = json!({"platform": "onlyfans", "platform_fan_id": number.to_string()});
    if let (Some(fan), Some(more)) = (fan.as_object_mut(), more.as_object()) {
        fan.extend(more.clone());
    }
    fan
}

#[tokio::test]
async fn a_fan_is_one_person_with_accounts_and_what_is_remembered() -> Result<()> {
    let world = World::start().await?;
    let ann = world.creator("ann").await?;
    let first = fan(7, json!({"handle": "bob", "totalSpend": "12.5", "memories": ["cats 🐈"]}));
    let (status, created) = ask(ann.post(PATH).json(&first)).await?;
    assert_eq!((status, &created["data"]["display_name"]), (201, &json!("bob")));
    let id = created["data"]["id"].as_str().context("an id")?;
    let head = world.app.app.log.head().await?;
    assert_eq!(ask(ann.post(PATH).json(&first)).await?.0, 200);
    assert_eq!(world.app.app.log.head().await?, head, "the same again is nothing new");
    let linked = json!({"id": id, "platform": "Fansly", "platform_fan_id": "b",
                        "subscription": {"status": "expired", "renews_at": "2026-12-01"}});
    assert_eq!(keep(&ann, linked).await?, id);
    let again = json!({"platform": "fansly", "platform_fan_id": "b", "name": "Bob 李"});
    assert_eq!(keep(&ann, again).await?, id, "known by any of their accounts");
    let shown = good(ann.get(&format!("{PATH}/{id}"))).await?["data"].clone();
    assert_eq!((&shown["display_name"], &shown["total_spend"]), (&json!("Bob 李"), &json!(12.5)));
    let accounts = json!([
        {"platform": "fansly", "platform_fan_id": "b", "handle": null,
         "subscription": {"status": "expired", "renews_at": "2026-12-01T00:00:00.000Z"}},
        {"platform": "onlyfans", "platform_fan_id": "7", "handle": "bob", "subscription": null},
    ]);
    assert_eq!(shown["platform_accounts"], accounts);
    keep(&ann, fan(8, json!({}))).await?;
    let taken = json!({"id": id, "platform": "onlyfans", "platform_fan_id": "8"});
    assert_eq!(refused(ann.post(PATH).json(&taken)).await?, (400, "account_taken".to_owned()));
    for wide in [false, true] {
        let query = format!("{PATH}/{id}?include=memories,purchases");
        let shown = good(ann.get(&query)).await?["data"].clone();
        assert_eq!(shown.get("memories").is_some(), wide);
        assert_eq!(shown.get("purchases").is_some(), wide);
        assert_eq!(shown.get("sentiment").is_some(), wide);
        if wide {
            assert_eq!(shown["memories"][0]["text"], "cats 🐈");
        }
        let pro = user::Command::ChangeTier(Tier::named("pro"));
        world.app.app.execute::<User>(&ann.user, &pro, &Metadata::system(Uuid::nil())).await?;
        world.app.settled().await?;
    }
    let memory = ann.post(&format!("{PATH}/{id}/memories")).json(&json!({"text": "tea"}));
    good(memory).await?;
    let page = good(ann.get(&format!("{PATH}?include=memories&search=li"))).await?;
    assert_eq!(page["data"], json!([]));
    let page = good(ann.get(&format!("{PATH}?include=memories&search=李"))).await?;
    assert_eq!(page["data"][0]["memories"][0]["text"], "tea", "the latest first");
    audit(&world.app.database_url()).await?;
    world.app.stop().await
}

#[tokio::test]
async fn lists_are_filtered_sorted_and_paged() -> Result<()> {
    let world = World::start().await?;
    let ann = world.creator("ann").await?;
    for (number, more) in [
        (1, json!({"name": "Cy", "total_spend": 5, "last_contact_at": "2026-11-01"})),
        (2, json!({"name": "al", "total_spend": 30.25, "stage": "churned"})),
        (
            3,
            json!({"name": "Bo", "total_spend": 5, "last_contact_at": "2026-11-03",
                   "aliases": ["50%_off"]}),
        ),
    ] {
        keep(&ann, fan(number, more)).await?;
    }
    keep(&ann, json!({"platform": "x", "platform_fan_id": "9", "name": "Di", "handle": "dIdI"}))
        .await?;
    for (query, expected) in [
        ("sort=display_name", vec!["al", "Bo", "Cy", "Di"]),
        ("sort=-display_name&limit=2", vec!["Di", "Cy"]),
        ("sort=display_name&limit=2&offset=3", vec!["Di"]),
        ("limit=1", vec!["al"]),
        ("sort=-last_contact_at&limit=2", vec!["Bo", "Cy"]),
        ("sort=last_contact_at&limit=2", vec!["Cy", "Bo"]),
        ("platform=X", vec!["Di"]),
        ("stage=churned", vec!["al"]),
        ("min_spend=30.25", vec!["al"]),
        ("min_spend=30.26", vec![]),
        ("search=DID", vec!["Di"]),
        ("search=50%25_", vec!["Bo"]),
        ("search=%25", vec!["Bo"]),
        ("limit=0", vec![]),
        ("offset=99", vec![]),
    ] {
        assert_eq!(names(&ann, query).await?, expected, "{query}");
    }
    let page = good(ann.get(&format!("{PATH}?stage=active&limit=1"))).await?;
    assert_eq!(page["meta"], json!({"total_count": 4, "filter_count": 3}));
    for query in [
        "limit=x",
        "limit=-1",
        "offset=-1",
        "sort=id",
        "sort=notes",
        "stage=gone",
        "min_spend=-1",
        "min_spend=x",
        "include=all",
        "search=%00",
    ] {
        assert_eq!(refused(ann.get(&format!("{PATH}?{query}"))).await?.0, 400, "{query}");
    }
    world.app.stop().await
}

/// §16.12
#[tokio::test]
async fn anothers_fans_do_not_exist() -> Result<()> {
    let world = World::start().await?;
    let (ann, bob) = (world.creator("ann").await?, world.creator("bob").await?);
    let vic = world.person("vic", Role::Viewer).await?;
    let id = keep(&ann, fan(7, json!({}))).await?;
    let theirs = keep(&bob, fan(7, json!({}))).await?;
    assert_ne!(id, theirs, "the same account is another fan to another creator");
    let path = format!("{PATH}/{id}");
    for stranger in [&bob, &vic, &world.admin().await?] {
        let unknown = ask(stranger.get(&format!("{PATH}/{}", Uuid::nil()))).await?;
        assert_eq!((unknown.0, ask(stranger.get(&path)).await?), (404, unknown.clone()));
        assert_eq!(names(stranger, "search=7").await?.is_empty(), stranger.user != bob.user);
    }
    let head = world.app.app.log.head().await?;
    let memory = json!({"text": "x"});
    assert_eq!(refused(bob.post(&format!("{path}/memories")).json(&memory)).await?.0, 404);
    let changed = json!({"id": id, "name": "mine"});
    assert_eq!(refused(bob.post(PATH).json(&changed)).await?.0, 404);
    let unknown = json!({"id": Uuid::nil(), "name": "mine"});
    assert_eq!(refused(bob.post(PATH).json(&unknown)).await?.0, 404);
    assert_eq!(refused(vic.post(PATH).json(&fan(1, json!({})))).await?.0, 403);
    for body in [
        json!({}),
        json!({"platform": "x"}),
        json!({"name": "nobody"}),
        fan(1, json!({"total_spend": -1})),
        fan(1, json!({"currency": "dollars"})),
        fan(1, json!({"name": "a\u{0}b"})),
        fan(1, json!({"platform": "a b"})),
        fan(1, json!({"memories": ["x".repeat(2_001)]})),
        json!({"id": id, "notes": 7}),
    ] {
        assert_eq!(refused(ann.post(PATH).json(&body)).await?.0, 400, "{body}");
    }
    assert_eq!(refused(ann.post(&format!("{path}/memories")).json(&json!({}))).await?.0, 400);
    assert_eq!(world.app.app.log.head().await?, head);
    world.app.app.identity.delete(&ann.user, &Metadata::system(Uuid::nil())).await?;
    world.app.settled().await?;
    let left: i64 = sqlx::query_scalar("select count(*) from fans where owner = $1")
        .bind(ann.user.as_str())
        .fetch_one(&world.app.app.db)
        .await?;
    assert_eq!(left, 0, "they go with their creator");
    audit(&world.app.database_url()).await?;
    world.app.stop().await
}
