//! Keys in definitions and inputs: used where they are meant to be, in no event, gone with their app.

use crate::room::{Room, answer, made, pieces, put_together, run};
use axum::{Json, Router, http::HeaderMap, routing::get};
use commands::log::Filter;
use domain::Position;
use reqwest::Method;
use serde_json::{Value, json};

/// Says which key it was sent; `/silent` does not.
async fn api() -> String {
    let told = async |headers: HeaderMap| {
        let sent = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        Json(json!({"key": sent("x-acme-key"), "auth": sent("authorization")}))
    };
    let knows = async |headers: HeaderMap| {
        let is = |name: &str, value: &str| headers.get(name).is_some_and(|sent| sent == value);
        Json(
            json!({"knows": is("x-acme-key", "acme-5ecret-1") && is("authorization", "Bearer typed-pass9")}),
        )
    };
    let router = Router::new().route("/told", get(told)).route("/silent", get(knows));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

fn calls(url: &str) -> Value {
    json!({
        "name": "Keyed", "type_slug": "web", "draft": false,
        "input_fields": [{"name": "pass", "widget": "password"}],
        "output_template": {"markdown": "{{ c.response }} {{ _inputs0.pass }}"},
        "twilio_config": {"account_sid": "AC1", "auth_token": "twilio-5ecret-2"},
        "processors": [{"id": "c", "provider_slug": "promptly", "processor_slug": "simple_http",
            "input": {"url": url},
            "config": {"headers": [
                {"key": "X-Acme-Key", "value": "acme-5ecret-1"},
                {"key": "Authorization", "value": "Bearer {{ _inputs0.pass }}"},
            ]}}],
    })
}

/// Everything that is in the log and in the read models, as text.
async fn everything(room: &Room) -> String {
    let page = room.node.app.log.read_all(Position(0), 10_000, &Filter::all()).await.unwrap();
    let mut text = String::new();
    for event in &page.events {
        text.push_str(event.data.get());
        text.push_str(event.metadata.get());
    }
    room.node.settled().await.unwrap();
    let pool = sqlx::PgPool::connect(&room.node.database_url()).await.unwrap();
    for table in ["apps", "app_versions", "app_runs"] {
        let rows = format!("select coalesce(json_agg(t)::text, '') from {table} t");
        let rows: String =
            sqlx::query_scalar(sqlx::AssertSqlSafe(rows)).fetch_one(&pool).await.unwrap();
        text.push_str(&rows);
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_used_and_read_back_and_in_no_event() {
    let room = Room::with(&[("ANNALS_ALLOW_PRIVATE_URLS", "true")]).await.unwrap();
    let url = api().await;
    let definition = calls(&format!("{url}/silent"));
    let id = made(&room.ann, &definition).await.unwrap();
    let path = format!("/api/apps/{id}");
    let (_, app) = answer(room.ann.get(&path)).await.unwrap();
    let headers = &app["data"]["processors"][0]["config"]["headers"];
    assert_eq!(headers, &definition["processors"][0]["config"]["headers"]);
    assert_eq!(app["twilio_config"], definition["twilio_config"]);
    let input = json!({"pass": "typed-pass9"});
    let whole = run(&room.ann, &id, input.clone()).await.unwrap();
    assert_eq!(whole["output"], "{\"knows\":true} ********", "{whole}");
    assert_eq!(whole["chunks"]["_inputs0"], json!({"pass": "********"}));
    let stream = pieces(&room.ann, &id, input.clone()).await.unwrap();
    assert_eq!(put_together(&stream).unwrap(), whole["output"]);
    // What was read is saved as it is, and means the same.
    let saved = json!({"processors": app["data"]["processors"], "draft": false});
    let (status, _) = answer(room.ann.request(Method::PATCH, &path).json(&saved)).await.unwrap();
    assert_eq!(status, 201);
    assert_eq!(run(&room.ann, &id, input.clone()).await.unwrap()["output"], whole["output"]);
    // An answer that repeats a key is recorded without it.
    let told = json!({"processors": calls(&format!("{url}/told"))["processors"], "draft": false});
    assert_eq!(answer(room.ann.request(Method::PATCH, &path).json(&told)).await.unwrap().0, 201);
    let whole = run(&room.ann, &id, input.clone()).await.unwrap();
    let output = whole["output"].as_str().unwrap();
    assert!(output.contains("[key]") && !output.contains("5ecret"), "{output}");
    let (_, first) = answer(room.ann.get(&format!("{path}/versions/0"))).await.unwrap();
    assert_eq!(&first["data"]["processors"][0]["config"]["headers"], headers);

    // Who may run it uses its keys and does not see them.
    answer(room.ann.post(&format!("{path}/publish")).json(&json!({}))).await.unwrap();
    let (_, seen) = answer(room.bob.get(&path)).await.unwrap();
    assert!(!seen.to_string().contains("5ecret"), "{seen}");
    let whole = run(&room.bob, &id, input).await.unwrap();
    assert!(whole["output"].as_str().unwrap().contains("[key]"), "{whole}");
    let all = everything(&room).await;
    assert!(!all.contains("5ecret") && !all.contains("typed-pass9"));
    room.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_an_app_destroys_its_keys_and_nobody_borrows_them() {
    let room = Room::open().await.unwrap();
    let id = made(&room.ann, &calls("https://example.org/")).await.unwrap();
    let pool = sqlx::PgPool::connect(&room.node.database_url()).await.unwrap();
    let kept = async || -> i64 {
        let count = "select count(*) from secrets where subject like '%/apps/%'";
        sqlx::query_scalar(count).fetch_one(&pool).await.unwrap()
    };
    assert_eq!(kept().await, 2);
    let secret: uuid::Uuid =
        sqlx::query_scalar("select id from secrets where subject like '%/apps/%' limit 1")
            .fetch_one(&pool)
            .await
            .unwrap();
    let before = room.node.settled().await.unwrap();
    let mut borrowed = calls("https://example.org/");
    borrowed["processors"][0]["input"]["body"] = json!({ "$vault": secret.to_string() });
    let (status, body) = answer(room.ann.post("/api/apps").json(&borrowed)).await.unwrap();
    assert_eq!((status, body), (400, json!({"errors": ["\"$vault\" is a reserved key"]})));
    let input = json!({"input": {"x": [{ "$vault": secret.to_string() }]}});
    let path = format!("/api/apps/{id}");
    let (status, _) = answer(room.ann.post(&format!("{path}/run")).json(&input)).await.unwrap();
    assert_eq!((status, room.node.settled().await.unwrap()), (400, before));
    assert_eq!(answer(room.ann.request(Method::DELETE, &path)).await.unwrap().0, 200);
    assert_eq!(kept().await, 0);
    room.close().await.unwrap();
}
