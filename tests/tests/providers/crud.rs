//! Saved, listed, changed, deleted.

use super::room::{KEY, MASKED, Room, answer, at, data, refused};
use anyhow::Result;
use reqwest::Method;
use serde_json::{Value, json};

/// The seed's example.
fn example() -> Value {
    json!({"name": "OpenAI Compatible", "base_url": "https://1.1.1.1/v1/", "api_keys": [KEY],
        "model": "gpt-4o", "max_tokens": 4096, "temperature": 0.7, "top_p": 1,
        "presence_penalty": 0, "max_model_len": 128_000, "supports_multimodal": true,
        "is_default": true, "unknown": {"key": 1}})
}

#[tokio::test]
async fn a_provider_is_saved_whole_and_its_key_is_masked() -> Result<()> {
    let room = Room::open().await?;
    let (_, session) = answer(room.ann.get("/api/auth/session")).await?;
    assert_eq!(session["data"]["has_provider"], false);

    let made = data(room.ann.post("/api/llm-provider/create").json(&example())).await?;
    let mut expected = example();
    expected.as_object_mut().unwrap().remove("unknown");
    for (key, value) in [
        ("base_url", json!("https://1.1.1.1/v1")),
        ("api_keys", json!([MASKED])),
        // As the seed notes it: a new provider is never the default.
        ("is_default", json!(false)),
        ("user_id", json!(room.ann.user)),
        ("provider_id", made["id"].clone()),
    ] {
        expected[key] = value;
    }
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(&made[key], value, "{key}");
    }
    assert!(made["created_at"].is_string() && made["updated_at"].is_string());
    assert_eq!(data(room.ann.get("/api/llm-provider/list")).await?, json!([made]));
    let (_, session) = answer(room.ann.get("/api/auth/session")).await?;
    assert_eq!(session["data"]["has_provider"], true);

    assert_eq!(data(at(&room.ann, Method::DELETE, "delete", &made)).await?, Value::Null);
    assert_eq!(data(room.ann.get("/api/llm-provider/list")).await?, json!([]));
    let again = refused(at(&room.ann, Method::DELETE, "delete", &made)).await?;
    assert_eq!(again, "Provider not found");
    let left: i64 = sqlx::query_scalar("select count(*) from secrets where subject like 'llm-%'")
        .fetch_one(&room.node.app.db)
        .await?;
    assert_eq!(left, 0, "the key is destroyed");
    room.close().await
}

#[tokio::test]
async fn lists_show_the_newest_first_and_defaults_are_filled_in() -> Result<()> {
    let room = Room::open().await?;
    let bare = json!({"base_url": "https://1.1.1.1/v1/chat/completions", "api_keys": [KEY],
        "model": "m"});
    let first = data(room.ann.post("/api/llm-provider/create").json(&bare)).await?;
    assert_eq!((&first["name"], &first["base_url"]), (&json!("m"), &json!("https://1.1.1.1/v1")));
    assert_eq!((&first["max_model_len"], &first["max_tokens"]), (&json!(64_000), &Value::Null));
    let second = data(room.ann.post("/api/llm-provider/create").json(&example())).await?;
    let list = data(room.ann.get("/api/llm-provider/list")).await?;
    assert_eq!(list, json!([second, first]));
    room.close().await
}

#[tokio::test]
async fn null_clears_absence_keeps_and_a_masked_key_is_no_key() -> Result<()> {
    let room = Room::open().await?;
    let made = data(room.ann.post("/api/llm-provider/create").json(&example())).await?;
    let patch = json!({"temperature": null, "max_model_len": null, "name": "Other",
        "api_keys": [MASKED]});
    let changed = data(at(&room.ann, Method::PUT, "update", &made).json(&patch)).await?;
    for (key, value) in [
        ("temperature", Value::Null),
        ("max_model_len", json!(64_000)),
        ("name", json!("Other")),
        ("max_tokens", json!(4096)),
        ("api_keys", json!([MASKED])),
        ("created_at", made["created_at"].clone()),
    ] {
        assert_eq!(changed[key], value, "{key}");
    }
    assert_ne!(changed["updated_at"], made["updated_at"]);

    let before = room.node.app.log.head().await?;
    let same = json!({"name": "Other", "api_keys": [KEY]});
    data(at(&room.ann, Method::PUT, "update", &made).json(&same)).await?;
    assert_eq!(room.node.app.log.head().await?, before, "nothing changed, nothing is written");

    let key = json!({"api_keys": ["sk-another-very-secret-one"]});
    let changed = data(at(&room.ann, Method::PUT, "update", &made).json(&key)).await?;
    assert_eq!(changed["api_keys"], json!(["sk-a***-one"]));
    let kept: i64 = sqlx::query_scalar("select count(*) from secrets where subject like 'llm-%'")
        .fetch_one(&room.node.app.db)
        .await?;
    assert_eq!(kept, 1, "the key before is destroyed");
    room.close().await
}

#[tokio::test]
async fn at_most_one_provider_is_the_default() -> Result<()> {
    let room = Room::open().await?;
    let one = data(room.ann.post("/api/llm-provider/create").json(&example())).await?;
    let two = data(room.ann.post("/api/llm-provider/create").json(&example())).await?;
    let chosen = json!({"is_default": true});
    for provider in [&one, &two] {
        let now = data(at(&room.ann, Method::PUT, "update", provider).json(&chosen)).await?;
        assert_eq!(now["is_default"], true);
    }
    let defaults = async || -> Result<Vec<Value>> {
        let list = data(room.ann.get("/api/llm-provider/list")).await?;
        let all = list.as_array().unwrap().iter();
        Ok(all.filter(|p| p["is_default"] == true).map(|p| p["id"].clone()).collect())
    };
    assert_eq!(defaults().await?, [two["id"].clone()]);
    let delete = || at(&room.ann, Method::DELETE, "delete", &two);
    assert_eq!(refused(delete()).await?, "Cannot delete default provider");
    data(at(&room.ann, Method::PUT, "update", &two).json(&json!({"is_default": false}))).await?;
    data(delete()).await?;
    assert!(defaults().await?.is_empty());
    room.close().await
}
