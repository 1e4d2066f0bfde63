//! The file of a backup: a tar archive in gzip, which `tar -tzf` lists. Written and read from front to end, a few megabytes in
//! memory at a time.
//!
//! ```text
//! annals-backup            the format's number
//! config.txt               the settings in force, without secrets
//! master.key               only when asked for
//! tables/NAME/000001 …     rows as PostgreSQL copies them, in pieces
//! files/HASH               what lies in the blob store
//! manifest.json            what all of it has to be; without it the file is cut off
//! ```

use anyhow::{Context, Result, bail, ensure};
use bytes::{Buf, Bytes};
use chrono::{DateTime, Utc};
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, BufReader, BufWriter, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};
use tokio::{sync::mpsc, task::spawn_blocking};

/// The first entry.
pub(super) const MARK: &str = "annals-backup";
/// What this version writes there.
pub(super) const FORMAT: &str = "1\n";
/// What lies in the blob store is below this.
pub(super) const FILES: &str = "files/";
/// The last entry.
pub(super) const MANIFEST: &str = "manifest.json";
/// The settings, for people.
pub(super) const SETTINGS: &str = "config.txt";
/// The master key.
pub(super) const KEY: &str = "master.key";
/// Largest entry that is held in memory as a whole: one piece of a table, which may hold one event of the largest size.
const LARGEST_PIECE: u64 = 256 << 20;
/// Bytes on their way between file and database.
const CHUNK: usize = 64 << 10;
/// Chunks of one entry that may wait.
const WAITING: usize = 16;

/// What is kept of the database: all that is no fold of the log. Parents before children.
pub(super) const TABLES: [Table; 6] = [
    Table {
        name: "events",
        columns: "position, revision, recorded_at, id, stream, type, data, metadata",
        rows: "order by position",
    },
    Table { name: "log_batches", columns: "first, last, digest, chain", rows: "order by last" },
    Table {
        name: "subject_keys",
        columns: "subject, wrapped, created_at, destroyed_at",
        rows: "order by subject",
    },
    Table {
        name: "secrets",
        columns: "id, subject, version, sealed, created_at",
        rows: "order by id",
    },
    Table { name: "vector_memo", columns: "model, hash, embedding", rows: "" },
    // Those of read models begin anew; what a broker has acknowledged is not sent to it again.
    Table {
        name: "checkpoints",
        columns: "name, position, moved_at",
        rows: "where name like 'publisher:%'",
    },
];

/// A table of the database.
pub(super) struct Table {
    /// Its name.
    pub name: &'static str,
    /// What is kept of each row.
    pub columns: &'static str,
    /// Which rows, in which order.
    pub rows: &'static str,
}

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    /// The version that made it.
    pub annals: String,
    /// The last migration of the database.
    pub schema: i64,
    /// When it was begun.
    pub taken_at: DateTime<Utc>,
    /// The end of the log.
    pub head: Head,
    /// Tells whether a master key is the right one.
    pub key: String,
    /// Rows by table.
    pub tables: BTreeMap<String, Contents>,
    /// Files; `None` when they were left out.
    pub files: Option<Contents>,
}

/// The end of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, sqlx::FromRow)]
pub(super) struct Head {
    /// Position of the last event.
    pub position: i64,
    /// Its time.
    pub recorded_at: DateTime<Utc>,
    /// The chain, in hexadecimal.
    pub chain: String,
}

/// Rows of a table, or files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Contents {
    /// How many.
    pub count: u64,
    /// How many bytes in all.
    pub bytes: u64,
    /// SHA-256 of all bytes of a table; of files it is the name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// Adds up what [`Contents`] says of a table.
#[derive(Default)]
pub(super) struct Tally {
    contents: Contents,
    digest: Sha256,
}

impl Tally {
    /// Takes in the next piece: whole rows, one to a line.
    pub fn add(&mut self, piece: &[u8]) {
        self.contents.count += piece.iter().filter(|&&byte| byte == b'\n').count() as u64;
        self.contents.bytes += piece.len() as u64;
        self.digest.update(piece);
    }

    /// Rows so far.
    pub fn rows(&self) -> u64 {
        self.contents.count
    }

    /// The sum.
    pub fn finish(self) -> Contents {
        Contents { sha256: Some(hex(self.digest)), ..self.contents }
    }
}

/// A part of the archive, whose bytes come or go bit by bit.
pub(super) struct Entry {
    /// Its path.
    pub name: String,
    /// How many bytes it has.
    pub size: u64,
    /// They.
    pub body: mpsc::Receiver<Bytes>,
}

