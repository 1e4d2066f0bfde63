//! The master key, and the keys derived from it. Every node of an installation has to have the same.

use super::secret::hex;
use base64::{Engine, engine::general_purpose::STANDARD};
use hkdf::Hkdf;
use sha2::Sha256;
use sqlx::PgPool;
use std::{
    fmt,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Name of the key's file in the data folder.
const FILE: &str = "master.key";

/// 32 bytes.
pub(crate) type Key = Zeroizing<[u8; 32]>;

/// Why there is no usable master key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The setting or file holds something else.
    #[error("the master key in {place} has to be 32 bytes in base64")]
    Malformed {
        /// Where it was found.
        place: String,
    },
    /// The file cannot be read or made.
    #[error("the master key file {path}: {cause}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// The database belongs to another master key.
    #[error(
        "this database was set up with another master key, and nothing secret in it could be read with this node's key. \
         Give this node the first node's key: set ANNALS_MASTER_KEY to it, or ANNALS_MASTER_KEY_FILE to a copy of its \
         file (by default master.key in the first node's data folder)"
    )]
    Foreign,
    /// The database does not answer.
    #[error("the master key cannot be checked: {0}")]
    Database(#[from] sqlx::Error),
}

/// The secret that everything secret hangs on.
pub struct MasterKey(Key);

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey([redacted])")
    }
}

impl MasterKey {
    /// The key in this text; `place` says in errors where the text came from.
    ///
    /// # Errors
    /// When it is not 32 bytes in base64.
    pub fn parse(text: &str, place: &str) -> Result<Self, KeyError> {
        let decoded = STANDARD.decode(text.trim()).map(Zeroizing::new).ok();
        let key = decoded.and_then(|bytes| <[u8; 32]>::try_from(bytes.as_slice()).ok());
        key.map(|key| Self(Zeroizing::new(key)))
            .ok_or_else(|| KeyError::Malformed { place: place.to_owned() })
    }

    /// The key in this file.
    ///
    /// # Errors
    /// When it cannot be read or holds none.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let text = fs::read_to_string(path).map(Zeroizing::new).map_err(at(path))?;
        Self::parse(&text, &path.display().to_string())
    }

    /// The key as the setting `ANNALS_MASTER_KEY` and the file hold it.
    pub fn text(&self) -> Zeroizing<String> {
        Zeroizing::new(STANDARD.encode(self.0.as_slice()))
    }

    /// Puts this key into the data folder, readable by its owner only.
    ///
    /// # Errors
    /// When there is one already, or the file cannot be made.
    pub fn place(&self, data: &Path) -> Result<(), KeyError> {
        let path = Self::file_in(data);
        fs::create_dir_all(data).map_err(at(data))?;
        make(self, data, &path).map_err(at(&path))
    }

    /// Where the key of a data folder lies.
    pub fn file_in(data: &Path) -> PathBuf {
        data.join(FILE)
    }

    /// The key of the data folder; made at the first call, readable by its owner only. Two processes that make it at
    /// the same time end with the same key.
    ///
    /// # Errors
    /// When the file can neither be read nor made, or holds no key.
    pub fn of_folder(data: &Path) -> Result<Self, KeyError> {
        let path = Self::file_in(data);
        if !path.try_exists().map_err(at(&path))? {
            fs::create_dir_all(data).map_err(at(data))?;
            let mut fresh: Key = Zeroizing::new([0; 32]);
            rand::fill(fresh.as_mut_slice());
            match make(&Self(fresh), data, &path) {
                // Another process was faster; its key is read below.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                made => made.map_err(at(&path))?,
            }
        }
        Self::read(&path)
    }
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> KeyError {
    let path = path.to_owned();
    move |cause| KeyError::File { path, cause }
}

/// Written beside and linked into place: a crash leaves no half key, and a key that is there is never replaced.
fn make(key: &MasterKey, data: &Path, path: &Path) -> io::Result<()> {
    let draft = data.join(format!(".{FILE}.{}", uuid::Uuid::now_v7()));
    let mut file = private(&draft)?;
    file.write_all(key.text().as_bytes())?;
    file.sync_all()?;
    let linked = fs::hard_link(&draft, path);
    fs::remove_file(&draft)?;
    linked?;
    File::open(data)?.sync_all()
}

fn private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// The derived keys.
pub struct Keys {
    /// Wraps the data keys of the vault.
    pub(crate) wrap: Key,
    jwt: Key,
    refresh: Key,
    lookup: Key,
    check: Key,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys([redacted])")
    }
}

