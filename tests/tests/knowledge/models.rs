//! After a change of the embedding model: who can see it, what is still found, and how it is mended.

use crate::scenario::Scenario;
use annals_tests::{
    app::{Person, TestApp},
    database::Database,
    form::Form,
    model_server::{ModelServer, Script},
    process::eventually,
};
use anyhow::{Context, Result, ensure};
use domain::{document::Event, user::Role};
use projections::retrieval::models::{Embedding, embeddings, outdated};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

const BASE: &str = "/api/knowledge-base";

async fn of(scenario: &Scenario, shelf: &str, in_use: &str) -> Option<Embedding> {
    embeddings(&scenario.db, &[shelf], in_use).await.unwrap().remove(shelf)
}

#[tokio::test]
async fn one_document_of_another_model_makes_a_knowledge_base_outdated() {
    let mut scenario = Scenario::new().await;
    scenario.given_shelf("kb", "ann").await;
    scenario.given_shelf("other", "ann").await;
    assert_eq!(of(&scenario, "kb", "m").await, None);
    for (document, model) in [("a", "m"), ("b", "builtin-x")] {
        scenario.given_upload(document, "kb", "a.txt").await;
        scenario.given_start(document, 1).await;
        scenario.given_passages_of(model, document, 1, &["some words"]).await;
        // What cannot be found yet does not count.
        let seen = if document == "a" { None } else { Some(true) };
        assert_eq!(of(&scenario, "kb", "m").await.map(|one| one.current), seen);
        scenario.given_end(document, 1).await;
    }
    scenario.given_document("c", "other", &["other words"]).await;
    let old =
        |model: &str, dimensions| Embedding { model: model.into(), dimensions, current: false };
    assert_eq!(of(&scenario, "kb", "m").await, Some(old("builtin-x", Some(256))));
    assert_eq!(of(&scenario, "kb", "builtin-x").await, Some(old("m", None)));
    assert_eq!(outdated(&scenario.db, "m").await.unwrap(), 1);
    assert_eq!(outdated(&scenario.db, "builtin-x").await.unwrap(), 2);
    scenario.given("document-b", &Event::DocumentDeleted {}).await;
    assert!(of(&scenario, "kb", "m").await.unwrap().current);
    assert_eq!(outdated(&scenario.db, "m").await.unwrap(), 0);
}

async fn call(ann: &Person, method: Method, path: &str, body: Option<Value>) -> Result<Value> {
    let request = ann.request(method, &format!("{BASE}{path}"));
    let request = match body {
        Some(body) => request.json(&body),
        None => request,
    };
    let answer: Value = request.send().await?.json().await?;
    ensure!(answer["code"] == 200, "{path}: {answer}");
    Ok(answer["data"].clone())
}

async fn all_read(ann: &Person, shelf: &str) -> Result<()> {
    let list = format!("/doc/list?kdb_id={shelf}&query_status=2");
    eventually("all documents", async || {
        let found = call(ann, Method::GET, &list, None).await?;
        Ok((found["total"] == 2).then_some(()))
    })
    .await
}

/// What `info` and `list` say of the embedding; they agree.
async fn shown(ann: &Person, shelf: &str) -> Result<Value> {
    let info = call(ann, Method::GET, &format!("/info?kdb_id={shelf}"), None).await?;
    let list = call(ann, Method::GET, "/list", None).await?;
    ensure!(list["list"][0]["embedding"] == info["embedding"], "{list} {info}");
    Ok(info["embedding"].clone())
}

/// The best hit: its text, and whether each ranking has it.
async fn best(ann: &Person, shelf: &str, query: &str) -> Result<(String, bool, bool)> {
    let ask = json!({"kdb_id": shelf, "query": query});
    let found = call(ann, Method::POST, "/retrieve", Some(ask)).await?;
    let hit = &found["results"][0];
    let metadata = &hit["metadata"];
    let text = hit["doc_content"].as_str().context("a hit")?.to_owned();
    Ok((text, !metadata["lexical"].is_null(), !metadata["vector"].is_null()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_model_is_told_of_searched_without_and_taken_up_by_redoing_all() -> Result<()> {
    let database = Database::create().await?;
    let folder = std::env::temp_dir().join(format!("annals-models-{}", Uuid::new_v4()));
    let blobs = format!("file://{}", folder.display());
    let before = TestApp::on(&database.url(), &[("ANNALS_BLOBS", &blobs)]).await?;
    let ann = before.user("ann", Role::Creator).await?;
    let added = json!({"name": "Docs", "type": "rag", "language": "en"});
    let added = call(&ann, Method::POST, "/add", Some(added)).await?;
    let shelf = added["kdb_id"].as_str().context("an id")?.to_owned();
    assert_eq!(shown(&ann, &shelf).await?, Value::Null);
    let form = Form::default().text("kdb_id", &shelf);
    let form =
        form.file("a.txt", "Sessions live for days.").file("b.txt", "Tokens are shown once.");
    let request = ann.post(&format!("{BASE}/doc/add_by_files"));
    let request = request.header("content-type", form.media_type()).body(form.end());
    ensure!(request.send().await?.status().is_success());
    all_read(&ann, &shelf).await?;
    let builtin =
        |current| json!({"model": "builtin-lsa-256-v1", "dimension": 256, "current": current});
    assert_eq!(shown(&ann, &shelf).await?, builtin(true));
    before.stop().await?;

    let model = ModelServer::start(Script::default()).await?;
    let settings = [
        ("ANNALS_BLOBS", blobs.as_str()),
        ("ANNALS_EMBEDDING_BASE_URL", &model.base_url()),
        ("ANNALS_EMBEDDING_MODEL", "new-model"),
    ];
    let after = TestApp::on(&database.url(), &settings).await?;
    let ann = ann.at(&after);
    assert_eq!(shown(&ann, &shelf).await?, builtin(false));
    let found = |lexical, vector| ("Sessions live for days.".to_owned(), lexical, vector);
    assert_eq!(best(&ann, &shelf, "how long do sessions live").await?, found(true, false));
    call(&ann, Method::POST, "/redo_all", Some(json!({"kdb_id": shelf}))).await?;
    all_read(&ann, &shelf).await?;
    after.settled().await?;
    let current = json!({"model": "new-model", "dimension": 384, "current": true});
    assert_eq!(shown(&ann, &shelf).await?, current);
    assert_eq!(best(&ann, &shelf, "how long do sessions live").await?, found(true, true));
    after.stop().await?;
    std::fs::remove_dir_all(folder)?;
    database.remove().await
}
