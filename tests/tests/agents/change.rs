//! The whole configuration, replaced; names that move.

use super::room::{Room, agent, answer, data, refused};
use anyhow::Result;
use reqwest::Method;
use serde_json::{Value, json};

fn whole() -> Value {
    json!({"name": "Research Agent", "systemPrefix": "You are careful.", "systemContext": {"a": 1},
        "availableWorkflows": {"w": ["one", "two"]}, "availableTools": ["web_search"],
        "availableSubAgentIds": ["agent_x"], "availableSkills": ["s"],
        "availableKnowledgeBases": ["k"], "memoryType": "session", "maxLoopCount": 12,
        "deepThinking": true, "llm_provider_id": "provider_xxx", "enableMultimodal": true,
        "multiAgent": true, "agentMode": "default", "description": "Handles market research"})
}

#[tokio::test]
async fn every_key_is_read_and_an_update_replaces_all_of_them() -> Result<()> {
    let room = Room::open().await?;
    let path = agent(&room.ann, &whole()).await?;
    let before = data(room.ann.get(&path)).await?;
    for (key, value) in whole().as_object().unwrap() {
        assert_eq!(&before[key], value, "{key}");
    }
    let mut bare =
        json!({"name": "Research Agent", "agent_mode": "fibre", "id": "x", "user_id": "y"});
    let changed = answer(room.ann.request(Method::PUT, &path).json(&bare)).await?;
    let id = before["id"].as_str().unwrap();
    assert_eq!(changed.1["message"], format!("Agent '{id}' 更新成功"));
    assert_eq!(changed.1["data"], json!({"agent_id": id}));
    let after = data(room.ann.get(&path)).await?;
    assert_eq!(
        after.as_object().unwrap().keys().collect::<Vec<_>>(),
        before.as_object().unwrap().keys().collect::<Vec<_>>()
    );
    for (key, value) in [
        ("systemPrefix", Value::Null),
        ("availableTools", Value::Null),
        ("maxLoopCount", json!(10)),
        ("deepThinking", json!(false)),
        ("agentMode", json!("fibre")),
        ("id", json!(id)),
        ("user_id", json!(room.ann.user)),
        ("created_at", before["created_at"].clone()),
    ] {
        assert_eq!(after[key], value, "{key}");
    }
    assert_ne!(after["updated_at"], before["updated_at"]);

    // An administrator may change it, and it stays Ann's.
    bare["description"] = json!("by root");
    data(room.root.request(Method::PUT, &path).json(&bare)).await?;
    let after = data(room.ann.get(&path)).await?;
    assert_eq!(
        (&after["description"], &after["user_id"]),
        (&json!("by root"), &json!(room.ann.user))
    );
    room.close().await
}

#[tokio::test]
async fn a_new_name_is_taken_and_the_old_one_is_free() -> Result<()> {
    let room = Room::open().await?;
    let one = agent(&room.ann, &json!({"name": "One"})).await?;
    let two = agent(&room.ann, &json!({"name": "Two"})).await?;
    let rename =
        |path: &str, name: &str| room.ann.request(Method::PUT, path).json(&json!({"name": name}));
    let create = |name: &str| room.ann.post("/api/agent/create").json(&json!({"name": name}));
    assert_eq!(refused(rename(&one, "Two")).await?, "Agent 'Two' 已存在");
    data(rename(&one, "Three")).await?;
    assert_eq!(refused(create("Three")).await?, "Agent 'Three' 已存在");
    data(rename(&two, "One")).await?;
    data(create("Two")).await?;
    assert_eq!(refused(rename(&one, "One")).await?, "Agent 'One' 已存在");
    data(room.ann.request(Method::DELETE, &two)).await?;
    data(rename(&one, "One")).await?;
    assert_eq!(refused(rename(&one, " ")).await?, "Agent 名称长度应为 1 到 255 个字符");
    room.close().await
}

#[tokio::test]
async fn of_many_who_want_a_name_at_once_one_gets_it() -> Result<()> {
    let room = Room::open().await?;
    let mut paths = Vec::new();
    for n in 0..4 {
        paths.push(agent(&room.ann, &json!({"name": format!("a{n}")})).await?);
    }
    for round in 0..5 {
        let name = format!("wanted{round}");
        let rename = |path: &String| {
            let request = room.ann.request(Method::PUT, path).json(&json!({"name": name}));
            async { answer(request).await.map(|(status, _)| status) }
        };
        let create = room.ann.post("/api/agent/create").json(&json!({"name": name}));
        let create = async { answer(create).await.map(|(status, _)| status) };
        let (a, b, c, d, e) = tokio::try_join!(
            rename(&paths[0]),
            rename(&paths[1]),
            rename(&paths[2]),
            rename(&paths[3]),
            create
        )?;
        let won = [a, b, c, d, e].iter().filter(|status| **status == 200).count();
        assert_eq!(won, 1, "{:?}", [a, b, c, d, e]);
        let all = data(room.ann.get("/api/agent/list")).await?;
        let bear = all.as_array().unwrap().iter().filter(|agent| agent["name"] == name).count();
        assert_eq!(bear, 1);
    }
    room.close().await
}

#[tokio::test]
async fn strangers_change_nothing() -> Result<()> {
    let room = Room::open().await?;
    let path = agent(&room.ann, &whole()).await?;
    let id = path.rsplit('/').next().unwrap();
    let before = room.node.app.log.head().await?;
    let update = room.bob.request(Method::PUT, &path).json(&whole());
    assert_eq!(refused(update).await?, format!("Agent '{id}' 不存在"));
    let update = room.ann.request(Method::PUT, "/api/agent/agent_00000000").json(&whole());
    assert_eq!(refused(update).await?, "Agent 'agent_00000000' 不存在");
    let (status, _) = answer(room.ann.request(Method::PUT, &path).json(&json!({}))).await?;
    assert_eq!(status, 422);
    let (status, _) = answer(
        room.ann.request(Method::PUT, &path).json(&json!({"name": "x", "maxLoopCount": -1})),
    )
    .await?;
    assert_eq!(status, 422);
    for odd in [json!({"w": "one"}), json!({"w": [1]}), json!({"w": null}), json!(["w"])] {
        let body = json!({"name": "x", "availableWorkflows": odd});
        let (status, _) = answer(room.ann.request(Method::PUT, &path).json(&body)).await?;
        assert_eq!(status, 422, "{odd}");
    }
    let large = json!({"name": "x", "systemPrefix": "x".repeat(256 << 10)});
    for request in [
        room.ann.request(Method::PUT, &path).json(&large),
        room.ann.post("/api/agent/create").json(&large),
    ] {
        assert_eq!(refused(request).await?, "Agent 配置过大（上限 256 KB）");
    }
    let nobody = room.node.nobody()?.request(Method::PUT, &path).json(&whole());
    assert_eq!(answer(nobody).await?.0, 401);
    assert_eq!(room.node.app.log.head().await?, before, "nothing is written");
    room.close().await
}
