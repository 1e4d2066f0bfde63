//! One attempt at one document, from the claim to its end.

use super::Ingest;
use crate::{
    effects::{
        blobs::{self, Blob},
        chunk::{Piece, Sizes, chunk},
        embedder::{self, EnsureError},
        extract::{Extracted, Reading, reader},
        fetch,
    },
    execute::{Error, Failure, Loaded},
};
use bytes::Bytes;
use domain::{
    Metadata, Position,
    document::{Command, Document, Event, File, Origin, Passage, Refusal},
    ids::KnowledgeBaseId,
    knowledge_base::{Authority, KnowledgeBase, QUESTIONS},
};
use futures::stream;
use std::{convert::Infallible, time::Duration};
use tokio::task::spawn_blocking;
use uuid::Uuid;

/// Bytes of passages in one event, headings included.
const EVENT_BYTES: usize = 192 << 10;
/// Longest reason recorded, in bytes.
const MAX_REASON: usize = 500;
/// What a page may cost.
const PAGE: fetch::Limits = fetch::Limits { bytes: 25 << 20, time: Duration::from_secs(30) };

/// A claimed document.
pub(super) struct Attempt<'a> {
    ingest: &'a Ingest,
    document: &'a mut Loaded<Document>,
    file: File,
    number: u32,
    reading: Reading,
    metadata: Metadata,
    /// Where the passages stand that were stored last.
    stored: Option<Position>,
}

/// How an attempt ended.
pub(super) enum Outcome {
    /// The document can be searched.
    Done,
    /// It cannot, or not yet.
    Failed(String),
    /// Another node took over, or the document was deleted meanwhile.
    Lost,
}

impl Outcome {
    /// What counters call it.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed(_) => "failed",
            Self::Lost => "lost",
        }
    }
}

/// Why an attempt stopped early.
enum Stop {
    /// The document itself is the reason.
    Bad(String),
    /// Something else is, and it may pass.
    Away(String),
    /// The claim is gone.
    Lost,
    /// The log is.
    Log(Failure),
}

/// Claims the document. `None` when there is nothing to do: somebody else was faster, its knowledge base is gone, or it
/// has just been given up.
pub(super) async fn begin<'a>(
    ingest: &'a Ingest,
    document: &'a mut Loaded<Document>,
    begin: Command,
) -> Result<Option<Attempt<'a>>, Failure> {
    let Some(file) = document.state().file.clone() else { return Ok(None) };
    let metadata = Metadata::system(Uuid::now_v7());
    let shelf = shelf(ingest, &file.knowledge_base).await?;
    let reading = match &shelf {
        KnowledgeBase::Open { kind, .. } if kind == QUESTIONS => Reading::Questions,
        KnowledgeBase::Open { .. } | KnowledgeBase::Unknown | KnowledgeBase::Deleted => {
            Reading::Text
        }
    };
    let command = if shelf == KnowledgeBase::Deleted {
        Command::Delete { by: Authority::Admin }
    } else {
        begin
    };
    let events = match document.execute(&*ingest.log, &command, &metadata).await {
        Ok(news) => news.events,
        Err(Error::Refused(_)) => return Ok(None),
        Err(Error::Failed(failure)) => return Err(failure),
    };
    Ok(events
        .iter()
        .find_map(|event| match event {
            Event::IngestionStarted { attempt, .. } => Some(*attempt),
            Event::DocumentUploaded { .. }
            | Event::PassagesStored { .. }
            | Event::DocumentIngested { .. }
            | Event::IngestionFailed { .. }
            | Event::RereadRequested {}
            | Event::DocumentDeleted {} => None,
        })
        .map(|number| Attempt { ingest, document, file, number, reading, metadata, stored: None }))
}

async fn shelf(ingest: &Ingest, id: &KnowledgeBaseId) -> Result<KnowledgeBase, Failure> {
    Ok(Loaded::<KnowledgeBase>::load(&*ingest.log, id).await?.state().clone())
}

