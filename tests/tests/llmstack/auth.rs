use crate::room::{Room, answer};
use annals_tests::app::Person;
use reqwest::Method;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn every_way_to_fail_is_403_in_its_own_words() {
    let room = Room::open().await.unwrap();
    let url = &room.node.base_url;
    let good = room.ann.authorization.trim_start_matches("Token ").to_owned();
    let unknown = format!("Token {}", "0".repeat(40));
    let spaced = format!("Token {good} x");
    let bearer = format!("Bearer {good}");
    for (header, detail) in [
        ("", "Authentication credentials were not provided."),
        (&*bearer, "Authentication credentials were not provided."),
        ("Basic YTpi", "Authentication credentials were not provided."),
        (&*unknown, "Invalid token."),
        ("Token", "Invalid token header. No credentials provided."),
        ("Token ", "Invalid token header. No credentials provided."),
        (&*spaced, "Invalid token header. Token string should not contain spaces."),
    ] {
        let who = Person::calling(url, header).unwrap();
        for path in ["/api/me", "/llmstack/api/apps", "/api/apibackends"] {
            let response = who.get(path).send().await.unwrap();
            assert!(!response.headers().contains_key("www-authenticate"), "{header:?}");
            assert_eq!(response.headers()["content-type"], "application/json");
            assert_eq!(response.status(), 403, "{header:?} {path}");
            assert_eq!(response.text().await.unwrap(), json!({ "detail": detail }).to_string());
        }
    }
    let run = "/api/apps/11111111-1111-4111-8111-111111111111/run";
    for (header, told) in [
        ("", json!(null)),
        (&*bearer, json!(null)),
        (&*unknown, json!({"detail": "Invalid token."})),
    ] {
        for path in [run.to_owned(), format!("/llmstack{run}/s")] {
            let who = Person::calling(url, header).unwrap();
            assert_eq!(
                answer(who.post(&path).json(&json!({}))).await.unwrap(),
                (403, told.clone())
            );
        }
    }
    let lower = Person::calling(url, &format!("tOkEn {good}")).unwrap();
    assert_eq!(answer(lower.get("/api/me")).await.unwrap(), (200, json!({"user": "ann"})));
    room.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_holder_is_told_who_they_are() {
    let room = Room::open().await.unwrap();
    let (status, profile) = answer(room.ann.get("/api/profiles/me")).await.unwrap();
    let token = room.ann.authorization.trim_start_matches("Token ");
    assert_eq!(
        (status, &profile["username"], &profile["token"]),
        (200, &json!("ann"), &json!(token))
    );
    assert_eq!(token.len(), 40);
    room.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_of_the_framework_have_its_shapes() {
    let room = Room::open().await.unwrap();
    let ann = &room.ann;
    let (status, body) = answer(ann.request(Method::PUT, "/api/apps")).await.unwrap();
    assert_eq!((status, body), (405, json!({"detail": "Method \"PUT\" not allowed."})));
    let (status, body) = answer(ann.get("/llmstack/api/nothing")).await.unwrap();
    assert_eq!((status, body), (404, json!({"detail": "Not found."})));
    let sent = |kind: &'static str, body: &'static str| {
        ann.post("/api/apps").header("content-type", kind).body(body)
    };
    let (status, body) = answer(sent("text/plain", "x")).await.unwrap();
    assert_eq!(status, 415);
    assert_eq!(body, json!({"detail": "Unsupported media type \"text/plain\" in request."}));
    let (status, body) = answer(sent("application/json", "{\"a\": ")).await.unwrap();
    let detail = body["detail"].as_str().unwrap_or_default();
    assert!(status == 400 && detail.starts_with("JSON parse error - "), "{status} {body}");
    let (status, body) = answer(sent("application/yaml", "a: [1")).await.unwrap();
    let detail = body["detail"].as_str().unwrap_or_default();
    assert!(status == 400 && detail.starts_with("YAML parse error - "), "{status} {body}");
    for (kind, body) in [("application/json", "[]"), ("application/yaml", "- a")] {
        assert_eq!(answer(sent(kind, body)).await.unwrap().0, 400, "{kind}");
    }
    for id in ["11111111-1111-4111-8111-111111111111", "nonsense", "%00"] {
        let (status, body) = answer(ann.get(&format!("/api/apps/{id}"))).await.unwrap();
        assert_eq!(
            (status, body),
            (404, json!({"detail": "No App matches the given query."})),
            "{id}"
        );
    }
    room.close().await.unwrap();
}
