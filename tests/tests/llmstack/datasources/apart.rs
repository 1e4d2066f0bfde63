//! Two people never see each other's datasources, and nobody sees anything without a token.

use super::{datasource, searcher, text};
use crate::room::{Room, answer, made, run};
use annals_tests::model_server::{Script, ToolCall, text as said};
use anyhow::Result;
use reqwest::Method;
use serde_json::{Value, json};

const NO_DATASOURCE: &str = "No DataSource matches the given query.";
const NO_ENTRY: &str = "No DataSourceEntry matches the given query.";

/// Every call there is on a datasource and an entry, and what is said where there is none.
fn calls(datasource: &str, entry: &str) -> Vec<(Method, String, &'static str)> {
    let (d, e) =
        (format!("/api/datasources/{datasource}"), format!("/api/datasource_entries/{entry}"));
    vec![
        (Method::GET, d.clone(), NO_DATASOURCE),
        (Method::PATCH, d.clone(), NO_DATASOURCE),
        (Method::GET, format!("{d}/entries"), NO_DATASOURCE),
        (Method::POST, format!("{d}/entries"), NO_DATASOURCE),
        (Method::POST, format!("{d}/add_entry"), NO_DATASOURCE),
        (Method::POST, format!("{d}/add_entry_async"), NO_DATASOURCE),
        (Method::DELETE, format!("{d}/entries/{entry}"), NO_DATASOURCE),
        (Method::GET, e.clone(), NO_ENTRY),
        (Method::GET, format!("{e}/text_content"), NO_ENTRY),
        (Method::POST, format!("{e}/resync"), NO_ENTRY),
        (Method::DELETE, e, NO_ENTRY),
        (Method::DELETE, d, NO_DATASOURCE),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn anothers_datasource_is_as_good_as_none() -> Result<()> {
    let room = Room::open().await?;
    let (ann, bob) = (&room.ann, &room.bob);
    let uuid = datasource(ann, json!("text")).await?;
    let entry = text(ann, &uuid, "Secret plans", json!({})).await?;
    let body = json!({"entry_data": {"content": "x"}, "refresh_interval": "Daily"});
    let nothing = uuid::Uuid::new_v4().to_string();
    let head = room.node.settled().await?;
    for (id, entry) in [(&*uuid, &*entry), (&nothing, &nothing), ("7", "x"), ("..%2f", "%00")] {
        for (method, path, detail) in calls(id, entry) {
            let sent = answer(bob.request(method.clone(), &path).json(&body)).await?;
            assert_eq!(sent, (404, json!({ "detail": detail })), "{method} {path}");
        }
    }
    for path in ["/api/datasources", "/api/datasource_entries"] {
        assert_eq!(answer(bob.get(path)).await?, (200, json!([])));
    }
    let nobody = room.node.nobody()?;
    for (method, path, _) in calls(&uuid, &entry) {
        let sent = answer(nobody.request(method, &path).json(&body)).await?;
        let detail = "Authentication credentials were not provided.";
        assert_eq!(sent, (403, json!({ "detail": detail })), "{path}");
    }
    assert_eq!(room.node.settled().await?, head, "what is refused is not written");
    // Nor do the apps of one find what the other has.
    let app = searcher(bob, &json!([uuid])).await?;
    let whole = run(bob, &app, json!({"q": "secret"})).await?;
    let error = format!("s: datasource {uuid} does not exist or cannot be searched here");
    assert_eq!(whole["output"], json!({ "errors": [error] }));
    let chat = json!({
        "name": "Chat", "type_slug": "text-chat", "draft": false,
        "output_template": {"markdown": "{{ c.answer }}"},
        "processors": [{"id": "c", "provider_slug": "promptly", "processor_slug": "text_chat",
            "input": {"question": "secret plans?"}, "config": {"datasource": [uuid]}}],
    });
    let chat = made(bob, &chat).await?;
    let whole = run(bob, &chat, json!({})).await?;
    assert_eq!(
        (&whole["output"], &whole["chunks"]["c"]),
        (&json!(said(10)), &json!({"answer": said(10)}))
    );
    let asked = room.model.calls().all().pop().unwrap().body;
    assert!(!asked["messages"].to_string().contains("Secret"), "{asked}");
    // Whoever runs somebody's app is answered from that one's datasources.
    let shared = searcher(ann, &json!([uuid])).await?;
    let publish = ann.post(&format!("/api/apps/{shared}/publish")).json(&json!({"visibility": 3}));
    assert_eq!(answer(publish).await?.0, 200);
    let whole = run(bob, &shared, json!({"q": "secret"})).await?;
    assert_eq!(whole["output"]["s"]["answers"][0]["content"], "Secret plans", "{whole}");
    room.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_model_talks_its_way_around_a_filter() -> Result<()> {
    let room = Room::open().await?;
    let ann = &room.ann;
    let uuid = datasource(ann, json!("text")).await?;
    text(ann, &uuid, "Ours is blue", json!({"tenant": 1})).await?;
    text(ann, &uuid, "Theirs is red", json!({"tenant": 2})).await?;
    let agent = |input: Value, config: Value| {
        json!({
            "name": "Agent", "type_slug": "agent", "draft": false,
            "output_template": {"markdown": "{{ agent.content }}"},
            "processors": [{"id": "look", "provider_slug": "promptly", "processor_slug": "datasource_search",
                "input": input, "config": config, "output_template": {"markdown": "{{ answers_text }}"}}],
        })
    };
    let arguments = json!({"query": "blue red", "search_filters": "md_tenant == 2"});
    let call = ToolCall { name: "look".to_owned(), arguments };
    room.model.follow(Script { deltas: 3, tool_calls: vec![call], ..Script::default() });
    let ours = "md_tenant == 1";
    for (input, config, finds) in [
        (json!({"search_filters": ours}), json!({"datasources": [uuid]}), true),
        (json!({}), json!({"datasources": [uuid], "search_filters": ours}), false),
    ] {
        let app = made(ann, &agent(input, config)).await?;
        run(ann, &app, json!({"task": "look"})).await?;
        let asked = room.model.calls().all().pop().unwrap().body;
        let told = asked["messages"].as_array().unwrap().last().unwrap()["content"].to_string();
        assert!(!told.contains("Theirs"), "{told}");
        assert_eq!(told.contains("Ours"), finds, "{told}");
    }
    room.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn datasources_are_not_among_the_knowledge_bases() -> Result<()> {
    let room = Room::open().await?;
    let ann = &room.ann;
    let uuid = datasource(ann, json!("text")).await?;
    let entry = text(ann, &uuid, "Not a shelf", json!({})).await?;
    let bearer = async |path: &str| -> Result<Value> {
        Ok(ann.get(path).send().await?.json::<Value>().await?["data"].clone())
    };
    assert_eq!(bearer("/api/knowledge-base/list").await?["total"], 0);
    let plain = uuid.replace('-', "");
    assert!(bearer(&format!("/api/knowledge-base/info?kdb_id={plain}")).await?.is_null());
    let doc = format!("/api/knowledge-base/doc/info/{}", entry.replace('-', ""));
    assert!(bearer(&doc).await?.is_null());
    let gone = ann.request(Method::DELETE, &format!("/api/knowledge-base/delete/{plain}"));
    assert_ne!(gone.send().await?.status(), 200);
    let path = format!("/api/datasource_entries/{entry}");
    assert_eq!(answer(ann.get(&path)).await?.0, 200);
    // And a knowledge base is no datasource.
    let shelf = json!({"name": "Shelf", "type": "rag"});
    let made =
        ann.post("/api/knowledge-base/add").json(&shelf).send().await?.json::<Value>().await?;
    let shelf = made["data"]["kdb_id"].as_str().unwrap();
    assert_eq!(answer(ann.get(&format!("/api/datasources/{shelf}"))).await?.0, 404, "{made}");
    let app = searcher(ann, &json!([shelf])).await?;
    let whole = run(ann, &app, json!({"q": "x"})).await?;
    assert!(whole["errors"][0].as_str().unwrap().contains("does not exist"), "{whole}");
    room.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_have_the_shapes_of_the_framework() -> Result<()> {
    let room = Room::open().await?;
    let ann = &room.ann;
    let uuid = datasource(ann, json!("text")).await?;
    let path = format!("/api/datasources/{uuid}/entries");
    let put = answer(ann.request(Method::PUT, &path)).await?;
    assert_eq!(put, (405, json!({"detail": "Method \"PUT\" not allowed."})));
    let sent =
        |kind: &'static str, body: String| ann.post(&path).header("content-type", kind).body(body);
    let (status, said) = answer(sent("application/json", "{\"entry_data\": ".to_owned())).await?;
    assert_eq!(status, 400);
    assert!(said["detail"].as_str().unwrap().starts_with("JSON parse error - "), "{said}");
    for kind in ["application/yaml", "text/plain"] {
        let said = answer(sent(kind, "a: b".to_owned())).await?;
        let detail = format!("Unsupported media type \"{kind}\" in request.");
        assert_eq!(said, (415, json!({ "detail": detail })));
    }
    let said = answer(sent("application/json", "[]".to_owned())).await?;
    assert_eq!(said.0, 400, "{said:?}");
    let said = answer(sent("application/json", "x".repeat((36 << 20) + 1))).await?;
    assert_eq!(said.0, 413, "{said:?}");
    let external = datasource(ann, json!("weaviate")).await?;
    let body = json!({"entry_data": {"content": "x"}});
    let add = ann.post(&format!("/api/datasources/{external}/entries")).json(&body);
    let error = json!({"errors": ["Cannot add entry to external data source"]});
    assert_eq!(answer(add).await?, (400, error));
    for (body, error) in [
        (json!({}), "No entry_data provided"),
        (json!({"source_data": {}}), "No source_data provided"),
        (json!({"entry_data": {"file": "data:text/plain;base64,eA=="}}), "Invalid data URI"),
    ] {
        assert_eq!(answer(ann.post(&path).json(&body)).await?, (400, json!({"errors": [error]})));
    }
    for (often, status) in [("Daily", 400), ("Never", 204)] {
        let patch = ann.request(Method::PATCH, &format!("/api/datasources/{uuid}"));
        let patch = patch.json(&json!({"refresh_interval": often}));
        assert_eq!(answer(patch).await?.0, status);
    }
    room.close().await
}