impl Attempt<'_> {
    /// Does the work and reports how it ended.
    pub(super) async fn perform(&mut self) -> Result<Outcome, Failure> {
        let (reason, passes) = match self.work().await {
            Ok(()) => return Ok(Outcome::Done),
            Err(Stop::Lost) => return Ok(Outcome::Lost),
            Err(Stop::Log(failure)) => return Err(failure),
            Err(Stop::Bad(reason)) => (reason, false),
            Err(Stop::Away(reason)) => (reason, true),
        };
        let reason = cut(&reason);
        let failures = usize::try_from(self.document.state().failures).unwrap_or(usize::MAX);
        let backoff = self.ingest.limits.backoff;
        let wait = backoff.get(failures).or(backoff.last()).filter(|_| passes);
        let retry_in_ms = wait.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
        let fail = Command::Fail { attempt: self.number, reason: reason.clone(), retry_in_ms };
        match self.report(fail).await {
            Ok(_) => Ok(Outcome::Failed(reason)),
            Err(Stop::Log(failure)) => Err(failure),
            Err(Stop::Lost | Stop::Bad(_) | Stop::Away(_)) => Ok(Outcome::Lost),
        }
    }

    async fn work(&mut self) -> Result<(), Stop> {
        let limits = self.ingest.limits;
        let file = self.file(limits.file_bytes).await?;
        let (read, pieces) = self.read(file, limits.sizes).await?;
        let mut first = 0;
        let mut batch = Vec::new();
        let mut weight = 0;
        for Piece { range, heading, page, row } in pieces {
            let text = read.text[range.clone()].to_owned();
            weight += text.len() + heading.len() + 64;
            let (start, end) = (range.start as u64, range.end as u64);
            batch.push(Passage { text, start, end, heading, page, row });
            if weight >= EVENT_BYTES {
                first += self.store(first, std::mem::take(&mut batch)).await?;
                weight = 0;
            }
        }
        if !batch.is_empty() {
            self.store(first, batch).await?;
        }
        let media_type = read.media_type.into_owned();
        let kept = self.keep(read.text).await?;
        let (text, text_bytes) = (kept.hash, kept.size);
        self.report(Command::Finish { attempt: self.number, text_bytes, media_type, text }).await?;
        Ok(())
    }

    /// What is to be read, and what it says of itself.
    async fn file(&self, most: u64) -> Result<reader::File, Stop> {
        let (file, reading) = (&self.file, self.reading);
        if let Origin::Page { url } = &file.origin {
            return self.page(url).await;
        }
        let bytes = self.ingest.blobs.read(&file.blob, most).await;
        let bytes = bytes.map_err(|error| match error {
            blobs::Error::TooLarge(_) => Stop::Bad(error.to_string()),
            other => Stop::Away(format!("the stored file cannot be read: {other}")),
        })?;
        // The title of a text may look like the name of anything.
        let (name, media_type) = match file.origin.is_file() {
            true => (file.name.clone(), file.media_type.clone()),
            false => (String::new(), "text/plain".to_owned()),
        };
        Ok(reader::File { name, media_type, reading, bytes })
    }

    /// The page at an address. Nothing is tried again by itself: whoever put it there sees at once that it is wrong.
    async fn page(&self, url: &str) -> Result<reader::File, Stop> {
        let fetched = self.ingest.fetcher.get(url, PAGE).await;
        let fetched = fetched.map_err(|error| Stop::Bad(error.to_string()))?;
        if !(200..300).contains(&fetched.status) {
            return Err(Stop::Bad(format!("the page answered {}", fetched.status)));
        }
        let media_type = fetched.content_type.unwrap_or_default();
        // What the server calls it counts more than its path: `.php` is no source code.
        let page = ["text/html", "application/xhtml"];
        let name = match page.iter().any(|page| media_type.starts_with(page)) {
            true => String::new(),
            false => fetched.url.path().to_owned(),
        };
        Ok(reader::File { name, media_type, reading: self.reading, bytes: fetched.body })
    }

    /// Puts the text where quotations can be checked against it.
    async fn keep(&self, text: String) -> Result<Blob, Stop> {
        let body = stream::iter([Ok::<_, Infallible>(Bytes::from(text))]);
        let kept = self.ingest.blobs.put(body, u64::MAX).await;
        kept.map_err(|error| Stop::Away(format!("the text cannot be kept: {error}")))
    }

    /// Extracts and cuts, both where they may take their time.
    async fn read(
        &self,
        file: reader::File,
        sizes: Sizes,
    ) -> Result<(Extracted, Vec<Piece>), Stop> {
        let read = self.ingest.reader.read(file).await;
        let read = read.map_err(|error| match error {
            reader::Error::Unreadable(unreadable) => Stop::Bad(unreadable.to_string()),
            reader::Error::Away(_) => Stop::Away(error.to_string()),
        })?;
        let cut = spawn_blocking(move || {
            let pieces = chunk(&read, sizes);
            (read, pieces)
        });
        cut.await.map_err(|_| Stop::Away("cutting the text was interrupted".to_owned()))
    }

    /// Vectors first, then the event: whoever sees the passages finds their vectors.
    async fn store(&mut self, first: u32, passages: Vec<Passage>) -> Result<u32, Stop> {
        let embedder = &*self.ingest.embedder;
        let texts: Vec<String> = passages.iter().map(Passage::indexed).collect();
        embedder::ensure(embedder, &*self.ingest.memo, &texts).await.map_err(
            |error| match error {
                EnsureError::Embedder(refused @ embedder::Error::Refused(_)) => {
                    Stop::Bad(refused.to_string())
                }
                passing @ (EnsureError::Embedder(_) | EnsureError::Memo(_)) => {
                    Stop::Away(passing.to_string())
                }
            },
        )?;
        let stored = u32::try_from(passages.len()).unwrap_or(u32::MAX);
        let model = embedder.model().to_owned();
        let before = self.stored;
        let store = Command::Store { attempt: self.number, first, model, passages };
        self.stored = self.report(store).await?;
        if let Some(before) = before {
            self.ingest.backlog.searched(before).await;
        }
        Ok(stored)
    }

    async fn report(&mut self, command: Command) -> Result<Option<Position>, Stop> {
        match self.document.execute(&*self.ingest.log, &command, &self.metadata).await {
            Ok(news) => Ok(news.position),
            Err(Error::Refused(Refusal::Superseded | Refusal::Unknown)) => Err(Stop::Lost),
            Err(Error::Refused(refusal)) => Err(Stop::Bad(refusal.to_string())),
            Err(Error::Failed(failure)) => Err(Stop::Log(failure)),
        }
    }
}

fn cut(reason: &str) -> String {
    reason[..reason.floor_char_boundary(MAX_REASON)].replace('\0', "")
}
