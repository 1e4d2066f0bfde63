//! A copy of a workspace for a command, and what the command made of it.

use super::process;
use crate::{
    effects::tools::builtin::told,
    workspaces::{Error, Workspaces},
};
use bytes::Bytes;
use domain::{
    Metadata,
    document::BlobHash,
    workspace_file::{Basis, DEEPEST, FilePath, MAX_FILES, Refusal, Workspace},
};
use futures::TryStreamExt;
use nix::libc;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, chown},
    path::{Path, PathBuf},
    time::SystemTime,
};
use tokio::io::AsyncWriteExt;
use uuid::Uuid;

/// Most bytes of a workspace that is copied, and of what comes back.
const WHOLE: u64 = 256 << 20;
/// Largest file that comes back, in bytes.
const FILE: u64 = 64 << 20;
/// Things that are not kept and named.
const NAMED: usize = 100;

/// The copy. Its folder goes away with it.
pub(super) struct WorkingCopy {
    folder: PathBuf,
    account: Option<u32>,
    workspace: Workspace,
    originals: BTreeMap<FilePath, Original>,
}

/// A file as it was handed out.
struct Original {
    blob: BlobHash,
    stamp: Stamp,
}

/// What tells an untouched file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    size: u64,
    modified: SystemTime,
}

/// What a command did to the workspace.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// Files it wrote.
    pub written: Vec<FilePath>,
    /// Files it removed.
    pub deleted: Vec<FilePath>,
    /// What could not be kept, and why.
    pub refused: Vec<String>,
}

impl WorkingCopy {
    /// A copy of all files.
    pub async fn make(workspaces: &Workspaces, workspace: Workspace) -> Result<Self, String> {
        let limit = MAX_FILES as usize;
        let files = workspaces.list(&workspace, None, limit).await.map_err(told)?;
        if files.iter().map(|file| file.content.size).sum::<u64>() > WHOLE {
            return Err(format!("commands work on workspaces of at most {WHOLE} bytes"));
        }
        let folder = std::env::temp_dir().join(format!("annals-shell-{}", Uuid::new_v4().simple()));
        let account = process::account().map_err(broken)?;
        let mut copy = Self { folder, account, workspace, originals: BTreeMap::new() };
        copy.prepare().map_err(broken)?;
        for file in files {
            let blob = file.content.blob;
            let place = copy.work().join(file.path.as_str());
            copy.make_folders(&file.path).map_err(broken)?;
            let mut bytes =
                workspaces.blobs().stream(&blob).await.map_err(|e| told(Error::Blobs(e)))?;
            let mut target = tokio::fs::File::create_new(&place).await.map_err(broken)?;
            while let Some(piece) = bytes.try_next().await.map_err(|e| told(Error::Blobs(e)))? {
                target.write_all(&piece).await.map_err(broken)?;
            }
            target.flush().await.map_err(broken)?;
            copy.give(&place).map_err(broken)?;
            let stamp = Stamp::of(&target.metadata().await.map_err(broken)?).map_err(broken)?;
            copy.originals.insert(file.path, Original { blob, stamp });
        }
        Ok(copy)
    }

    /// Where it lies: `work` holds the files, `home` is for the command's own.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The account that the files belong to, if it is not ours.
    pub fn account(&self) -> Option<u32> {
        self.account
    }

    /// Keeps what was changed. A file that somebody else changed meanwhile stays as they left it.
    pub async fn take_back(
        &self,
        workspaces: &Workspaces,
        metadata: &Metadata,
    ) -> Result<Changes, String> {
        let (work, account) = (self.work(), self.account);
        let found = tokio::task::spawn_blocking(move || Found::in_folder(&work, account)).await;
        let found = found.map_err(|_| "the workspace could not be read back".to_owned())?;
        let mut changes = Changes { refused: found.refusals(), ..Changes::default() };
        let mut left = WHOLE;
        for (path, stamp) in &found.files {
            let original = self.originals.get(path);
            if original.is_some_and(|original| original.stamp == *stamp) {
                continue;
            }
            if stamp.size > FILE.min(left) {
                changes.refused.push(format!("{path}: too large"));
                continue;
            }
            left -= stamp.size;
            let bytes = read(&self.work().join(path.as_str()), self.account)
                .map_err(|error| format!("{path}: {error}"));
            let basis = match original {
                Some(original) => Basis::Content(original.blob.clone()),
                None => Basis::Absence,
            };
            let kept = match bytes {
                Ok(bytes) => workspaces
                    .write(&self.workspace, path, bytes, basis, metadata)
                    .await
                    .map_err(|error| format!("{path}: {}", told(error))),
                Err(error) => Err(error),
            };
            match kept {
                Ok(Some(_)) => changes.written.push(path.clone()),
                Ok(None) => {}
                Err(reason) => changes.refused.push(reason),
            }
        }
        let gone = self.originals.keys().filter(|path| found.lacks(path));
        for path in gone {
            match workspaces.remove(&self.workspace, path, metadata).await {
                Ok(_) | Err(Error::Refused(Refusal::Unknown)) => changes.deleted.push(path.clone()),
                Err(error) => changes.refused.push(format!("{path}: {}", told(error))),
            }
        }
        Ok(changes)
    }

