use annals_tests::app::TestApp;
use serde_json::Value;

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
