//! What is wrong before a stream begins is told as JSON.

use super::room::{Room, TIED, WEB, answer, data, failed, hello, unprocessable};
use annals_tests::model_server::{Fail, Script};
use anyhow::Result;
use serde_json::{Value, json};

#[tokio::test]
async fn what_makes_no_sense_is_refused_before_the_stream() -> Result<()> {
    let room = Room::open().await?;
    let post = async |path: &str, body: &Value| answer(room.ann.post(path).json(body)).await;
    for path in [TIED, WEB] {
        failed(&post(path, &json!({"messages": []})).await?, 500, "消息列表不能为空");
        let missing = post(path, &json!({})).await?;
        unprocessable(&missing, "missing", &json!(["body", "messages"]));
        let role = post(path, &json!({"messages": [{"content": "x"}]})).await?;
        unprocessable(&role, "missing", &json!(["body", "messages", 0, "role"]));
        let broken = room.ann.post(path).header("content-type", "application/json").body("{\"mess");
        let (status, body) = answer(broken).await?;
        assert_eq!((status, &body["detail"][0]["type"]), (422, &json!("json_invalid")));
    }
    let agentless = post("/api/chat", &hello("s")).await?;
    unprocessable(&agentless, "missing", &json!(["body", "agent_id"]));
    for unknown in ["agent_nobody", "a\0b", ""] {
        let mut body = hello("s");
        body["agent_id"] = json!(unknown);
        failed(&post("/api/chat", &body).await?, 500, "Agent 不存在");
    }
    let empty = json!({"agent_id": "agent_nobody", "messages": []});
    failed(&post("/api/chat", &empty).await?, 500, "消息列表不能为空");
    for id in ["a\0b".to_owned(), "x".repeat(256)] {
        let mut body = hello("s");
        body["session_id"] = json!(id);
        let (status, _) = post(WEB, &body).await?;
        assert_eq!(status, 422, "{id:?}");
    }
    assert_eq!(room.model.calls().count(), 0);
    let listed = data(room.ann.get("/api/conversations")).await?;
    assert_eq!(listed["total"], 0, "refusals leave no trace");
    room.close().await
}

#[tokio::test]
async fn strangers_and_foreign_agents_are_kept_out() -> Result<()> {
    let room = Room::open().await?;
    let nobody = room.node.nobody()?;
    for path in ["/api/chat", TIED, WEB] {
        let mut body = hello("s");
        body["agent_id"] = json!("agent_x");
        failed(&answer(nobody.post(path).json(&body)).await?, 401, "未授权");
    }
    let agent = data(room.ann.post("/api/agent/create").json(&json!({"name": "Mine"}))).await?;
    let mut body = hello("s");
    body["agent_id"] = agent["agent_id"].clone();
    failed(&answer(room.bob.post("/api/chat").json(&body)).await?, 500, "Agent 不存在");
    // Nobody speaks for another.
    body["user_id"] = json!(room.bob.user);
    room.ann.post("/api/chat").json(&body).send().await?.error_for_status()?.text().await?;
    assert_eq!(data(room.bob.get("/api/conversations")).await?["total"], 0);
    assert_eq!(data(room.ann.get("/api/conversations")).await?["total"], 1);
    room.close().await
}

#[tokio::test]
async fn a_busy_session_is_refused_where_runs_are_tied_to_connections() -> Result<()> {
    let room = Room::open().await?;
    let (_stream, _) = room.stuck(TIED, "s").await?;
    let agent = data(room.ann.post("/api/agent/create").json(&json!({"name": "A"}))).await?;
    let mut chat = hello("s");
    chat["agent_id"] = agent["agent_id"].clone();
    for (path, body) in [(TIED, hello("s")), ("/api/chat", chat)] {
        let busy = answer(room.ann.post(path).json(&body)).await?;
        failed(&busy, 500, "会话正在运行中，请先调用 interrupt 或使用不同的会话ID");
    }
    // Bob's session of the same name is another one.
    let mut stream = room.bob.say(TIED, "s", "hello").await?;
    stream.rest(&mut Vec::new()).await?;
    room.close().await
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_in_the_envelope() -> Result<()> {
    let room = Room::open().await?;
    let mut body = hello("s");
    body["messages"][0]["content"] = json!("x".repeat(17 << 20));
    let (status, body) = answer(room.ann.post(WEB).json(&body)).await?;
    assert_eq!((status, &body["code"], &body["data"]), (413, &json!(413), &Value::Null));
    assert!(body["message"].as_str().unwrap().contains("16777216"), "{body}");
    room.close().await
}

#[tokio::test]
async fn odd_texts_come_back_as_they_were_sent() -> Result<()> {
    let room = Room::open().await?;
    let texts =
        ["🙂 词 é\u{301} \u{202e}rtl", "nul \0 inside", "line\nbreak\r\n\t\"quote\" \\ </tag>", ""];
    for (i, text) in texts.iter().enumerate() {
        let session = format!("s-{i}-🙂");
        let mut lines = Vec::new();
        room.ann.say(WEB, &session, text).await?.rest(&mut lines).await?;
        annals_tests::lines::check_whole(&lines)?;
        let shown = room.ann.messages(&session).await?;
        assert_eq!(shown["messages"][0]["content"], *text);
        assert_eq!(room.ann.replay(&session).await?, lines);
    }
    // Nor does what a provider says stop the read model.
    let model = json!({"session_id": "model", "llm_model_config": {"model": "m\0"},
        "messages": [{"role": "user", "content": "hello"}]});
    room.ann.post(WEB).json(&model).send().await?.error_for_status()?.text().await?;
    let failing = Script {
        fail: Some(Fail { status: 400, times: 9, retry_after: None, message: "nul \0".to_owned() }),
        ..Script::default()
    };
    room.said("failing", &failing).await?;
    assert_eq!(room.ann.messages("failing").await?["message_count"], 2);
    let parts = json!([{"type": "text", "text": "see"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]);
    let body = json!({"session_id": "parts", "messages": [{"role": "user", "content": parts}]});
    room.ann.post(WEB).json(&body).send().await?.error_for_status()?.text().await?;
    assert_eq!(room.ann.messages("parts").await?["messages"][0]["content"], parts);
    let told = room.model.calls().all().pop().unwrap();
    assert_eq!(told.body["messages"].as_array().unwrap().last().unwrap()["content"], parts);
    room.close().await
}
