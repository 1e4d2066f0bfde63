//! Workspaces: reading, writing and removing files. Bytes go to the blob store first, then the log says that they are
//! a file, so a file that is listed is whole.

pub mod tree;

use crate::{
    effects::blobs::{self, Blob, Blobs},
    execute::{self, Failure, Loaded},
    log::EventLog,
};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use domain::{
    Metadata, Position,
    workspace_file::{
        Basis, Command, Content, FileId, FilePath, MAX_FILE, MAX_FILES, MAX_WORKSPACE, Refusal,
        Workspace, WorkspaceFile,
    },
};
use futures::{StreamExt, TryStreamExt, future::BoxFuture, stream};
use std::sync::Arc;

/// Most files that are removed with one folder; more than a workspace holds.
const FOLDER: usize = 2 * MAX_FILES as usize;
/// Files that are removed at once.
const AT_ONCE: usize = 16;

/// What the read models know of workspaces. Answers reflect everything written before the question.
pub trait FileIndex: Send + Sync {
    /// Up to `limit` files in the order of their paths; `folder` `None` for the whole workspace.
    fn below<'a>(
        &'a self,
        workspace: &'a Workspace,
        folder: Option<&'a FilePath>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<Listed>, Unavailable>>;

    /// What a workspace holds.
    fn usage<'a>(&'a self, workspace: &'a Workspace) -> BoxFuture<'a, Result<Usage, Unavailable>>;
}

/// A file in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Where.
    pub path: FilePath,
    /// What is in it.
    pub content: Content,
    /// When it was last written.
    pub modified_at: DateTime<Utc>,
}

/// What a workspace holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// The read models do not answer.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the list of files is not available: {0}")]
pub struct Unavailable(pub Arc<str>);

/// What is removed, and where the log stands then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Removed {
    /// Files.
    pub files: usize,
    /// Position of the last fact.
    pub position: Option<Position>,
}

