//! Clients that send what no honest one would: nobody else may notice.
#![expect(clippy::unwrap_used, reason = "tests")]

use annals_tests::app::{Person, TestApp};
use domain::{
    conversation::{Command, Conversation, OpenRun},
    ids::{ConversationId, RunId},
    user::Role,
};
use futures::{FutureExt, future::join_all};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use uuid::Uuid;

async fn json(answer: reqwest::RequestBuilder) -> (u16, Value) {
    let answer = answer.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

async fn says(person: &Person, session: &str, body: Value) -> (u16, String) {
    let mut whole = json!({"session_id": session, "messages": [{"role": "user", "content": "Hi"}]});
    whole.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
    let answer = person.post("/api/web-stream").json(&whole).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

fn ends(stream: &str) -> usize {
    stream.lines().filter(|line| line.contains("\"stream_end\"")).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nul_character_stops_no_read_model() {
    let app = TestApp::start().await.unwrap();
    let ann = app.user("ann", Role::Creator).await.unwrap();
    let nul = json!([{"type": "text", "text": "a\0b"}]);
    for (session, body) in [
        ("text", json!({"messages": [{"role": "user", "content": "a\0b"}]})),
        (
            "parts",
            json!({"messages": [{"role": "user", "content": nul, "metadata": {"\0": "\0"}}]}),
        ),
        ("model", json!({"llm_model_config": {"model": "\0"}, "agent_id": "\0"})),
        ("prompt", json!({"system_prefix": "\0", "system_context": {"\0": ["\0"]}})),
    ] {
        let (status, stream) = says(&ann, session, body).await;
        assert_eq!((status, ends(&stream)), (200, 1), "{session}: {stream}");
    }
    let config = json!({"name": "a\0", "systemContext": {"\0": "\0"}, "description": "\0"});
    assert_eq!(json(ann.post("/api/agent/create").json(&config)).await.0, 200);
    app.settled().await.unwrap();
    let (_, listed) = json(ann.get("/api/conversations?sort_by=title")).await;
    assert_eq!(listed["data"]["list"][2]["title"], "a b", "{listed}");
    let (status, body) = says(&ann, "base", json!({"available_knowledge_bases": ["\0"]})).await;
    assert_eq!(status, 422, "{body}");
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nul_character_that_is_in_the_log_already_stops_no_read_model() {
    let app = TestApp::start().await.unwrap();
    let ann = app.user("ann", Role::Creator).await.unwrap();
    let opening = OpenRun {
        owner: ann.user.clone(),
        session_id: "old".to_owned(),
        title: "a\0b\\u0000".to_owned(),
        agent_id: None,
        agent_name: "\0".to_owned(),
        run: RunId(Uuid::now_v7()),
        replace: false,
        over: None,
    };
    let id = ConversationId::of(&ann.user, "old");
    let metadata = domain::Metadata::system(Uuid::now_v7());
    let command = Command::OpenRun(Box::new(opening));
    app.app.execute::<Conversation>(&id, &command, &metadata).await.unwrap();
    app.settled().await.unwrap();
    let (_, listed) = json(ann.get("/api/conversations")).await;
    assert_eq!(listed["data"]["list"][0]["title"], "a\u{fffd}b\\u0000");
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_that_nothing_can_have_names_nobody() {
    let app = TestApp::start_with(&[("ANNALS_RBAC_SYNC_SECRET", "secret")]).await.unwrap();
    let server = app.nobody().unwrap();
    let post = |path: &str, body: Value| {
        server.post(path).header("x-rbac-sync-secret", "secret").json(&body)
    };
    let sync = json!({"userId": "\0", "role": "Viewer"});
    let (status, answer) = json(post("/api/rbac-sync", sync)).await;
    assert_eq!((status, &answer["error"]), (404, &json!("not_found")), "{answer}");
    let charge = json!({"userId": "\0", "action": "taxonomy_tags"});
    let (status, answer) = json(post("/api/usage/increment", charge)).await;
    assert_eq!((status, &answer["reason"]), (403, &json!("quota_check_failed")), "{answer}");
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_log_cannot_hold_is_refused_and_leaves_nothing() {
    let app = TestApp::start().await.unwrap();
    let ann = app.user("ann", Role::Creator).await.unwrap();
    // Each number is stored as `1000000000000000.0`: over 16 MiB, though the body has less than 8.
    let numbers = format!("[{}]", vec!["1e15"; 1_500_000].join(","));
    let body =
        format!(r#"{{"session_id":"big","messages":[{{"role":"user","content":{numbers}}}]}}"#);
    let post = |path: &str, body: String| {
        ann.post(path).header("content-type", "application/json").body(body)
    };
    let (status, answer) = json(post("/api/web-stream", body)).await;
    assert_eq!((status, &answer["code"]), (413, &json!(413)), "{answer}");
    let body = format!(r#"{{"name":"Big","description":"{}"}}"#, "x".repeat((16 << 20) - 100));
    let (status, answer) = json(post("/api/agent/create", body)).await;
    let too_large = json!("Agent 配置过大（上限 256 KB）");
    assert_eq!((status, &answer["message"]), (500, &too_large), "{answer}");
    app.settled().await.unwrap();
    let (_, listed) = json(ann.get("/api/conversations")).await;
    assert_eq!(listed["data"]["total"], 0);
    // The name of the agent that never came to be is free.
    let (status, _) = json(ann.post("/api/agent/create").json(&json!({"name": "Big"}))).await;
    assert_eq!(status, 200);
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_agents_with_one_name_one_comes_to_be() {
    let app = TestApp::start().await.unwrap();
    let ann = app.user("ann", Role::Creator).await.unwrap();
    let create = |who: &Person| json(who.post("/api/agent/create").json(&json!({"name": "Same"})));
    let answers = join_all((0..20).map(|_| create(&ann))).await;
    let (made, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|(status, _)| *status == 200);
    assert_eq!(made.len(), 1, "{answers:?}");
    assert!(refused.iter().all(|(_, body)| body["message"] == "Agent 'Same' 已存在"));
    let bob = app.user("bob", Role::Creator).await.unwrap();
    assert_eq!(create(&bob).await.0, 200, "names are each person's own");
    let path = format!("/api/agent/{}", made[0].1["data"]["agent_id"].as_str().unwrap());
    assert_eq!(json(ann.request(reqwest::Method::DELETE, &path)).await.0, 200);
    assert_eq!(create(&ann).await.0, 200, "a deleted agent's name is free");
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_message_sent_at_once_from_several_tabs_ends_every_stream() {
    let app = TestApp::start().await.unwrap();
    let ann = app.user("ann", Role::Creator).await.unwrap();
    let body = json!({"messages": [{"role": "user", "content": "Hi", "message_id": "one"}]});
    let answers = join_all((0..5).map(|_| says(&ann, "tabs", body.clone()))).await;
    for (status, stream) in &answers {
        assert_eq!((*status, ends(stream)), (200, 1), "{stream}");
    }
    app.settled().await.unwrap();
    let (_, read) = json(ann.get("/api/conversations/tabs/messages")).await;
    let asked = read["data"]["messages"].as_array().unwrap().iter();
    assert_eq!(asked.filter(|message| message["role"] == "user").count(), 1);
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_repeated_parameter_the_last_one_counts() {
    let app = TestApp::start().await.unwrap();
    let ann = app.user("ann", Role::Creator).await.unwrap();
    let (status, listed) = json(ann.get("/api/conversations?page=x&page_size=7&page=3")).await;
    assert_eq!((status, &listed["data"]["page"]), (200, &json!(3)), "{listed}");
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_leads_inside_is_not_called() {
    let app = TestApp::start().await.unwrap();
    let ann = app.user("ann", Role::Creator).await.unwrap();
    let inside = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://localhost:{}/v1", inside.local_addr().unwrap().port());
    let config = json!({"llm_model_config": {"base_url": url, "model": "m"}});
    let (status, stream) = says(&ann, "inside", config).await;
    assert_eq!((status, ends(&stream)), (200, 1), "{stream}");
    assert!(stream.contains("工作流执行失败"), "{stream}");
    assert!(inside.accept().now_or_never().is_none(), "somebody called");
    app.stop().await.unwrap();
}
