//! Files by the hash of their bytes: in a local folder or an S3 bucket.
//!
//! Bytes arrive under a name of our own and are published under their SHA-256 once the last one is there, so a file
//! that can be found is whole. No name given by a client ever becomes part of a path.

use bytes::Bytes;
use domain::document::BlobHash;
use futures::{Stream, StreamExt, TryStreamExt, future::ready, stream::BoxStream};
use object_store::{
    GetOptions, GetRange, ObjectStore, ObjectStoreExt, WriteMultipart, aws::AmazonS3Builder,
    local::LocalFileSystem, path::Path,
};
use sha2::{Digest, Sha256};
use std::{fmt, io, ops::Range, path::PathBuf, sync::Arc, time::Duration};
use tokio::fs;
use uuid::Uuid;

/// Parts of one upload that may be on their way to the store at once; bounds memory to about this many times 5 MiB.
const PARTS: usize = 2;
/// Folder of what is on its way in.
const INCOMING: &str = "incoming";
/// Folder of what has arrived.
const FILES: &str = "sha256";
/// Age after which an unfinished upload is taken for abandoned.
const ABANDONED: Duration = Duration::from_hours(24);

/// The blob store. Cheap to clone.
#[derive(Clone)]
pub struct Blobs {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    /// Where uploads into a local store are on their way; its listing leaves unfinished ones out.
    staging: Option<PathBuf>,
}

/// A file that lies in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// Its name.
    pub hash: BlobHash,
    /// Its size in bytes.
    pub size: u64,
}

/// Why a file could not be kept or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// More bytes than the caller allows.
    #[error("the file is larger than {0} bytes")]
    TooLarge(u64),
    /// No such file.
    #[error("no file {0:?} is stored")]
    Missing(BlobHash),
    /// The name is not a SHA-256 in lower-case hex.
    #[error("not the name of a stored file")]
    BadHash,
    /// Whoever sent the bytes stopped in the middle.
    #[error("the file did not arrive completely: {0}")]
    Interrupted(Box<str>),
    /// The address of the store is not usable.
    #[error("not an address of a blob store: {0}")]
    BadAddress(Box<str>),
    /// The store refused or is away.
    #[error("the blob store failed: {0}")]
    Store(#[from] object_store::Error),
}

impl fmt::Debug for Blobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blobs").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

impl Blobs {
    /// The store at `file:///folder` (made when missing) or `s3://bucket/prefix` (credentials from the usual `AWS_…`
    /// variables).
    ///
    /// # Errors
    /// [`Error::BadAddress`] when it is neither, [`Error::Store`] when the folder cannot be made.
    pub fn open(address: &str) -> Result<Self, Error> {
        let bad = |why: String| Error::BadAddress(why.into());
        if let Some(folder) = address.strip_prefix("file://") {
            std::fs::create_dir_all(folder).map_err(|e| bad(format!("{folder}: {e}")))?;
            let store = LocalFileSystem::new_with_prefix(folder)?.with_fsync(true);
            let staging = Some(PathBuf::from(folder).join(INCOMING));
            return Ok(Self { store: Arc::new(store), prefix: Path::default(), staging });
        }
        let Some(rest) = address.strip_prefix("s3://") else {
            return Err(bad("it has to begin with file:// or s3://".to_owned()));
        };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let store = AmazonS3Builder::from_env().with_bucket_name(bucket).build()?;
        let prefix = Path::parse(prefix).map_err(|e| bad(e.to_string()))?;
        Ok(Self { store: Arc::new(store), prefix, staging: None })
    }

    /// Takes in a file of at most `limit` bytes. Holds a few parts in memory, never the whole.
    ///
    /// # Errors
    /// [`Error::TooLarge`] as soon as one byte too many arrived, [`Error::Interrupted`] when `body` fails,
    /// [`Error::Store`]. Nothing stays behind in any of these cases.
    pub async fn put<S, E>(&self, mut body: S, limit: u64) -> Result<Blob, Error>
    where
        S: Stream<Item = Result<Bytes, E>> + Unpin + Send,
        E: fmt::Display,
    {
        let incoming = self.incoming().join(Uuid::new_v4().simple().to_string());
        let mut upload = WriteMultipart::new(self.store.put_multipart(&incoming).await?);
        match receive(&mut body, &mut upload, limit).await {
            Ok(blob) => {
                upload.finish().await?;
                self.publish(&incoming, &blob.hash).await?;
                Ok(blob)
            }
            Err(error) => {
                if let Err(error) = upload.abort().await {
                    tracing::warn!(%error, "an unfinished upload could not be removed");
                }
                Err(error)
            }
        }
    }

