//! Knowledge bases of this node: where files lie, where vectors come from, the reactor that ingests, the search.

use crate::{app::App, config::Config};
use anyhow::{Context, Result};
use commands::{
    datasources,
    effects::{
        blobs::Blobs,
        embedder::Embedder,
        embedder_builtin::Builtin,
        embedder_memo::PostgresMemo,
        embedder_remote::{Remote, Settings},
        embedder_static::Static,
        extract::reader::Reader,
        fetch::{self, Fetcher, Reach},
        reranker::Reranker,
    },
    intake::{Due, Upload},
    log::EventLog,
    nodes, pulse,
    reactors::ingest::{Backlog, BacklogError, Ingest, Limits, Nodes},
    trace,
};
use domain::{
    Position,
    ids::{DocumentId, KnowledgeBaseId, NodeId},
};
use futures::future::BoxFuture;
use projections::{
    documents, passages,
    retrieval::{
        self, Filter, Hit, QueryVector, Question, Rankings,
        models::{self, Embedding},
    },
};
use sqlx::PgPool;
use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};
use tracing::{Instrument, field};
use uuid::Uuid;

/// How long the vector of a question is waited for; then its words have to do.
const QUESTION: Duration = Duration::from_secs(10);
/// Hits that the reranker chooses from, at least.
const RERANKED: usize = 50;
/// How long reading one file may take.
const READING: Duration = Duration::from_secs(120);
/// How long ingestion waits for the search to keep up, each time it has stored a part of a document.
const BREATH: Duration = Duration::from_secs(10);
/// Pause before the embedder or the database is tried again at start-up.
const AGAIN: Duration = Duration::from_secs(15);

/// What looking for the links of a page may cost.
const PAGE: fetch::Limits = fetch::Limits { bytes: 4 << 20, time: Duration::from_secs(30) };

/// A page that cannot be had, and why, for the person who asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoPage(pub String);

/// Files and vectors. Cheap to clone.
#[derive(Clone)]
pub struct Library {
    /// The files.
    pub blobs: Blobs,
    /// Where vectors come from.
    pub embedder: Arc<dyn Embedder>,
    /// Who orders what was found anew.
    reranker: Option<Arc<Reranker>>,
    /// Who reads files.
    pub reader: Reader,
    /// Who fetches pages that people name.
    fetcher: Fetcher,
}

/// A question, and how it is answered.
#[derive(Debug, Clone, Copy)]
pub struct Wish<'a> {
    /// Where to look.
    pub knowledge_bases: &'a [KnowledgeBaseId],
    /// The words.
    pub text: &'a str,
    /// Which documents count.
    pub filter: Option<&'a Filter>,
    /// What the vectors of an embedding model count beside the words, from 0 to 1; `None` for what the model is worth.
    pub ratio: Option<f32>,
    /// How many results at most.
    pub top_k: usize,
}

impl Library {
    /// The library of this configuration.
    ///
    /// # Errors
    /// When the blob store cannot be opened.
    pub fn open(config: &Config) -> Result<Self> {
        let blobs = Blobs::open(&config.blobs).context("ANNALS_BLOBS cannot be used")?;
        let embedder: Arc<dyn Embedder> = match &config.embedding {
            None => match &config.embedding_path {
                None => Arc::new(Builtin),
                Some(folder) => {
                    Arc::new(Static::open(folder).context("ANNALS_EMBEDDING_PATH cannot be used")?)
                }
            },
            Some(endpoint) => {
                let key = Some(endpoint.api_key.clone()).filter(|key| !key.expose().is_empty());
                let settings = Settings::new(&endpoint.base_url, key, &endpoint.model);
                Arc::new(Remote::new(settings)?)
            }
        };
        let reranker = config.rerank.as_ref().map(|endpoint| {
            let key = Some(endpoint.api_key.clone()).filter(|key| !key.expose().is_empty());
            Reranker::new(&endpoint.base_url, key, endpoint.model.clone()).map(Arc::new)
        });
        let reader = Reader::new(config.program.clone(), READING);
        let reach = if config.allow_private_urls { Reach::Anywhere } else { Reach::Public };
        let fetcher = Fetcher::new(reach);
        Ok(Self { blobs, embedder, reranker: reranker.transpose()?, reader, fetcher })
    }

