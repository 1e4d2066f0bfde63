//! The project's own evaluation set: what is found, and that it is found again after a rebuild.

use crate::scenario::database_url;
use api::{
    compose::read_models,
    eval::{Collection, Outcome, Subject, search},
    feed::LogFeed,
};
use commands::{
    effects::{
        embedder::{Embedder, Error},
        embedder_builtin::Builtin,
    },
    log::{
        EventLog,
        postgres::{PostgresLog, Settings},
    },
};
use domain::ids::KnowledgeBaseId;
use futures::future::{BoxFuture, FutureExt, ready};
use projections::Projections;
use sqlx::PgPool;
use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

const PATIENCE: Duration = Duration::from_secs(120);

fn collection() -> Collection {
    let file = |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("data/eval").join(name);
    let [corpus, queries, qrels] = ["corpus.jsonl", "queries.jsonl", "qrels.jsonl"].map(file);
    Collection::read(&corpus, &queries, &qrels).unwrap()
}

/// The collection as a knowledge base behind running read models.
struct World {
    subject: Subject,
    base: KnowledgeBaseId,
    projections: Projections,
    collection: Collection,
}

impl World {
    async fn new(embedder: Arc<dyn Embedder>) -> Self {
        let db = PgPool::connect(&database_url().await).await.unwrap();
        migrations::MIGRATOR.run(&db).await.unwrap();
        let log: Arc<dyn EventLog> =
            PostgresLog::open(db.clone(), Settings::default()).await.unwrap();
        let feed = Arc::new(LogFeed(log.clone()));
        let projections = Projections::start(db.clone(), feed, read_models()).unwrap();
        let subject = Subject { log, db, embedder };
        let collection = collection();
        let base = subject.ingest(&collection, "en").await.unwrap();
        projections.wait_for_all(subject.log.head().await.unwrap(), PATIENCE).await.unwrap();
        Self { subject, base, projections, collection }
    }

    async fn outcomes(&self) -> Vec<Outcome> {
        search(&self.subject, &self.base, &self.collection).await.unwrap()
    }

    async fn rebuild(&self) {
        for model in read_models() {
            self.projections.rebuild(model.name(), |_| ()).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_hybrid_ranks_at_least_as_well_as_the_better_ranking() {
    let world = World::new(Arc::new(Builtin)).await;
    let outcomes = world.outcomes().await;
    let ndcg: Vec<f64> = outcomes.iter().map(|one| one.measures.ndcg_at_10).collect();
    let [lexical, vector, hybrid] = ndcg[..] else { panic!("{outcomes:?}") };
    assert!(hybrid >= lexical.max(vector), "lexical {lexical} vector {vector} hybrid {hybrid}");
    assert!(lexical > 0.64 && vector > 0.3, "lexical {lexical} vector {vector}");
    // What hangs on the order of the events alone comes out the same.
    world.rebuild().await;
    for (before, after) in outcomes.iter().zip(world.outcomes().await) {
        assert_eq!(before.rankings, after.rankings, "{}", before.name);
    }
    world.projections.shutdown().await;
}

/// Letters as directions, and a count of calls.
#[derive(Default)]
struct Letters(AtomicUsize);

impl Embedder for Letters {
    fn model(&self) -> &str {
        "letters"
    }

    fn dimensions(&self) -> Option<usize> {
        Some(26)
    }

    fn weight(&self) -> f32 {
        0.3
    }

    fn embed<'a>(&'a self, texts: &'a [&'a str]) -> BoxFuture<'a, Result<Vec<Vec<f32>>, Error>> {
        self.0.fetch_add(1, Ordering::SeqCst);
        let vector = |text: &&str| {
            let mut vector = vec![0.1_f32; 26];
            for letter in text.bytes().filter(u8::is_ascii_lowercase) {
                vector[usize::from(letter - b'a')] += 1.0;
            }
            vector
        };
        ready(Ok(texts.iter().map(vector).collect())).boxed()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuild_calls_no_embedder_and_finds_the_same() {
    let letters = Arc::new(Letters::default());
    let world = World::new(letters.clone()).await;
    let before = world.outcomes().await;
    assert!(before[1].measures.ndcg_at_10 > 0.0, "the vectors find nothing");
    let calls = letters.0.load(Ordering::SeqCst);
    assert!(calls > world.collection.documents.len());
    world.rebuild().await;
    assert_eq!(letters.0.load(Ordering::SeqCst), calls);
    for (before, after) in before.iter().zip(world.outcomes().await) {
        assert_eq!(before.rankings, after.rankings, "{}", before.name);
    }
    world.projections.shutdown().await;
}
