//! A collection ingested as a knowledge base, and its questions asked in every way.

use super::{Collection, Measures};
use crate::{bench::mix, config::Config, feed::LogFeed, library::Library};
use anyhow::{Context, Result};
use clap::Args;
use commands::{
    effects::{
        chunk::{Sizes, chunk},
        embedder::{self, Embedder, VectorMemo},
        embedder_memo::PostgresMemo,
        extract::Extracted,
    },
    log::{
        EventLog,
        postgres::{PostgresLog, Settings},
    },
};
use domain::{
    document::Passage,
    ids::{DocumentId, KnowledgeBaseId, UserId},
};
use futures::{StreamExt, TryStreamExt, stream};
use projections::{
    Projection, Projections,
    meanings::Meanings,
    passages::{self, Passages},
    retrieval::{self, QueryVector, Question, Rankings},
};
use serde_json::json;
use sqlx::PgPool;
use std::{
    fs,
    io::{self, Write},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

/// The collection, and what to print.
#[derive(Debug, Clone, Args)]
pub struct Arguments {
    /// Documents, one JSON object a line: `{"id", "title", "text"}`.
    #[arg(long, value_name = "F")]
    corpus: PathBuf,
    /// Questions, one JSON object a line: `{"id", "text"}`.
    #[arg(long, value_name = "F")]
    queries: PathBuf,
    /// Judgements, one JSON object a line: `{"query-id", "corpus-id", "score"}`; or the columns of TREC or BEIR.
    #[arg(long, value_name = "F")]
    qrels: PathBuf,
    /// Language of the documents, as a knowledge base has it.
    #[arg(long, default_value = "en")]
    language: String,
    /// Writes `DIR/lexical.run`, `DIR/vector.run` and `DIR/hybrid.run`, as trec_eval reads them.
    #[arg(long, value_name = "DIR")]
    runs: Option<PathBuf>,
    /// One JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

/// Documents of a ranking.
const DEPTH: usize = 100;
/// Documents, or questions, on their way at once.
const AT_ONCE: usize = 4;
const PATIENCE: Duration = Duration::from_secs(24 * 3_600);
const WAYS: [(&str, Rankings); 3] =
    [("lexical", Rankings::Words), ("vector", Rankings::Vectors), ("hybrid", Rankings::Both)];

/// What one way of ranking came to.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// `lexical`, `vector` or `hybrid`.
    pub name: &'static str,
    /// Averages over the questions.
    pub measures: Measures,
    /// For each question its documents, best first, with their scores.
    pub rankings: Vec<Vec<(String, f64)>>,
}

/// What is judged: a log with its embedder, and the read models' database.
#[derive(Clone)]
pub struct Subject {
    /// Where events go.
    pub log: Arc<dyn EventLog>,
    /// Where the read models are.
    pub db: PgPool,
    /// Makes vectors.
    pub embedder: Arc<dyn Embedder>,
}

impl Arguments {
    /// Reads the files.
    ///
    /// # Errors
    /// With file and line.
    pub(super) fn collection(&self) -> Result<Collection> {
        Collection::read(&self.corpus, &self.queries, &self.qrels)
    }

    /// Prints, and writes the run files.
    ///
    /// # Errors
    /// When they cannot be written.
    pub(super) fn report(&self, collection: &Collection, outcomes: &[Outcome]) -> Result<()> {
        if let Some(folder) = &self.runs {
            fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
            for outcome in outcomes {
                let path = folder.join(format!("{}.run", outcome.name));
                let text = run_file(collection, outcome);
                fs::write(&path, text).with_context(|| path.display().to_string())?;
            }
        }
        let mut out = io::stdout();
        if self.json {
            let by_name = outcomes.iter().map(|one| (one.name.to_owned(), json!(one.measures)));
            let questions = collection.questions.len();
            let all = json!({"questions": questions, "documents": collection.documents.len(),
                "rankings": by_name.collect::<serde_json::Map<_, _>>()});
            return Ok(writeln!(out, "{all}")?);
        }
        writeln!(out, "ranking   nDCG@10  recall@10  recall@100  MRR@10")?;
        for Outcome { name, measures: m, .. } in outcomes {
            let (ndcg, mrr) = (m.ndcg_at_10, m.mrr_at_10);
            let (ten, hundred) = (m.recall_at_10, m.recall_at_100);
            writeln!(out, "{name:<8}  {ndcg:>7.4}  {ten:>9.4}  {hundred:>10.4}  {mrr:>6.4}")?;
        }
        Ok(())
    }
}

fn run_file(collection: &Collection, outcome: &Outcome) -> String {
    let questions = collection.questions.iter().zip(&outcome.rankings);
    let lines = questions.flat_map(|(question, ranking)| {
        ranking.iter().enumerate().map(|(at, (document, score))| {
            format!("{} Q0 {document} {} {score:.6} annals-{}\n", question.id, at + 1, outcome.name)
        })
    });
    lines.collect()
}

/// Ingests the collection into this database and asks.
pub(super) async fn judge(
    config: &Config,
    db: &PgPool,
    collection: &Collection,
    arguments: &Arguments,
) -> Result<Vec<Outcome>> {
    let log: Arc<dyn EventLog> = PostgresLog::open(db.clone(), Settings::default()).await?;
    let embedder = Library::open(config)?.embedder;
    let subject = Subject { log, db: db.clone(), embedder };
    let base = subject.ingest(collection, &arguments.language).await?;
    let models: Vec<Arc<dyn Projection>> = vec![Arc::new(Passages), Arc::new(Meanings)];
    let feed = Arc::new(LogFeed(subject.log.clone()));
    let projections = Projections::start(db.clone(), feed, models)?;
    projections.wait_for_all(subject.log.head().await?, PATIENCE).await?;
    projections.shutdown().await;
    if let Some(dimensions) = subject.embedder.dimensions() {
        passages::index_vectors(db, dimensions).await?;
    }
    sqlx::raw_sql("vacuum analyze").execute(db).await?;
    search(&subject, &base, collection).await
}

impl Subject {
    /// Writes the events of a knowledge base with these documents, cut as ingestion cuts them.
    ///
    /// # Errors
    /// When the log, the memo or the embedder fails.
    pub async fn ingest(&self, collection: &Collection, language: &str) -> Result<KnowledgeBaseId> {
        let owner = UserId("0".repeat(32));
        let base = mix::shelf_in(&*self.log, &owner, language).await?;
        let memo = PostgresMemo(self.db.clone());
        let all = collection.documents.iter().enumerate().map(|(number, document)| {
            let (owner, base, memo) = (&owner, &base, &memo);
            async move {
                let read = Extracted { text: document.text.clone(), ..Extracted::default() };
                let pieces = chunk(&read, Sizes::default());
                let passages: Vec<Passage> = pieces
                    .into_iter()
                    .map(|piece| Passage {
                        text: document.text[piece.range.clone()].to_owned(),
                        start: piece.range.start as u64,
                        end: piece.range.end as u64,
                        heading: document.title.clone(),
                        ..Passage::default()
                    })
                    .collect();
                let memo: &dyn VectorMemo = memo;
                let indexed: Vec<String> = passages.iter().map(Passage::indexed).collect();
                embedder::ensure(&*self.embedder, memo, &indexed).await?;
                let id = DocumentId(format!("{number:032x}"));
                let model = self.embedder.model();
                mix::ingested(
                    &*self.log,
                    &id,
                    mix::Filed { owner, base, name: &document.id, model },
                    passages,
                )
                .await
            }
        });
        stream::iter(all).buffered(AT_ONCE).try_for_each(|_| async { Ok(()) }).await?;
        Ok(base)
    }
}

/// Asks all questions in every way.
///
/// # Errors
/// When the database or the embedder does not answer.
pub async fn search(
    subject: &Subject,
    base: &KnowledgeBaseId,
    collection: &Collection,
) -> Result<Vec<Outcome>> {
    let texts: Vec<&str> = collection.questions.iter().map(|one| one.text.as_str()).collect();
    let vectors = subject.embedder.embed(&texts).await?;
    let mut outcomes = Vec::new();
    for (name, rankings) in WAYS {
        let asked =
            collection.questions.iter().zip(&vectors).map(|(question, vector)| async move {
                let (model, weight) = (subject.embedder.model(), subject.embedder.weight());
                let asked = Question {
                    knowledge_bases: std::slice::from_ref(base),
                    text: &question.text,
                    vector: Some(QueryVector { model, values: vector, weight }),
                    filter: None,
                    rankings,
                    top_k: DEPTH,
                };
                let hits = retrieval::retrieve(&subject.db, asked).await?;
                let mut ranking: Vec<(String, f64)> = Vec::new();
                for hit in hits {
                    // A document is worth what its best part is.
                    if !ranking.iter().any(|(document, _)| *document == hit.title) {
                        ranking.push((hit.title, hit.score));
                    }
                }
                anyhow::Ok(ranking)
            });
        let rankings: Vec<_> = stream::iter(asked).buffered(AT_ONCE).try_collect().await?;
        let measured = collection.questions.iter().zip(&rankings).map(|(question, ranking)| {
            let names: Vec<String> = ranking.iter().map(|(document, _)| document.clone()).collect();
            Measures::of(&names, &collection.grades[&question.id])
        });
        let measures = Measures::mean(&measured.collect::<Vec<_>>());
        outcomes.push(Outcome { name, measures, rankings });
    }
    Ok(outcomes)
}
