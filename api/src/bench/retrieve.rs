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
const PER_DOCUMENT: u32 = 50;
/// Words of a chunk, and of a question.
const WORDS: (usize, usize) = (120, 12);
/// Documents on their way at once.
const AT_ONCE: usize = 8;
/// Questions whose answers are compared with those of a search without index.
const COMPARED: u64 = 100;
const TOP: usize = 10;
/// How long the read model may take to follow.
const PATIENCE: Duration = Duration::from_secs(3_600);
/// How often the progress of filling is told.
const TOLD: Duration = Duration::from_secs(10);

/// Ten best of a collection of `chunks` chunks of about 120 words, and of one a tenth of that size beside it, both in one
/// index. The baseline is the same search by vectors alone without an index; `recall_at_10` is the part of its ten best
/// that the search with the index has. `pgvector_…` is the bare statement for the ten nearest through that index, as wide a
/// walk as ours; `words_…` our ranking by words alone. The vectors are those of [`Projection`]: as long as a small model's,
/// and weighed like one's. How far the filling has come is told on standard error.
pub(super) async fn retrieve(scratch: &Scratch, seconds: u64, chunks: u64) -> Result<Report> {
    let pool = &scratch.pool;
    let log: Arc<dyn EventLog> = PostgresLog::open(pool.clone(), Settings::default()).await?;
    let embedder: Arc<dyn Embedder> = Arc::new(Projection);
    let pens = Pens { log: log.clone(), embedder, memo: Arc::new(PostgresMemo(pool.clone())) };
    let feed = Arc::new(LogFeed(log.clone()));
    let owner = UserId("0".repeat(32));
    let mut cases = Vec::new();
    let projections = Projections::start(pool.clone(), feed, vec![Arc::new(Passages)])?;
    let filling = async {
        for size in [chunks / 10, chunks] {
            let base = mix::shelf(&*log, &owner).await?;
            fill(&pens, &owner, &base, size / u64::from(PER_DOCUMENT)).await?;
            cases.push((size, Case { pool, pens: &pens, base }));
        }
        anyhow::Ok(projections.wait_for_all(log.head().await?, PATIENCE).await?)
    };
    tokio::select! {
        filled = filling => filled?,
        told = tell(pool, chunks / 10 + chunks) => told?,
    }
    projections.shutdown().await;
    eprintln!("the index over the vectors is built");
    // Afterwards: built at once it takes a fraction of the time, and finds the same.
    passages::index_vectors(pool, dimensions(&pens)?).await?;
    scratch.settle().await?;
    let mut results = Vec::new();
    for (size, case) in &cases {
        eprintln!("{size} chunks are asked");
        results.push(case.measure(*size, Duration::from_secs(seconds)).await?);
    }
    Ok(Report { bench: "retrieve", results })
}

/// Tells how many chunks the search has, for as long as it is polled.
async fn tell(pool: &PgPool, chunks: u64) -> Result<()> {
    let mut tick = tokio::time::interval(TOLD);
    loop {
        tick.tick().await;
        let count = "select coalesce(sum(passages), 0)::bigint from passage_shelves";
        let found: i64 = sqlx::query_scalar(count).fetch_one(pool).await?;
        eprintln!("{found} of {chunks} chunks are in");
    }
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

/// How a question is asked.
#[derive(Debug, Clone, Copy)]
enum Way {
    /// By words and vectors.
    Hybrid,
    /// By words alone.
    Words,
    /// Of pgvector, without anything of ours.
    Bare,
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
        let cpu = meter.read();
        let mut ours = self.timed(time, Way::Hybrid).await?;
        ours.cpu_us = meter.since(cpu);
        let mut words = self.timed(time / 2, Way::Words).await?;
        let mut bare = self.timed(time / 2, Way::Bare).await?;
        let more = BTreeMap::from([
            ("chunks", chunks as f64),
            ("p95_us", ours.quantile(0.95) as f64),
            ("baseline_p50_us", exact.quantile(0.5) as f64),
            ("pgvector_p50_us", bare.quantile(0.5) as f64),
            ("pgvector_p95_us", bare.quantile(0.95) as f64),
            ("words_p50_us", words.quantile(0.5) as f64),
            ("load_average", load()),
            ("recall_at_10", (found as f64 / wanted.max(1) as f64 * 1e4).round() / 1e4),
        ]);
        let baseline = "vectors alone, compared one by one".to_owned();
        Ok(Row { writers: Some(1), more, ..ours.against("hybrid, ten best", (baseline, &exact)) })
    }

    /// The same questions, one after the other, for so long.
    async fn timed(&self, time: Duration, way: Way) -> Result<Timed> {
        let (mut calls, mut number, begin) = (Timed::default(), COMPARED, Instant::now());
        while begin.elapsed() < time {
            let (text, vector) = self.question(number).await?;
            let began = Instant::now();
            match way {
                Way::Hybrid => drop(hybrid(self.pool, self.asked(&text, &vector)).await?),
                Way::Words => {
                    let rankings = Rankings::Words;
                    let asked = Question { rankings, vector: None, ..self.asked(&text, &vector) };
                    drop(hybrid(self.pool, asked).await?);
                }
                Way::Bare => drop(self.bare(&vector).await?),
            }
            calls.add(one(began.elapsed()));
            number += 1;
        }
        Ok(calls)
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

    /// What pgvector finds by itself.
    async fn bare(&self, vector: &[f32]) -> Result<Vec<Found>> {
        let length = vector.len();
        let statement = format!(
            "select document, ordinal from passage_vectors
             where dimensions = {length} and knowledge_base = $1
             order by embedding::halfvec({length}) <=> $2::real[]::halfvec({length}) limit {TOP}"
        );
        let begin = "begin read only; set local hnsw.iterative_scan = 'relaxed_order'; set local hnsw.ef_search = 350";
        let mut transaction = self.pool.begin_with(begin).await?;
        // Numbers and constants.
        let query = sqlx::query_as(AssertSqlSafe(statement));
        let found = query.bind(self.base.as_str()).bind(vector).fetch_all(&mut *transaction).await;
        transaction.commit().await?;
        Ok(found?)
    }

    /// The nearest passages there are.
    async fn exact(&self, vector: &[f32]) -> Result<Vec<Found>> {
        let length = vector.len();
        let statement = format!(
            "select document, ordinal from passage_vectors
             where dimensions = {length} and knowledge_base = $1
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

/// How many processes wanted a processor during the last minute, on average.
fn load() -> f64 {
    let average = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    average.split_whitespace().next().and_then(|first| first.parse().ok()).unwrap_or(f64::NAN)
}
