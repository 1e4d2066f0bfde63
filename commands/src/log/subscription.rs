//! Catch-up from the database, then live from the tail.

use super::tail::{Look, Tail, Watch};
use super::{Batch, Delivery, Direction, Filter, Page, ReadError, postgres::Reader};
use domain::{Position, Recorded, Revision, StreamId};
use futures::{Stream, stream};
use std::{sync::Arc, time::Duration};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

/// Events per page of the database at first: somebody waits for the first byte of it, and what they weigh is not known yet.
const FIRST_PAGE: usize = 128;
/// Most events per page; as many as weigh [`PAGE_WEIGHT`], which what is held for somebody who does not read hangs on.
const PAGE: usize = 4_000;
/// Weight a page should have, bytes.
const PAGE_WEIGHT: usize = 2 << 20;
/// Longest pause between two attempts to read.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// The whole log after `after`, filtered.
pub(super) fn subscribe(
    reader: Reader,
    tail: Arc<Tail>,
    after: Position,
    filter: Filter,
) -> impl Stream<Item = Delivery> + Send + 'static {
    let head = tail.watch_head();
    let (filter, retry) = (Arc::new(filter), Retry::default());
    let (at, ahead, page) = (after, None, FIRST_PAGE);
    let subscription = Subscription { reader, tail, head, filter, at, ahead, page, retry };
    stream::unfold(subscription, |mut subscription| async {
        let delivery = subscription.next().await;
        Some((delivery, subscription))
    })
}

/// One stream from revision `from` on.
pub(super) fn follow(
    reader: Reader,
    tail: &Arc<Tail>,
    stream: StreamId,
    from: Revision,
) -> impl Stream<Item = Batch> + Send + 'static {
    // Watching begins before the first read, so that nothing can pass between the two.
    let watch = tail.watch_stream(&stream);
    let retry = Retry::default();
    let follower =
        Follower { reader, watch, stream, next: from, live: false, page: FIRST_PAGE, retry };
    stream::unfold(follower, |mut follower| async {
        let batch = follower.next().await;
        Some((batch, follower))
    })
}

struct Subscription {
    reader: Reader,
    tail: Arc<Tail>,
    head: watch::Receiver<u64>,
    filter: Arc<Filter>,
    at: Position,
    /// The page after `at`, on its way.
    ahead: Option<AbortOnDropHandle<Result<Page, ReadError>>>,
    page: usize,
    retry: Retry,
}

impl Subscription {
    async fn next(&mut self) -> Delivery {
        loop {
            match self.tail.look(self.at) {
                Look::Chunks(chunks) => {
                    self.ahead = None;
                    let events = chunks.iter().flat_map(|chunk| chunk.events());
                    let new = events.skip_while(|event| event.position <= self.at);
                    let mut last = self.at;
                    let seen = new.inspect(|event| last = event.position);
                    let events = seen.filter(|event| self.filter.admits(event)).cloned().collect();
                    self.at = last;
                    return Delivery { events, position: last };
                }
                // The sender lives in the tail, which lives in `self`: it cannot be gone.
                Look::AtHead => drop(self.head.wait_for(|head| *head > self.at.0).await),
                Look::FellOut => {
                    let page = self.page().await;
                    match page.and_then(|page| moved(page, self.at)) {
                        Ok(Page { events, scanned }) => {
                            self.retry.succeeded();
                            let scanned_events = (scanned.0 - self.at.0) as usize;
                            self.page = next_page(self.page, scanned_events, &events);
                            self.at = scanned;
                            self.read_ahead();
                            return Delivery { events, position: scanned };
                        }
                        Err(error) => self.retry.pause("subscription", &error).await,
                    }
                }
            }
        }
    }
}

impl Subscription {
    /// The next page of the database.
    async fn page(&mut self) -> Result<Page, ReadError> {
        match self.ahead.take() {
            Some(page) => page.await.map_err(|error| ReadError(error.to_string().into()))?,
            None => self.reader.page(self.at, self.page, &self.filter).await,
        }
    }

    /// Reads the page after this one while the subscriber is busy with this one.
    fn read_ahead(&mut self) {
        if matches!(self.tail.look(self.at), Look::FellOut) {
            let (reader, at, page) = (self.reader.clone(), self.at, self.page);
            let filter = self.filter.clone();
            let read = async move { reader.page(at, page, &filter).await };
            self.ahead = Some(AbortOnDropHandle::new(tokio::spawn(read)));
        }
    }
}

/// The tail is ahead of the page's beginning, so a page that holds nothing is a database that has lost events.
fn moved(page: Page, from: Position) -> Result<Page, ReadError> {
    if page.scanned > from {
        Ok(page)
    } else {
        Err(ReadError("the database ends before events that were already seen".into()))
    }
}

struct Follower {
    reader: Reader,
    watch: Watch,
    stream: StreamId,
    next: Revision,
    live: bool,
    page: usize,
    retry: Retry,
}

impl Follower {
    async fn next(&mut self) -> Batch {
        loop {
            let batch = if self.live {
                let batch = self.watch.next(self.next).await;
                self.live = batch.is_some();
                batch.unwrap_or_default()
            } else {
                let batch = self.read().await;
                self.live = batch.as_ref().is_some_and(Vec::is_empty);
                batch.unwrap_or_default()
            };
            if let Some(last) = batch.last() {
                self.next = Revision(last.revision.0 + 1);
                return batch;
            }
        }
    }

    /// A page of the database: empty at the end of the stream, `None` when there is no answer.
    async fn read(&mut self) -> Option<Batch> {
        let read = self.reader.some(&self.stream, self.next, Direction::Forward, self.page).await;
        match read {
            Ok(batch) => {
                self.retry.succeeded();
                self.page = next_page(self.page, batch.len(), &batch);
                Some(batch)
            }
            Err(error) => {
                self.retry.pause("follower", &error).await;
                None
            }
        }
    }
}

/// Events the next page should hold, so that it weighs about [`PAGE_WEIGHT`].
fn next_page(page: usize, scanned: usize, events: &[Arc<Recorded>]) -> usize {
    let weight: usize = events.iter().map(|event| event.weight()).sum();
    match PAGE_WEIGHT.checked_mul(scanned).and_then(|n| n.checked_div(weight)) {
        Some(fitting) => fitting.clamp(16, PAGE).min(page * 2),
        None => page,
    }
}

/// Pauses that grow while the database is away, told once per outage.
#[derive(Default)]
struct Retry {
    failures: u32,
}

impl Retry {
    async fn pause(&mut self, who: &'static str, error: &ReadError) {
        if self.failures == 0 {
            tracing::warn!(%error, who, "the log cannot be read; trying again");
        }
        let pause = Duration::from_millis(50) * 2_u32.pow(self.failures.min(6));
        self.failures += 1;
        tokio::time::sleep(pause.min(LONGEST_PAUSE)).await;
    }

    fn succeeded(&mut self) {
        if std::mem::take(&mut self.failures) > 0 {
            tracing::info!("the log can be read again");
        }
    }
}