impl Entry {
    /// One that is there as a whole.
    pub fn whole(name: impl Into<String>, bytes: impl Into<Bytes>) -> Self {
        let (name, bytes) = (name.into(), bytes.into());
        let (send, body) = mpsc::channel(1);
        let size = bytes.len() as u64;
        // There is room for one, and somebody who takes it.
        let _sent = send.try_send(bytes);
        Self { name, size, body }
    }

    /// All of its bytes.
    ///
    /// # Errors
    /// When there are too many, or the archive ends before.
    pub async fn bytes(mut self) -> Result<Vec<u8>> {
        let Self { name, size, .. } = &self;
        ensure!(*size <= LARGEST_PIECE, "{name} is larger than any that annals writes");
        let mut all = Vec::with_capacity(usize::try_from(*size)?);
        while let Some(bytes) = self.body.recv().await {
            all.extend_from_slice(&bytes);
        }
        ensure!(all.len() as u64 == self.size, "{} is cut off", self.name);
        Ok(all)
    }
}

/// A file on its way, removed unless it becomes a backup.
struct Draft(PathBuf);

impl Drop for Draft {
    fn drop(&mut self) {
        // Left for whoever looks after the disk when not even that works.
        let _left = fs::remove_file(&self.0);
    }
}

/// Where entries go that are to be written, and the file that they become.
pub(super) struct Writing {
    entries: mpsc::Sender<Entry>,
    written: tokio::task::JoinHandle<Result<()>>,
    draft: Draft,
    path: PathBuf,
}

impl Writing {
    /// Begins a new file, which its owner alone may read and which bears its name once it is whole.
    ///
    /// # Errors
    /// When there is one of this name, or it cannot be made.
    pub fn begin(path: &Path) -> Result<Self> {
        ensure!(!path.try_exists()?, "{} is there already", path.display());
        let mut draft = path.as_os_str().to_owned();
        draft.push(".unfinished");
        let draft = PathBuf::from(draft);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        let file = options.open(&draft).with_context(|| {
            format!("{}, which another backup may be writing, or have left behind", draft.display())
        })?;
        let (entries, received) = mpsc::channel(1);
        let written = spawn_blocking(move || write(file, received));
        Ok(Self { entries, written, draft: Draft(draft), path: path.to_owned() })
    }

    /// Writes one more.
    ///
    /// # Errors
    /// When the file takes no more; [`Self::finish`] knows why.
    pub async fn add(&self, entry: Entry) -> Result<()> {
        self.entries.send(entry).await.ok().context("nothing more can be written")
    }

    /// Gives the file its name, unless `outcome` is an error.
    ///
    /// # Errors
    /// Why it could not be written, else that error.
    pub async fn finish<T>(self, outcome: Result<T>) -> Result<T> {
        let Self { entries, written, draft, path } = self;
        drop(entries);
        let (draft, name) = (&draft.0, path.display());
        written.await?.with_context(|| draft.display().to_string())?;
        let outcome = outcome?;
        fs::hard_link(draft, &path).with_context(|| format!("{name} cannot be made"))?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
        Ok(outcome)
    }
}

fn write(file: File, mut entries: mpsc::Receiver<Entry>) -> Result<()> {
    let packed = GzEncoder::new(BufWriter::new(file), Compression::fast());
    let mut archive = tar::Builder::new(packed);
    while let Some(Entry { name, size, body }) = entries.blocking_recv() {
        let mut header = tar::Header::new_gnu();
        header.set_size(size);
        header.set_mode(0o600);
        header.set_entry_type(tar::EntryType::Regular);
        let mut body = Incoming { body, rest: Bytes::new(), left: size };
        archive.append_data(&mut header, &name, &mut body)?;
        ensure!(body.left == 0, "{name} ended too early");
    }
    let mut file = archive.into_inner()?.finish()?;
    file.flush()?;
    Ok(file.get_ref().sync_all()?)
}

/// Bytes that another task sends, as something to read; never more than were announced.
struct Incoming {
    body: mpsc::Receiver<Bytes>,
    rest: Bytes,
    left: u64,
}

impl Read for Incoming {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            match self.body.blocking_recv() {
                Some(bytes) => self.rest = bytes,
                None => return Ok(0),
            }
        }
        let taken = self.rest.len().min(into.len());
        self.left = self
            .left
            .checked_sub(taken as u64)
            .ok_or_else(|| io::Error::other("more bytes than were announced"))?;
        self.rest.copy_to_slice(&mut into[..taken]);
        Ok(taken)
    }
}

