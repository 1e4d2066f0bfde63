//! Files taken in from a link: fetched from a public address, with limits, into the blob store.

use crate::effects::{
    blobs::{self, Blob, Blobs},
    fetch::{FetchError, Fetcher, Limits, Reach},
};
use futures::stream;
use std::{convert::Infallible, time::Duration};
use tokio::sync::Semaphore;

/// Most bytes of a file.
pub const MOST: usize = 25 << 20;
/// How long one may take.
const TIME: Duration = Duration::from_secs(60);
/// Files on their way at once: together they are all the memory this may take.
const AT_ONCE: usize = 4;

/// Takes in files from links.
#[derive(Debug)]
pub struct Links {
    fetcher: Fetcher,
    slots: Semaphore,
}

/// A file that was taken in.
#[derive(Debug, Clone)]
pub struct TakenIn {
    /// Its bytes, in the store.
    pub blob: Blob,
    /// Where it came from in the end, without query: the last part of its path, percent-encoded.
    pub name: String,
    /// `Content-Type` as the other side gave it; may be empty.
    pub media_type: String,
}

/// Why a file was not taken in.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It could not be fetched, or was larger than [`MOST`]. The text may be told to the user.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The other side does not have it.
    #[error("the server answered {0}")]
    Status(u16),
    /// Too many are on their way; later there is room again.
    #[error("too many files are being fetched")]
    Busy,
    /// It could not be kept.
    #[error(transparent)]
    Store(#[from] blobs::Error),
}

impl Links {
    /// Takes in what this reach allows.
    pub fn new(reach: Reach) -> Self {
        Self { fetcher: Fetcher::new(reach), slots: Semaphore::new(AT_ONCE) }
    }

    /// Fetches the file at `url` into the store.
    ///
    /// # Errors
    /// See [`Error`]. Nothing is kept then.
    pub async fn take_in(&self, url: &str, blobs: &Blobs) -> Result<TakenIn, Error> {
        let _slot = self.slots.try_acquire().map_err(|_| Error::Busy)?;
        let fetched = self.fetcher.get(url, Limits { bytes: MOST, time: TIME }).await?;
        if !(200..300).contains(&fetched.status) {
            return Err(Error::Status(fetched.status));
        }
        let whole = stream::iter([Ok::<_, Infallible>(fetched.body)]);
        let blob = blobs.put(whole, MOST as u64).await?;
        let last = fetched.url.path_segments().and_then(|mut parts| parts.next_back());
        let name = last.unwrap_or_default().to_owned();
        Ok(TakenIn { blob, name, media_type: fetched.content_type.unwrap_or_default() })
    }
}
