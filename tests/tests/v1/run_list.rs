//! `GET /v1/runs` and `GET /v1/runs/{id}/events`.

use crate::json;
use annals_tests::app::{Person, TestApp};
use domain::user::Role;
use reqwest::StatusCode;
use serde_json::{Value, json};

/// Asks something and reads the answer to its end: the run.
async fn ask(person: &Person, session: &str, question: &Value) -> String {
    let message = json!({"role": "user", "content": question});
    let body = json!({"messages": [message], "session_id": session});
    let answer = person.post("/api/web-stream").json(&body).send().await.unwrap();
    let run = answer.headers()["x-run-id"].to_str().unwrap().to_owned();
    answer.text().await.unwrap();
    run
}

fn ids(page: &Value) -> Vec<String> {
    let runs = page["runs"].as_array().unwrap().iter();
    runs.map(|run| run["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_lists_their_own_runs_and_administrators_all() {
    let app = TestApp::start().await.unwrap();
    let ann = app.user("ann", Role::Creator).await.unwrap();
    let bob = app.user("bob", Role::Creator).await.unwrap();
    let admin = app.user("root", Role::Administrator).await.unwrap();
    let mut hers = Vec::new();
    for number in 0..3 {
        hers.insert(0, ask(&ann, &format!("s-{number}"), &json!("What is a log?")).await);
    }
    let parts = json!([{"type": "text", "text": "Two"}, {"type": "text", "text": "parts"}]);
    let his = ask(&bob, "s-1", &parts).await;
    let page = json(&ann, "/v1/runs", StatusCode::OK).await;
    assert_eq!((ids(&page), &page["next"]), (hers.clone(), &Value::Null));
    let first = &page["runs"][0];
    for (field, expected) in [
        ("state", json!("completed")),
        ("owner", json!(ann.user)),
        ("session_id", json!("s-2")),
        ("surface", json!("sage_web_stream")),
        ("question", json!("What is a log?")),
        ("attempts", json!(1)),
        ("parent", Value::Null),
        ("error", Value::Null),
    ] {
        assert_eq!(first[field], expected, "{field}");
    }
    let page = json(&bob, "/v1/runs?state=completed&surface=", StatusCode::OK).await;
    assert_eq!(
        (ids(&page), &page["runs"][0]["question"]),
        (vec![his.clone()], &json!("Two parts"))
    );
    assert_eq!(ids(&json(&bob, "/v1/runs?state=failed", StatusCode::OK).await), [""; 0]);
    assert_eq!(ids(&json(&bob, "/v1/runs?surface=genie", StatusCode::OK).await), [""; 0]);
    // Pages join to the whole, without gap or double.
    let (mut all, mut before) = (Vec::new(), String::new());
    loop {
        let page = json(&admin, &format!("/v1/runs?limit=3{before}"), StatusCode::OK).await;
        all.extend(ids(&page));
        match page["next"].as_i64() {
            Some(next) => before = format!("&before={next}"),
            None => break,
        }
    }
    assert_eq!(all, [vec![his], hers].concat());
    let deleted = ann.request(reqwest::Method::DELETE, "/api/conversations/s-2").send().await;
    assert_eq!(deleted.unwrap().status(), StatusCode::OK);
    assert_eq!(ids(&json(&ann, "/v1/runs", StatusCode::OK).await), all[2..]);
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_shows_what_was_recorded_of_it_to_its_owner() {
    let app = TestApp::start().await.unwrap();
    let ann = app.user("ann", Role::Creator).await.unwrap();
    let bob = app.user("bob", Role::Creator).await.unwrap();
    let admin = app.user("root", Role::Administrator).await.unwrap();
    let run = ask(&ann, "s-1", &json!("What is a log?")).await;
    let path = format!("/v1/runs/{run}/events");
    let whole = json(&ann, &path, StatusCode::OK).await;
    let events = whole["events"].as_array().unwrap();
    assert_eq!(events[0]["type"], "RunRequested");
    assert_eq!(events.last().unwrap()["type"], "RunEnded");
    assert_eq!(whole["next"], events.len());
    for (revision, event) in events.iter().enumerate() {
        assert_eq!(event["revision"], revision);
        assert_eq!(event["stream"], format!("run-{run}"));
        assert!(event["position"].is_u64() && event["recorded_at"].is_string(), "{event}");
    }
    let (mut joined, mut from) = (Vec::new(), 0);
    loop {
        let page = json(&ann, &format!("{path}?from={from}&limit=2"), StatusCode::OK).await;
        let part = page["events"].as_array().unwrap();
        if part.is_empty() {
            break;
        }
        joined.extend(part.iter().cloned());
        from = page["next"].as_u64().unwrap();
    }
    assert_eq!(&joined, events);
    assert_eq!(json(&admin, &path, StatusCode::OK).await, whole);
    json(&bob, &path, StatusCode::NOT_FOUND).await;
    let far = json(&ann, &format!("{path}?from={}", u64::MAX), StatusCode::OK).await;
    assert_eq!((&far["events"], &far["next"]), (&json!([]), &json!(u64::MAX)));
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_is_refused_and_needs_a_login() {
    let app = TestApp::start().await.unwrap();
    let ann = app.user("ann", Role::Creator).await.unwrap();
    let run = ask(&ann, "s-1", &json!("What is a log?")).await;
    for (path, name) in [
        ("/v1/runs?state=odd".to_owned(), "state"),
        ("/v1/runs?surface=odd".to_owned(), "surface"),
        ("/v1/runs?limit=0".to_owned(), "limit"),
        ("/v1/runs?limit=201".to_owned(), "limit"),
        ("/v1/runs?before=x".to_owned(), "before"),
        (format!("/v1/runs/{run}/events?limit=1001"), "limit"),
        (format!("/v1/runs/{run}/events?from=-1"), "from"),
    ] {
        let problem = json(&ann, &path, StatusCode::UNPROCESSABLE_ENTITY).await;
        assert_eq!(problem["errors"][0]["loc"], json!(["query", name]), "{path}");
    }
    json(&ann, "/v1/runs?owner=bob", StatusCode::UNPROCESSABLE_ENTITY).await;
    json(&ann, "/v1/runs/odd/events", StatusCode::NOT_FOUND).await;
    let nobody = app.nobody().unwrap();
    json(&nobody, "/v1/runs", StatusCode::UNAUTHORIZED).await;
    json(&nobody, &format!("/v1/runs/{run}/events"), StatusCode::UNAUTHORIZED).await;
    app.stop().await.unwrap();
}
