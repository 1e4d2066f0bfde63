//! What is refused writes nothing, and shows no key.

use super::room::{KEY, MASKED, Room, answer, at, data, refused};
use anyhow::Result;
use reqwest::Method;
use serde_json::{Value, json};

const CREATE: &str = "/api/llm-provider/create";
const WRITES: [&str; 4] = [
    CREATE,
    "/api/llm-provider/verify",
    "/api/llm-provider/verify-multimodal",
    "/api/llm-provider/verify-capabilities",
];

#[tokio::test]
async fn exactly_one_key_of_one_line_is_taken() -> Result<()> {
    let room = Room::open().await?;
    let saved = room.saved().await?;
    let before = room.node.app.log.head().await?;
    for keys in [
        json!([]),
        json!(["", " "]),
        json!([KEY, KEY]),
        json!([format!("{KEY}\nx")]),
        json!(KEY),
        json!([7]),
    ] {
        let mut body = room.local();
        body["api_keys"] = keys;
        for path in WRITES {
            let (status, answer) = answer(room.root.post(path).json(&body)).await?;
            assert_eq!((status, &answer["detail"][0]["loc"]), (422, &json!(["body", "api_keys"])));
            assert!(!answer.to_string().contains("very-secret"), "{answer}");
        }
        let (status, _) = answer(at(&room.root, Method::PUT, "update", &saved).json(&body)).await?;
        assert_eq!(status, 422);
    }
    let mut none = room.local();
    none["api_keys"] = json!([]);
    let (_, said) = answer(room.root.post(CREATE).json(&none)).await?;
    let problem = &said["detail"][0];
    assert_eq!(problem["type"], "value_error");
    assert_eq!(problem["msg"], "Value error, Exactly one API key is required");
    for missing in ["base_url", "model", "api_keys"] {
        let mut body = room.local();
        body.as_object_mut().unwrap().remove(missing);
        let (status, said) = answer(room.root.post(CREATE).json(&body)).await?;
        assert_eq!((status, &said["detail"][0]["type"]), (422, &json!("missing")), "{missing}");
        assert_eq!(said["detail"][0]["loc"], json!(["body", missing]));
    }
    let mut masked = room.local();
    masked["api_keys"] = json!([MASKED]);
    assert_eq!(answer(room.root.post(CREATE).json(&masked)).await?.0, 422);
    assert_eq!(room.node.app.log.head().await?, before, "nothing is written");
    room.close().await
}

#[tokio::test]
async fn to_others_a_provider_does_not_exist() -> Result<()> {
    let room = Room::open().await?;
    let made = room.saved().await?;
    let before = room.node.app.log.head().await?;
    for stranger in [&room.ann, &room.bob] {
        assert_eq!(data(stranger.get("/api/llm-provider/list")).await?, json!([]));
        let rename = at(stranger, Method::PUT, "update", &made).json(&json!({"name": "Mine"}));
        let promote = at(stranger, Method::PUT, "update", &made).json(&json!({"is_default": true}));
        let delete = at(stranger, Method::DELETE, "delete", &made);
        let verify = at(stranger, Method::POST, "verify-capabilities", &made);
        for request in [rename, promote, delete, verify] {
            assert_eq!(refused(request).await?, "Provider not found");
        }
    }
    let unknown = json!({"id": "no\u{0}such"});
    for id in [&unknown, &json!({"id": "00000000-0000-0000-0000-000000000000"})] {
        let path = id["id"].as_str().unwrap().replace('\0', "%00");
        let delete = room.ann.request(Method::DELETE, &format!("/api/llm-provider/delete/{path}"));
        assert_eq!(refused(delete).await?, "Provider not found");
    }
    assert_eq!(room.node.app.log.head().await?, before, "nothing is written");
    let nobody = room.node.nobody()?;
    for path in WRITES {
        assert_eq!(answer(nobody.post(path).json(&room.local())).await?.0, 401);
    }
    room.close().await
}

#[tokio::test]
async fn the_operators_provider_is_nobodys_to_change() -> Result<()> {
    let room = Room::open().await?;
    let system = json!({"id": "system-default"});
    let update = at(&room.root, Method::PUT, "update", &system).json(&json!({"name": "x"}));
    assert_eq!(refused(update).await?, "Cannot modify system default provider");
    let delete = at(&room.root, Method::DELETE, "delete", &system);
    assert_eq!(refused(delete).await?, "Cannot delete default provider");
    room.close().await
}

#[tokio::test]
async fn only_administrators_save_and_verify_inner_addresses() -> Result<()> {
    let room = Room::open().await?;
    let made = data(
        room.ann
            .post(CREATE)
            .json(&json!({"base_url": "https://1.1.1.1/v1", "api_keys": [KEY], "model": "m"})),
    )
    .await?;
    for url in [
        room.model.base_url().as_str(),
        "http://localhost:1/v1",
        "http://169.254.169.254/",
        "http://[::1]/v1",
        "file:///etc/passwd",
        "gopher://example.org",
        "https://k@1.1.1.1/v1",
        "https://1.1.1.1/v1?key=very-secret",
        "nonsense",
        "",
    ] {
        let body = json!({"base_url": url, "api_keys": [KEY], "model": "m"});
        for path in [CREATE, "/api/llm-provider/verify", "/api/llm-provider/verify-multimodal"] {
            let message = refused(room.ann.post(path).json(&body)).await?;
            assert!(
                message.starts_with("无法保存提供商: ") || message.starts_with("验证失败: "),
                "{message}"
            );
        }
        let update = at(&room.ann, Method::PUT, "update", &made).json(&json!({"base_url": url}));
        refused(update).await?;
        let verify = at(&room.ann, Method::POST, "verify-capabilities", &made);
        refused(verify.json(&json!({"base_url": url}))).await?;
    }
    assert_eq!(room.model.calls().count(), 0);
    assert_eq!(data(room.ann.get("/api/llm-provider/list")).await?, json!([made]));
    let body = json!({"base_url": "http://127.0.0.1/v1", "api_keys": [KEY], "model": "m"});
    for (language, message) in [
        ("zh", "无法保存提供商: URL 不是公网地址"),
        ("en", "Cannot save provider. the URL does not lead to a public address"),
    ] {
        let create = room.ann.post(CREATE).header("accept-language", language);
        assert_eq!(refused(create.json(&body)).await?, message);
    }
    room.close().await
}

#[tokio::test]
async fn odd_values_are_refused() -> Result<()> {
    let room = Room::open().await?;
    for (key, value) in [
        ("max_tokens", json!(-1)),
        ("max_tokens", json!("many")),
        ("temperature", json!("hot")),
        ("supports_multimodal", json!("yes")),
        ("name", json!(7)),
        ("max_model_len", json!(1.5)),
    ] {
        let mut body = room.local();
        body[key] = value;
        let (status, said) = answer(room.root.post(CREATE).json(&body)).await?;
        assert_eq!((status, &said["detail"][0]["loc"]), (422, &json!(["body", key])), "{said}");
    }
    for (key, value) in
        [("name", json!(" ")), ("model", json!("")), ("name", json!("n".repeat(256)))]
    {
        let mut body = room.local();
        body[key] = value;
        refused(room.root.post(CREATE).json(&body)).await?;
    }
    assert_eq!(data(room.root.get("/api/llm-provider/list")).await?, Value::Array(vec![]));
    room.close().await
}
