//! Hybrid retrieval over made-up documents: how fast, and what the vector index misses.

use super::{
    corpus::{self, Scatter},
    embedder::Projection,
    mix::{self, Pens, Upload},
    scratch::Scratch,
};
use crate::feed::LogFeed;
use anyhow::{Context, Result};
use commands::{
    effects::{embedder::Embedder, embedder_memo::PostgresMemo},
    log::{
        EventLog,
        bench::{Meter, Report, Row, Timed},
        postgres::{PostgresLog, Settings},
    },
};
use domain::ids::{KnowledgeBaseId, UserId};
use projections::{
    Projections,
    passages::{self, Passages},
    retrieval::{QueryVector, Question, Rankings, retrieve as hybrid},
};
use sqlx::{AssertSqlSafe, PgPool};
use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

/// Chunks of a document.
const PER_DOCUMENT: u32 = 20;
/// Words of a chunk, and of a question.
const WORDS: (usize, usize) = (120, 12);
/// Documents on their way at once.
const AT_ONCE: usize = 8;
/// Questions whose answers are compared with those of a search without index.
const COMPARED: u64 = 100;
const TOP: usize = 10;
const PATIENCE: Duration = Duration::from_secs(3_600);

/// Ten best of a collection of `chunks` chunks of about 120 words, and of one a tenth of that size beside it, both in one index. The baseline is the same search by vectors
/// alone without an index; `recall_at_10` is the part of its ten best that
/// the search with the index has. The vectors are those of [`Projection`]: as long as a small model's, and weighed like one's.
pub(super) async fn retrieve(scratch: &Scratch, seconds: u64, chunks: u64) -> Result<Report> {
    let pool = &scratch.pool;
    let log: Arc<dyn EventLog> = PostgresLog::open(pool.clone(), Settings::default()).await?;
    let embedder: Arc<dyn Embedder> = Arc::new(Projection);
    let pens = Pens { log: log.clone(), embedder, memo: Arc::new(PostgresMemo(pool.clone())) };
    let feed = Arc::new(LogFeed(log.clone()));
    let owner = UserId("0".repeat(32));
    let mut cases = Vec::new();
    for size in [chunks / 10, chunks] {
        let base = mix::shelf(&*log, &owner).await?;
        fill(&pens, &owner, &base, size / u64::from(PER_DOCUMENT)).await?;
        cases.push((size, Case { pool, pens: &pens, base }));
    }
    let projections = Projections::start(pool.clone(), feed, vec![Arc::new(Passages)])?;
    projections.wait_for_all(log.head().await?, PATIENCE).await?;
    projections.shutdown().await;
    // Afterwards: built at once it takes a fraction of the time, and finds the same.
    passages::index_vectors(pool, dimensions(&pens)?).await?;
    scratch.settle().await?;
    let mut results = Vec::new();
    for (size, case) in &cases {
        results.push(case.measure(*size, Duration::from_secs(seconds)).await?);
    }
    Ok(Report { bench: "retrieve", results })
}

async fn fill(pens: &Pens, owner: &UserId, base: &KnowledgeBaseId, documents: u64) -> Result<()> {
    let mut uploads = JoinSet::new();
    for number in 0..documents {
        if uploads.len() >= AT_ONCE {
            uploads.join_next().await.context("one is on its way")???;
        }
        let (pens, owner, base) = (pens.clone(), owner.clone(), base.clone());
        let upload = Upload { number, passages: PER_DOCUMENT, words: WORDS.0 };
        uploads.spawn(async move { mix::upload(&pens, &owner, &base, upload).await });
    }
    while let Some(done) = uploads.join_next().await {
        done??;
    }
    Ok(())
}

fn dimensions(pens: &Pens) -> Result<usize> {
    pens.embedder.dimensions().context("the embedder does not know the length of its vectors")
}

struct Case<'a> {
    pool: &'a PgPool,
    pens: &'a Pens,
    base: KnowledgeBaseId,
}

/// A passage, by document and number.
type Found = (String, i32);

impl Case<'_> {
    async fn measure(&self, chunks: u64, time: Duration) -> Result<Row> {
        let meter = Meter::new(self.pool).await?;
        let (mut exact, mut found, mut wanted) = (Timed::default(), 0, 0);
        for number in 0..COMPARED {
            let (_, vector) = self.question(number).await?;
            let began = Instant::now();
            let best = self.exact(&vector).await?;
            exact.add(one(began.elapsed()));
            let near: HashSet<Found> = self.near(&vector).await?.into_iter().collect();
            wanted += best.len();
            found += best.iter().filter(|passage| near.contains(*passage)).count();
        }
        let (mut ours, mut number, cpu) = (Timed::default(), COMPARED, meter.read());
        let begin = Instant::now();
        while begin.elapsed() < time {
            let (text, vector) = self.question(number).await?;
            let began = Instant::now();
            hybrid(self.pool, self.asked(&text, &vector)).await?;
            ours.add(one(began.elapsed()));
            number += 1;
        }
        ours.cpu_us = meter.since(cpu);
        let more = BTreeMap::from([
            ("chunks", chunks as f64),
            ("p95_us", ours.quantile(0.95) as f64),
            ("baseline_p50_us", exact.quantile(0.5) as f64),
            ("recall_at_10", (found as f64 / wanted.max(1) as f64 * 1e4).round() / 1e4),
        ]);
        let baseline = "vectors alone, compared one by one".to_owned();
        Ok(Row { writers: Some(1), more, ..ours.against("hybrid, ten best", (baseline, &exact)) })
    }

    /// Words and vector of a question.
    async fn question(&self, number: u64) -> Result<(String, Vec<f32>)> {
        let mut scatter = Scatter(number ^ u64::MAX);
        let text = corpus::text(&mut scatter, corpus::topic(number), WORDS.1);
        let mut vectors = self.pens.embedder.embed(&[&text]).await?;
        Ok((text, vectors.pop().context("a vector")?))
    }

    fn asked<'a>(&'a self, text: &'a str, vector: &'a [f32]) -> Question<'a> {
        let (model, weight) = (self.pens.embedder.model(), self.pens.embedder.weight());
        let vector = Some(QueryVector { model, values: vector, weight });
        let knowledge_bases = std::slice::from_ref(&self.base);
        let rankings = if text.is_empty() { Rankings::Vectors } else { Rankings::Both };
        Question { knowledge_bases, text, vector, filter: None, rankings, top_k: TOP }
    }

    /// What the search by vectors finds.
    async fn near(&self, vector: &[f32]) -> Result<Vec<Found>> {
        let hits = hybrid(self.pool, self.asked("", vector)).await?;
        let passages = hits.into_iter().flat_map(|hit| {
            let document = hit.document.0;
            hit.passages.into_iter().map(move |passage| (document.clone(), passage))
        });
        Ok(passages.collect())
    }

    /// The nearest passages there are.
    async fn exact(&self, vector: &[f32]) -> Result<Vec<Found>> {
        let length = vector.len();
        let statement = format!(
            "select document, ordinal from passage_vectors
             where searchable and dimensions = {length} and knowledge_base = $1
             order by (embedding::halfvec({length}) <=> $2::real[]::halfvec({length})) + 0 limit {TOP}"
        );
        // Numbers and constants.
        let query = sqlx::query_as(AssertSqlSafe(statement));
        Ok(query.bind(self.base.as_str()).bind(vector).fetch_all(self.pool).await?)
    }
}

fn one(took: Duration) -> Timed {
    let call = took.as_micros().try_into().unwrap_or(u32::MAX);
    Timed { events: 1, calls_us: vec![call], wall: took, cpu_us: None }
}
