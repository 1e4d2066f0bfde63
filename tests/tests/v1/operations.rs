use annals_tests::app::TestApp;
use domain::user::Role;
use serde_json::Value;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_has_caught_up_is_alive_and_ready() {
    let app = TestApp::start().await.unwrap();
    app.settled().await.unwrap();
    let nobody = app.nobody().unwrap();
    let live = nobody.get("/livez").send().await.unwrap();
    assert_eq!((live.status(), live.text().await.unwrap()), (reqwest::StatusCode::OK, "ok".into()));
    let ready = nobody.get("/readyz").send().await.unwrap();
    assert_eq!(ready.status(), 200);
    let body: Value = ready.json().await.unwrap();
    assert_eq!(body["ready"], true);
    assert!(body["read_models"].as_array().unwrap().iter().all(|model| model["lag"] == 0));
    app.stop().await.unwrap();
}

/// The value of a metric's line.
fn value(page: &str, line: &str) -> f64 {
    let found = page.lines().find_map(|text| text.strip_prefix(line)?.strip_prefix(' '));
    found.unwrap_or_else(|| panic!("no {line} in\n{page}")).parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_count_what_was_asked_and_where_everything_stands() {
    let app = TestApp::start().await.unwrap();
    let admin = app.user("ann", Role::Administrator).await.unwrap();
    let events = admin.get("/v1/events").send().await.unwrap();
    assert_eq!(events.status(), 200);
    assert_eq!(app.nobody().unwrap().get("/v1/events").send().await.unwrap().status(), 401);
    let stream = admin.get("/v1/events/stream").send().await.unwrap();
    let head = app.settled().await.unwrap();
    let answer = app.nobody().unwrap().get("/metrics").send().await.unwrap();
    let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
    assert!(kind.starts_with("text/plain; version=0.0.4"), "{kind}");
    let page = answer.text().await.unwrap();
    for (line, expected) in [
        (r#"annals_http_requests_total{dialect="v1",status="2xx"}"#, 2),
        (r#"annals_http_requests_total{dialect="v1",status="4xx"}"#, 1),
        (r#"annals_http_request_seconds_count{dialect="v1"}"#, 3),
        ("annals_http_open_streams", 1),
        ("annals_runs_performing", 0),
        ("annals_log_head_position", u32::try_from(head.0).unwrap()),
        (r#"annals_projection_lag{name="users"}"#, 0),
    ] {
        assert_eq!(value(&page, line), f64::from(expected), "{line}");
    }
    assert!(value(&page, "process_resident_memory_bytes") > 1e6);
    assert!(value(&page, "annals_log_append_seconds_count") > 0.0);
    assert!(value(&page, "annals_log_batch_events_sum") > 0.0);
    drop(stream);
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_goes_down_is_not_ready() {
    let app = TestApp::start().await.unwrap();
    app.settled().await.unwrap();
    app.app.reply.drain(Duration::from_secs(5)).await;
    let ready = app.nobody().unwrap().get("/readyz").send().await.unwrap();
    assert_eq!(ready.status(), 503);
    let body: Value = ready.json().await.unwrap();
    assert_eq!((&body["ready"], &body["draining"]), (&Value::from(false), &Value::from(true)));
    app.stop().await.unwrap();
}
