use crate::scenario::Scenario;
use domain::{
    document::{BlobHash, Event, Labels, Origin},
    ids::DocumentId,
    intake, knowledge_base,
};
use projections::{
    documents::{self, FAILED, Filter, PENDING, PROCESSING, Progress, SUCCESS},
    knowledge_bases,
};

async fn states(scenario: &Scenario) -> Vec<(String, i16)> {
    let filter = Filter { knowledge_base: &"kb".into(), name: "", status: &[], task: "" };
    let (rows, _) = documents::listed(&scenario.db, filter, 99, 0).await.unwrap();
    rows.into_iter().map(|row| (row.id, row.status)).collect()
}

fn failed(attempt: u32, retry_in_ms: Option<u64>) -> Event {
    Event::IngestionFailed { attempt, reason: "away".into(), retry_in_ms }
}

#[tokio::test]
async fn a_document_goes_through_its_states_newest_first() {
    let mut scenario = Scenario::new().await;
    scenario.given_shelf("kb", "ann").await;
    for id in ["a", "b", "c", "d", "e"] {
        scenario.given_upload(id, "kb", &format!("{id}.TXT")).await;
    }
    for id in ["b", "c", "d", "e"] {
        scenario.given_start(id, 1).await;
    }
    scenario.given_end("c", 1).await;
    scenario.given("document-d", &failed(1, None)).await;
    scenario.given("document-e", &failed(1, Some(600_000))).await;
    let expected =
        [("e", PENDING), ("d", FAILED), ("c", SUCCESS), ("b", PROCESSING), ("a", PENDING)];
    assert_eq!(states(&scenario).await, expected.map(|(id, s)| (id.to_owned(), s)));

    let progress = documents::progress(&scenario.db, &"kb".into(), "task").await.unwrap();
    assert_eq!(progress, Progress { waiting: 2, in_progress: 1, success: 1, failed: 1 });
    let unknown = documents::progress(&scenario.db, &"kb".into(), "nothing").await.unwrap();
    assert_eq!(unknown, Progress::default());

    let filter =
        Filter { knowledge_base: &"kb".into(), name: ".txt", status: &[0, 3], task: "task" };
    let (rows, total) = documents::listed(&scenario.db, filter, 1, 1).await.unwrap();
    assert_eq!((rows[0].id.as_str(), rows.len(), total), ("d", 1, 3));
}

#[tokio::test]
async fn the_backlog_holds_what_waits_and_what_is_claimed_but_not_what_is_not_due() {
    let mut scenario = Scenario::new().await;
    scenario.given_shelf("kb", "ann").await;
    for id in ["a", "b", "c", "d"] {
        scenario.given_upload(id, "kb", "x").await;
    }
    for id in ["b", "c", "d"] {
        scenario.given_start(id, 1).await;
    }
    scenario.given("document-c", &failed(1, Some(600_000))).await;
    scenario.given("document-d", &failed(1, Some(1))).await;
    let unfinished = documents::unfinished(&scenario.db, 9).await.unwrap();
    assert_eq!(unfinished, ["a".into(), "b".into(), "d".into()]);
}

#[tokio::test]
async fn a_shelf_counts_its_documents_and_takes_them_with_it() {
    let mut scenario = Scenario::new().await;
    scenario.given_shelf("kb", "ann").await;
    scenario.given_shelf("other", "bob").await;
    scenario.given_upload("a", "kb", "x").await;
    scenario.given_upload("b", "kb", "x").await;
    scenario.given("document-b", &Event::DocumentDeleted {}).await;
    let renamed = knowledge_base::Event::KnowledgeBaseRenamed { name: "100%".into() };
    scenario.given("knowledge_base-kb", &renamed).await;
    let ann = "ann".into();
    let of_ann = knowledge_bases::Filter { owner: Some(&ann), name: "0%", kind: "rag" };
    let (rows, total) = knowledge_bases::listed(&scenario.db, of_ann, 9, 0).await.unwrap();
    assert_eq!((rows[0].name.as_str(), rows[0].documents, total), ("100%", 1, 1));
    let (_, all) = knowledge_bases::listed(&scenario.db, knowledge_bases::Filter::default(), 9, 0)
        .await
        .unwrap();
    assert_eq!(all, 2);

    scenario.given("knowledge_base-kb", &knowledge_base::Event::KnowledgeBaseDeleted {}).await;
    assert_eq!(knowledge_bases::get(&scenario.db, &"kb".into()).await.unwrap(), None);
    assert_eq!(documents::get(&scenario.db, &"a".into()).await.unwrap(), None);
    // A file that comes too late finds no place.
    scenario.given_upload("late", "kb", "x").await;
    assert_eq!(scenario.number("select count(*) from documents").await, 0);
}

