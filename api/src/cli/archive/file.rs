//! Writing an archive from front to end, and reading it in the same way.

use anyhow::{Context, Result, ensure};
use bytes::{Buf, Bytes};
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufReader, BufWriter, Read, Seek, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};
use tokio::{sync::mpsc, task::spawn_blocking};

/// Largest entry that is held in memory as a whole: one piece of a table, which may hold one event of the largest size.
const LARGEST_PIECE: u64 = 256 << 20;
/// Bytes on their way between file and database.
const CHUNK: usize = 64 << 10;
/// Chunks of one entry that may wait.
pub(in crate::cli) const WAITING: usize = 16;

/// A part of the archive, whose bytes come or go bit by bit.
pub(in crate::cli) struct Entry {
    /// Its path.
    pub name: String,
    /// How many bytes it has.
    pub size: u64,
    /// They.
    pub body: mpsc::Receiver<Bytes>,
    /// How far the file was read when this part of it began; of one to be written, nothing.
    pub place: u64,
}

impl Entry {
    /// One that is there as a whole.
    pub fn whole(name: impl Into<String>, bytes: impl Into<Bytes>) -> Self {
        let (name, bytes) = (name.into(), bytes.into());
        let (send, body) = mpsc::channel(1);
        let size = bytes.len() as u64;
        // There is room for one, and somebody who takes it.
        let _sent = send.try_send(bytes);
        Self { name, size, body, place: 0 }
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
pub(in crate::cli) struct Writing {
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
    while let Some(Entry { name, size, body, .. }) = entries.blocking_recv() {
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
pub(in crate::cli) async fn each(
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
    // Both share the place in the file.
    let mut marker = file.try_clone()?;
    let mut packed = GzDecoder::new(BufReader::new(file));
    let mut archive = tar::Archive::new(&mut packed);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let name = entry.path()?.to_str().context("a name that annals does not write")?.to_owned();
        let (send, body) = mpsc::channel(WAITING);
        let (size, place) = (entry.size(), marker.stream_position()?);
        if entries.blocking_send(Entry { name, size, body, place }).is_err() {
            return Ok(());
        }
        pass_on(&mut entry, &send)?;
    }
    // To the end, where the checksum of the whole stands.
    io::copy(&mut packed, &mut io::sink())?;
    Ok(())
}

/// Sends all of it, unless nobody wants it.
fn pass_on(from: &mut impl Read, to: &mpsc::Sender<Bytes>) -> io::Result<()> {
    loop {
        let mut chunk = vec![0; CHUNK];
        let read = from.read(&mut chunk)?;
        chunk.truncate(read);
        if read == 0 || to.blocking_send(chunk.into()).is_err() {
            return Ok(());
        }
    }
}
