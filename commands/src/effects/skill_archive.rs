//! From a ZIP archive to the files of a skill.
//!
//! Nothing an archive says of itself is believed: sizes are counted while inflating, against the length of the archive, and
//! every name is looked at, also of what is not taken.

use super::front_matter::{self, FrontMatter, NoFrontMatter};
use bytes::Bytes;
use domain::skill::{Flaw, MAIN, MOST_FILES, check_path};
use std::io::{Cursor, Read};
use zip::{ZipArchive, result::ZipError};

/// Bytes of an archive.
pub const ARCHIVE: u64 = 32 << 20;
/// Bytes of one file, inflated.
const FILE: u64 = 16 << 20;
/// Bytes of all files, inflated.
const TOTAL: u64 = 64 << 20;
/// Bytes of a `SKILL.md`: it is shown, edited and read by models as a whole.
pub const MAIN_BYTES: u64 = 1 << 20;
/// Entries of an archive, folders and what is ignored included.
const ENTRIES: usize = 4_000;
/// How many times its archive the content may be, beyond the first [`FREE`] bytes. Text rarely gets to 20.
const RATIO: u64 = 200;
/// Bytes that may be inflated whatever the ratio.
const FREE: u64 = 1 << 20;
/// Begins each entry of the central directory.
const ENTRY: &[u8] = b"PK\x01\x02";
/// Begins what only archives of more than 4 GB or 65,535 entries have.
const ZIP64: &[u8] = b"PK\x06\x07";
/// What a Mac adds.
const JUNK: [&str; 2] = ["__MACOSX", ".DS_Store"];

/// What lay in an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unpacked {
    /// What the skill says of itself.
    pub front: FrontMatter,
    /// The files of its folder, in the order of the archive.
    pub files: Vec<File>,
}

/// A file of a skill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Where within the skill.
    pub path: String,
    /// Unix permissions, when the archive has them.
    pub mode: Option<u32>,
    /// Its bytes.
    pub bytes: Bytes,
}

