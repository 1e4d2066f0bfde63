use crate::room::{Room, answer, made};
use annals_tests::{
    app::Person,
    model_server::{Script, text},
};
use serde_json::{Value, json};

fn remembers(step: &str, slug: &str, config: Value) -> Value {
    let (provider, input) = match slug {
        "llm" => ("promptly", json!({"input_message": "{{ _inputs0.q }}"})),
        _ => ("openai", json!({"messages": [{"role": "user", "content": "{{ _inputs0.q }}"}]})),
    };
    json!({
        "name": "Remembers", "type_slug": "text-chat", "draft": false,
        "processors": [{"id": step, "provider_slug": provider, "processor_slug": slug, "input": input, "config": config}],
    })
}

async fn ask(who: &Person, app: &str, session: &str, question: &str) -> Value {
    let body = json!({"input": {"q": question}});
    let (status, body) =
        answer(who.post(&format!("/api/apps/{app}/run/{session}")).json(&body)).await.unwrap();
    assert_eq!(status, 200, "{body}");
    body
}

/// What the model was told last, without the system prompt.
fn told(room: &Room) -> Vec<String> {
    let calls = room.model.calls().all();
    let messages = calls.last().unwrap().body["messages"].as_array().unwrap().clone();
    let told = messages.iter().filter(|message| message["role"] != "system");
    told.map(|message| message["content"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_remember_within_their_session_and_no_further() {
    let room = Room::open().await.unwrap();
    for (slug, config) in [
        ("llm", json!({"retain_history": true, "max_history": 2})),
        ("chatgpt", json!({"retain_history": true})),
    ] {
        let id = made(&room.ann, &remembers("a", slug, config)).await.unwrap();
        ask(&room.ann, &id, "s", "one").await;
        ask(&room.ann, &id, "s", "two").await;
        assert_eq!(told(&room), ["one", &text(10), "two"], "{slug}");
        ask(&room.ann, &id, "s", "three").await;
        let expected = if slug == "llm" {
            vec!["two".to_owned(), text(10), "three".to_owned()]
        } else {
            vec!["one".to_owned(), text(10), "two".to_owned(), text(10), "three".to_owned()]
        };
        assert_eq!(told(&room), expected, "{slug}");
        ask(&room.ann, &id, "other", "new").await;
        assert_eq!(told(&room), ["new"], "{slug}");
        answer(room.ann.post(&format!("/api/apps/{id}/publish")).json(&json!({}))).await.unwrap();
        ask(&room.bob, &id, "s", "mine").await;
        assert_eq!(told(&room), ["mine"], "{slug}");
    }
    let forgets = made(&room.ann, &remembers("a", "llm", json!({}))).await.unwrap();
    ask(&room.ann, &forgets, "s", "one").await;
    ask(&room.ann, &forgets, "s", "two").await;
    assert_eq!(told(&room), ["two"]);
    room.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_of_a_session_follow_one_another() {
    let room = Room::open().await.unwrap();
    let id = made(
        &room.ann,
        &remembers("a", "llm", json!({"retain_history": true, "max_history": 100})),
    )
    .await
    .unwrap();
    room.model.follow(Script { deltas: 3, delay_ms: 20, ..Script::default() });
    let runs = (0..6).map(|n| {
        let (ann, id) = (room.ann.clone(), id.clone());
        tokio::spawn(async move { ask(&ann, &id, "s", &format!("q{n}")).await })
    });
    for run in runs.collect::<Vec<_>>() {
        assert_eq!(run.await.unwrap()["output"]["a"]["text"], text(3));
    }
    let calls = room.model.calls().all();
    let lengths: Vec<usize> =
        calls.iter().map(|call| call.body["messages"].as_array().unwrap().len()).collect();
    assert_eq!(lengths, [2, 4, 6, 8, 10, 12]);
    room.close().await.unwrap();
}
