//! Datasources: created, filled, searched, emptied.

mod apart;
mod chat;
mod entries;
mod examples;
mod pages;
mod seed;

use crate::room::{Room, answer, made, run};
use annals_tests::app::Person;
use anyhow::{Context, Result};
use serde_json::{Value, json};

/// Makes a datasource; its uuid.
async fn datasource(who: &Person, kind: Value) -> Result<String> {
    let body = json!({"name": "Policies", "type": kind});
    let (status, made) = answer(who.post("/api/datasources").json(&body)).await?;
    anyhow::ensure!(status == 201, "{status} {made}");
    Ok(made["uuid"].as_str().context("no uuid")?.to_owned())
}

/// Adds entries; all that came of it.
async fn added(who: &Person, datasource: &str, body: &Value) -> Result<Vec<Value>> {
    let path = format!("/api/datasources/{datasource}/entries");
    let (status, said) = answer(who.post(&path).json(body)).await?;
    anyhow::ensure!(status == 200 && said["status"] == "success", "{status} {said}");
    Ok(said["entries"].as_array().context("no entries")?.clone())
}

/// Adds a text about which something is said; its uuid.
async fn text(who: &Person, datasource: &str, content: &str, said: Value) -> Result<String> {
    let name = content.split(' ').next().unwrap_or_default();
    let body = json!({"entry_data": {"name": name, "content": content}, "entry_metadata": said});
    let entry = added(who, datasource, &body).await?.pop().context("no entry")?;
    anyhow::ensure!(entry["status"] == "READY", "{entry}");
    Ok(entry["uuid"].as_str().context("no uuid")?.to_owned())
}

/// An app that searches.
async fn searcher(who: &Person, datasources: &Value) -> Result<String> {
    let definition = json!({
        "name": "Searches", "type_slug": "web", "draft": false,
        "processors": [{"id": "s", "provider_slug": "promptly", "processor_slug": "datasource_search",
            "input": {"query": "{{ _inputs0.q }}"},
            "config": {"datasources": datasources, "search_filters": "{{ _inputs0.f }}", "document_limit": 9}}],
    });
    made(who, &definition).await
}

/// The contents that an app finds, in alphabetical order.
async fn found(who: &Person, app: &str, query: &str, filter: &str) -> Result<Vec<String>> {
    let whole = run(who, app, json!({"q": query, "f": filter})).await?;
    let answers = whole["output"]["s"]["answers"].as_array();
    let answers = answers.with_context(|| whole.to_string())?;
    let text = |answer: &Value| answer["content"].as_str().unwrap_or_default().to_owned();
    let mut texts: Vec<String> = answers.iter().map(text).collect();
    texts.sort();
    Ok(texts)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_type_may_be_said_in_every_way_it_was_read() {
    let room = Room::open().await.unwrap();
    let (_, types) = answer(room.ann.get("/api/datasource_types")).await.unwrap();
    let slugs: Vec<&str> =
        types.as_array().unwrap().iter().map(|kind| kind["slug"].as_str().unwrap()).collect();
    assert_eq!(slugs, ["text", "url", "pdf", "file", "weaviate"]);
    let (_, one) = answer(room.ann.get("/api/datasource_types/pdf")).await.unwrap();
    assert_eq!(one, types[2]);
    for kind in [json!(2), json!("2"), json!("URL"), json!("url"), types[1].clone()] {
        let uuid = datasource(&room.ann, kind).await.unwrap();
        let (status, one) =
            answer(room.ann.get(&format!("/api/datasources/{uuid}"))).await.unwrap();
        assert_eq!((status, &one["type"]["slug"]), (200, &json!("url")), "{one}");
        assert!(one["created_at"].as_str().unwrap().ends_with('Z'));
    }
    let body = json!({"name": "Old", "type_slug": "file", "pipeline": {"source": {}}});
    let (status, one) = answer(room.ann.post("/api/datasources").json(&body)).await.unwrap();
    assert_eq!((status, &one["type"]["id"]), (201, &json!(4)));
    for (body, error) in [
        (json!({"type": "text"}), "name is required"),
        (json!({"name": " ", "type": "text"}), "name: a text is needed"),
        (json!({"name": 4, "type": "text"}), "name: a text is needed"),
        (json!({"name": "x".repeat(101), "type": "text"}), "name: at most 100 characters"),
        (json!({"name": "n"}), "type is required"),
        (
            json!({"name": "n", "type": "gdrive"}),
            "Unknown datasource type: one of text, url, pdf, file, weaviate is needed",
        ),
    ] {
        let said = answer(room.ann.post("/api/datasources").json(&body)).await.unwrap();
        assert_eq!(said, (400, json!({"errors": [error]})), "{body}");
    }
    room.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_choose_entries_and_nonsense_fails_the_step() {
    let room = Room::open().await.unwrap();
    let ann = &room.ann;
    let uuid = datasource(ann, json!("text")).await.unwrap();
    for (content, said) in [
        ("Returns take 30 days in Europe", json!({"region": "eu", "year": 2019})),
        ("Returns take 90 days in America", json!({"region": "us", "year": "2021"})),
        ("Returns are free", json!({})),
    ] {
        text(ann, &uuid, content, said).await.unwrap();
    }
    let app = searcher(ann, &json!([uuid])).await.unwrap();
    let eu = "Returns take 30 days in Europe";
    let us = "Returns take 90 days in America";
    for (filter, contents) in [
        ("", vec!["Returns are free", eu, us]),
        ("md_region == eu", vec![eu]),
        ("md_region == \"us\"", vec![us]),
        ("md_year > 2000", vec![eu, us]),
        ("md_year < 2020", vec![eu]),
        ("md_region LIKE U", vec![eu, us]),
        ("md_year > 2000 && md_region == us || md_region == nobody", vec![us]),
        ("md_region == asia", vec![]),
        ("md_tenant == eu", vec![]),
        ("source == Returns && md_region == eu", vec![eu]),
    ] {
        assert_eq!(found(ann, &app, "returns", filter).await.unwrap(), contents, "{filter}");
    }
    for filter in ["md_region = eu", "md_region", "(md_region == eu)", "md_region == eu &&"] {
        let whole = run(ann, &app, json!({"q": "returns", "f": filter})).await.unwrap();
        let error = whole["output"]["errors"][0].as_str().unwrap();
        assert!(error.starts_with("s: the search filter cannot be understood"), "{whole}");
    }
    let whole = run(ann, &app, json!({"q": "Europe", "f": "md_region == eu"})).await.unwrap();
    let said = &whole["output"]["s"];
    let answer = &said["answers"][0];
    assert_eq!((&answer["source"], &answer["content"]), (&json!("Returns"), &json!(eu)));
    assert_eq!(
        answer["additional_properties"],
        json!({"md_region": "eu", "md_year": 2019, "source": "Returns"})
    );
    assert!(answer["metadata"]["score"].as_f64().unwrap() > 0.0, "{answer}");
    assert_eq!(said["answers_text"], format!("Content: {eu}\n\nSource: Returns\n\n\n"));
    room.close().await.unwrap();
}
