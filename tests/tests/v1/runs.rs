use crate::json;
use annals_tests::app::{Person, TestApp};
use domain::user::Role;
use reqwest::StatusCode;
use serde_json::{Value, json};

/// Asks something and reads the answer to its end: the run, and its lines.
async fn ask(person: &Person, session: &str) -> (String, String) {
    let body = json!({"messages": [{"role": "user", "content": "What is a log?"}],
        "session_id": session});
    let answer = person.post("/api/web-stream").json(&body).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let run = answer.headers()["x-run-id"].to_str().unwrap().to_owned();
    (run, answer.text().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finished_run_is_told_and_replayed_byte_for_byte() {
    let app = TestApp::start().await.unwrap();
    let ann = app.user("ann", Role::Creator).await.unwrap();
    let (run, live) = ask(&ann, "s-1").await;
    let shown = json(&ann, &format!("/v1/runs/{run}"), StatusCode::OK).await;
    let lines: Vec<&str> = live.lines().filter(|line| line.starts_with('{')).collect();
    assert_eq!(shown["state"], "completed", "{shown}");
    assert_eq!(shown["lines"], lines.len());
    for (field, expected) in [
        ("id", json!(run)),
        ("session_id", json!("s-1")),
        ("attempts", json!(1)),
        ("surface", json!("sage_web_stream")),
        ("owner", json!(ann.user)),
        ("error", Value::Null),
    ] {
        assert_eq!(shown[field], expected, "{field}");
    }
    let whole = ann.get(&format!("/v1/runs/{run}/stream")).send().await.unwrap();
    assert_eq!(whole.headers()["x-run-id"], *run);
    assert_eq!(whole.text().await.unwrap(), live);
    for k in [1, lines.len() - 1, lines.len() + 50] {
        let path = format!("/v1/runs/{run}/stream?last_index={k}");
        let rest = ann.get(&path).send().await.unwrap().text().await.unwrap();
        let expected = &lines[k.min(lines.len() - 1)..];
        assert_eq!(rest.lines().collect::<Vec<_>>(), expected, "{k}");
    }
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_of_server_sent_events_goes_on_after_its_last_id() {
    let app = TestApp::start().await.unwrap();
    let ann = app.user("ann", Role::Creator).await.unwrap();
    let (run, live) = ask(&ann, "s-1").await;
    let lines: Vec<&str> = live.lines().collect();
    let request = ann.get(&format!("/v1/runs/{run}/stream")).header("accept", "text/event-stream");
    let answer = request.header("last-event-id", format!("{run}:0")).send().await.unwrap();
    let text = answer.text().await.unwrap();
    let data: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
    assert_eq!(data, lines[1..]);
    let ids: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("id: ")).collect();
    let expected: Vec<_> = (1..lines.len()).map(|index| format!("{run}:{index}")).collect();
    assert_eq!(ids, expected);
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_there_for_its_owner_and_administrators_only() {
    let app = TestApp::start().await.unwrap();
    let ann = app.user("ann", Role::Creator).await.unwrap();
    let bob = app.user("bob", Role::Creator).await.unwrap();
    let admin = app.user("root", Role::Administrator).await.unwrap();
    let (run, _) = ask(&ann, "s-1").await;
    for path in [format!("/v1/runs/{run}"), format!("/v1/runs/{run}/stream")] {
        let refused = bob.get(&path).send().await.unwrap();
        assert_eq!(refused.status(), 404, "{path}");
        let shown = admin.get(&path).send().await.unwrap();
        assert_eq!(shown.status(), 200, "{path}");
    }
    app.stop().await.unwrap();
}
