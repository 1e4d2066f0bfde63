//! `promptly/text_chat`: what the model is told, what is streamed, what is remembered.

use super::{datasource, text};
use crate::room::{Room, answer, made, pieces, put_together, run};
use annals_tests::{app::TestApp, model_server::text as said};
use anyhow::Result;
use domain::user::Role;
use reqwest::Method;
use serde_json::{Value, json};

fn chat(config: Value) -> Value {
    json!({
        "name": "Chat", "type_slug": "text-chat", "draft": false,
        "output_template": {"markdown": "{{ c.answer }}{% for s in c.citations %} [{{ s.source }}]{% endfor %}"},
        "processors": [{"id": "c", "provider_slug": "promptly", "processor_slug": "text_chat",
            "input": {"question": "{{ _inputs0.q }}", "search_filters": "{{ _inputs0.f }}"}, "config": config}],
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_is_answered_from_what_is_found_and_remembered() -> Result<()> {
    let room = Room::open().await?;
    let ann = &room.ann;
    let uuid = datasource(ann, json!("text")).await?;
    text(ann, &uuid, "Parcels leave on Tuesdays", json!({"region": "eu"})).await?;
    text(ann, &uuid, "Parcels leave on Fridays", json!({"region": "us"})).await?;
    let config = json!({
        "model": "m-2", "datasource": [uuid], "k": 3, "show_citations": true, "temperature": 0.1, "seed": 5,
        "system_message_prefix": "You are the post.", "instructions": "Be brief.",
        "citation_instructions": "Cite.", "chat_history_limit": 2,
    });
    let app = made(ann, &chat(config)).await?;
    let ask = async |q: &str, f: &str| -> Result<(Value, Value)> {
        let body = json!({"input": {"q": q, "f": f}});
        let (_, whole) = answer(ann.post(&format!("/api/apps/{app}/run/s")).json(&body)).await?;
        Ok((whole, room.model.calls().all().pop().unwrap().body))
    };
    let (whole, asked) = ask("When do parcels leave?", "md_region == eu").await?;
    assert_eq!(whole["output"], format!("{} [Parcels]", said(10)), "{whole}");
    let citations = &whole["chunks"]["c"]["citations"];
    assert_eq!(citations[0]["text"], "Parcels leave on Tuesdays");
    assert_eq!(citations.as_array().map(Vec::len), Some(1));
    assert_eq!(
        (&asked["model"], &asked["temperature"], &asked["seed"]),
        (&json!("m-2"), &json!(0.1), &json!(5))
    );
    let messages = asked["messages"].as_array().unwrap();
    assert_eq!(messages[0], json!({"role": "system", "content": "You are the post."}));
    let context = messages[1]["content"].as_str().unwrap();
    assert!(context.starts_with("Be brief.\nCite.\n"), "{context}");
    assert!(
        context.contains("Content: Parcels leave on Tuesdays\nMetadata: {\"md_region\":\"eu\"")
    );
    assert!(!context.contains("Fridays"), "{context}");
    assert_eq!(messages[2], json!({"role": "user", "content": "When do parcels leave?"}));
    assert_eq!(messages.len(), 3);

    // Nothing is found: what was found before is used again, under the same filter only.
    let (whole, asked) = ask("Zzz?", "md_region == eu").await?;
    let messages = asked["messages"].as_array().unwrap();
    assert!(messages[1]["content"].as_str().unwrap().contains("Tuesdays"), "{asked}");
    assert_eq!(messages.len(), 5);
    assert_eq!(messages[3], json!({"role": "assistant", "content": said(10)}));
    assert!(whole["chunks"]["c"].get("citations").is_none(), "{whole}");
    let (_, asked) = ask("Zzz?", "md_region == us").await?;
    let messages = asked["messages"].as_array().unwrap();
    assert!(!messages[1]["content"].as_str().unwrap().contains("Tuesdays"), "{asked}");
    assert_eq!((messages.len(), &messages[2]["content"]), (5, &json!("Zzz?")), "the last two");

    let stream = pieces(ann, &app, json!({"q": "parcels", "f": ""})).await?;
    assert!(stream.len() > 10, "{stream:?}");
    let last = &stream[stream.len() - 1]["c"];
    assert_eq!(
        (&last["answer"], last["citations"].as_array().map(Vec::len)),
        (&json!(""), Some(2))
    );
    assert_eq!(put_together(&stream)?, format!("{} [Parcels] [Parcels]", said(10)));
    let (_, asked) = ask("parcels", "md_region = eu").await?;
    assert_eq!(asked["messages"].as_array().map(Vec::len), Some(3), "no call was made for that");

    // A datasource that is gone is passed over.
    ann.request(Method::DELETE, &format!("/api/datasources/{uuid}")).send().await?;
    let (whole, asked) = ask("parcels", "").await?;
    assert_eq!(whole["output"], said(10), "{whole}");
    assert!(asked["messages"][1]["content"].as_str().unwrap().contains("(nothing was found)"));
    room.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_any_model_the_datasource_is_quoted() -> Result<()> {
    let node = TestApp::start().await?;
    let ann = node.user("ann", Role::Creator).await?;
    let uuid = datasource(&ann, json!("text")).await?;
    text(&ann, &uuid, "Parcels leave on Tuesdays", json!({})).await?;
    let app = made(&ann, &chat(json!({"datasources": [uuid]}))).await?;
    let whole = run(&ann, &app, json!({"q": "When do parcels leave?"})).await?;
    assert!(whole["output"].as_str().unwrap().contains("Parcels leave on Tuesdays"), "{whole}");
    node.stop().await
}
