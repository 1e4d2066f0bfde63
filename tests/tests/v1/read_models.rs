use crate::json;
use annals_tests::app::{Person, TestApp};
use domain::user::Role;
use reqwest::StatusCode;
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use std::time::Duration;

/// The lock by which one rebuild keeps others out, as another process would hold it.
const LOCK: &str = "select pg_advisory_lock(hashtextextended('annals rebuild users', 0))";

async fn rebuild(person: &Person, name: &str) -> (u16, Value) {
    let answer = person.post(&format!("/v1/read-models/{name}/rebuild")).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

/// The read model, once its rebuild is in this state.
async fn until(admin: &Person, name: &str, state: &str) -> Value {
    let found = async {
        loop {
            let shown = json(admin, &format!("/v1/read-models/{name}"), StatusCode::OK).await;
            if shown["rebuild"]["state"] == state {
                return shown;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), found).await.expect("the state never came")
}

async fn rename(person: &Person, at: u32) {
    let body = json!({"title": format!("Title {at}")});
    let answer = person.post("/api/conversations/s-1/title").json(&body).send().await.unwrap();
    assert_eq!(answer.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_while_people_write_ends_equal_to_the_log() {
    let app = TestApp::start().await.unwrap();
    let ann = app.user("ann", Role::Creator).await.unwrap();
    let admin = app.user("root", Role::Administrator).await.unwrap();
    let body = json!({"messages": [{"role": "user", "content": "Hello"}], "session_id": "s-1"});
    ann.post("/api/web-stream").json(&body).send().await.unwrap().text().await.unwrap();
    for at in 0..40 {
        rename(&ann, at).await;
    }
    // What is wrong in the live rows is put right.
    sqlx::query("update conversations set title = 'wrong'").execute(&app.app.db).await.unwrap();
    let (status, begun) = rebuild(&admin, "conversations").await;
    assert_eq!((status, &begun["name"]), (202, &json!("conversations")));
    assert_eq!(begun["rebuild"]["started_by"], json!(admin.user));
    let writing = async {
        for at in 40..80 {
            rename(&ann, at).await;
        }
    };
    let (done, ()) = tokio::join!(until(&admin, "conversations", "done"), writing);
    let state = &done["rebuild"];
    assert!(state["events"].as_u64().unwrap() > 40, "{state}");
    assert!(state["done"] == state["total"] && state["ended_at"].is_string(), "{state}");
    app.settled().await.unwrap();
    let compared = app.app.projections.compare("conversations").await.unwrap();
    assert_eq!(compared.difference, None);
    let listing = json(&ann, "/api/conversations", StatusCode::OK).await;
    assert_eq!(listing["data"]["list"][0]["title"], "Title 79");
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_rebuild_of_a_read_model_at_a_time_whoever_has_it() {
    let app = TestApp::start().await.unwrap();
    let admin = app.user("root", Role::Administrator).await.unwrap();
    let other = TestApp::on(&app.database_url(), &[]).await.unwrap();
    let mut elsewhere = PgConnection::connect(&app.database_url()).await.unwrap();
    sqlx::query(LOCK).execute(&mut elsewhere).await.unwrap();
    for person in [admin.clone(), admin.at(&other)] {
        let (status, refused) = rebuild(&person, "users").await;
        assert_eq!((status, &refused["title"]), (409, &json!("Conflict")), "{refused}");
    }
    // As one that goes on elsewhere shows here, and as it does when its process is killed.
    let row = "insert into rebuilds (name, attempt, started_at, done, total, told_at)
        values ('users', 1, now(), 5, 9, now())";
    sqlx::query(row).execute(&mut elsewhere).await.unwrap();
    let shown = until(&admin, "users", "running").await;
    assert_eq!((&shown["rebuild"]["done"], &shown["rebuild"]["total"]), (&json!(5), &json!(9)));
    elsewhere.close().await.unwrap();
    until(&admin, "users", "interrupted").await;
    assert_eq!(rebuild(&admin.at(&other), "users").await.0, 202);
    until(&admin, "users", "done").await;
    let listed = json(&admin, "/v1/read-models", StatusCode::OK).await;
    let states =
        listed["read_models"].as_array().unwrap().iter().filter(|one| !one["rebuild"].is_null());
    assert_eq!(states.count(), 1);
    other.stop().await.unwrap();
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_that_fails_says_why_and_leaves_the_rows() {
    let app = TestApp::start().await.unwrap();
    let admin = app.user("root", Role::Administrator).await.unwrap();
    app.settled().await.unwrap();
    sqlx::query("create view onlooker as select id from users").execute(&app.app.db).await.unwrap();
    assert_eq!(rebuild(&admin, "users").await.0, 202);
    let failed = until(&admin, "users", "failed").await;
    let reason = failed["rebuild"]["failure"].as_str().unwrap();
    assert!(reason.contains("depend"), "{reason}");
    json(&admin, "/v1/system", StatusCode::OK).await;
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_operator_sees_and_does_is_for_administrators() {
    let app = TestApp::start().await.unwrap();
    let ann = app.user("ann", Role::Creator).await.unwrap();
    let admin = app.user("root", Role::Administrator).await.unwrap();
    let nobody = app.nobody().unwrap();
    for path in ["/v1/system", "/v1/read-models", "/v1/read-models/users"] {
        json(&nobody, path, StatusCode::UNAUTHORIZED).await;
        json(&ann, path, StatusCode::FORBIDDEN).await;
    }
    assert_eq!(rebuild(&nobody, "users").await.0, 401);
    assert_eq!(rebuild(&ann, "users").await.0, 403);
    assert_eq!(rebuild(&admin, "nonsense").await.0, 404);
    json(&admin, "/v1/read-models/nonsense", StatusCode::NOT_FOUND).await;
    let listed = json(&admin, "/v1/read-models", StatusCode::OK).await;
    for model in listed["read_models"].as_array().unwrap() {
        assert_eq!(model["rebuild"], Value::Null, "refused calls begin nothing: {model}");
    }
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_state_of_the_system_is_told_as_numbers() {
    let app = TestApp::start().await.unwrap();
    let admin = app.user("root", Role::Administrator).await.unwrap();
    let other = TestApp::on(&app.database_url(), &[]).await.unwrap();
    let stream = admin.get("/v1/events/stream").send().await.unwrap();
    let head = app.settled().await.unwrap();
    let shown = json(&admin, "/v1/system", StatusCode::OK).await;
    assert_eq!((&shown["log"]["head"], &shown["open_streams"]), (&json!(head), &json!(1)));
    assert_eq!((&shown["node"], &shown["broker"]), (&json!(app.app.node), &Value::Null));
    let nodes = shown["nodes"].as_array().unwrap();
    assert_eq!(nodes.len(), 2);
    assert!(nodes.iter().all(|node| node["alive"] == true && node["runs"] == 0), "{nodes:?}");
    assert!(shown["database"]["ping_seconds"].as_f64().unwrap() > 0.0);
    assert!(shown["database"]["size_bytes"].as_u64().unwrap() > 1_000_000);
    let connections = &shown["database"]["connections"];
    assert!(connections["open"].as_u64() <= connections["limit"].as_u64());
    assert!(shown["read_models"].as_array().unwrap().iter().all(|model| model["lag"] == 0));
    drop(stream);
    other.stop().await.unwrap();
    app.stop().await.unwrap();
}
