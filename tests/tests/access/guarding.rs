use crate::server::{ADMIN_PASSWORD, server, system};
use domain::{ids::UserId, user::Role};
use serde_json::json;

#[tokio::test]
async fn guessing_is_slowed_down_per_account_and_address() {
    let server = server(&[("ANNALS_TRUSTED_PROXIES", "127.0.0.1")]).await;
    let guess = async |from: &str, password: &str| {
        let body = json!({ "username_or_email": "admin", "password": password });
        server.post("/api/auth/login", &[("x-forwarded-for", from)], body).await
    };
    for _ in 0..10 {
        assert_eq!(guess("203.0.113.5", "wrong").await.status, 500);
    }
    let stopped = guess("203.0.113.5", ADMIN_PASSWORD).await;
    assert_eq!((stopped.status, stopped.body["code"].as_u64()), (429, Some(429)));
    assert_eq!(guess("203.0.113.6", ADMIN_PASSWORD).await.status, 200);
}

#[tokio::test]
async fn programs_that_know_the_password_may_all_log_in_at_once() {
    let server = server(&[]).await;
    let logins = (0..24).map(|_| server.login("admin", ADMIN_PASSWORD));
    for login in futures::future::join_all(logins).await {
        assert_eq!(login.told(), (200, 200, "登录成功"));
    }
    let wrong = (0..24).map(|_| server.login("admin", "wrong"));
    let told = futures::future::join_all(wrong).await;
    assert_eq!(told.iter().filter(|answer| answer.status == 500).count(), 10);
    assert_eq!(told.iter().filter(|answer| answer.status == 429).count(), 14);
}

#[tokio::test]
async fn an_api_token_is_as_good_as_a_login() {
    let server = server(&[]).await;
    let ann = UserId(server.given_user("ann", Role::Creator).await);
    let app = &server.node.app;
    let (token, position) = app.identity.issue_api_token(&ann, &system()).await.unwrap();
    app.caught_up("users", position).await;
    let header = format!("Token {}", token.expose());
    let session = server.get("/api/auth/session", &[("authorization", &header)]).await;
    assert_eq!(session.body["data"]["user"]["userid"], ann.0);
    let wrong = format!("Token {}", "0".repeat(40));
    let refused = server.get("/api/auth/session", &[("authorization", &wrong)]).await;
    assert_eq!(refused.told(), (401, 401, "Token非法"));
}

#[tokio::test]
async fn another_method_is_told_in_the_dialects_own_shape() {
    let server = server(&[]).await;
    let sage = server.get("/api/auth/login", &[]).await;
    assert_eq!((sage.status, sage.body), (405, json!({ "detail": "Method Not Allowed" })));
    let genie = server.get("/api/rbac-sync", &[]).await;
    assert_eq!((genie.status, &genie.body["error"]), (405, &json!("method_not_allowed")));
    let unknown = server.get("/genie/api/nothing", &[]).await;
    assert_eq!((unknown.status, &unknown.body["error"]), (404, &json!("not_found")));
}
