use crate::scenario::Scenario;
use commands::effects::{
    embedder::{TextHash, VectorMemo},
    embedder_memo::PostgresMemo,
};
use domain::{
    document::{Event, Labels},
    knowledge_base,
};
use projections::{
    passages,
    retrieval::{Comparison, Filter, Hit, QueryVector, Question, Rankings, retrieve},
};
use sqlx::postgres::PgPoolOptions;
use std::f32::consts::TAU;

async fn ask(scenario: &Scenario, shelves: &[&str], text: &str) -> Vec<Hit> {
    let ids: Vec<_> = shelves.iter().map(|&id| id.into()).collect();
    let question = Question {
        knowledge_bases: &ids,
        text,
        vector: None,
        filter: None,
        rankings: Rankings::Both,
        top_k: 10,
    };
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
        "select count(*) from passage_vectors",
    ] {
        assert_eq!(scenario.number(empty).await, 0, "{empty}");
    }
    // What an attempt still reports finds nothing to belong to.
    scenario.given_passages("b", 1, &["too late"]).await;
    scenario.given_end("b", 1).await;
    assert_eq!(scenario.number("select count(*) from passages").await, 0);
}

#[tokio::test]
async fn what_is_being_read_takes_no_place_of_what_can_be_found() {
    let mut scenario = Scenario::new().await;
    scenario.given_shelf("kb", "ann").await;
    let near: Vec<String> = (0..300).map(|n| format!("near {n}")).collect();
    let near: Vec<&str> = near.iter().map(String::as_str).collect();
    let mut vectors: Vec<(&str, [f32; 3])> =
        near.iter().map(|text| (*text, [1.0, 0.0, 0.0])).collect();
    vectors.push(("far and near", [0.2, 1.0, 0.0]));
    remember(&scenario, &vectors).await;
    scenario.given_document("one", "kb", &["far and near"]).await;
    scenario.given_upload("many", "kb", "many.txt").await;
    scenario.given_start("many", 1).await;
    scenario.given_passages("many", 1, &near).await;
    let ids = ["kb".into()];
    let vector = Some(QueryVector { model: "m", values: &[1.0, 0.0, 0.0], weight: 0.5 });
    for rankings in [Rankings::Both, Rankings::Words, Rankings::Vectors] {
        let filter = None;
        let asked =
            Question { knowledge_bases: &ids, text: "near", vector, filter, rankings, top_k: 5 };
        let hits = retrieve(&scenario.db, asked).await.unwrap();
        assert_eq!(texts(&hits), ["far and near"], "{rankings:?}");
    }
    // Nothing is left of what is given up.
    let failed = Event::IngestionFailed { attempt: 1, reason: "no".to_owned(), retry_in_ms: None };
    scenario.given("document-many", &failed).await;
    for table in [
        "select count(*) from passages",
        "select count(*) from passage_vectors",
        "select max(passages) from passage_terms",
        "select count(*) from passage_sources where stored = 0 and document = 'many'",
    ] {
        assert_eq!(scenario.number(table).await, 1, "{table}");
    }
}

