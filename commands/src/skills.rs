//! Skills: from an archive to facts and files, and back to text.

use crate::{
    effects::{
        blobs::{self, Blobs},
        fetch::{FetchError, Fetcher, Limits},
        front_matter::{self, NoFrontMatter},
        skill_archive::{self, ARCHIVE, MAIN_BYTES, Unpackable, Unpacked},
    },
    execute::{self, Failure, Loaded},
    log::EventLog,
};
use bytes::Bytes;
use domain::{
    Metadata, Position,
    document::BlobHash,
    ids::SkillId,
    skill::{Command, Content, Folder, Home, Origin, Refusal, Skill, SkillFile},
};
use futures::{StreamExt, TryStreamExt, stream};
use reqwest::Url;
use std::{convert::Infallible, sync::Arc, time::Duration};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    task::spawn_blocking,
    time::timeout,
};

/// Archives that are unpacked at once; each takes up to 96 MB meanwhile.
const UNPACKING: usize = 2;
/// Archives that are fetched at once; each takes up to 32 MB meanwhile.
const FETCHING: usize = 4;
/// How long somebody waits for their turn.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a download may take.
const DOWNLOAD: Duration = Duration::from_secs(30);
/// Files that are stored at once.
const STORING: usize = 8;

/// Imports, edits and reads skills. Cheap to clone.
#[derive(Clone)]
pub struct Skills {
    log: Arc<dyn EventLog>,
    blobs: Blobs,
    fetcher: Fetcher,
    unpacking: Arc<Semaphore>,
    fetching: Arc<Semaphore>,
}

/// A skill that was imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// As its front matter has it.
    pub name: String,
    /// Where the log stands; `None` when this very skill was there already.
    pub position: Option<Position>,
}