/// Why an archive holds no skill for us.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unpackable {
    /// Not a ZIP archive, or a broken one.
    #[error("not a valid ZIP archive")]
    NotZip,
    /// No `SKILL.md` at the root or in a folder there.
    #[error("there is no SKILL.md at the root of the archive or in a folder there")]
    NoMain,
    /// Its `SKILL.md` is not UTF-8.
    #[error("SKILL.md is not text in UTF-8")]
    NotText,
    /// Its `SKILL.md` says nothing of itself.
    #[error(transparent)]
    Front(#[from] NoFrontMatter),
    /// An entry's name is not UTF-8.
    #[error("the archive holds a name that is not UTF-8")]
    Name,
    /// An entry that leads out of the archive, or would be there twice.
    #[error(transparent)]
    Unsafe(#[from] Flaw),
    /// Neither file nor folder.
    #[error("{0:?} is a link or another special file")]
    Special(String),
    /// A password is needed.
    #[error("{0:?} is encrypted")]
    Encrypted(String),
    /// An entry cannot be inflated.
    #[error("{0:?} is damaged or packed in an unknown way")]
    Damaged(String),
    /// More entries than a skill has.
    #[error("the archive has too many entries")]
    TooManyEntries,
    /// A file or all of them are too large, or inflate like a bomb.
    #[error("the archive unpacks to more than is allowed")]
    TooLarge,
    /// `SKILL.md` is too large.
    #[error("SKILL.md is larger than {MAIN_BYTES} bytes")]
    MainTooLarge,
}

/// A file that will be taken.
struct Wanted {
    index: usize,
    path: String,
    mode: Option<u32>,
}

/// Reads an archive. Takes processor time in proportion to what is inflated: call it away from the async threads.
///
/// # Errors
/// [`Unpackable`], before anything is inflated whenever the directory of the archive tells.
pub fn unpack(archive: &[u8]) -> Result<Unpacked, Unpackable> {
    // The parser reserves memory for what an archive claims to hold, so claims are bounded first.
    let entries = archive.windows(ENTRY.len()).filter(|window| *window == ENTRY).count();
    if entries > ENTRIES {
        return Err(Unpackable::TooManyEntries);
    }
    if archive.windows(ZIP64.len()).any(|window| window == ZIP64) {
        return Err(Unpackable::NotZip);
    }
    let mut zip = ZipArchive::new(Cursor::new(archive)).map_err(|_| Unpackable::NotZip)?;
    if zip.has_duplicate_names() {
        return Err(Flaw::Twice("a name".to_owned()).into());
    }
    let wanted = below_main(look(&mut zip)?)?;
    let mut left = TOTAL.min(FREE + archive.len() as u64 * RATIO);
    let mut files = Vec::with_capacity(wanted.len());
    for file in wanted {
        let bytes = inflate(&mut zip, &file, &mut left)?;
        files.push(File { path: file.path, mode: file.mode, bytes });
    }
    let main = files.iter().find(|file| file.path == MAIN).ok_or(Unpackable::NoMain)?;
    let text = std::str::from_utf8(&main.bytes).map_err(|_| Unpackable::NotText)?;
    let front = front_matter::parse(text)?;
    Ok(Unpacked { front, files })
}

type Zip<'a> = ZipArchive<Cursor<&'a [u8]>>;

/// All files, by the names the archive gives them. Refuses what nobody packs by accident.
fn look(zip: &mut Zip<'_>) -> Result<Vec<Wanted>, Unpackable> {
    let mut files = Vec::new();
    for index in 0..zip.len() {
        let entry = zip.by_index_data(index).map_err(|_| Unpackable::NotZip)?;
        let name = std::str::from_utf8(entry.name_raw()).map_err(|_| Unpackable::Name)?;
        if name.split('/').any(|part| JUNK.contains(&part)) {
            continue;
        }
        check_path(name.strip_suffix('/').unwrap_or(name))?;
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
        files.push(Wanted { index, path: name.to_owned(), mode: mode.map(|mode| mode & 0o777) });
    }
    Ok(files)
}

/// The files of the folder that [`MAIN`] is in, by their names within it: the root, else the first folder there that has one.
fn below_main(files: Vec<Wanted>) -> Result<Vec<Wanted>, Unpackable> {
    let root = files.iter().any(|file| file.path == MAIN).then(String::new);
    let folder = || {
        let mut folders = files.iter().filter_map(|file| file.path.strip_suffix(MAIN));
        folders.find(|folder| folder.ends_with('/') && folder.matches('/').count() == 1)
    };
    let prefix = root.or_else(|| folder().map(str::to_owned)).ok_or(Unpackable::NoMain)?;
    let below = files.into_iter().filter_map(|file| {
        let path = file.path.strip_prefix(&prefix)?.to_owned();
        Some(Wanted { path, ..file })
    });
    let below: Vec<_> = below.collect();
    match below.len() > MOST_FILES {
        true => Err(Flaw::TooManyFiles.into()),
        false => Ok(below),
    }
}

/// The bytes of one file; `left` is what may still be inflated.
fn inflate(zip: &mut Zip<'_>, file: &Wanted, left: &mut u64) -> Result<Bytes, Unpackable> {
    let damaged = || Unpackable::Damaged(file.path.clone());
    let entry = zip.by_index(file.index).map_err(|error| match error {
        ZipError::UnsupportedArchive(ZipError::PASSWORD_REQUIRED) => {
            Unpackable::Encrypted(file.path.clone())
        }
        _ => damaged(),
    })?;
    let main = file.path == MAIN;
    let own = if main { MAIN_BYTES } else { FILE };
    let most = own.min(*left);
    let mut bytes = Vec::new();
    entry.take(most + 1).read_to_end(&mut bytes).map_err(|_| damaged())?;
    let size = bytes.len() as u64;
    if size > most {
        return Err(if main && size > own {
            Unpackable::MainTooLarge
        } else {
            Unpackable::TooLarge
        });
    }
    *left -= size;
    Ok(bytes.into())
}

#[cfg(test)]
#[path = "skill_archive_tests.rs"]
mod tests;
