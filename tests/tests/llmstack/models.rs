use crate::room::{Room, answer, made, pieces, put_together, run};
use annals_tests::model_server::{Fail, Fate, Script, text};
use serde_json::{Value, json};

/// An app of one step that asks a model.
fn asks(provider: &str, slug: &str, input: Value, config: Value, template: &str) -> Value {
    json!({
        "name": "Asks", "type_slug": "web", "draft": false,
        "output_template": {"markdown": template},
        "processors": [{"id": "llm1", "provider_slug": provider, "processor_slug": slug, "input": input, "config": config}],
    })
}

fn llm(config: Value) -> Value {
    asks(
        "promptly",
        "llm",
        json!({"input_message": "Say {{ _inputs0.q }}"}),
        config,
        "{{ llm1.text }}",
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_is_rendered_asked_and_streamed() {
    let room = Room::open().await.unwrap();
    let config = json!({"system_message": "Be {{ _inputs0.tone }}", "provider_config": {"provider": "openai", "model": "m-1"}, "max_tokens": 7, "temperature": "0.5", "seed": 3});
    let id = made(&room.ann, &llm(config)).await.unwrap();
    let input = json!({"q": "it", "tone": "kind"});
    let whole = run(&room.ann, &id, input.clone()).await.unwrap();
    assert_eq!(whole["output"], text(10));
    assert_eq!(
        whole["chunks"]["llm1"],
        json!({"output_str": text(10), "text": text(10), "objref": null})
    );
    let asked = &room.model.calls().all()[0].body;
    assert_eq!(
        asked["messages"],
        json!([{"role": "system", "content": "Be kind"}, {"role": "user", "content": "Say it"}])
    );
    assert_eq!(
        (&asked["model"], &asked["max_tokens"], &asked["temperature"], &asked["seed"]),
        (&json!("m-1"), &json!(7), &json!(0.5), &json!(3))
    );
    let stream = pieces(&room.ann, &id, input).await.unwrap();
    assert!(stream.len() > 10, "{stream:?}");
    assert_eq!(put_together(&stream).unwrap(), whole["output"]);
    room.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn chat_models_say_their_role_once_and_call_functions() {
    let room = Room::open().await.unwrap();
    let input = json!({
        "system_message": "S", "messages": [{"role": "user", "content": "{{ _inputs0.q }}"}],
        "functions": [{"name": "look", "description": "Looks", "parameters": "{\"type\": \"object\"}"}],
    });
    let id = made(
        &room.ann,
        &asks("openai", "chatgpt", input, json!({"model": "m"}), "{{ llm1.choices[0].content }}"),
    )
    .await
    .unwrap();
    let stream = pieces(&room.ann, &id, json!({"q": "Hi"})).await.unwrap();
    assert_eq!(stream[1], json!({"llm1": {"choices": [{"role": "assistant", "content": ""}]}}));
    assert!(stream[2..].iter().all(|piece| piece["llm1"]["choices"][0].get("role").is_none()));
    assert_eq!(put_together(&stream).unwrap(), text(10));
    let asked = &room.model.calls().all()[0].body;
    assert_eq!(asked["tools"][0]["function"]["name"], "look");
    let call = r#"!script {"deltas": 0, "tool_calls": [{"name": "look", "arguments": {"a": 1}}]}"#;
    let whole = run(&room.ann, &id, json!({"q": call})).await.unwrap();
    assert_eq!(
        whole["chunks"]["llm1"]["choices"][0]["function_call"],
        json!({"name": "look", "arguments": "{\"a\":1}"})
    );
    let prompt = asks(
        "openai",
        "completions",
        json!({"prompt": "{{ _inputs0.q }}"}),
        json!({}),
        "{{ llm1.choices[0] }}",
    );
    let id = made(&room.ann, &prompt).await.unwrap();
    assert_eq!(run(&room.ann, &id, json!({"q": "x"})).await.unwrap()["output"], text(10));
    room.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_fails_is_told_with_200() {
    let room = Room::open().await.unwrap();
    let id = made(&room.ann, &llm(json!({}))).await.unwrap();
    let fail =
        Fail { status: 400, times: 99, retry_after: None, message: "no such model".to_owned() };
    room.model.follow(Script { fail: Some(fail), ..Script::default() });
    let whole = run(&room.ann, &id, json!({"q": "x"})).await.unwrap();
    let error = whole["output"]["errors"][0].as_str().unwrap();
    assert!(error.starts_with("llm1: ") && error.contains("no such model"), "{error}");
    assert_eq!(whole["errors"], whole["output"]["errors"]);
    let stream = pieces(&room.ann, &id, json!({"q": "y"})).await.unwrap();
    assert_eq!(stream.last().unwrap()["errors"].as_array().unwrap().len(), 1);
    assert_eq!(stream.iter().filter(|piece| piece.get("errors").is_some()).count(), 1);
    room.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_stops_the_call() {
    let room = Room::open().await.unwrap();
    let id = made(&room.ann, &llm(json!({"retain_history": true}))).await.unwrap();
    room.model.follow(Script { deltas: 3, stall_after: Some(2), ..Script::default() });
    for stream in [true, false] {
        let before = room.model.calls().count();
        let body = json!({"input": {"q": "x"}, "stream": stream});
        let request = room.ann.post(&format!("/api/apps/{id}/run/s")).json(&body);
        if stream {
            let mut response = request.send().await.unwrap();
            response.chunk().await.unwrap();
            room.model.calls().until(|calls| calls.len() > before).await.unwrap();
            drop(response);
        } else {
            let waiting = tokio::spawn(request.send());
            room.model.calls().until(|calls| calls.len() > before).await.unwrap();
            waiting.abort();
        }
        room.model
            .calls()
            .until(|calls| calls[before..].iter().all(|call| call.fate == Fate::Abandoned))
            .await
            .unwrap();
    }
    room.model.follow(Script::default());
    let body = json!({"input": {"q": "again"}});
    let (_, whole) =
        answer(room.ann.post(&format!("/api/apps/{id}/run/s")).json(&body)).await.unwrap();
    assert_eq!(whole["output"], text(10));
    let asked = room.model.calls().all().pop().unwrap().body;
    assert_eq!(asked["messages"].as_array().unwrap().len(), 2, "{asked}");
    room.close().await.unwrap();
}