impl Keys {
    /// Derives all keys.
    pub fn derive(master: &MasterKey) -> Self {
        let derived = |purpose: &str| expand(&master.0, &[b"annals ", purpose.as_bytes()]);
        Self {
            wrap: derived("vault v1"),
            jwt: derived("access tokens v1"),
            refresh: derived("refresh tokens v1"),
            lookup: derived("lookup hashes v1"),
            check: derived("key check v1"),
        }
    }

    /// Signs access tokens.
    pub fn jwt(&self) -> &[u8] {
        self.jwt.as_slice()
    }

    /// Signs refresh tokens.
    pub fn refresh(&self) -> &[u8] {
        self.refresh.as_slice()
    }

    /// A hash of personal text by which it can be found but not guessed without the key; hexadecimal. Different
    /// purposes give different hashes.
    pub fn lookup_hash(&self, purpose: &str, text: &str) -> String {
        let parts = [purpose.as_bytes(), b"\0", text.as_bytes()];
        hex(expand(&self.lookup, &parts).as_slice())
    }

    /// What a database that belongs to this master key says in `key_check`, in hexadecimal. It tells two keys apart and
    /// nothing of either.
    pub fn fingerprint(&self) -> String {
        hex(self.check.as_slice())
    }

    /// Makes sure that this database belongs to this master key; the first key to ask owns it.
    ///
    /// # Errors
    /// [`KeyError::Foreign`] when it belongs to another.
    pub async fn confirm(&self, pool: &PgPool) -> Result<(), KeyError> {
        let known: Vec<u8> = sqlx::query_scalar(
            "insert into key_check (digest) values ($1)
             on conflict (single) do update set single = true returning digest",
        )
        .bind(self.check.as_slice())
        .fetch_one(pool)
        .await?;
        if known.as_slice().ct_eq(self.check.as_slice()).into() {
            Ok(())
        } else {
            Err(KeyError::Foreign)
        }
    }
}

/// HKDF-Expand: a keyed hash of the parts, one after the other.
fn expand(key: &Key, parts: &[&[u8]]) -> Key {
    let mut derived = Zeroizing::new([0; 32]);
    let hkdf = Hkdf::<Sha256>::from_prk(key.as_slice());
    // A key of 32 bytes and an output of 32 bytes are always possible with SHA-256.
    let done = hkdf.is_ok_and(|hkdf| hkdf.expand_multi_info(parts, derived.as_mut_slice()).is_ok());
    debug_assert!(done, "HKDF refused its own block size");
    derived
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn folder() -> PathBuf {
        let path = std::env::temp_dir().join(format!("annals-keys-{}", uuid::Uuid::now_v7()));
        fs::create_dir(&path).unwrap();
        path
    }

    #[test]
    fn a_folder_gets_one_private_key_for_ever() {
        let data = folder();
        let first = MasterKey::of_folder(&data).unwrap();
        assert_eq!(*first.0, *MasterKey::of_folder(&data).unwrap().0);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(data.join(FILE)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        assert_eq!(fs::read_dir(&data).unwrap().count(), 1, "drafts are removed");
        fs::remove_dir_all(data).unwrap();
    }

    #[test]
    fn processes_that_make_it_at_once_agree() {
        let data = folder();
        let keys: Vec<_> = std::thread::scope(|scope| {
            let made = || *MasterKey::of_folder(&data).unwrap().0;
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(made)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(keys.iter().all(|key| *key == keys[0]));
        fs::remove_dir_all(data).unwrap();
    }

    #[test]
    fn a_key_of_another_length_is_refused_and_not_shown() {
        let error = MasterKey::parse("c2hvcnQ=", "ANNALS_MASTER_KEY").unwrap_err();
        let message = error.to_string();
        assert!(message.contains("ANNALS_MASTER_KEY") && !message.contains("c2hvcnQ="));
    }

    #[test]
    fn derived_keys_differ_by_purpose_and_follow_the_master() {
        let keys = |fill: u8| Keys::derive(&MasterKey(Zeroizing::new([fill; 32])));
        assert_eq!(keys(1).jwt(), keys(1).jwt());
        assert_ne!(keys(1).jwt(), keys(2).jwt());
        assert_ne!(keys(1).jwt(), keys(1).refresh());
        assert_ne!(keys(1).jwt(), [0; 32]);
        assert_ne!(keys(1).lookup_hash("email", "a"), keys(1).lookup_hash("code", "a"));
    }
}
