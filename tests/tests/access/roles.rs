use crate::server::{ADMIN_PASSWORD, Answer, SYNC_SECRET, Server, server};
use domain::user::Role;
use serde_json::{Value, json};

const SECRET: (&str, &str) = ("x-rbac-sync-secret", SYNC_SECRET);

async fn sync(server: &Server, body: Value) -> Answer {
    server.post("/api/rbac-sync", &[SECRET], body).await
}

async fn role(server: &Server, bearer: &str) -> Value {
    let session = server.get("/api/auth/session", &[("authorization", bearer)]).await;
    session.body["data"]["user"]["role"].clone()
}

#[tokio::test]
async fn a_new_role_holds_from_the_very_next_request() {
    let server = server(&[]).await;
    let ann = server.given_user("ann", Role::Creator).await;
    let bearer = server.bearer("ann", "password").await;
    let answer = sync(&server, json!({ "userId": ann, "role": "Administrator" })).await;
    let result = json!({
        "userId": uuid::Uuid::parse_str(&ann).unwrap(), "previousRole": "Creator", "role": "Administrator",
        "status": "active", "changed": true,
    });
    assert_eq!(answer.status, 200);
    assert_eq!((&answer.body["ok"], &answer.body["results"]), (&json!(true), &json!([result])));
    assert_eq!(role(&server, &bearer).await, "admin");
    let again = sync(&server, json!({ "user_id": ann, "role": "ADMIN" })).await;
    assert_eq!(again.body["results"][0]["changed"], false);
    assert_eq!(server.count("AdminAppointed").await, 2);
    sync(&server, json!({ "directusUserId": ann, "role": "user" })).await;
    assert_eq!(role(&server, &bearer).await, "user");
}

#[tokio::test]
async fn the_identity_providers_own_form_suspends_several_at_once() {
    let server = server(&[]).await;
    let (ann, bob) = (
        server.given_user("ann", Role::Creator).await,
        server.given_user("bob", Role::Viewer).await,
    );
    let bearer = server.bearer("bob", "password").await;
    let event = json!({
        "event": "users.update", "keys": [ann, bob], "payload": { "status": "suspended" },
    });
    let answer = sync(&server, event).await;
    assert_eq!(answer.body["results"].as_array().unwrap().len(), 2);
    let session = server.get("/api/auth/session", &[("authorization", &bearer)]).await;
    assert_eq!(session.status, 401);
    assert_eq!(server.login("ann", "password").await.told(), (403, 403, "账号已停用"));
    let usage = server.get("/api/usage", &[("authorization", &bearer)]).await;
    assert_eq!((usage.status, &usage.body["error"]), (401, &json!("Invalid or expired token")));
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_and_changes_nothing() {
    let server = server(&[]).await;
    let ann = server.given_user("ann", Role::Creator).await;
    let bearer = server.bearer("admin", ADMIN_PASSWORD).await;
    let session = server.get("/api/auth/session", &[("authorization", &bearer)]).await;
    let admin = session.body["data"]["user"]["userid"].clone();
    let head = server.node.app.log.head().await.unwrap();
    for (body, status, error) in [
        (json!({ "userId": ann, "role": "root" }), 400, "invalid_role"),
        (json!({ "role": "Viewer" }), 400, "invalid_request"),
        (json!({ "userId": "nobody", "role": "Viewer" }), 404, "not_found"),
        (json!({ "keys": [ann, "nobody"], "payload": { "role": "Viewer" } }), 404, "not_found"),
        (json!({ "keys": [ann, admin], "payload": { "role": "Viewer" } }), 400, "last_admin"),
        (json!({ "userId": admin, "status": "archived" }), 400, "last_admin"),
    ] {
        let answer = sync(&server, body.clone()).await;
        assert_eq!((answer.status, &answer.body["error"]), (status, &json!(error)), "{body}");
        assert_eq!((&answer.body["ok"], &answer.body["success"]), (&json!(false), &json!(false)));
    }
    let nothing = sync(&server, json!({ "userId": ann, "payload": { "title": "x" } })).await;
    assert_eq!((nothing.status, &nothing.body["results"]), (200, &json!([])));
    assert_eq!(server.node.app.log.head().await.unwrap(), head);
}

#[tokio::test]
async fn only_whoever_knows_the_secret_may() {
    let server = server(&[]).await;
    let body = || json!({ "userId": "x", "role": "Viewer" });
    for headers in [vec![], vec![("x-rbac-sync-secret", "guess")]] {
        let answer = server.post("/api/rbac-sync", &headers, body()).await;
        assert_eq!((answer.status, &answer.body["error"]), (401, &json!("unauthorized")));
    }
}

#[tokio::test]
async fn without_a_secret_nobody_may() {
    let server = server(&[("ANNALS_RBAC_SYNC_SECRET", "")]).await;
    let headers = [("x-rbac-sync-secret", "")];
    let answer = server.post("/api/rbac-sync", &headers, json!({ "userId": "x" })).await;
    assert_eq!((answer.status, &answer.body["error"]), (500, &json!("server_misconfigured")));
}
