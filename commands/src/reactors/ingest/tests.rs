#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::{
    effects::{embedder, embedder_builtin::Builtin, embedder_memo::MemoryMemo, fetch::Reach},
    execute::{execute, unpack},
    log::memory::MemoryLog,
};
use bytes::Bytes;
use domain::{
    Metadata, StreamId,
    document::{Command, Event, Labels, Origin},
    knowledge_base::{self, Authority, KnowledgeBase},
};
use futures::{FutureExt, future::ready, stream};
use std::sync::atomic::{AtomicUsize, Ordering};
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_secs(20);

/// A shelf, a log, and nodes that can be started and killed.
struct World {
    log: MemoryLog,
    blobs: Blobs,
    folder: std::path::PathBuf,
    memo: MemoryMemo,
    dead: Arc<Mutex<HashSet<NodeId>>>,
}

struct Dead(Arc<Mutex<HashSet<NodeId>>>);

impl Nodes for Dead {
    fn is_alive(&self, node: NodeId) -> BoxFuture<'_, bool> {
        ready(!self.0.lock().unwrap().contains(&node)).boxed()
    }
}

/// The backlog as a fold of the log.
struct Fold(MemoryLog);

impl Backlog for Fold {
    fn unfinished(&self, _: usize) -> BoxFuture<'_, Result<Vec<DocumentId>, BacklogError>> {
        async {
            let all = Filter::categories(&["document"]);
            let page = self.0.read_all(Position::START, 10_000, &all).await.unwrap();
            let mut open = Vec::new();
            for event in page.events {
                let id = DocumentId::from(event.stream.key());
                open.retain(|other| *other != id);
                let ended = match unpack::<Document>(&event).unwrap() {
                    Event::DocumentIngested { .. } | Event::DocumentDeleted {} => true,
                    Event::IngestionFailed { retry_in_ms, .. } => retry_in_ms.is_none(),
                    _ => false,
                };
                if !ended {
                    open.push(id);
                }
            }
            Ok(open)
        }
        .boxed()
    }

    fn due(&self, _: usize) -> BoxFuture<'_, Result<Vec<Due>, BacklogError>> {
        ready(Ok(Vec::new())).boxed()
    }

    fn searched(&self, _: Position) -> BoxFuture<'_, ()> {
        ready(()).boxed()
    }
}

/// Fails its first calls, and counts all.
struct Shaky {
    failures: usize,
    error: embedder::Error,
    calls: AtomicUsize,
}

impl Embedder for Shaky {
    fn model(&self) -> &str {
        "shaky"
    }
    fn dimensions(&self) -> Option<usize> {
        Some(1)
    }
    fn weight(&self) -> f32 {
        0.5
    }
    fn embed<'a>(
        &'a self,
        texts: &'a [&'a str],
    ) -> BoxFuture<'a, Result<Vec<Vec<f32>>, embedder::Error>> {
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        let vectors = texts.iter().map(|_| vec![1.0]).collect();
        ready(if call < self.failures { Err(self.error.clone()) } else { Ok(vectors) }).boxed()
    }
}

/// Never answers.
struct Stuck;

impl Embedder for Stuck {
    fn model(&self) -> &str {
        "stuck"
    }
    fn dimensions(&self) -> Option<usize> {
        None
    }
    fn weight(&self) -> f32 {
        0.5
    }
    fn embed<'a>(
        &'a self,
        _: &'a [&'a str],
    ) -> BoxFuture<'a, Result<Vec<Vec<f32>>, embedder::Error>> {
        futures::future::pending().boxed()
    }
}

