use crate::scenario::Scenario;
use commands::effects::{embedder::Embedder, embedder_builtin::Builtin};
use domain::{document::Event, knowledge_base};
use projections::{
    meanings::FEWEST,
    retrieval::{Hit, Question, Rankings, retrieve},
};

/// Passages about cats and about ships. `feline` never stands beside `kitten`, both stand beside `cat`; likewise with
/// `vessel`, `schooner` and `ship`.
async fn given_passages(scenario: &mut Scenario, document: &str, passages: usize) {
    let about = |n: usize| match n % 4 {
        0 => "the cat is a feline",
        1 => "the cat has a kitten",
        2 => "the ship is a vessel",
        _ => "the ship has a schooner",
    };
    let texts: Vec<&str> = (0..passages).map(about).collect();
    scenario.given_upload(document, "kb", "a.txt").await;
    scenario.given_start(document, 1).await;
    scenario.given_passages_of(Builtin.model(), document, 1, &texts).await;
    scenario.given_end(document, 1).await;
}

async fn near(scenario: &Scenario, text: &str) -> Vec<Hit> {
    let (ids, rankings) = (["kb".into()], Rankings::Vectors);
    let question =
        Question { knowledge_bases: &ids, text, vector: None, filter: None, rankings, top_k: 4 };
    retrieve(&scenario.db, question).await.unwrap()
}

#[tokio::test]
async fn words_that_keep_the_same_company_are_found_for_each_other() {
    let mut scenario = Scenario::new().await;
    scenario.given_shelf("kb", "ann").await;
    given_passages(&mut scenario, "few", 4).await;
    assert_eq!(near(&scenario, "kitten").await, []);
    given_passages(&mut scenario, "more", usize::try_from(FEWEST).unwrap()).await;
    let hits = near(&scenario, "kitten").await;
    assert!(!hits.is_empty() && hits.iter().all(|hit| hit.text.contains("cat")), "{hits:?}");
    assert!(hits.iter().all(|hit| hit.lexical.is_none() && hit.semantic.is_some()));
    assert_eq!(near(&scenario, "zebra").await, []);
}

#[tokio::test]
async fn new_passages_take_their_place_and_deleted_ones_leave_it() {
    let mut scenario = Scenario::new().await;
    scenario.given_shelf("kb", "ann").await;
    given_passages(&mut scenario, "a", 40).await;
    let fitted = "select fitted from meaning_shelves";
    assert_eq!(scenario.number(fitted).await, 40);
    given_passages(&mut scenario, "b", 4).await;
    assert_eq!(scenario.number(fitted).await, 40);
    assert_eq!(scenario.number("select count(*) from meanings").await, 44);
    given_passages(&mut scenario, "c", 20).await;
    assert_eq!(scenario.number(fitted).await, 64);
    scenario.given("document-a", &Event::DocumentDeleted {}).await;
    assert_eq!(scenario.number("select passages from meaning_shelves").await, 24);
    assert!(near(&scenario, "kitten").await.iter().all(|hit| hit.document.as_str() != "a"));
    scenario.given("knowledge_base-kb", &knowledge_base::Event::KnowledgeBaseDeleted {}).await;
    for empty in [
        "select count(*) from meanings",
        "select count(*) from meaning_bags",
        "select count(*) from meaning_terms",
        "select count(*) from meaning_sources",
        "select count(*) from meaning_shelves",
    ] {
        assert_eq!(scenario.number(empty).await, 0, "{empty}");
    }
}