    /// The bytes of a file, in pieces.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::BadHash`], [`Error::Store`].
    pub async fn stream(
        &self,
        hash: &BlobHash,
    ) -> Result<BoxStream<'static, Result<Bytes, Error>>, Error> {
        let found = self.store.get(&self.place(hash)?).await.map_err(|e| missing(hash, e))?;
        Ok(found.into_stream().map_err(Error::Store).boxed())
    }

    /// The bytes of a part of a file, in pieces. The range is not empty and begins within the file.
    ///
    /// # Errors
    /// As [`Self::stream`].
    pub async fn part(
        &self,
        hash: &BlobHash,
        range: Range<u64>,
    ) -> Result<BoxStream<'static, Result<Bytes, Error>>, Error> {
        let options = GetOptions { range: Some(GetRange::Bounded(range)), ..GetOptions::default() };
        let found = self.store.get_opts(&self.place(hash)?, options).await;
        Ok(found.map_err(|e| missing(hash, e))?.into_stream().map_err(Error::Store).boxed())
    }

    /// All bytes of a file of at most `limit` bytes.
    ///
    /// # Errors
    /// As [`Self::stream`], and [`Error::TooLarge`].
    pub async fn read(&self, hash: &BlobHash, limit: u64) -> Result<Bytes, Error> {
        let found = self.store.get(&self.place(hash)?).await.map_err(|e| missing(hash, e))?;
        if found.meta.size > limit {
            return Err(Error::TooLarge(limit));
        }
        Ok(found.bytes().await?)
    }

    /// Every file that lies in the store, in no order.
    pub fn all(&self) -> BoxStream<'static, Result<Blob, Error>> {
        let found = self.store.list(Some(&self.prefix.clone().join(FILES)));
        let blob = |object: object_store::ObjectMeta| {
            let hash = BlobHash(object.location.filename()?.to_owned());
            hash.is_valid().then_some(Blob { hash, size: object.size })
        };
        found.map_err(Error::Store).try_filter_map(move |object| ready(Ok(blob(object)))).boxed()
    }

    /// Removes what interrupted uploads left behind; for start-up. Uploads of the last day stay, they may belong to
    /// another node.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn remove_abandoned(&self) -> Result<usize, Error> {
        if let Some(staging) = &self.staging {
            return Ok(remove_old(staging).await.map_err(local)?);
        }
        let mut found = self.store.list(Some(&self.incoming()));
        let mut removed = 0;
        while let Some(object) = found.try_next().await? {
            let age = chrono::Utc::now() - object.last_modified;
            if age.to_std().is_ok_and(|age| age > ABANDONED) {
                self.store.delete(&object.location).await?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    fn incoming(&self) -> Path {
        self.prefix.clone().join(INCOMING)
    }

    fn place(&self, hash: &BlobHash) -> Result<Path, Error> {
        if !hash.is_valid() {
            return Err(Error::BadHash);
        }
        Ok(self.prefix.clone().join(FILES).join(&hash.0[..2]).join(hash.0.as_str()))
    }

    async fn publish(&self, incoming: &Path, hash: &BlobHash) -> Result<(), Error> {
        let place = self.place(hash)?;
        match self.store.head(&place).await {
            Ok(_) => self.store.delete(incoming).await?,
            Err(object_store::Error::NotFound { .. }) => {
                self.store.rename(incoming, &place).await?;
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}

async fn remove_old(staging: &std::path::Path) -> io::Result<usize> {
    let mut entries = match fs::read_dir(staging).await {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        entries => entries?,
    };
    let mut removed = 0;
    while let Some(entry) = entries.next_entry().await? {
        let age = entry.metadata().await?.modified()?.elapsed();
        if age.is_ok_and(|age| age > ABANDONED) {
            fs::remove_file(entry.path()).await?;
            removed += 1;
        }
    }
    Ok(removed)
}

fn local(error: io::Error) -> object_store::Error {
    object_store::Error::Generic { store: "local", source: Box::new(error) }
}

fn missing(hash: &BlobHash, error: object_store::Error) -> Error {
    match error {
        object_store::Error::NotFound { .. } => Error::Missing(hash.clone()),
        error => Error::Store(error),
    }
}

async fn receive<S, E>(body: &mut S, upload: &mut WriteMultipart, limit: u64) -> Result<Blob, Error>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin + Send,
    E: fmt::Display,
{
    let (mut hash, mut size) = (Sha256::new(), 0_u64);
    while let Some(bytes) = body.next().await {
        let bytes = bytes.map_err(|e| Error::Interrupted(e.to_string().into()))?;
        size += bytes.len() as u64;
        if size > limit {
            return Err(Error::TooLarge(limit));
        }
        hash.update(&bytes);
        upload.wait_for_capacity(PARTS).await?;
        upload.put(bytes);
    }
    let hash = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Blob { hash: BlobHash(hash), size })
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::stream;

    struct Folder(PathBuf);

    impl Folder {
        fn new() -> Self {
            Self(std::env::temp_dir().join(format!("annals-blobs-{}", Uuid::new_v4())))
        }

        fn open(&self) -> Result<Blobs, Error> {
            Blobs::open(&format!("file://{}", self.0.display()))
        }

        /// Every file below the folder.
        fn files(&self) -> Vec<PathBuf> {
            fn walk(folder: &std::path::Path, found: &mut Vec<PathBuf>) {
                for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                    if entry.path().is_dir() {
                        walk(&entry.path(), found);
                    } else {
                        found.push(entry.path());
                    }
                }
            }
            let mut found = Vec::new();
            walk(&self.0, &mut found);
            found
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    type Piece = Result<Bytes, &'static str>;

    fn body(pieces: &[&'static [u8]]) -> impl Stream<Item = Piece> + Unpin + use<> {
        let pieces: Vec<Piece> = pieces.iter().map(|&p| Ok(Bytes::from_static(p))).collect();
        stream::iter(pieces)
    }

    #[tokio::test]
    async fn the_same_bytes_are_kept_once_under_their_hash() -> Result<(), Error> {
        let folder = Folder::new();
        let blobs = folder.open()?;
        let first = blobs.put(body(&[b"a", b"bc"]), 3).await?;
        let again = blobs.put(body(&[b"ab", b"", b"c"]), 3).await?;
        assert_eq!(
            first.hash.0,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!((&first, first.size), (&again, 3));
        assert_eq!(&blobs.read(&first.hash, 3).await?[..], b"abc");
        assert_eq!(folder.files().len(), 1);
        let all: Vec<Blob> = blobs.all().try_collect().await?;
        assert_eq!(all, [first]);
        Ok(())
    }

    #[tokio::test]
    async fn a_large_file_comes_back_whole() -> Result<(), Error> {
        let folder = Folder::new();
        let blobs = folder.open()?;
        let piece: Vec<u8> = (0..=255).cycle().take(1 << 20).collect();
        let pieces: Vec<Piece> = (0..13).map(|_| Ok(Bytes::from(piece.clone()))).collect();
        let kept = blobs.put(stream::iter(pieces), 13 << 20).await?;
        let mut all = Vec::new();
        let mut found = blobs.stream(&kept.hash).await?;
        while let Some(bytes) = found.try_next().await? {
            all.extend_from_slice(&bytes);
        }
        assert!(all == piece.repeat(13));
        let (from, to) = (5 << 20, (12 << 20) + 3);
        let part: Vec<Bytes> = blobs.part(&kept.hash, from..to).await?.try_collect().await?;
        assert!(part.concat() == all[(5 << 20)..(12 << 20) + 3]);
        Ok(())
    }

    #[tokio::test]
    async fn what_fails_leaves_nothing_behind() -> Result<(), Error> {
        let folder = Folder::new();
        let blobs = folder.open()?;
        let large = blobs.put(body(&[b"abc", b"d"]), 3).await;
        assert!(matches!(large, Err(Error::TooLarge(3))), "{large:?}");
        let cut = stream::iter([Ok(Bytes::from_static(b"ab")), Err("connection reset")]);
        let cut = blobs.put(cut, 3).await;
        assert!(matches!(cut, Err(Error::Interrupted(_))), "{cut:?}");
        assert_eq!(folder.files(), Vec::<PathBuf>::new());
        Ok(())
    }

    #[tokio::test]
    async fn what_a_killed_process_left_behind_is_removed_after_a_day()
    -> Result<(), Box<dyn std::error::Error>> {
        let folder = Folder::new();
        let blobs = folder.open()?;
        assert_eq!(blobs.remove_abandoned().await?, 0);
        let kept = blobs.put(body(&[b"abc"]), 3).await?;
        let staged = |name: &str| std::fs::File::create(folder.0.join(INCOMING).join(name));
        staged("young#1")?;
        let long_ago = std::time::SystemTime::now() - 2 * ABANDONED;
        staged("old#1")?.set_modified(long_ago)?;
        staged("old")?.set_modified(long_ago)?;
        assert_eq!(blobs.remove_abandoned().await?, 2);
        assert_eq!(folder.files().len(), 2);
        assert_eq!(&blobs.read(&kept.hash, 3).await?[..], b"abc");
        Ok(())
    }

    #[tokio::test]
    async fn only_hashes_name_files() -> Result<(), Error> {
        let folder = Folder::new();
        let blobs = folder.open()?;
        let outside = blobs.read(&BlobHash("../../etc/passwd".to_owned()), 1).await;
        assert!(matches!(outside, Err(Error::BadHash)), "{outside:?}");
        let unknown = blobs.read(&BlobHash("0".repeat(64)), 1).await;
        assert!(matches!(unknown, Err(Error::Missing(_))), "{unknown:?}");
        Ok(())
    }

    #[test]
    fn other_addresses_are_refused() {
        assert!(matches!(Blobs::open("ftp://x"), Err(Error::BadAddress(_))));
    }
}
