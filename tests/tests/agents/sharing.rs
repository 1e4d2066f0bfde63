//! Shared agents are seen and spoken to, and no more.

use super::room::{Room, agent, answer, data, refused};
use annals_tests::{app::Person, lines::Lines};
use anyhow::Result;
use reqwest::Method;
use serde_json::{Value, json};

async fn chat(who: &Person, agent: &str) -> Result<String> {
    let body = json!({"agent_id": agent, "messages": [{"role": "user", "content": "hello"}]});
    let mut lines: Vec<String> = Vec::new();
    let response = who.post("/api/chat").json(&body).send().await?;
    Lines::of(response).await?.rest(&mut lines).await?;
    Ok(lines.join("\n"))
}

#[tokio::test]
async fn sharing_grants_reading_and_chatting_only() -> Result<()> {
    let room = Room::open().await?;
    let path = agent(&room.ann, &json!({"name": "Shared", "systemPrefix": "Ours."})).await?;
    let id = path.rsplit('/').next().unwrap().to_owned();
    let auth = format!("{path}/auth");
    assert_eq!(data(room.ann.get(&auth)).await?, json!([]));
    // The owner is dropped, and so are doubles; people nobody knows may come by proxy one day.
    let users = json!({"user_ids": [room.bob.user, room.ann.user, room.bob.user, "proxied"]});
    let (_, said) = answer(room.ann.post(&auth).json(&users)).await?;
    assert_eq!((&said["message"], &said["data"]), (&json!("更新授权成功"), &json!({})));
    let mut expected = vec![room.bob.user.as_str(), "proxied"];
    expected.sort_unstable();
    assert_eq!(data(room.ann.get(&auth)).await?, json!(expected));
    assert_eq!(data(room.root.get(&auth)).await?, json!(expected));

    let shown = data(room.ann.get(&path)).await?;
    assert_eq!(data(room.bob.get(&path)).await?, shown);
    assert_eq!(data(room.bob.get("/api/agent/list")).await?, json!([shown]));
    assert_eq!(data(room.cid.get("/api/agent/list")).await?, json!([]));
    assert_eq!(data(room.root.get("/api/agent/list")).await?, json!([shown]));
    assert!(chat(&room.bob, &id).await?.contains("stream_end"));
    let call = room.model.calls().all().pop().unwrap().body;
    assert!(call["messages"][0]["content"].as_str().unwrap().contains("Ours."));
    assert!(chat(&room.cid, &id).await.is_err());

    let before = room.node.app.log.head().await?;
    for (request, message) in [
        (room.bob.request(Method::PUT, &path).json(&json!({"name": "Mine"})), "无权更新该Agent"),
        (room.bob.request(Method::DELETE, &path), "无权删除该Agent"),
        (room.bob.get(&auth), "无权查看授权用户"),
        (room.bob.post(&auth).json(&users), "无权修改授权"),
    ] {
        assert_eq!(refused(request).await?, message);
    }
    let missing = format!("Agent '{id}' 不存在");
    for request in [room.cid.get(&path), room.cid.get(&auth), room.cid.post(&auth).json(&users)] {
        assert_eq!(refused(request).await?, missing);
    }
    for odd in [json!({"user_ids": [""]}), json!({"user_ids": ["a\u{0}"]})] {
        refused(room.ann.post(&auth).json(&odd)).await?;
    }
    assert_eq!(answer(room.ann.post(&auth).json(&json!({}))).await?.0, 422);
    assert_eq!(room.node.app.log.head().await?, before, "nothing is written");

    data(room.ann.post(&auth).json(&json!({"user_ids": []}))).await?;
    assert_eq!(refused(room.bob.get(&path)).await?, missing);
    assert_eq!(data(room.bob.get("/api/agent/list")).await?, Value::Array(vec![]));
    room.close().await
}

#[tokio::test]
async fn a_shared_agent_brings_its_owners_provider_and_shows_no_key() -> Result<()> {
    let room = Room::offline().await?;
    let key = "sk-very-secret-key-0123456789";
    let provider = json!({"name": "Local", "base_url": room.model.base_url(), "api_keys": [key],
        "model": "roots-model"});
    let provider = data(room.root.post("/api/llm-provider/create").json(&provider)).await?;
    let config = json!({"name": "Shared", "llm_provider_id": provider["id"]});
    let path = agent(&room.root, &config).await?;
    let id = path.rsplit('/').next().unwrap();
    data(room.root.post(&format!("{path}/auth")).json(&json!({"user_ids": [room.bob.user]})))
        .await?;

    let said = chat(&room.bob, id).await?;
    let call = room.model.calls().all().pop().unwrap();
    assert_eq!(call.headers["authorization"], format!("Bearer {key}"));
    assert_eq!(call.body["model"], "roots-model");
    let shown = data(room.bob.get(&path)).await?;
    assert_eq!(shown["llm_provider_id"], provider["id"]);
    assert!(!format!("{said}{shown}").contains("very-secret"));
    // The provider itself stays its owner's.
    let body =
        json!({"provider_id": provider["id"], "messages": [{"role": "user", "content": "hi"}]});
    assert_eq!(refused(room.bob.post("/api/web-stream").json(&body)).await?, "模型提供商不存在");
    room.close().await
}

#[tokio::test]
async fn with_a_shared_agent_everybody_works_in_a_workspace_of_their_own() -> Result<()> {
    let room = Room::open().await?;
    let path = agent(&room.ann, &json!({"name": "Shared"})).await?;
    let users = json!({"user_ids": [room.bob.user]});
    let workspace = format!("{path}/file_workspace");
    let upload = |who: &Person, name: &str| {
        let part = format!(
            "--line\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\nx\r\n--line--\r\n"
        );
        let request = who.post(&format!("{workspace}/upload")).body(part);
        request.header("content-type", "multipart/form-data; boundary=line")
    };
    let files = async |who: &Person| -> Result<Vec<String>> {
        let listed = data(who.post(&workspace)).await?;
        let files = listed["files"].as_array().unwrap().iter();
        Ok(files.map(|file| file["path"].as_str().unwrap().to_owned()).collect())
    };
    data(upload(&room.ann, "anns.txt")).await?;
    refused(upload(&room.bob, "bobs.txt")).await?;
    data(room.ann.post(&format!("{path}/auth")).json(&users)).await?;
    data(upload(&room.bob, "bobs.txt")).await?;
    refused(upload(&room.cid, "cids.txt")).await?;
    let found = [files(&room.ann).await?, files(&room.bob).await?, files(&room.cid).await?];
    assert_eq!(found, [vec!["anns.txt".to_owned()], vec!["bobs.txt".to_owned()], vec![]]);
    let gone = format!("{workspace}/delete?file_path=anns.txt");
    refused(room.bob.request(Method::DELETE, &gone)).await?;
    data(room.bob.request(Method::DELETE, &gone.replace("anns", "bobs"))).await?;
    assert_eq!(files(&room.ann).await?, ["anns.txt"]);
    room.close().await
}