    fn work(&self) -> PathBuf {
        self.folder.join("work")
    }

    fn make_folders(&self, path: &FilePath) -> io::Result<()> {
        for folder in path.folders() {
            let place = self.work().join(folder.as_str());
            match fs::create_dir(&place) {
                Ok(()) => self.give(&place)?,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Hands a file or folder to the account of the command.
    fn give(&self, place: &Path) -> io::Result<()> {
        match self.account {
            Some(account) => chown(place, Some(account), Some(account)),
            None => Ok(()),
        }
    }

    fn prepare(&self) -> io::Result<()> {
        for folder in [self.folder.clone(), self.work(), self.folder.join("home")] {
            fs::DirBuilder::new().mode(0o700).create(&folder)?;
            self.give(&folder)?;
        }
        Ok(())
    }
}

impl Drop for WorkingCopy {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            tracing::warn!(%error, "the copy of a workspace could not be removed");
        }
    }
}

fn broken(error: io::Error) -> String {
    tracing::warn!(%error, "a workspace cannot be copied");
    "the workspace cannot be copied".to_owned()
}

impl Stamp {
    fn of(metadata: &fs::Metadata) -> io::Result<Self> {
        Ok(Self { size: metadata.len(), modified: metadata.modified()? })
    }
}

/// The files of a folder; links and whatever else is no file are left out.
struct Found {
    files: BTreeMap<FilePath, Stamp>,
    /// Names of what is no plain file; none of them counts as removed.
    strange: BTreeSet<PathBuf>,
    /// Whether all of it was looked at.
    whole: bool,
}

impl Found {
    fn in_folder(work: &Path, account: Option<u32>) -> Self {
        let mut found = Self { files: BTreeMap::new(), strange: BTreeSet::new(), whole: true };
        let (mut folders, mut entries) = (vec![(work.to_owned(), 0)], 0);
        while let Some((folder, depth)) = folders.pop() {
            let Ok(inside) = fs::read_dir(&folder) else {
                found.whole = false;
                continue;
            };
            for entry in inside.flatten() {
                entries += 1;
                if entries > 2 * MAX_FILES {
                    found.whole = false;
                    return found;
                }
                let place = entry.path();
                let Ok(metadata) = fs::symlink_metadata(&place) else { continue };
                match metadata.is_dir() && depth < DEEPEST {
                    true => folders.push((place, depth + 1)),
                    false => {
                        found.add(place.strip_prefix(work).unwrap_or(&place), &metadata, account)
                    }
                }
            }
        }
        found
    }

    fn add(&mut self, name: &Path, metadata: &fs::Metadata, account: Option<u32>) {
        match (name.to_str().map(FilePath::parse), Stamp::of(metadata)) {
            (Some(Ok(path)), Ok(stamp)) if is_plain(metadata, account) => {
                self.files.insert(path, stamp);
            }
            _ => {
                self.strange.insert(name.to_owned());
            }
        }
    }

    fn lacks(&self, path: &FilePath) -> bool {
        let known =
            self.files.contains_key(path) || self.strange.contains(Path::new(path.as_str()));
        self.whole && !known
    }

    /// What is not kept, in words.
    fn refusals(&self) -> Vec<String> {
        let named = self.strange.iter().take(NAMED);
        let mut refusals: Vec<String> =
            named.map(|name| format!("{}: no plain file", name.display())).collect();
        if !self.whole {
            refusals.push("not everything could be looked at; nothing is deleted".to_owned());
        }
        refusals
    }
}

/// A file of the command's own, under this name only: a second name could be that of a file elsewhere.
fn is_plain(metadata: &fs::Metadata, account: Option<u32>) -> bool {
    let own = account.is_none_or(|account| metadata.uid() == account);
    metadata.is_file() && metadata.nlink() == 1 && own
}

/// The bytes of a plain file; looked at again once it is open, since names can change what they mean.
fn read(place: &Path, account: Option<u32>) -> io::Result<Bytes> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let file = fs::OpenOptions::new().read(true).custom_flags(flags).open(place)?;
    if !is_plain(&file.metadata()?, account) {
        return Err(io::Error::other("no plain file"));
    }
    let mut bytes = Vec::new();
    io::Read::read_to_end(&mut io::Read::take(file, FILE), &mut bytes)?;
    Ok(bytes.into())
}