/// Why a skill was not imported, or not edited.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The archive holds no skill.
    #[error(transparent)]
    Unpackable(#[from] Unpackable),
    /// The new text is larger than a `SKILL.md` may be.
    #[error("SKILL.md is larger than {MAIN_BYTES} bytes")]
    TooLarge,
    /// The new text says nothing of itself.
    #[error(transparent)]
    Front(#[from] NoFrontMatter),
    /// The domain said no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Nothing came from the URL.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// Something else came from the URL.
    #[error("the server answered HTTP {0}")]
    Status(u16),
    /// Too many others are waiting.
    #[error("too many skills are being imported at the moment")]
    Busy,
    /// The bytes cannot be had or kept.
    #[error(transparent)]
    Blobs(#[from] blobs::Error),
    /// The log does not answer.
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl From<execute::Error<Refusal>> for Error {
    fn from(error: execute::Error<Refusal>) -> Self {
        match error {
            execute::Error::Refused(refusal) => Self::Refused(refusal),
            execute::Error::Failed(failure) => Self::Failed(failure),
        }
    }
}

impl Skills {
    /// Skills whose facts and bytes are there; `fetcher` reaches as far as people's URLs may lead.
    pub fn new(log: Arc<dyn EventLog>, blobs: Blobs, fetcher: Fetcher) -> Self {
        let slots = |slots| Arc::new(Semaphore::new(slots));
        Self { log, blobs, fetcher, unpacking: slots(UNPACKING), fetching: slots(FETCHING) }
    }

    /// What a URL leads to, taken into the blob store.
    ///
    /// # Errors
    /// [`Error::Fetch`], [`Error::Status`], [`Error::Busy`], [`Error::Blobs`].
    pub async fn fetch(&self, url: &str) -> Result<Origin, Error> {
        let _turn = turn(&self.fetching).await?;
        let most = usize::try_from(ARCHIVE).unwrap_or(usize::MAX);
        let fetched = self.fetcher.get(url, Limits { bytes: most, time: DOWNLOAD }).await?;
        if fetched.status != 200 {
            return Err(Error::Status(fetched.status));
        }
        let archive = self.keep(fetched.body, ARCHIVE).await?;
        Ok(Origin::Url { url: without_query(url), archive })
    }

    /// Takes the skill in the archive of `origin` in, in place of one that is called the same in `home`.
    ///
    /// # Errors
    /// All of [`Error`] but those of [`Self::fetch`]. Nothing is recorded then.
    pub async fn import(
        &self,
        origin: Origin,
        home: Home,
        metadata: &Metadata,
    ) -> Result<Imported, Error> {
        let (Origin::Upload { archive, .. } | Origin::Url { archive, .. }) = &origin;
        let turn = turn(&self.unpacking).await?;
        let archive = self.blobs.read(archive, ARCHIVE).await?;
        let unpacked = spawn_blocking(move || skill_archive::unpack(&archive)).await;
        // Whoever feeds the parser something that makes it panic has sent no archive.
        let Unpacked { front, files } = unpacked.unwrap_or(Err(Unpackable::NotZip))?;
        let stored = stream::iter(files).map(async |file| {
            let size = file.bytes.len() as u64;
            let blob = self.keep(file.bytes, size).await?;
            Ok::<_, Error>(SkillFile { path: file.path, blob, size, mode: file.mode })
        });
        let files = stored.buffered(STORING).try_collect().await?;
        drop(turn);
        let name = front.name.clone();
        let content = Content { name: front.name, description: front.description, files };
        // Checked by the decider too, which has no folder to decide on when there is none.
        content.check().map_err(Refusal::from)?;
        let folder = Folder::of(&name).ok_or(Refusal::Flawed(domain::skill::Flaw::Name))?;
        let id = SkillId::of(&home, &folder);
        let command = Command::Import { home, folder, content, origin };
        let decided = execute::execute::<Skill>(&*self.log, &id, &command, metadata).await?;
        Ok(Imported { name, position: decided.position })
    }

    /// Gives a skill another `SKILL.md`; its name has to stay.
    ///
    /// # Errors
    /// [`Error::TooLarge`], [`Error::Front`], [`Error::Refused`], and failures of the machine.
    pub async fn edit(
        &self,
        id: SkillId,
        text: String,
        metadata: &Metadata,
    ) -> Result<Option<Position>, Error> {
        let size = text.len() as u64;
        if size > MAIN_BYTES {
            return Err(Error::TooLarge);
        }
        let front = front_matter::parse(&text)?;
        let blob = self.keep(text.into(), size).await?;
        let (name, description) = (front.name, front.description);
        let command = Command::Edit { name, description, blob, size };
        let decided = execute::execute::<Skill>(&*self.log, &id, &command, metadata).await?;
        Ok(decided.position)
    }

    /// What a skill says and holds, as the log has it; `None` when there is no such skill.
    ///
    /// # Errors
    /// When the log does not answer.
    pub async fn find(&self, id: SkillId) -> Result<Option<Content>, Failure> {
        let loaded = Loaded::<Skill>::load(&*self.log, &id).await?;
        Ok(loaded.state().content().cloned())
    }

    /// The bytes of a file of a skill.
    ///
    /// # Errors
    /// When the blob store does not answer.
    pub async fn read(&self, file: &SkillFile) -> Result<Bytes, blobs::Error> {
        self.blobs.read(&file.blob, file.size).await
    }

    async fn keep(&self, bytes: Bytes, most: u64) -> Result<BlobHash, blobs::Error> {
        let whole = stream::iter([Ok::<_, Infallible>(bytes)]);
        Ok(self.blobs.put(whole, most).await?.hash)
    }
}

async fn turn(slots: &Semaphore) -> Result<SemaphorePermit<'_>, Error> {
    match timeout(PATIENCE, slots.acquire()).await {
        Ok(Ok(turn)) => Ok(turn),
        Ok(Err(_)) | Err(_) => Err(Error::Busy),
    }
}

/// A URL as the log may keep it: queries of links that are handed out hold keys.
fn without_query(url: &str) -> String {
    let Ok(mut url) = Url::parse(url) else { return String::new() };
    url.set_query(None);
    url.set_fragment(None);
    // Credentials are refused before anything is fetched, unless the operator lets every URL through.
    let stripped = url.set_password(None).and_then(|()| url.set_username(""));
    stripped.map(|()| url.into()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_of_a_url_is_kept() {
        let url = "https://ann:pw@example.org/a/b.zip?X-Signature=secret#part";
        assert_eq!(without_query(url), "https://example.org/a/b.zip");
        assert_eq!(without_query("nonsense"), "");
    }
}