#[tokio::test]
async fn a_large_document_goes_as_a_whole_and_the_words_of_others_stay() {
    let mut scenario = Scenario::new().await;
    scenario.given_shelf("kb", "ann").await;
    let texts: Vec<String> = (0..20_100).map(|n| format!("passage number {n}")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    scenario.given_document("small", "kb", &["passage number one"]).await;
    scenario.given_document("large", "kb", &texts).await;
    let most = "select max(passages) from passage_terms";
    assert_eq!(scenario.number(most).await, 20_101);
    scenario.given("document-large", &Event::DocumentDeleted {}).await;
    assert_eq!(scenario.number(most).await, 1);
    assert_eq!(scenario.number("select count(*) from passage_terms").await, 3);
    assert_eq!(scenario.number("select count(*) from passages").await, 1);
    assert_eq!(scenario.number("select passages from passage_shelves").await, 1);
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
    let question = Question {
        knowledge_bases: &ids,
        text: "cat",
        vector,
        filter: None,
        rankings: Rankings::Both,
        top_k: 10,
    };
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
    let texts: Vec<String> = (0..20_200).map(|n| format!("passage number {n}")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let vectors: Vec<(TextHash, Vec<f32>)> = texts
        .iter()
        .enumerate()
        .map(|(n, text)| {
            let angle = TAU * n as f32 / 20_200.0;
            (TextHash::of(text), vec![angle.cos(), angle.sin(), 0.0])
        })
        .collect();
    PostgresMemo(scenario.db.clone()).remember("m", vectors).await.unwrap();
    passages::index_vectors(&scenario.db, 3).await.unwrap();
    scenario.given_document("all", "kb", &texts).await;
    scenario.given_document("twin", "other", &texts[..50]).await;
    let ids = ["kb".into()];
    let angle = TAU * 777.2 / 20_200.0;
    let values = [angle.cos(), angle.sin(), 0.0];
    let vector = Some(QueryVector { model: "m", values: &values, weight: 1.0 });
    let question = Question {
        knowledge_bases: &ids,
        text: "",
        vector,
        filter: None,
        rankings: Rankings::Both,
        top_k: 5,
    };
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
        "select idx_scan from pg_stat_user_indexes where indexrelname = 'passage_vectors_3'",
    )
    .fetch_one(&db)
    .await
    .unwrap();
    assert_eq!(scans, 1);
}

#[tokio::test]
async fn words_are_found_in_other_forms_than_they_are_asked_in() {
    let mut scenario = Scenario::new().await;
    scenario.given_shelf("kb", "ann").await;
    scenario.given_document("a", "kb", &["uploading documents twice"]).await;
    scenario.given_document("b", "kb", &["小猫在睡觉"]).await;
    assert_eq!(
        texts(&ask(&scenario, &["kb"], "Document upload").await),
        ["uploading documents twice"]
    );
    assert_eq!(texts(&ask(&scenario, &["kb"], "猫").await), ["小猫在睡觉"]);
}

#[tokio::test]
async fn filters_choose_documents_before_the_search_does() {
    let mut scenario = Scenario::new().await;
    scenario.given_shelf("kb", "ann").await;
    let near: Vec<String> = (0..300).map(|n| format!("near {n}")).collect();
    let near: Vec<&str> = near.iter().map(String::as_str).collect();
    let mut vectors: Vec<(&str, [f32; 3])> =
        near.iter().map(|text| (*text, [1.0, 0.0, 0.0])).collect();
    vectors.push(("far and near", [0.2, 1.0, 0.0]));
    remember(&scenario, &vectors).await;
    scenario.given_document("many", "kb", &near).await;
    scenario.given_document("one", "kb", &["far and near"]).await;
    let test = |key: &str, comparison, value: &str| Filter::Test {
        key: key.to_owned(),
        comparison,
        value: value.to_owned(),
    };
    let one = test("source", Comparison::Equal, "one.txt");
    let ids = ["kb".into()];
    let values = [1.0, 0.0, 0.0];
    let vector = Some(QueryVector { model: "m", values: &values, weight: 0.5 });
    let ask = async |filter: &Filter, rankings| {
        let filter = Some(filter);
        let asked =
            Question { knowledge_bases: &ids, text: "near", vector, filter, rankings, top_k: 5 };
        retrieve(&scenario.db, asked).await.unwrap()
    };
    // Three hundred others are nearer, in both rankings.
    for rankings in [Rankings::Both, Rankings::Words, Rankings::Vectors] {
        assert_eq!(texts(&ask(&one, rankings).await), ["far and near"], "{rankings:?}");
    }
    let nothing = test("tenant", Comparison::Equal, "a");
    assert_eq!(ask(&nothing, Rankings::Both).await, []);
    let contains = test("source", Comparison::Contains, "ONE");
    let either = Filter::Any(vec![nothing.clone(), contains]);
    assert_eq!(texts(&ask(&either, Rankings::Both).await), ["far and near"]);
    assert_eq!(ask(&Filter::All(vec![either, nothing]), Rankings::Both).await, []);
    let greater = test("source", Comparison::Greater, "n");
    assert_eq!(texts(&ask(&greater, Rankings::Both).await), ["far and near"]);
}

#[tokio::test]
async fn what_is_said_of_a_document_chooses_it() {
    let mut scenario = Scenario::new().await;
    scenario.given_shelf("kb", "ann").await;
    for (id, said) in [
        ("eu", r#"{"md_region": "eu", "md_year": 2019, "md_open": true}"#),
        ("us", r#"{"md_region": "us", "md_year": "2021", "source": "elsewhere"}"#),
        ("none", "{}"),
    ] {
        let said: Labels = serde_json::from_str(said).unwrap();
        scenario.given_described(id, "kb", &format!("{id}.txt"), said).await;
        scenario.given_start(id, 1).await;
        scenario.given_passages(id, 1, &[&format!("returns in {id}")]).await;
        scenario.given_end(id, 1).await;
    }
    let ids = ["kb".into()];
    let ask = async |key: &str, comparison, value: &str| {
        let (key, value) = (key.to_owned(), value.to_owned());
        let filter = Some(&Filter::Test { key, comparison, value });
        let (vector, rankings) = (None, Rankings::Both);
        let asked =
            Question { knowledge_bases: &ids, text: "returns", vector, filter, rankings, top_k: 9 };
        let hits = retrieve(&scenario.db, asked).await.unwrap();
        hits.into_iter().map(|hit| hit.text).collect::<Vec<String>>()
    };
    assert_eq!(ask("md_region", Comparison::Equal, "eu").await, ["returns in eu"]);
    assert_eq!(ask("md_open", Comparison::Equal, "true").await, ["returns in eu"]);
    assert_eq!(ask("md_year", Comparison::Greater, "100").await.len(), 2);
    assert_eq!(ask("md_year", Comparison::Less, "2020").await, ["returns in eu"]);
    // Nobody says of a document that it is another.
    assert_eq!(ask("source", Comparison::Equal, "us.txt").await, ["returns in us"]);
    assert!(ask("source", Comparison::Equal, "elsewhere").await.is_empty());
}
