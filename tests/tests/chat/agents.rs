//! Agents: create, read, list, delete; everybody has their own.

use super::room::{Room, answer, data, failed, unprocessable};
use anyhow::Result;
use reqwest::Method;
use serde_json::json;

#[tokio::test]
async fn an_agent_is_made_shown_listed_and_removed() -> Result<()> {
    let room = Room::open().await?;
    let config = json!({"name": "Helper 🙂", "systemPrefix": "Be kind.", "availableTools": ["web_search"],
        "maxLoopCount": 7, "description": "helps", "unknownKey": true});
    let (status, body) = answer(room.ann.post("/api/agent/create").json(&config)).await?;
    assert_eq!(status, 200, "{body}");
    let id = body["data"]["agent_id"].as_str().unwrap().to_owned();
    assert!(id.strip_prefix("agent_").is_some_and(|hex| hex.len() == 8), "{id}");
    assert_eq!(body["message"], format!("Agent '{id}' 创建成功"));

    let path = format!("/api/agent/{id}");
    let shown = data(room.ann.get(&path)).await?;
    for (key, value) in [
        ("id", json!(id)),
        ("name", json!("Helper 🙂")),
        ("systemPrefix", json!("Be kind.")),
        ("availableTools", json!(["web_search"])),
        ("maxLoopCount", json!(7)),
        ("user_id", json!(room.ann.user)),
    ] {
        assert_eq!(shown[key], value, "{key}");
    }
    assert!(shown["created_at"].is_string() && shown["updated_at"].is_string());
    let (_, listed) = answer(room.ann.get("/api/agent/list")).await?;
    assert_eq!(
        (&listed["message"], &listed["data"]),
        (&json!("成功获取 1 个Agent"), &json!([shown]))
    );

    let (_, removed) = answer(room.ann.request(Method::DELETE, &path)).await?;
    assert_eq!(removed["data"], json!({"agent_id": id}));
    failed(&answer(room.ann.get(&path)).await?, 500, &format!("Agent '{id}' 不存在"));
    failed(
        &answer(room.ann.request(Method::DELETE, &path)).await?,
        500,
        &format!("Agent '{id}' 不存在"),
    );
    assert_eq!(data(room.ann.get("/api/agent/list")).await?, json!([]));
    room.close().await
}

#[tokio::test]
async fn a_name_is_taken_once_by_each_person() -> Result<()> {
    let room = Room::open().await?;
    let create = |person: &annals_tests::app::Person| {
        person.post("/api/agent/create").json(&json!({"name": "Twin"}))
    };
    data(create(&room.ann)).await?;
    failed(&answer(create(&room.ann)).await?, 500, "Agent 'Twin' 已存在");
    data(create(&room.bob)).await?;
    let unnamed = answer(room.ann.post("/api/agent/create").json(&json!({}))).await?;
    unprocessable(&unnamed, "missing", &json!(["body", "name"]));
    assert_eq!(answer(room.ann.post("/api/agent/create").json(&json!({"name": ""}))).await?.0, 500);
    room.close().await
}

#[tokio::test]
async fn somebody_elses_agent_is_as_good_as_none() -> Result<()> {
    let room = Room::open().await?;
    let made = data(room.ann.post("/api/agent/create").json(&json!({"name": "Mine"}))).await?;
    let id = made["agent_id"].as_str().unwrap();
    let path = format!("/api/agent/{id}");
    for method in [Method::GET, Method::DELETE] {
        let refused = answer(room.bob.request(method, &path)).await?;
        failed(&refused, 500, &format!("Agent '{id}' 不存在"));
    }
    assert_eq!(data(room.bob.get("/api/agent/list")).await?, json!([]));
    assert_eq!(data(room.ann.get(&path)).await?["name"], "Mine");
    failed(&answer(room.node.nobody()?.get("/api/agent/list")).await?, 401, "未授权");
    room.close().await
}