impl World {
    async fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("annals-ingest-{}", Uuid::new_v4()));
        let world = Self {
            log: MemoryLog::new(),
            blobs: Blobs::open(&format!("file://{}", folder.display())).unwrap(),
            folder,
            memo: MemoryMemo::default(),
            dead: Arc::default(),
        };
        let create = knowledge_base::Command::Create {
            owner: "ann".into(),
            name: "Docs".into(),
            kind: "rag".into(),
            intro: String::new(),
            language: "en".into(),
            datasource: None,
        };
        execute::<KnowledgeBase>(&world.log, &"kb".into(), &create, &metadata()).await.unwrap();
        world
    }

    async fn upload(&self, id: &str, name: &str, bytes: Bytes) {
        let body = stream::iter([Ok::<_, std::io::Error>(bytes)]);
        let blob = self.blobs.put(body, u64::MAX).await.unwrap();
        let upload = Command::Upload {
            knowledge_base: "kb".into(),
            owner: "ann".into(),
            task: "task".into(),
            name: name.into(),
            blob: blob.hash,
            size: blob.size,
            media_type: String::new(),
            metadata: Labels::default(),
            origin: Origin::File,
        };
        execute::<Document>(&self.log, &id.into(), &upload, &metadata()).await.unwrap();
    }

    fn start(&self, node: u128, embedder: Arc<dyn Embedder>) -> tokio::task::JoinHandle<()> {
        self.start_with(node, embedder, 2)
    }

    /// A node that reads this many documents at the same time.
    fn start_with(
        &self,
        node: u128,
        embedder: Arc<dyn Embedder>,
        documents: usize,
    ) -> tokio::task::JoinHandle<()> {
        let ingest = Ingest {
            log: Arc::new(self.log.clone()),
            blobs: self.blobs.clone(),
            reader: Reader::new(None, PATIENCE),
            fetcher: Fetcher::new(Reach::Anywhere),
            embedder,
            memo: Arc::new(self.memo.clone()),
            nodes: Arc::new(Dead(self.dead.clone())),
            backlog: Arc::new(Fold(self.log.clone())),
            node: NodeId(Uuid::from_u128(node)),
            limits: Limits {
                backoff: [Duration::from_millis(1); 2],
                sweep: Duration::from_millis(20),
                documents,
                ..Limits::default()
            },
        };
        tokio::spawn(ingest.run(Position::START, CancellationToken::new()))
    }

    /// Waits for an event of this type and answers the document's whole history.
    async fn until(&self, id: &str, kind: &str) -> Vec<Event> {
        let stream: StreamId = format!("document-{id}").parse().unwrap();
        let mut history = Vec::new();
        let mut live = self.log.follow(stream, domain::Revision(0));
        let seen = async {
            while let Some(batch) = live.next().await {
                for event in batch {
                    history.push(unpack::<Document>(&event).unwrap());
                    if &*event.kind == kind {
                        return;
                    }
                }
            }
        };
        tokio::time::timeout(PATIENCE, seen).await.unwrap();
        history
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn metadata() -> Metadata {
    Metadata::system(Uuid::now_v7())
}

fn kinds(history: &[Event]) -> Vec<String> {
    history.iter().map(|e| domain::codec::encode(e).unwrap().0.into()).collect()
}

#[tokio::test]
async fn what_was_uploaded_before_and_after_the_start_is_ingested() {
    let world = World::new().await;
    world.upload("d1", "a.md", Bytes::from_static(b"# Title\nBody one.")).await;
    let node = world.start(1, Arc::new(Builtin));
    world.until("d1", "DocumentIngested").await;
    world.upload("d2", "b.txt", Bytes::from_static("知识库".as_bytes())).await;
    let history = world.until("d2", "DocumentIngested").await;
    let Event::PassagesStored { first: 0, passages, .. } = &history[2] else {
        panic!("{history:?}")
    };
    assert_eq!((passages[0].text.as_str(), passages[0].start, passages[0].end), ("知识库", 0, 9));
    // Meanings are the search's own to find out.
    assert!(world.memo.is_empty());
    node.abort();
}

#[tokio::test]
async fn a_large_document_is_stored_in_bounded_events_without_gap() {
    let world = World::new().await;
    let text: String = (0..20_000).map(|n| format!("This is sentence number {n}.\n")).collect();
    world.upload("d", "a.txt", text.clone().into()).await;
    let node = world.start(1, Arc::new(Builtin));
    let history = world.until("d", "DocumentIngested").await;
    let mut next = 0;
    for event in &history {
        let Event::PassagesStored { first, passages, .. } = event else { continue };
        assert_eq!(*first, next);
        next += u32::try_from(passages.len()).unwrap();
        assert!(domain::codec::encode(event).unwrap().1.get().len() <= 256 << 10);
        for p in passages {
            let (start, end) = (usize::try_from(p.start).unwrap(), usize::try_from(p.end).unwrap());
            assert_eq!(text[start..end], p.text);
        }
    }
    assert!(history.len() > 5 && next > 400, "{} events, {next} passages", history.len());
    node.abort();
}

#[tokio::test]
async fn a_bad_document_fails_alone_and_at_once() {
    let world = World::new().await;
    world.upload("bad", "a.pdf", Bytes::from_static(b"%PDF-1.7 ...")).await;
    world.upload("good", "a.txt", Bytes::from_static(b"text")).await;
    let node = world.start(1, Arc::new(Builtin));
    let history = world.until("bad", "IngestionFailed").await;
    let reason = "the PDF file is damaged or incomplete".to_owned();
    let failed = Event::IngestionFailed { attempt: 1, reason, retry_in_ms: None };
    assert_eq!(history.last(), Some(&failed));
    world.until("good", "DocumentIngested").await;
    node.abort();
}

#[tokio::test]
async fn large_files_leave_a_place_for_small_ones_and_are_all_read() {
    let world = World::new().await;
    let text = |n: u8| Bytes::from(vec![n; 2 << 20]);
    world.upload("one", "a.txt", text(b'a')).await;
    // It never ends.
    let stuck = world.start(1, Arc::new(Stuck));
    world.until("one", "IngestionStarted").await;
    world.upload("two", "b.txt", text(b'b')).await;
    world.upload("three", "c.txt", text(b'c')).await;
    world.upload("small", "s.txt", Bytes::from_static(b"text")).await;
    world.until("small", "IngestionStarted").await;
    let waiting = Loaded::<Document>::load(&world.log, &"two".into()).await.unwrap();
    assert_eq!(waiting.state().stage, Stage::Waiting);
    stuck.abort();
    let _ = stuck.await;
    world.dead.lock().unwrap().insert(NodeId(Uuid::from_u128(1)));
    let node = world.start(2, Arc::new(Builtin));
    for id in ["one", "two", "three", "small"] {
        world.until(id, "DocumentIngested").await;
    }
    node.abort();
}

fn shaky(failures: usize, error: embedder::Error) -> Arc<Shaky> {
    Arc::new(Shaky { failures, error, calls: AtomicUsize::new(0) })
}

#[tokio::test]
async fn an_embedder_that_comes_back_is_waited_for() {
    let world = World::new().await;
    world.upload("d", "a.txt", Bytes::from_static(b"text")).await;
    let embedder = shaky(2, embedder::Error::Unavailable("away".into()));
    let node = world.start(1, embedder.clone());
    let history = world.until("d", "DocumentIngested").await;
    let expected = ["DocumentUploaded", "IngestionStarted", "IngestionFailed"]
        .into_iter()
        .chain(["IngestionStarted", "IngestionFailed", "IngestionStarted"])
        .chain(["PassagesStored", "DocumentIngested"]);
    assert_eq!(kinds(&history), expected.collect::<Vec<_>>());
    node.abort();
}

#[tokio::test]
async fn an_embedder_that_refuses_is_not_asked_again() {
    let world = World::new().await;
    world.upload("d", "a.txt", Bytes::from_static(b"text")).await;
    let embedder = shaky(9, embedder::Error::Refused("it answered 401".into()));
    let node = world.start(1, embedder.clone());
    let history = world.until("d", "IngestionFailed").await;
    assert!(matches!(history.last(), Some(Event::IngestionFailed { retry_in_ms: None, .. })));
    assert_eq!(embedder.calls.load(Ordering::SeqCst), 1);
    node.abort();
}

#[tokio::test]
async fn a_document_of_a_dead_node_is_taken_over_and_of_a_living_one_is_not() {
    let world = World::new().await;
    world.upload("d", "a.txt", Bytes::from_static(b"text")).await;
    // With its one place taken it leaves the next document to others.
    let first = world.start_with(1, Arc::new(Stuck), 1);
    world.until("d", "IngestionStarted").await;
    let second = world.start(2, Arc::new(Builtin));
    // The second node is at work, and leaves the first one's document alone.
    world.upload("e", "b.txt", Bytes::from_static(b"other")).await;
    world.until("e", "DocumentIngested").await;
    first.abort();
    let _ = first.await;
    world.dead.lock().unwrap().insert(NodeId(Uuid::from_u128(1)));
    let history = world.until("d", "DocumentIngested").await;
    let starts = |event: &&Event| matches!(event, Event::IngestionStarted { .. });
    let started: Vec<_> = history.iter().filter(starts).collect();
    let expected =
        |attempt, node| Event::IngestionStarted { attempt, node: NodeId(Uuid::from_u128(node)) };
    assert_eq!(started, [&expected(1, 1), &expected(2, 2)]);
    second.abort();
}

#[tokio::test]
async fn a_document_of_a_deleted_knowledge_base_goes_with_it() {
    let world = World::new().await;
    world.upload("d", "a.txt", Bytes::from_static(b"text")).await;
    let delete = knowledge_base::Command::Delete { by: Authority::Admin };
    execute::<KnowledgeBase>(&world.log, &"kb".into(), &delete, &metadata()).await.unwrap();
    let node = world.start(1, Arc::new(Builtin));
    let history = world.until("d", "DocumentDeleted").await;
    assert_eq!(kinds(&history), ["DocumentUploaded", "DocumentDeleted"]);
    node.abort();
}

#[tokio::test]
async fn a_lost_file_is_a_failure_that_may_pass_and_then_final() {
    let world = World::new().await;
    world.upload("d", "a.txt", Bytes::from_static(b"text")).await;
    std::fs::remove_dir_all(&world.folder).unwrap();
    let node = world.start(1, Arc::new(Builtin));
    let three = async {
        loop {
            let all = Filter::all().kinds(&["IngestionFailed"]);
            let page = world.log.read_all(Position::START, 1_000, &all).await.unwrap();
            if page.events.len() == 3 {
                return page.events;
            }
            tokio::task::yield_now().await;
        }
    };
    let failures = tokio::time::timeout(PATIENCE, three).await.unwrap();
    let last = unpack::<Document>(&failures[2]).unwrap();
    assert!(
        matches!(last, Event::IngestionFailed { attempt: 3, retry_in_ms: None, .. }),
        "{last:?}"
    );
    node.abort();
}
