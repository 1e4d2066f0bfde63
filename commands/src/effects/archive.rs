//! ZIP archives from strangers.
//!
//! Nothing an archive says of itself is believed: sizes are counted while inflating, against the length of the archive, and
//! every name is looked at, also of what is not taken.

use bytes::Bytes;
use domain::skill::check_path;
use std::io::{Cursor, Read};
use zip::{ZipArchive, result::ZipError};

/// Begins each entry of the central directory.
pub(super) const ENTRY: &[u8] = b"PK\x01\x02";
/// Begins what only archives of more than 4 GB or 65,535 entries have.
const ZIP64: &[u8] = b"PK\x06\x07";
/// What a Mac adds.
const JUNK: [&str; 2] = ["__MACOSX", ".DS_Store"];
/// How many times its archive the content may be, beyond the first [`FREE`] bytes. Text rarely gets to 20.
const RATIO: u64 = 200;
/// Bytes that may be inflated whatever the ratio.
const FREE: u64 = 1 << 20;

/// What an archive may hold.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Entries, folders and what is ignored included.
    pub entries: usize,
    /// Bytes of all files, inflated.
    pub total: u64,
}

/// Why an archive cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unpackable {
    /// Not a ZIP archive, or a broken one.
    #[error("not a valid ZIP archive")]
    NotZip,
    /// An entry's name is not UTF-8.
    #[error("the archive holds a name that is not UTF-8")]
    Name,
    /// An entry that leads out of the archive, or nowhere.
    #[error("unsafe path in the archive: {0:?}")]
    Path(String),
    /// An entry would be there twice.
    #[error("{0:?} is in the archive twice")]
    Twice(String),
    /// Neither file nor folder.
    #[error("{0:?} is a link or another special file")]
    Special(String),
    /// A password is needed.
    #[error("{0:?} is encrypted")]
    Encrypted(String),
    /// An entry cannot be inflated.
    #[error("{0:?} is damaged or packed in an unknown way")]
    Damaged(String),
    /// More entries than allowed.
    #[error("the archive has too many entries")]
    TooManyEntries,
    /// A file or all of them are too large, or inflate like a bomb.
    #[error("the archive unpacks to more than is allowed")]
    TooLarge,
}

/// A file of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    index: usize,
    /// Where within the archive.
    pub path: String,
    /// Unix permissions, when the archive has them.
    pub mode: Option<u32>,
    /// Bytes it claims to inflate to.
    pub claim: u64,
}

/// An archive whose names are known.
pub struct Archive<'a> {
    zip: ZipArchive<Cursor<&'a [u8]>>,
    /// Bytes that may still be inflated.
    left: u64,
}

impl<'a> Archive<'a> {
    /// Reads what the archive says of itself.
    ///
    /// # Errors
    /// [`Unpackable`].
    pub fn open(bytes: &'a [u8], limits: Limits) -> Result<Self, Unpackable> {
        // The parser reserves memory for what an archive claims to hold, so claims are bounded first.
        let entries = bytes.windows(ENTRY.len()).filter(|window| *window == ENTRY).count();
        if entries > limits.entries {
            return Err(Unpackable::TooManyEntries);
        }
        if bytes.windows(ZIP64.len()).any(|window| window == ZIP64) {
            return Err(Unpackable::NotZip);
        }
        let zip = ZipArchive::new(Cursor::new(bytes)).map_err(|_| Unpackable::NotZip)?;
        if zip.has_duplicate_names() {
            return Err(Unpackable::Twice("a name".to_owned()));
        }
        let left = limits.total.min(FREE + bytes.len() as u64 * RATIO);
        Ok(Self { zip, left })
    }

    /// All files, by the names the archive gives them.
    ///
    /// # Errors
    /// [`Unpackable`], for what nobody packs by accident.
    pub fn files(&mut self) -> Result<Vec<Entry>, Unpackable> {
        let mut files = Vec::new();
        for index in 0..self.zip.len() {
            let entry = self.zip.by_index_data(index).map_err(|_| Unpackable::NotZip)?;
            let name = std::str::from_utf8(entry.name_raw()).map_err(|_| Unpackable::Name)?;
            if name.split('/').any(|part| JUNK.contains(&part)) {
                continue;
            }
            let path = name.strip_suffix('/').unwrap_or(name);
            check_path(path).map_err(|_| Unpackable::Path(path.chars().take(200).collect()))?;
            // The upper bits say what kind of thing it is; archives from other systems have none.
            let mode = entry.unix_mode();
            if !matches!(mode.unwrap_or_default() & 0o170_000, 0 | 0o100_000 | 0o040_000) {
                return Err(Unpackable::Special(name.to_owned()));
            }
            if entry.is_dir() {
                continue;
            }
            if entry.encrypted() {
                return Err(Unpackable::Encrypted(name.to_owned()));
            }
            let (mode, claim) = (mode.map(|mode| mode & 0o777), entry.size());
            files.push(Entry { index, path: name.to_owned(), mode, claim });
        }
        Ok(files)
    }

    /// Whether these files may be inflated, by what they claim.
    ///
    /// # Errors
    /// [`Unpackable::TooLarge`].
    pub fn weigh(&self, files: &[Entry]) -> Result<(), Unpackable> {
        let claimed = files.iter().fold(0, |sum: u64, file| sum.saturating_add(file.claim));
        if claimed > self.left { Err(Unpackable::TooLarge) } else { Ok(()) }
    }

    /// The bytes of a file, at most `most`.
    ///
    /// # Errors
    /// [`Unpackable`].
    pub fn inflate(&mut self, file: &Entry, most: u64) -> Result<Bytes, Unpackable> {
        let damaged = || Unpackable::Damaged(file.path.clone());
        let entry = self.zip.by_index(file.index).map_err(|error| match error {
            ZipError::UnsupportedArchive(ZipError::PASSWORD_REQUIRED) => {
                Unpackable::Encrypted(file.path.clone())
            }
            _ => damaged(),
        })?;
        let most = most.min(self.left);
        let mut bytes = Vec::new();
        entry.take(most + 1).read_to_end(&mut bytes).map_err(|_| damaged())?;
        let size = bytes.len() as u64;
        if size > most {
            return Err(Unpackable::TooLarge);
        }
        self.left -= size;
        Ok(bytes.into())
    }
}