    /// The best parts of these knowledge bases for a question, best first, of documents that fit the filter. When the
    /// embedder is away, the words decide alone; when the reranker is, its order is missing.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn retrieve(
        &self,
        db: &PgPool,
        knowledge_bases: &[KnowledgeBaseId],
        text: &str,
        filter: Option<&Filter>,
        top_k: usize,
    ) -> sqlx::Result<Vec<Hit>> {
        let wish = Wish { knowledge_bases, text, filter, ratio: None, top_k };
        self.answer(db, wish).await
    }

    /// As [`Library::retrieve`], for a question that may say what meaning counts.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn answer(&self, db: &PgPool, wish: Wish<'_>) -> sqlx::Result<Vec<Hit>> {
        if wish.text.trim().is_empty() || wish.knowledge_bases.is_empty() {
            return Ok(Vec::new());
        }
        let span = tracing::info_span!(
            target: trace::TARGET,
            "retrieval",
            otel.kind = "internal",
            gen_ai.operation.name = "retrieval",
            annals.retrieval.hits = field::Empty,
        );
        let found = self.search(db, wish).instrument(span.clone()).await?;
        span.record("annals.retrieval.hits", i64::try_from(found.len()).unwrap_or(i64::MAX));
        Ok(found)
    }

    async fn search(&self, db: &PgPool, wish: Wish<'_>) -> sqlx::Result<Vec<Hit>> {
        let Wish { knowledge_bases, text, filter, ratio, top_k } = wish;
        let (rankings, vector) = match ratio {
            Some(ratio) if ratio <= 0.0 => (Rankings::Words, None),
            Some(_) | None => (Rankings::Both, timed("embed", self.vector(text)).await),
        };
        let vector = vector.as_deref().map(|values| QueryVector {
            model: self.embedder.model(),
            values,
            weight: ratio.unwrap_or(self.embedder.weight()),
        });
        let depth = if self.reranker.is_some() { top_k.max(RERANKED) } else { top_k };
        let question = Question { knowledge_bases, text, vector, filter, rankings, top_k: depth };
        let stage = if rankings == Rankings::Words { "lexical" } else { "fused" };
        let hits = timed(stage, retrieval::retrieve(db, question)).await?;
        Ok(self.reranked(text, hits, top_k).await)
    }

    /// The same hits in the order of the reranker, scored by it.
    async fn reranked(&self, text: &str, mut hits: Vec<Hit>, top_k: usize) -> Vec<Hit> {
        if let Some(reranker) = self.reranker.as_ref().filter(|_| !hits.is_empty()) {
            let texts: Vec<&str> = hits.iter().map(|hit| hit.text.as_str()).collect();
            match timed("rerank", reranker.order(text, &texts)).await {
                Ok(order) => {
                    let mut left: Vec<Option<Hit>> = hits.into_iter().map(Some).collect();
                    let take = |(at, score): (usize, f64)| Some(Hit { score, ..left[at].take()? });
                    hits = order.into_iter().filter_map(take).collect();
                }
                Err(error) => {
                    tracing::warn!(%error, "a question is answered in the search's order")
                }
            }
        }
        hits.truncate(top_k);
        hits
    }

    /// The addresses that a page links to.
    ///
    /// # Errors
    /// With the reason, when the page cannot be had.
    pub async fn links(&self, url: &str) -> Result<Vec<String>, NoPage> {
        let page = self.fetcher.get(url, PAGE).await.map_err(|error| NoPage(error.to_string()))?;
        if !(200..300).contains(&page.status) {
            return Err(NoPage(format!("the page answered {}", page.status)));
        }
        Ok(datasources::links(&String::from_utf8_lossy(&page.body), &page.url))
    }

    /// The vector of a question; `None` when the embedder has none, or not soon.
    async fn vector(&self, text: &str) -> Option<Vec<f32>> {
        let texts = [text];
        match tokio::time::timeout(QUESTION, self.embedder.embed(&texts)).await {
            Ok(Ok(mut vectors)) => vectors.pop().filter(|vector| !vector.is_empty()),
            Ok(Err(error)) => {
                tracing::warn!(%error, "a question is answered by its words alone");
                None
            }
            Err(_) => {
                tracing::warn!("the embedder is slow: a question is answered by its words alone");
                None
            }
        }
    }

    /// Ingests documents until the server drains.
    pub async fn ingest(self, app: App, nodes: Arc<nodes::Nodes>, after: Position) {
        if let Err(error) = self.blobs.remove_abandoned().await {
            tracing::warn!(%error, "abandoned uploads could not be removed");
        }
        let log: Arc<dyn EventLog> = app.log.clone();
        let ingest = Ingest {
            log,
            blobs: self.blobs.clone(),
            reader: self.reader.clone(),
            fetcher: self.fetcher.clone(),
            embedder: self.embedder.clone(),
            memo: Arc::new(PostgresMemo(app.db.clone())),
            nodes: Arc::new(Alive(nodes)),
            backlog: Arc::new(Unfinished(app.clone())),
            node: app.node,
            limits: Limits::default(),
        };
        let index = self.index(&app.db);
        let stop = app.draining.clone();
        tokio::join!(ingest.run(after, stop.clone()), stop.run_until_cancelled(index));
    }

    /// What the passages of these knowledge bases were embedded with, beside the model in use.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn embeddings(
        &self,
        db: &PgPool,
        knowledge_bases: &[&str],
    ) -> sqlx::Result<HashMap<String, Embedding>> {
        models::embeddings(db, knowledge_bases, self.embedder.model()).await
    }

    /// Tells the operator of knowledge bases that another model embedded.
    async fn tell_outdated(&self, db: &PgPool) {
        let model = self.embedder.model();
        match models::outdated(db, model).await {
            Ok(0) => {}
            Ok(shelves) => tracing::warn!(
                shelves,
                model,
                "knowledge bases hold documents of another embedding model: those are found by their words alone until \
                 they are read again (redo_all; the list of knowledge bases says which)"
            ),
            Err(error) => tracing::warn!(%error, "the models of knowledge bases are not known"),
        }
    }

    /// Makes the index over vectors as soon as their length is known.
    async fn index(&self, db: &PgPool) {
        self.tell_outdated(db).await;
        loop {
            let dimensions = match self.embedder.dimensions() {
                Some(dimensions) => Some(dimensions),
                None => match self.embedder.embed(&["length"]).await {
                    Ok(_) => self.embedder.dimensions(),
                    Err(error) => {
                        tracing::warn!(%error, "the embedder does not answer yet");
                        None
                    }
                },
            };
            if let Some(dimensions) = dimensions {
                match passages::index_vectors(db, dimensions).await {
                    Ok(()) => return,
                    Err(error) => tracing::warn!(%error, "no index over vectors yet"),
                }
            }
            tokio::time::sleep(AGAIN).await;
        }
    }
}