/// Why a file was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The domain said no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Another file stands where a folder would have to be, or a folder where the file would.
    #[error("{0} is in the way")]
    InTheWay(FilePath),
    /// The workspace holds as much as it may.
    #[error("the workspace is full: at most {MAX_FILES} files and {MAX_WORKSPACE} bytes")]
    Full,
    /// The bytes cannot be had or kept.
    #[error(transparent)]
    Blobs(#[from] blobs::Error),
    /// The read models do not answer.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
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

/// All workspaces. Cheap to clone.
#[derive(Clone)]
pub struct Workspaces {
    log: Arc<dyn EventLog>,
    blobs: Blobs,
    index: Arc<dyn FileIndex>,
}

impl Workspaces {
    /// Workspaces whose facts, bytes and listings are there.
    pub fn new(log: Arc<dyn EventLog>, blobs: Blobs, index: Arc<dyn FileIndex>) -> Self {
        Self { log, blobs, index }
    }

    /// Where the bytes are.
    pub fn blobs(&self) -> &Blobs {
        &self.blobs
    }

    /// Up to `limit` files in the order of their paths; `folder` `None` for the whole workspace.
    ///
    /// # Errors
    /// When the read models do not answer.
    pub async fn list(
        &self,
        workspace: &Workspace,
        folder: Option<&FilePath>,
        limit: usize,
    ) -> Result<Vec<Listed>, Error> {
        Ok(self.index.below(workspace, folder, limit).await?)
    }

    /// What is in a file, as the log has it; `None` when there is no such file.
    ///
    /// # Errors
    /// When the log does not answer.
    pub async fn find(
        &self,
        workspace: &Workspace,
        path: &FilePath,
    ) -> Result<Option<Content>, Error> {
        let id = FileId::of(workspace, path);
        let loaded = Loaded::<WorkspaceFile>::load(&*self.log, &id).await?;
        Ok(loaded.state().0.clone())
    }

    /// The bytes of a content of at most `limit` bytes.
    ///
    /// # Errors
    /// [`blobs::Error`].
    pub async fn bytes(&self, content: &Content, limit: u64) -> Result<Bytes, Error> {
        Ok(self.blobs.read(&content.blob, limit).await?)
    }

    /// Writes a file.
    ///
    /// # Errors
    /// As [`Workspaces::record`].
    pub async fn write(
        &self,
        workspace: &Workspace,
        path: &FilePath,
        bytes: Bytes,
        basis: Basis,
        metadata: &Metadata,
    ) -> Result<Option<Position>, Error> {
        let body = stream::iter([Ok::<_, std::convert::Infallible>(bytes)]);
        let blob = self.blobs.put(body, MAX_FILE).await?;
        self.record(workspace, path, blob, basis, metadata).await
    }

    /// Says that bytes in the store are a file. Limits of the workspace are looked up just before, so writers at the
    /// very same moment may go past them by as many files as they are.
    ///
    /// # Errors
    /// [`Error::InTheWay`], [`Error::Full`], [`Refusal`], or when something does not answer.
    pub async fn record(
        &self,
        workspace: &Workspace,
        path: &FilePath,
        blob: Blob,
        basis: Basis,
        metadata: &Metadata,
    ) -> Result<Option<Position>, Error> {
        self.check_place(workspace, path).await?;
        let used = self.index.usage(workspace).await?;
        let old = self.find(workspace, path).await?;
        let files = used.files + u64::from(old.is_none());
        let bytes = used.bytes.saturating_sub(old.map_or(0, |old| old.size)) + blob.size;
        if files > MAX_FILES || bytes > MAX_WORKSPACE {
            return Err(Error::Full);
        }
        let guessed = mime_guess::from_path(path.name()).first_raw().unwrap_or_default();
        let content = Content { blob: blob.hash, size: blob.size, media_type: guessed.to_owned() };
        let (id, path) = (FileId::of(workspace, path), path.clone());
        let command = Command::Write { workspace: workspace.clone(), path, content, basis };
        let decided =
            execute::execute::<WorkspaceFile>(&*self.log, &id, &command, metadata).await?;
        Ok(decided.position)
    }

    /// Removes a file, or all files of a folder. Removing a large folder is not one fact but many: after a failure, some
    /// of its files are gone.
    ///
    /// # Errors
    /// [`Refusal::Unknown`] when there is neither, or when something does not answer.
    pub async fn remove(
        &self,
        workspace: &Workspace,
        path: &FilePath,
        metadata: &Metadata,
    ) -> Result<Removed, Error> {
        match self.remove_file(workspace, path, metadata).await {
            Err(Error::Refused(Refusal::Unknown)) => {}
            done => return Ok(Removed { files: 1, position: done? }),
        }
        let files = self.index.below(workspace, Some(path), FOLDER).await?;
        if files.is_empty() {
            return Err(Refusal::Unknown.into());
        }
        let removals: Vec<_> = files
            .iter()
            .map(|file| self.remove_if_there(workspace, &file.path, metadata))
            .collect();
        let positions: Vec<_> =
            stream::iter(removals).buffer_unordered(AT_ONCE).try_collect().await?;
        Ok(Removed { files: files.len(), position: positions.into_iter().flatten().max() })
    }

    /// Somebody else may be faster.
    async fn remove_if_there(
        &self,
        workspace: &Workspace,
        path: &FilePath,
        metadata: &Metadata,
    ) -> Result<Option<Position>, Error> {
        match self.remove_file(workspace, path, metadata).await {
            Err(Error::Refused(Refusal::Unknown)) => Ok(None),
            done => done,
        }
    }

    async fn remove_file(
        &self,
        workspace: &Workspace,
        path: &FilePath,
        metadata: &Metadata,
    ) -> Result<Option<Position>, Error> {
        let id = FileId::of(workspace, path);
        let decided =
            execute::execute::<WorkspaceFile>(&*self.log, &id, &Command::Delete, metadata).await?;
        Ok(decided.position)
    }

    /// A file needs folders above it and none in its place: else the workspace could not be unpacked anywhere.
    async fn check_place(&self, workspace: &Workspace, path: &FilePath) -> Result<(), Error> {
        for folder in path.folders() {
            if self.find(workspace, &folder).await?.is_some() {
                return Err(Error::InTheWay(folder));
            }
        }
        match self.index.below(workspace, Some(path), 1).await?.is_empty() {
            true => Ok(()),
            false => Err(Error::InTheWay(path.clone())),
        }
    }
}
