use crate::server::{Answer, SYNC_SECRET, Server, server};
use domain::user::Role;
use futures::future::join_all;
use serde_json::{Value, json};

async fn increment(server: &Server, bearer: &str, body: Value) -> Answer {
    server.post("/api/usage/increment", &[("authorization", bearer)], body).await
}

async fn shown(server: &Server, bearer: &str) -> Value {
    server.get("/api/usage", &[("authorization", bearer)]).await.body
}

async fn ann(server: &Server) -> String {
    server.given_user("ann", Role::Creator).await;
    server.bearer("ann", "password").await
}

#[tokio::test]
async fn usage_shows_limits_and_what_is_left() {
    let server = server(&[]).await;
    let ann = ann(&server).await;
    let done = increment(&server, &ann, json!({ "operation": "taxonomy_ai_calls", "amount": 4 }));
    let expected = json!({
        "ok": true, "success": true, "action": "taxonomy_tags", "newValue": 4, "limit": 10,
        "remaining": 6, "limitReached": false,
    });
    assert_eq!(done.await.body, expected);
    let shown = shown(&server, &ann).await;
    assert_eq!(shown["tier"], "starter");
    let limits = json!({ "post_creations": 3, "taxonomy_tags": 10, "media_modifications": 5 });
    assert_eq!(shown["limits"], limits);
    let usage = json!({ "post_creations": 0, "taxonomy_tags": 4, "media_modifications": 0 });
    assert_eq!(shown["usage"], usage);
    let remaining = json!({ "post_creations": 3, "taxonomy_tags": 6, "media_modifications": 5 });
    assert_eq!(shown["remaining"], remaining);
    assert!(shown["billing_cycle_start"].as_str().unwrap().ends_with("T00:00:00.000Z"));
    assert!(shown.get("degraded").is_none());
}

#[tokio::test]
async fn of_fifty_at_once_three_succeed_and_nothing_else_is_recorded() {
    let server = server(&[]).await;
    let ann = ann(&server).await;
    let body = || json!({ "action": "post_creations" });
    let answers = join_all((0..50).map(|_| increment(&server, &ann, body()))).await;
    let (good, bad): (Vec<_>, Vec<_>) = answers.into_iter().partition(|a| a.status == 200);
    assert_eq!((good.len(), bad.len()), (3, 47));
    assert!(good.iter().any(|answer| answer.body["limitReached"] == true));
    for answer in bad {
        assert_eq!(answer.status, 403);
        assert_eq!(answer.body["error"], "tier_limit_reached");
        assert_eq!(answer.body["reason"], "limit_reached");
        assert_eq!((&answer.body["limit"], &answer.body["usage"]), (&json!(3), &json!(3)));
    }
    assert_eq!(server.count("UsageCharged").await, 3);
    assert_eq!(shown(&server, &ann).await["remaining"]["post_creations"], 0);
}

#[tokio::test]
async fn a_repeat_is_not_counted_again() {
    let server = server(&[]).await;
    let ann = ann(&server).await;
    let body = || json!({ "operation": "post_creations", "ref": "job-1" });
    for _ in 0..3 {
        assert_eq!(increment(&server, &ann, body()).await.body["newValue"], 1);
    }
    let headers = [("authorization", ann.as_str()), ("idempotency-key", "job-2")];
    for _ in 0..2 {
        let body = json!({ "operation": "post_creations" });
        let answer = server.post("/api/usage/increment", &headers, body).await;
        assert_eq!(answer.body["newValue"], 2);
    }
    assert_eq!(server.count("UsageCharged").await, 2);
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let server = server(&[]).await;
    let ann = ann(&server).await;
    let amount = |amount: Value| json!({ "operation": "post_creations", "amount": amount });
    for body in [
        json!({}),
        json!({ "operation": "chat" }),
        json!({ "operation": 7 }),
        amount(json!(0)),
        amount(json!(-1)),
        amount(json!(1.5)),
        amount(json!("1")),
        amount(json!(1_001)),
        json!({ "operation": "post_creations", "ref": "" }),
    ] {
        let answer = increment(&server, &ann, body.clone()).await;
        assert_eq!(
            (answer.status, &answer.body["error"]),
            (400, &json!("invalid_request")),
            "{body}"
        );
    }
    assert_eq!(server.count("UsageCharged").await, 0);
}

#[tokio::test]
async fn everybody_counts_for_themselves_and_servers_for_others() {
    let server = server(&[]).await;
    let bob = server.given_user("bob", Role::Viewer).await;
    let ann = ann(&server).await;
    let body = |user: &str| json!({ "operation": "post_creations", "userId": user });
    assert_eq!(increment(&server, &ann, body(&bob)).await.status, 403);
    let viewer = server.bearer("bob", "password").await;
    let refused = increment(&server, &viewer, json!({ "operation": "post_creations" })).await;
    assert_eq!((refused.status, &refused.body["error"]), (403, &json!("forbidden")));
    let secret = [("x-rbac-sync-secret", SYNC_SECRET)];
    let counted = server.post("/api/usage/increment", &secret, body(&bob)).await;
    assert_eq!((counted.status, &counted.body["newValue"]), (200, &json!(1)));
    let nobody = server.post("/api/usage/increment", &secret, body("nobody")).await;
    assert_eq!((nobody.status, &nobody.body["reason"]), (403, &json!("quota_check_failed")));
    let whose = json!({ "operation": "post_creations" });
    assert_eq!(server.post("/api/usage/increment", &secret, whose).await.status, 400);
    let wrong = [("x-rbac-sync-secret", "guess"), ("authorization", ann.as_str())];
    assert_eq!(server.post("/api/usage/increment", &wrong, body(&bob)).await.status, 401);
}

#[tokio::test]
async fn without_a_login_there_is_no_usage() {
    let server = server(&[]).await;
    let missing = server.get("/api/usage", &[]).await;
    assert_eq!(
        (missing.status, &missing.body["error"]),
        (401, &json!("Missing authorization token"))
    );
    let bad = server.get("/genie/api/usage", &[("authorization", "Bearer x")]).await;
    assert_eq!((bad.status, &bad.body["error"]), (401, &json!("Invalid or expired token")));
}
