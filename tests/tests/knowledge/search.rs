use crate::scenario::Scenario;
use commands::effects::{
    embedder::{Embedder, TextHash, VectorMemo},
    embedder_builtin::Builtin,
    embedder_memo::PostgresMemo,
};
use domain::{document::Event, knowledge_base};
use projections::{
    passages,
    retrieval::{Hit, QueryVector, Question, Rankings, retrieve},
};
use sqlx::postgres::PgPoolOptions;
use std::f32::consts::TAU;

async fn ask(scenario: &Scenario, shelves: &[&str], text: &str) -> Vec<Hit> {
    let ids: Vec<_> = shelves.iter().map(|&id| id.into()).collect();
    let question = Question { knowledge_bases: &ids, text, vector: None, filter: None, rankings: Rankings::Both, top_k: 10 };
    retrieve(&scenario.db, question).await.unwrap()
}

fn texts(hits: &[Hit]) -> Vec<&str> {
    hits.iter().map(|hit| hit.text.as_str()).collect()
}

/// BM25 as the textbooks have it, over passages that are lists of words.
fn bm25(passages: &[&[&str]], nth: usize, question: &[&str]) -> f64 {
    let count = passages.len() as f64;
    let average = passages.iter().map(|p| p.len()).sum::<usize>() as f64 / count;
    let passage = passages[nth];
    let scores = question.iter().map(|word| {
        let df = passages.iter().filter(|p| p.contains(word)).count() as f64;
        let tf = passage.iter().filter(|w| *w == word).count() as f64;
        let idf = (1.0 + (count - df + 0.5) / (df + 0.5)).ln();
        idf * tf * 2.2 / (tf + 1.2 * (0.25 + 0.75 * passage.len() as f64 / average))
    });
    scores.sum()
}

#[tokio::test]
async fn the_ranking_by_words_is_bm25() {
    let mut scenario = Scenario::new().await;
    scenario.given_shelf("kb", "ann").await;
    let passages: [&[&str]; 4] = [
        &["red", "apple", "and", "green", "apple"],
        &["green", "pear", "and", "green", "leaf", "in", "a", "garden"],
        &["blue", "sky"],
        &["an", "apple", "a", "day"],
    ];
    for (n, words) in passages.iter().enumerate() {
        scenario.given_document(&format!("d{n}"), "kb", &[&words.join(" ")]).await;
    }
    let hits = ask(&scenario, &["kb"], "Green APPLE?").await;
    let mut expected: Vec<(String, f64)> =
        [0, 1, 3].map(|n| (format!("d{n}"), bm25(&passages, n, &["green", "apple"]))).to_vec();
    expected.sort_by(|a, b| b.1.total_cmp(&a.1));
    let found: Vec<_> =
        hits.iter().map(|h| (h.document.to_string(), h.lexical.unwrap().score)).collect();
    for ((document, score), (expected_document, expected_score)) in found.iter().zip(&expected) {
        assert_eq!(document, expected_document);
        assert!((score - expected_score).abs() < 1e-9, "{score} {expected_score}");
    }
    assert_eq!(found.len(), 3);
    // One ranking alone, all the weight on it: the first has everything.
    assert_eq!(hits[0].score, 1.0);
}

#[tokio::test]
async fn nobody_finds_what_stands_on_another_shelf() {
    let mut scenario = Scenario::new().await;
    scenario.given_shelf("kb", "ann").await;
    scenario.given_shelf("other", "bob").await;
    scenario.given_document("a", "kb", &["the secret of ann"]).await;
    scenario.given_document("b", "other", &["the secret of bob"]).await;
    assert_eq!(texts(&ask(&scenario, &["kb"], "secret").await), ["the secret of ann"]);
    assert_eq!(ask(&scenario, &["kb", "other"], "secret").await.len(), 2);
    assert_eq!(ask(&scenario, &["nothing"], "secret").await, []);
    assert_eq!(ask(&scenario, &["kb"], " ?! ").await, []);
}

#[tokio::test]
async fn chinese_is_found_by_pairs() {
    let mut scenario = Scenario::new().await;
    scenario.given_shelf("kb", "ann").await;
    scenario.given_document("a", "kb", &["知识库支持上传文件"]).await;
    scenario.given_document("b", "kb", &["今天的天气很好"]).await;
    assert_eq!(texts(&ask(&scenario, &["kb"], "如何上传？").await), ["知识库支持上传文件"]);
}

#[tokio::test]
async fn passages_are_found_from_success_until_deletion_and_counts_follow() {
    let mut scenario = Scenario::new().await;
    scenario.given_shelf("kb", "ann").await;
    scenario.given_upload("a", "kb", "a.txt").await;
    scenario.given_start("a", 1).await;
    scenario.given_passages("a", 1, &["half of it"]).await;
    assert_eq!(ask(&scenario, &["kb"], "half").await, []);
    // The node died; another began again.
    scenario.given_start("a", 2).await;
    scenario.given_passages("a", 2, &["half of it", "and the rest"]).await;
    scenario.given_end("a", 2).await;
    let hits = ask(&scenario, &["kb"], "half rest").await;
    assert_eq!(hits.iter().map(|h| h.passages.len()).sum::<usize>(), 2);
    assert_eq!(scenario.number("select count(*) from passages").await, 2);
    assert_eq!(scenario.number("select passages from passage_shelves").await, 2);
    assert_eq!(scenario.number("select words from passage_shelves").await, 6);
    scenario.given_document("b", "kb", &["the other half"]).await;
    scenario.given("document-a", &Event::DocumentDeleted {}).await;
    assert_eq!(texts(&ask(&scenario, &["kb"], "half rest").await), ["the other half"]);
    assert_eq!(scenario.number("select words from passage_shelves").await, 3);
    assert_eq!(scenario.number("select count(*) from passage_terms").await, 3);
    scenario.given("knowledge_base-kb", &knowledge_base::Event::KnowledgeBaseDeleted {}).await;
    for empty in [
        "select count(*) from passages",
        "select count(*) from passage_terms",
        "select count(*) from passage_sources",
        "select count(*) from passage_shelves",
    ] {
        assert_eq!(scenario.number(empty).await, 0, "{empty}");
    }
    // What an attempt still reports finds nothing to belong to.
    scenario.given_passages("b", 1, &["too late"]).await;
    scenario.given_end("b", 1).await;
    assert_eq!(scenario.number("select count(*) from passages").await, 0);
}

