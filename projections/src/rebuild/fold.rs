//! Folding a stretch of the log into whatever tables the connection's search path names.

use crate::{
    Feed, FeedError, Interest, Page, Projection,
    runner::{Trouble, apply},
};
use domain::Position;
use futures::{Stream, StreamExt, stream};
use sqlx::{Connection, PgConnection};
use std::{pin::pin, sync::Arc};

/// Events looked at per page: bounds the memory, and the transaction of a page.
const PAGE: usize = 1000;

/// Why a read model could not be folded anew. The live tables are as they were.
#[derive(Debug, thiserror::Error)]
pub enum FoldError {
    /// No read model of this name runs here.
    #[error("there is no read model called {0}")]
    Unknown(String),
    /// A table it says it owns does not exist.
    #[error("the table {0} does not exist")]
    NoTable(&'static str),
    /// Somebody else is rebuilding it.
    #[error("it is already being rebuilt")]
    Busy,
    /// Too many others are being rebuilt by this process.
    #[error("too many read models are being rebuilt at the moment")]
    Crowded,
    /// Readers or a migration held the live tables all the time.
    #[error("the new tables are complete, but others kept the live ones locked")]
    InUse,
    /// An event cannot be applied.
    #[error("event {position} ({kind}) cannot be applied: {reason}")]
    Poison {
        /// Position of the event.
        position: Position,
        /// Type of the event.
        kind: Box<str>,
        /// What the read model or the database said.
        reason: Arc<str>,
    },
    /// The log did not answer, or ends before the checkpoint.
    #[error(transparent)]
    Feed(#[from] FeedError),
    /// The database went away while an event was applied.
    #[error("the database is unavailable: {0}")]
    Unavailable(Arc<str>),
    /// The database refused or is away.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// A fold of the log in the making.
pub(crate) struct Fold<'a, P> {
    feed: &'a dyn Feed,
    projection: &'a dyn Projection,
    /// Told how far it has come and where it has to get to.
    progress: P,
    /// Everything up to here is folded in.
    pub at: Position,
    /// Events applied.
    pub events: u64,
}

impl<'a, P: FnMut(Position, Position) + Send> Fold<'a, P> {
    /// Nothing folded in yet.
    pub fn new(feed: &'a dyn Feed, projection: &'a dyn Projection, progress: P) -> Self {
        Self { feed, projection, progress, at: Position::START, events: 0 }
    }

    /// Folds up to exactly `upto`, a page to a transaction (or a savepoint, within one). The next page is read while one
    /// is applied.
    pub async fn advance(
        &mut self,
        db: &mut PgConnection,
        upto: Position,
    ) -> Result<(), FoldError> {
        let mut pages = pin!(pages(self.feed, Interest::of(self.projection), self.at, upto));
        let mut next = pages.next().await.transpose()?;
        while let Some(page) = next {
            let (applied, following) =
                tokio::join!(apply_page(db, self.projection, &page), pages.next());
            applied?;
            self.at = page.scanned;
            self.events += page.events.len() as u64;
            (self.progress)(self.at, upto);
            next = following.transpose()?;
        }
        Ok(())
    }
}

/// The pages that cover (`after`, `upto`], cut off exactly there.
fn pages(
    feed: &dyn Feed,
    interest: Interest,
    after: Position,
    upto: Position,
) -> impl Stream<Item = Result<Page, FoldError>> + Send + '_ {
    stream::try_unfold(after, move |after| async move {
        if after >= upto {
            return Ok(None);
        }
        let mut page = feed.read_all(after, PAGE, interest).await?;
        if page.scanned <= after {
            let reason = format!("it ends at {after}, before the checkpoint at {upto}");
            return Err(FeedError(reason.into()).into());
        }
        page.events.retain(|event| event.position <= upto);
        page.scanned = page.scanned.min(upto);
        let scanned = page.scanned;
        Ok(Some((page, scanned)))
    })
}

async fn apply_page(
    db: &mut PgConnection,
    projection: &dyn Projection,
    page: &Page,
) -> Result<(), FoldError> {
    if page.events.is_empty() {
        return Ok(());
    }
    let mut db = db.begin().await?;
    for event in &page.events {
        apply(projection, &mut db, event).await.map_err(|trouble| match trouble {
            Trouble::Poison(reason) => {
                let (position, kind) = (event.position, event.kind.clone());
                FoldError::Poison { position, kind, reason }
            }
            Trouble::Unavailable(reason) => FoldError::Unavailable(reason),
            Trouble::Rewound | Trouble::Stopped => FoldError::Unavailable("stopped".into()),
        })?;
    }
    Ok(db.commit().await?)
}