fn accepted(document: &str, name: &str, replaced: &[&str]) -> intake::Event {
    intake::Event::FilesAccepted {
        owner: "ann".into(),
        task: "task".into(),
        files: vec![intake::File {
            document: document.into(),
            name: name.into(),
            blob: BlobHash("ab".repeat(32)),
            size: 3,
            media_type: String::new(),
            metadata: Labels::default(),
            origin: Origin::File,
        }],
        replaced: replaced.iter().map(|id| DocumentId::from(*id)).collect(),
    }
}

#[tokio::test]
async fn an_upload_is_listed_and_what_it_replaces_is_not_before_their_streams_say_so() {
    let mut scenario = Scenario::new().await;
    scenario.given_shelf("kb", "ann").await;
    scenario.given("intake-kb", &accepted("a", "x", &[])).await;
    assert_eq!(states(&scenario).await, [("a".to_owned(), PENDING)]);
    // It waits for its own stream, which somebody who was killed may have left to others.
    assert_eq!(documents::unfinished(&scenario.db, 9).await.unwrap(), []);
    let due = documents::unsettled(&scenario.db, 9).await.unwrap();
    assert_eq!((due.len(), due[0].file.name.as_str(), due[0].gone), (1, "x", false));
    scenario.given_upload("a", "kb", "x").await;
    assert_eq!(documents::unsettled(&scenario.db, 9).await.unwrap(), []);
    assert_eq!(documents::unfinished(&scenario.db, 9).await.unwrap(), ["a".into()]);

    scenario.given("intake-kb", &accepted("b", "x", &["a"])).await;
    scenario.given_upload("b", "kb", "x").await;
    assert_eq!(states(&scenario).await, [("b".to_owned(), PENDING)]);
    assert_eq!(documents::get(&scenario.db, &"a".into()).await.unwrap(), None);
    let due = documents::unsettled(&scenario.db, 9).await.unwrap();
    assert_eq!((due.len(), due[0].file.document.as_str(), due[0].gone), (1, "a", true));
    scenario.given("document-a", &Event::DocumentDeleted {}).await;
    assert_eq!(documents::unsettled(&scenario.db, 9).await.unwrap(), []);

    scenario.given("knowledge_base-kb", &knowledge_base::Event::KnowledgeBaseCleared {}).await;
    assert_eq!(states(&scenario).await, []);
    let progress = documents::progress(&scenario.db, &"kb".into(), "task").await.unwrap();
    assert_eq!(progress, Progress::default());
}

#[tokio::test]
async fn what_is_read_again_waits_and_is_found_meanwhile() {
    let mut scenario = Scenario::new().await;
    scenario.given_shelf("kb", "ann").await;
    scenario.given_document("a", "kb", &["one"]).await;
    scenario.given("document-a", &Event::RereadRequested {}).await;
    assert_eq!(states(&scenario).await, [("a".to_owned(), PENDING)]);
    scenario.given_start("a", 2).await;
    scenario.given_passages("a", 2, &["two"]).await;
    let found = "select count(*) from passages join passage_sources using (document, attempt) where text = 'one'";
    assert_eq!(scenario.number(found).await, 1);
    scenario.given_end("a", 2).await;
    let found = "select count(*) from passages join passage_sources using (document, attempt) where text = 'two'";
    assert_eq!(scenario.number(found).await, 1);
    assert_eq!(scenario.number("select count(*) from passages").await, 1);
    assert_eq!(scenario.number("select passages from passage_shelves").await, 1);
}
