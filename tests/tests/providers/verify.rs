//! A provider is asked whether it works.

use super::room::{KEY, Room, answer, at, data, refused};
use annals_tests::model_server::{Fail, Script};
use anyhow::Result;
use reqwest::Method;
use serde_json::{Value, json};

/// An answer of the scripted model with just this text.
fn says(text: &str) -> Script {
    let message = json!({"role": "assistant", "content": text});
    let completion = json!({"object": "chat.completion",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]});
    Script { raw: Some(completion.to_string()), ..Script::default() }
}

fn fails(status: u16, message: &str) -> Script {
    let message = message.to_owned();
    let fail = Fail { status, times: usize::MAX, retry_after: None, message };
    Script { fail: Some(fail), ..Script::default() }
}

#[tokio::test]
async fn one_tiny_answer_is_enough() -> Result<()> {
    let room = Room::open().await?;
    let (status, said) =
        answer(room.root.post("/api/llm-provider/verify").json(&room.local())).await?;
    assert_eq!((status, &said["code"], &said["data"]), (200, &json!(200), &Value::Null));
    assert_eq!(said["message"], "验证成功");
    let call = &room.model.calls().all()[0];
    assert_eq!(call.headers["authorization"], format!("Bearer {KEY}"));
    assert_eq!(
        call.body,
        json!({"model": "test-model", "messages": [{"role": "user", "content": "Hi"}],
            "max_tokens": 5, "stream": false})
    );
    assert_eq!(data(room.root.get("/api/llm-provider/list")).await?, json!([]), "nothing is kept");
    room.close().await
}

#[tokio::test]
async fn reasoning_models_get_their_limit_under_its_other_name() -> Result<()> {
    let room = Room::open().await?;
    let mut body = room.local();
    body["model"] = json!("gpt-5-mini");
    data(room.root.post("/api/llm-provider/verify").json(&body)).await?;
    let call = &room.model.calls().all()[0].body;
    assert_eq!((&call["max_completion_tokens"], &call["max_tokens"]), (&json!(5), &Value::Null));
    room.close().await
}

#[tokio::test]
async fn a_failure_is_told_without_the_key() -> Result<()> {
    let room = Room::open().await?;
    room.model.follow(fails(401, "the key {key} is wrong"));
    let said = refused(room.root.post("/api/llm-provider/verify").json(&room.local())).await?;
    assert!(said.starts_with("验证失败: ") && said.contains("401"), "{said}");
    assert!(!said.contains("very-secret"), "{said}");
    let path = "/api/llm-provider/verify-capabilities";
    assert!(refused(room.root.post(path).json(&room.local())).await?.starts_with("验证失败: "));
    // A provider that is down is asked once, not until the deadline.
    room.model.follow(fails(503, "down"));
    let before = room.model.calls().count();
    refused(room.root.post("/api/llm-provider/verify").json(&room.local())).await?;
    assert_eq!(room.model.calls().count(), before + 1);
    room.model.follow(Script { raw: Some("<html>rubbish".to_owned()), ..Script::default() });
    refused(room.root.post("/api/llm-provider/verify").json(&room.local())).await?;
    room.close().await
}

#[tokio::test]
async fn a_provider_that_never_answers_is_given_up() -> Result<()> {
    let room = Room::open().await?;
    room.model.follow(Script { silent: true, ..Script::default() });
    let said = refused(room.root.post("/api/llm-provider/verify").json(&room.local())).await?;
    assert!(said.contains("10s"), "{said}");
    room.close().await
}

#[tokio::test]
async fn pictures_are_seen_or_not() -> Result<()> {
    let room = Room::open().await?;
    let path = "/api/llm-provider/verify-multimodal";
    for (script, message, data) in [
        (
            says("Red."),
            "多模态验证成功，模型正确识别了图片内容",
            json!({"supports_multimodal": true, "response": "Red.", "recognized": true}),
        ),
        (
            says("A cat"),
            "模型支持多模态但未能正确识别图片内容",
            json!({"supports_multimodal": true, "response": "A cat", "recognized": false}),
        ),
    ] {
        room.model.follow(script);
        let (_, said) = answer(room.root.post(path).json(&room.local())).await?;
        assert_eq!((&said["message"], &said["data"]), (&json!(message), &data));
    }
    let call = &room.model.calls().all()[0].body["messages"][0]["content"][1];
    let url = call["image_url"]["url"].as_str().unwrap();
    assert!(url.starts_with("data:image/png;base64,iVBORw0KGgo"), "{url}");

    room.model.follow(fails(400, "no pictures"));
    let (status, said) = answer(room.root.post(path).json(&room.local())).await?;
    assert_eq!(
        (status, &said["code"], &said["message"]),
        (200, &json!(200), &json!("该模型不支持多模态"))
    );
    assert_eq!(said["data"]["supports_multimodal"], false);
    assert!(said["data"]["error"].as_str().unwrap().contains("no pictures"));
    room.close().await
}

#[tokio::test]
async fn capabilities_are_shown_together() -> Result<()> {
    let room = Room::open().await?;
    room.model.follow(says("```json\n{\"status\": \"red\", \"number\": 7}\n```"));
    let path = "/api/llm-provider/verify-capabilities";
    let data_of = data(room.root.post(path).json(&room.local())).await?;
    assert_eq!(data_of["connection"]["supported"], true);
    assert_eq!(
        (&data_of["supports_multimodal"], &data_of["supports_structured_output"]),
        (&json!(true), &json!(true))
    );
    assert_eq!(data_of["structured_output"]["parsed"], json!({"status": "red", "number": 7}));
    assert_eq!(
        (&data_of["model"], &data_of["base_url"]),
        (&json!("test-model"), &json!(room.model.base_url()))
    );

    // A saved one is asked with its own key, and with what the body has instead.
    let made = room.saved().await?;
    room.model.follow(says("no JSON here"));
    let ask = || at(&room.root, Method::POST, "verify-capabilities", &made);
    let found = data(ask()).await?;
    assert_eq!(
        (&found["supports_structured_output"], &found["structured_output"]["parsed"]),
        (&json!(false), &Value::Null)
    );
    data(ask().json(&json!({"model": "other", "api_keys": [made["api_keys"][0]]}))).await?;
    let calls = room.model.calls().all();
    let last = calls.last().unwrap();
    assert_eq!(
        (&last.body["model"], &last.headers["authorization"]),
        (&json!("other"), &format!("Bearer {KEY}"))
    );
    room.close().await
}
