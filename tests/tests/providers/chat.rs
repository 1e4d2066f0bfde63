//! Which provider answers a chat.

use super::room::{KEY, Room, answer, at, data, hello, words};
use annals_tests::{app::Person, model_server::text};
use anyhow::Result;
use commands::identity::Standing;
use domain::{Metadata, user::Role};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

async fn agent(who: &Person, provider: &Value) -> Result<String> {
    let body = json!({"name": "Helper", "llm_provider_id": provider["id"]});
    let made = data(who.post("/api/agent/create").json(&body)).await?;
    Ok(made["agent_id"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn the_request_wins_over_the_agent_and_the_agent_over_the_default() -> Result<()> {
    let room = Room::open().await?;
    let mut providers = Vec::new();
    for model in ["preferred", "agents", "named"] {
        let mut body = room.local();
        (body["model"], body["max_tokens"]) = (json!(model), json!(33));
        providers.push(data(room.root.post("/api/llm-provider/create").json(&body)).await?);
    }
    data(at(&room.root, Method::PUT, "update", &providers[0]).json(&json!({"is_default": true})))
        .await?;
    let agent = agent(&room.root, &providers[1]).await?;
    for (more, model) in [
        (json!({}), "preferred"),
        (json!({"agent_id": agent}), "agents"),
        (json!({"agent_id": agent, "provider_id": providers[2]["id"]}), "named"),
    ] {
        let lines = room.said(&room.root, &hello(more)).await?;
        assert!(words(&lines).contains(text(10).trim_end()), "{lines:?}");
        let call = room.model.calls().all().pop().unwrap();
        assert_eq!((&call.body["model"], &call.body["max_tokens"]), (&json!(model), &json!(33)));
        assert_eq!(call.headers["authorization"], format!("Bearer {KEY}"));
        assert!(call.body.get("temperature").is_none(), "what is unset is not sent");
    }
    let more = json!({"provider_id": providers[2]["id"],
        "llm_model_config": {"model": "x", "max_tokens": 7}});
    room.said(&room.root, &hello(more)).await?;
    let call = room.model.calls().all().pop().unwrap().body;
    assert_eq!((&call["model"], &call["max_tokens"]), (&json!("x"), &json!(7)));
    room.close().await
}

#[tokio::test]
async fn without_an_operators_model_the_first_own_provider_answers() -> Result<()> {
    let room = Room::open().await?;
    assert!(words(&room.said(&room.root, &hello(json!({}))).await?).contains("offline"));
    room.saved().await?;
    room.said(&room.root, &hello(json!({}))).await?;
    assert_eq!(room.model.calls().count(), 1);
    // Nobody else's.
    room.said(&room.ann, &hello(json!({}))).await?;
    assert_eq!(room.model.calls().count(), 1);
    room.close().await
}

#[tokio::test]
async fn a_deleted_provider_ends_the_run_with_a_reason() -> Result<()> {
    let room = Room::open().await?;
    let made = room.saved().await?;
    let agent = agent(&room.root, &made).await?;
    data(at(&room.root, Method::DELETE, "delete", &made)).await?;
    let lines = room.said(&room.root, &hello(json!({"agent_id": agent}))).await?;
    assert!(words(&lines).contains("the chosen model provider does not exist"), "{lines:?}");
    assert_eq!(lines.last().unwrap()["type"], "stream_end");
    room.close().await
}

#[tokio::test]
async fn nobody_chats_with_anothers_provider() -> Result<()> {
    let room = Room::open().await?;
    let made = room.saved().await?;
    let named = hello(json!({"provider_id": made["id"]}));
    let (status, said) = answer(room.ann.post("/api/web-stream").json(&named)).await?;
    assert_eq!((status, &said["code"]), (500, &json!(500)));
    // An agent may name any provider; it gets only its owner's.
    let agent = agent(&room.ann, &made).await?;
    let lines = room.said(&room.ann, &hello(json!({"agent_id": agent}))).await?;
    assert!(words(&lines).contains("does not exist"), "{lines:?}");
    assert_eq!(room.model.calls().count(), 0);
    room.close().await
}

#[tokio::test]
async fn a_local_provider_works_as_long_as_its_owner_administers() -> Result<()> {
    let room = Room::open().await?;
    room.saved().await?;
    let to = Standing { role: Some(Role::Creator), status: None };
    let metadata = Metadata::system(Uuid::now_v7());
    let people = [room.root.user.clone()];
    room.node.app.identity.set_standing(&people, to, &metadata).await?;
    room.node.settled().await?;
    let lines = room.said(&room.root, &hello(json!({}))).await?;
    assert!(words(&lines).contains("cannot be called"), "{lines:?}");
    assert_eq!(room.model.calls().count(), 0);
    room.close().await
}

#[tokio::test]
async fn pictures_go_to_models_that_take_them() -> Result<()> {
    let room = Room::open().await?;
    let image = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}});
    let parts = json!([{"type": "text", "text": "what is it?"}, image]);
    for (sees, more) in [(true, json!({})), (false, json!({})), (false, json!({"model": "other"}))]
    {
        let mut body = room.local();
        body["supports_multimodal"] = json!(sees);
        let made = data(room.root.post("/api/llm-provider/create").json(&body)).await?;
        let body = json!({"provider_id": made["id"], "llm_model_config": more,
            "messages": [{"role": "user", "content": parts}]});
        room.said(&room.root, &body).await?;
        let told = room.model.calls().all().pop().unwrap().body["messages"].clone();
        let told = told.as_array().unwrap().last().unwrap()["content"].clone();
        // Of another model than the saved one nobody knows what it takes.
        let goes = sees || more != json!({});
        assert_eq!(told[1] == parts[1], goes, "{told}");
        assert_eq!((&told[0], told[1]["type"] == "text"), (&parts[0], !goes), "{told}");
    }
    room.close().await
}
