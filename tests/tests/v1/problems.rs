use annals_tests::app::TestApp;
use domain::user::Role;
use reqwest::Method;
use serde_json::Value;

#[tokio::test(flavor = "multi_thread")]
async fn every_failure_is_a_problem_with_its_status() {
    let app = TestApp::start().await.unwrap();
    let admin = app.user("ann", Role::Administrator).await.unwrap();
    let nobody = app.nobody().unwrap();
    for (person, method, path, status) in [
        (&nobody, Method::GET, "/v1/nothing", 404),
        (&nobody, Method::GET, "/v1", 404),
        (&nobody, Method::GET, "/v1/", 404),
        (&nobody, Method::DELETE, "/v1/events", 405),
        (&nobody, Method::GET, "/v1/events", 401),
        (&nobody, Method::GET, "/v1/runs/00000000-0000-0000-0000-000000000000", 401),
        (&admin, Method::GET, "/v1/runs/00000000-0000-0000-0000-000000000000", 404),
        (&admin, Method::GET, "/v1/runs/not-a-run/stream", 404),
        (&admin, Method::GET, "/v1/events?limit=0", 422),
        (&admin, Method::GET, "/v1/events?limit=1001", 422),
        (&admin, Method::GET, "/v1/events?limit=x", 422),
        (&admin, Method::GET, "/v1/events?after=-1", 422),
        (&admin, Method::GET, "/v1/events?stream=nodash", 422),
        (&admin, Method::GET, "/v1/events?since=yesterday", 422),
        (&admin, Method::GET, "/v1/events?correlation=1", 422),
        (&admin, Method::GET, "/v1/events?typ=RunRequested", 422),
    ] {
        let answer = person.request(method.clone(), path).send().await.unwrap();
        assert_eq!(answer.status(), status, "{method} {path}");
        let headers = answer.headers().clone();
        assert_eq!(headers["content-type"], "application/problem+json", "{path}");
        assert_eq!(headers.contains_key("www-authenticate"), status == 401, "{path}");
        assert_eq!(headers.contains_key("allow"), status == 405, "{path}");
        let body: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        assert_eq!(body["status"], status, "{body}");
        assert_eq!(body["request_id"], headers["x-request-id"].to_str().unwrap());
        assert!(body["detail"].as_str().is_some_and(|text| !text.is_empty()), "{body}");
        assert_eq!(body["errors"].is_array(), status == 422, "{body}");
    }
    app.stop().await.unwrap();
}