/// Shows each entry of an archive to `visit`, in order.
///
/// # Errors
/// When the file is no backup, is cut off or damaged; else the error of `visit`.
pub(super) async fn each(
    path: &Path,
    mut visit: impl AsyncFnMut(Entry) -> Result<()>,
) -> Result<()> {
    let file = File::open(path).with_context(|| path.display().to_string())?;
    let (send, mut entries) = mpsc::channel(1);
    let read = spawn_blocking(move || read(file, &send));
    let mut visited = Ok(());
    while let Some(entry) = entries.recv().await {
        visited = visit(entry).await;
        if visited.is_err() {
            break;
        }
    }
    drop(entries);
    // What cannot be read is the reason for what is then missing.
    read.await?.context("this is no backup of annals, or it is cut off or damaged")?;
    visited
}

fn read(file: File, entries: &mpsc::Sender<Entry>) -> Result<()> {
    let mut packed = GzDecoder::new(BufReader::new(file));
    let mut archive = tar::Archive::new(&mut packed);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let name = entry.path()?.to_str().context("a name that annals does not write")?.to_owned();
        let (send, body) = mpsc::channel(WAITING);
        if entries.blocking_send(Entry { name, size: entry.size(), body }).is_err() {
            return Ok(());
        }
        if !pass_on(&mut entry, &send)? {
            return Ok(());
        }
    }
    // To the end, where the checksum of the whole stands.
    io::copy(&mut packed, &mut io::sink())?;
    Ok(())
}

/// Whether somebody took all of it.
fn pass_on(from: &mut impl Read, to: &mpsc::Sender<Bytes>) -> io::Result<bool> {
    loop {
        let mut chunk = vec![0; CHUNK];
        let read = from.read(&mut chunk)?;
        if read == 0 {
            return Ok(true);
        }
        chunk.truncate(read);
        if to.blocking_send(chunk.into()).is_err() {
            return Ok(false);
        }
    }
}

/// Reads all of a backup and compares it with its manifest. `progress` hears of the bytes read.
///
/// # Errors
/// When it is no backup, cut off, damaged, or of a newer version.
pub(super) async fn check(path: &Path, mut progress: impl FnMut(u64)) -> Result<Manifest> {
    let mut tallies: BTreeMap<String, Tally> = BTreeMap::new();
    let (mut files, mut manifest, mut first, mut seen) = (Contents::default(), None, true, 0);
    let outcome = each(path, async |mut entry| {
        seen += entry.size;
        if std::mem::take(&mut first) {
            ensure!(entry.name == MARK, "this is no backup of annals");
            let format = entry.bytes().await?;
            ensure!(
                format == FORMAT.as_bytes(),
                "a backup of another format: a newer annals reads it"
            );
            return Ok(());
        }
        ensure!(manifest.is_none(), "there is something behind the manifest");
        if let Some(table) = table_of(&entry.name) {
            let table = table.to_owned();
            tallies.entry(table).or_default().add(&entry.bytes().await?);
        } else if let Some(name) = entry.name.strip_prefix(FILES) {
            let (mut digest, mut size) = (Sha256::new(), 0);
            while let Some(bytes) = entry.body.recv().await {
                digest.update(&bytes);
                size += bytes.len() as u64;
            }
            let found = hex(digest);
            ensure!(found == name && size == entry.size, "the file {name} is damaged");
            (files.count, files.bytes) = (files.count + 1, files.bytes + size);
        } else if entry.name == MANIFEST {
            let text = entry.bytes().await?;
            manifest = Some(serde_json::from_slice(&text).context("the manifest")?);
        } else {
            ensure!([KEY, SETTINGS].contains(&&*entry.name), "what is {}?", entry.name);
            entry.bytes().await?;
        }
        progress(seen);
        Ok(())
    });
    outcome.await.with_context(|| path.display().to_string())?;
    let Some(manifest): Option<Manifest> = manifest else {
        bail!("{}: the backup is cut off: it has no manifest", path.display());
    };
    ensure!(
        manifest.schema <= migrations::latest(),
        "the backup was made by annals {}, which is newer than this version",
        manifest.annals
    );
    let tables = tallies.into_iter().map(|(name, tally)| (name, tally.finish())).collect();
    let found =
        Manifest { tables, files: manifest.files.as_ref().map(|_| files), ..manifest.clone() };
    ensure!(
        found == manifest,
        "{}: the backup is damaged: its manifest says otherwise",
        path.display()
    );
    Ok(manifest)
}

/// The table that an entry is a piece of.
pub(super) fn table_of(entry: &str) -> Option<&str> {
    Some(entry.strip_prefix("tables/")?.split_once('/')?.0)
}

/// A SHA-256 as files and manifest spell it.
pub(super) fn hex(digest: Sha256) -> String {
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
