use annals_tests::app::TestApp;
use commands::publish::{State, Status, testing::NatsServer};
use serde_json::{Value, json};
use std::time::Duration;

async fn readyz(app: &TestApp) -> (u16, Value) {
    let answer = app.nobody().unwrap().get("/readyz").send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

async fn until(app: &TestApp, reached: impl FnMut(&Status) -> bool) {
    let mut status = app.app.publisher.as_ref().unwrap().watch();
    let seen = status.wait_for(reached);
    tokio::time::timeout(Duration::from_secs(60), seen).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_broker_gets_everything_and_its_outage_takes_nobody_out_of_service() {
    let mut nats = NatsServer::start().await.unwrap();
    let app = TestApp::start_with(&[("NATS_URL", &nats.url())]).await.unwrap();
    let head = app.settled().await.unwrap();
    until(&app, |status| status.position >= head).await;
    let (code, body) = readyz(&app).await;
    let expected = json!({"state": "publishing", "reason": null, "position": head});
    assert_eq!((code, &body["broker"]), (200, &expected));
    let page = app.nobody().unwrap().get("/metrics").send().await.unwrap().text().await.unwrap();
    assert!(page.contains(&format!("\nannals_publisher_position {head}\n")), "{page}");

    nats.kill().await.unwrap();
    until(&app, |status| matches!(status.state, State::Waiting(_))).await;
    let (code, body) = readyz(&app).await;
    assert_eq!((code, &body["broker"]["state"]), (200, &json!("waiting")));
    assert!(body["broker"]["reason"].is_string(), "{body}");
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_broker_nothing_is_published() {
    let app = TestApp::start().await.unwrap();
    assert!(app.app.publisher.is_none());
    assert_eq!(readyz(&app).await.1["broker"], Value::Null);
    app.stop().await.unwrap();
}