async fn remember(scenario: &Scenario, vectors: &[(&str, [f32; 3])]) {
    let vectors = vectors.iter().map(|(text, v)| (TextHash::of(text), v.to_vec())).collect();
    PostgresMemo(scenario.db.clone()).remember("m", vectors).await.unwrap();
}

#[tokio::test]
async fn vectors_of_the_memo_find_what_words_do_not() {
    let mut scenario = Scenario::new().await;
    scenario.given_shelf("kb", "ann").await;
    remember(&scenario, &[("a feline", [1.0, 0.1, 0.0]), ("a car", [0.0, 0.0, 1.0])]).await;
    scenario.given_document("a", "kb", &["a feline"]).await;
    scenario.given_document("b", "kb", &["a car"]).await;
    scenario.given_document("c", "kb", &["a cat without vector"]).await;
    let ids = ["kb".into()];
    let values = [1.0, 0.0, 0.0];
    let vector = Some(QueryVector { model: "m", values: &values, weight: 0.5 });
    let question = Question { knowledge_bases: &ids, text: "cat", vector, filter: None, rankings: Rankings::Both, top_k: 10 };
    let hits = retrieve(&scenario.db, question).await.unwrap();
    assert_eq!(texts(&hits), ["a cat without vector", "a feline"]);
    let semantic = hits[1].semantic.unwrap();
    assert!(semantic.rank == 1 && semantic.score > 0.99, "{semantic:?}");
    assert_eq!((hits[1].lexical, hits[0].semantic), (None, None));
    // Vectors of another model are not compared.
    let vector = Some(QueryVector { model: "n", values: &values, weight: 0.5 });
    let hits = retrieve(&scenario.db, Question { vector, ..question }).await.unwrap();
    assert_eq!(texts(&hits), ["a cat without vector"]);
}

#[tokio::test]
async fn the_index_over_vectors_is_used_and_honours_the_shelf() {
    let mut scenario = Scenario::new().await;
    scenario.given_shelf("kb", "ann").await;
    scenario.given_shelf("other", "bob").await;
    let texts: Vec<String> = (0..5_200).map(|n| format!("passage number {n}")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let vectors: Vec<(TextHash, Vec<f32>)> = texts
        .iter()
        .enumerate()
        .map(|(n, text)| {
            let angle = TAU * n as f32 / 5_200.0;
            (TextHash::of(text), vec![angle.cos(), angle.sin(), 0.0])
        })
        .collect();
    PostgresMemo(scenario.db.clone()).remember("m", vectors).await.unwrap();
    passages::index_vectors(&scenario.db, 3).await.unwrap();
    scenario.given_document("all", "kb", &texts).await;
    scenario.given_document("twin", "other", &texts[..50]).await;
    let ids = ["kb".into()];
    let angle = TAU * 777.2 / 5_200.0;
    let values = [angle.cos(), angle.sin(), 0.0];
    let vector = Some(QueryVector { model: "m", values: &values, weight: 1.0 });
    let question = Question { knowledge_bases: &ids, text: "", vector, filter: None, rankings: Rankings::Both, top_k: 5 };
    // Little data is sorted faster than walked; here the walk is what is looked at.
    let options = (*scenario.db.connect_options()).clone();
    let options = options.options([("enable_sort", "off"), ("enable_seqscan", "off")]);
    let db = PgPoolOptions::new().max_connections(1).connect_with(options).await.unwrap();
    let hits = retrieve(&db, question).await.unwrap();
    let mut found: Vec<i32> = hits.iter().flat_map(|hit| hit.passages.clone()).collect();
    found.sort_unstable();
    // Stored vectors have eleven bits of precision: nearly the nearest.
    assert!(found.iter().all(|n| (765..790).contains(n)), "{found:?}");
    assert_eq!(found.len(), 5);
    assert!(hits.iter().all(|hit| hit.knowledge_base.as_str() == "kb"));
    sqlx::query("select pg_stat_force_next_flush()").execute(&db).await.unwrap();
    let scans: i64 = sqlx::query_scalar(
        "select idx_scan from pg_stat_user_indexes where indexrelname = 'passages_embedding_3'",
    )
    .fetch_one(&db)
    .await
    .unwrap();
    assert_eq!(scans, 1);
}

#[tokio::test]
async fn the_builtin_embedder_fits() {
    let scenario = Scenario::new().await;
    passages::index_vectors(&scenario.db, Builtin.dimensions().unwrap()).await.unwrap();
    let memo = PostgresMemo(scenario.db.clone());
    let vectors = Builtin.embed(&["one text"]).await.unwrap();
    let hash = TextHash::of("one text");
    memo.remember(Builtin.model(), vec![(hash, vectors[0].clone())]).await.unwrap();
    let stored: Vec<f32> = sqlx::query_scalar("select embedding from vector_memo")
        .fetch_one(&scenario.db)
        .await
        .unwrap();
    assert_eq!(stored, vectors[0]);
    assert_eq!(memo.known(Builtin.model(), &[hash]).await.unwrap(), [hash]);
    assert_eq!(memo.known("other", &[hash]).await.unwrap(), []);
}
