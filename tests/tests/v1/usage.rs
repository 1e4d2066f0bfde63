use crate::json;
use annals_tests::app::{Person, TestApp};
use chrono::{TimeDelta, Utc};
use domain::user::Role;
use reqwest::StatusCode;
use serde_json::{Value, json};

const FIELDS: [&str; 5] =
    ["runs", "messages", "prompt_tokens", "completion_tokens", "total_tokens"];

/// Asks something and reads the answer to its end; what was said before may be sent along.
async fn ask(person: &Person, session: &str, before: &[&str]) {
    let said = |(at, text): (usize, &&str)| {
        let role = if at % 2 == 0 { "user" } else { "assistant" };
        json!({"role": role, "content": text, "message_id": format!("{session}-{at}")})
    };
    let mut messages: Vec<Value> = before.iter().enumerate().map(said).collect();
    messages.push(json!({"role": "user", "content": "What is a log?"}));
    let body = json!({"messages": messages, "session_id": session});
    let answer = person.post("/api/web-stream").json(&body).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    answer.text().await.unwrap();
}

async fn usage(person: &Person, query: &str) -> Value {
    json(person, &format!("/v1/usage{query}"), StatusCode::OK).await
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_messages_and_tokens_are_counted_by_day_and_by_person() {
    let app = TestApp::start().await.unwrap();
    let ann = app.user("ann", Role::Creator).await.unwrap();
    let bob = app.user("bob", Role::Creator).await.unwrap();
    let admin = app.user("root", Role::Administrator).await.unwrap();
    let none = usage(&ann, "").await;
    assert_eq!((&none["rows"], &none["total"]["runs"]), (&json!([]), &json!(0)));
    ask(&ann, "s-1", &[]).await;
    // What was said before is no new message.
    ask(&ann, "s-1", &["What is a log?", "A list."]).await;
    ask(&bob, "s-1", &[]).await;
    let today = json!(Utc::now().date_naive());
    let own = usage(&ann, "").await;
    assert_eq!(
        (&own["group"], &own["user"], &own["to"]),
        (&json!("day"), &json!(ann.user), &today)
    );
    assert_eq!(own["rows"].as_array().unwrap().len(), 1);
    let row = &own["rows"][0];
    assert_eq!((&row["day"], &row["runs"], &row["messages"]), (&today, &json!(2), &json!(4)));
    for field in FIELDS {
        assert_eq!(row[field], own["total"][field], "{field}");
    }
    // The runs say the same.
    let turns: u64 = row["prompt_tokens"].as_u64().unwrap();
    let runs = app.app.db.clone();
    let said: Vec<Value> = sqlx::query_scalar("select usage::jsonb from runs where owner = $1")
        .bind(ann.user.as_str())
        .fetch_all(&runs)
        .await
        .unwrap();
    let turn = |turn: &Value| turn["usage"]["prompt_tokens"].as_u64();
    let expected: u64 = said.iter().flat_map(|run| run.as_array().unwrap()).filter_map(turn).sum();
    assert_eq!(turns, expected);

    let all = usage(&admin, "?group=person").await;
    assert_eq!((&all["user"], &all["total"]["runs"]), (&Value::Null, &json!(3)));
    let people: Vec<_> =
        all["rows"].as_array().unwrap().iter().map(|row| &row["username"]).collect();
    assert_eq!(people.len(), 2);
    assert!(people.contains(&&json!("ann")) && people.contains(&&json!("bob")));
    let one = usage(&admin, &format!("?group=person&user={}", bob.user.as_str())).await;
    assert_eq!((&one["rows"][0]["user"], &one["rows"][0]["runs"]), (&json!(bob.user), &json!(1)));
    assert_eq!(
        (one["rows"].as_array().unwrap().len(), &one["quotas"]["user"]),
        (1, &json!(bob.user))
    );
    // Whatever a person asks for, it is their own.
    let own = usage(&bob, "?group=person").await;
    assert_eq!(own["rows"], one["rows"]);
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_deleted_conversation_cost_still_counts() {
    let app = TestApp::start().await.unwrap();
    let ann = app.user("ann", Role::Creator).await.unwrap();
    ask(&ann, "s-1", &[]).await;
    let before = usage(&ann, "").await["total"].clone();
    let gone = ann.request(reqwest::Method::DELETE, "/api/conversations/s-1").send().await.unwrap();
    assert_eq!(gone.status(), 200);
    assert_eq!(usage(&ann, "").await["total"], before);
    app.settled().await.unwrap();
    let open: i64 =
        sqlx::query_scalar("select count(*) from usage_runs").fetch_one(&app.app.db).await.unwrap();
    assert_eq!(open, 0, "a run that is over is forgotten");
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn quotas_say_what_a_plan_allows_and_what_is_used() {
    let app = TestApp::start().await.unwrap();
    let ann = app.user("ann", Role::Creator).await.unwrap();
    let body = json!({"operation": "taxonomy_tags", "amount": 4});
    let counted = ann.post("/api/usage/increment").json(&body).send().await.unwrap();
    assert_eq!(counted.status(), 200);
    let quotas = usage(&ann, "").await["quotas"].clone();
    assert_eq!((&quotas["tier"], &quotas["known"]), (&json!("starter"), &json!(true)));
    let tags = json!({"action": "taxonomy_tags", "limit": 10, "used": 4});
    assert!(quotas["actions"].as_array().unwrap().contains(&tags), "{quotas}");
    assert!(quotas["cycle"]["end"].as_str() > quotas["cycle"]["start"].as_str());
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn days_that_cannot_be_other_people_and_strangers_are_refused() {
    let app = TestApp::start().await.unwrap();
    let ann = app.user("ann", Role::Creator).await.unwrap();
    let admin = app.user("root", Role::Administrator).await.unwrap();
    for (query, status) in [
        ("?from=2026-13-01", 422),
        ("?from=yesterday", 422),
        ("?from=2026-1-1", 422),
        ("?from=2026-02-02&to=2026-02-01", 422),
        ("?from=2024-01-01&to=2025-01-01", 422),
        ("?group=year", 422),
        ("?grup=day", 422),
        ("?user=%00", 404),
    ] {
        let status_code = StatusCode::from_u16(status).unwrap();
        let refused = json(&ann, &format!("/v1/usage{query}"), status_code).await;
        assert_eq!(refused["status"], status, "{query}");
    }
    let foreign = format!("/v1/usage?user={}", admin.user.as_str());
    let nobody_s = format!("/v1/usage?user={}", "nobody");
    let answers = [
        json(&ann, &foreign, StatusCode::NOT_FOUND).await,
        json(&ann, &nobody_s, StatusCode::NOT_FOUND).await,
    ];
    assert_eq!(answers[0]["detail"], answers[1]["detail"]);
    json(&app.nobody().unwrap(), "/v1/usage", StatusCode::UNAUTHORIZED).await;
    let edge = Utc::now().date_naive() - TimeDelta::days(365);
    json(&ann, &format!("/v1/usage?from={edge}&user="), StatusCode::OK).await;
    app.stop().await.unwrap();
}