/// The documents left, from their read model.
struct Unfinished(App);

impl Backlog for Unfinished {
    fn unfinished(&self, limit: usize) -> BoxFuture<'_, Result<Vec<DocumentId>, BacklogError>> {
        Box::pin(async move {
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let found = documents::unfinished(&self.0.db, limit).await;
            found.map_err(|error| BacklogError(error.to_string().into()))
        })
    }

    fn due(&self, limit: usize) -> BoxFuture<'_, Result<Vec<Due>, BacklogError>> {
        Box::pin(async move {
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let found = documents::unsettled(&self.0.db, limit).await;
            let found = found.map_err(|error| BacklogError(error.to_string().into()))?;
            Ok(found.into_iter().map(due).collect())
        })
    }

    fn searched(&self, up_to: Position) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let searched = self.0.projections.wait_for("passages", up_to, BREATH).await;
            if let Err(lagging) = searched {
                tracing::debug!(%lagging, "ingestion does not wait for the search any longer");
            }
        })
    }
}

fn due(unsettled: documents::Unsettled) -> Due {
    let documents::Unsettled { knowledge_base, owner, task, file, gone } = unsettled;
    let document = file.document.clone();
    let upload = Upload { knowledge_base, owner, task, file };
    match gone {
        true => Due::Delete { document, upload: Some(upload) },
        false => Due::Upload(upload),
    }
}

/// Who is alive, from the leases.
struct Alive(Arc<nodes::Nodes>);

impl Nodes for Alive {
    fn is_alive(&self, node: NodeId) -> BoxFuture<'_, bool> {
        Box::pin(async move {
            match self.0.beat().await {
                Ok(alive) => alive.contains(&node),
                // Nobody is declared dead because the database is away.
                Err(_) => true,
            }
        })
    }
}

/// Measures one stage of a question.
async fn timed<T>(stage: &str, work: impl Future<Output = T>) -> T {
    let begun = Instant::now();
    let done = work.await;
    pulse::RETRIEVAL_SECONDS.time(stage, begun.elapsed());
    done
}

/// `kdb_` and the first 8 hex digits of the id's SHA-1, as clients know it.
pub fn index_name(id: &str) -> String {
    // A version-5 UUID is the SHA-1 of 16 bytes and a name, and keeps the first bytes as they come out.
    let sha1 = id.as_bytes().split_first_chunk::<16>().map(|(namespace, name)| {
        Uuid::new_v5(&Uuid::from_bytes(*namespace), name).simple().to_string()
    });
    format!("kdb_{}", sha1.as_deref().and_then(|hex| hex.get(..8)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_index_name_is_cut_from_a_sha1() {
        let id = "0123456789abcdef0123456789abcdef";
        assert_eq!(super::index_name(id), "kdb_b1775a78");
    }
}
