//! Pages: fetched when they are read, from public addresses unless the operator has it otherwise.

use super::{added, datasource, found, searcher};
use crate::room::{Room, answer};
use anyhow::Result;
use axum::{Router, extract::State, http::StatusCode, response::Redirect, routing::get};
use serde_json::json;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// A small site; the page says how often it was asked for.
async fn site() -> Result<String> {
    let page = async |State(asked): State<Arc<AtomicUsize>>| {
        let asked = asked.fetch_add(1, Ordering::SeqCst) + 1;
        let html = format!(
            "<html><head><title>T</title></head><body><p>Visitor number{asked} of the zoo.</p>\
             <a href='/other#x'>o</a> <a href=\"mailto:a@b\">m</a></body></html>"
        );
        ([("content-type", "text/html")], html)
    };
    let router = Router::new()
        .route("/zoo.php", get(page))
        .route("/away", get(async || Redirect::temporary("/zoo.php")))
        .route("/gone", get(async || StatusCode::GONE))
        .with_state(Arc::default());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(format!("http://{address}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_fetched_and_fetched_again() -> Result<()> {
    let room = Room::with(&[("ANNALS_ALLOW_PRIVATE_URLS", "true")]).await?;
    let (ann, site) = (&room.ann, site().await?);
    let uuid = datasource(ann, json!("url")).await?;
    let urls = format!("{site}/zoo.php\n{site}/gone, {site}/away");
    let entries = added(ann, &uuid, &json!({"entry_data": {"urls": urls}})).await?;
    let states: Vec<&serde_json::Value> = entries.iter().map(|entry| &entry["status"]).collect();
    assert_eq!(states, ["READY", "FAILED", "READY"], "{entries:?}");
    assert_eq!(entries[0]["name"], format!("{site}/zoo.php"));
    assert_eq!(entries[1]["config"]["errors"]["message"], "the page answered 410");
    let app = searcher(ann, &json!([uuid])).await?;
    let only = format!("source == {site}/zoo.php");
    let before = found(ann, &app, "visitor", &only).await?;
    let path = format!("/api/datasource_entries/{}/resync", entries[0]["uuid"].as_str().unwrap());
    let (status, again) = answer(ann.post(&path)).await?;
    assert_eq!((status, &again["status"]), (200, &json!("READY")), "{again}");
    let after = found(ann, &app, "visitor", &only).await?;
    assert!(before.len() == 1 && after.len() == 1 && before != after, "{before:?} {after:?}");
    let body = json!({"url": format!("{site}/zoo.php")});
    let links = answer(ann.post("/api/datasources/url/extract_urls").json(&body)).await?;
    assert_eq!(links, (200, json!({"urls": [format!("{site}/other")]})));
    room.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn inner_addresses_are_out_of_reach() -> Result<()> {
    let room = Room::open().await?;
    let ann = &room.ann;
    let uuid = datasource(ann, json!("url")).await?;
    let urls = [room.model.base_url(), "localhost:1/x".to_owned(), "http://[::1]/".to_owned()];
    let entries = added(ann, &uuid, &json!({"entry_data": {"urls": urls}})).await?;
    for entry in &entries {
        assert_eq!(entry["status"], "FAILED", "{entry}");
        let reason = "the URL does not lead to a public address";
        assert_eq!(entry["config"]["errors"]["message"], reason);
    }
    assert_eq!(entries.len(), 3);
    let body = json!({"url": room.model.base_url()});
    let (status, said) = answer(ann.post("/api/datasources/url/extract_urls").json(&body)).await?;
    assert_eq!((status, said["errors"][0].is_string()), (400, true), "{said}");
    assert_eq!(room.model.calls().count(), 0);
    room.close().await
}
