//! From a ZIP archive to the files of a skill.

use super::{
    archive::{self, Archive, Entry, Limits},
    front_matter::{self, FrontMatter, NoFrontMatter},
};
use bytes::Bytes;
use domain::skill::{Flaw, MAIN, MOST_FILES};

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

impl From<archive::Unpackable> for Unpackable {
    fn from(error: archive::Unpackable) -> Self {
        use archive::Unpackable as E;
        match error {
            E::NotZip => Self::NotZip,
            E::Name => Self::Name,
            E::Path(path) => Flaw::Path(path).into(),
            E::Twice(path) => Flaw::Twice(path).into(),
            E::Special(path) => Self::Special(path),
            E::Encrypted(path) => Self::Encrypted(path),
            E::Damaged(path) => Self::Damaged(path),
            E::TooManyEntries => Self::TooManyEntries,
            E::TooLarge => Self::TooLarge,
        }
    }
}

/// Reads an archive. Takes processor time in proportion to what is inflated: call it away from the async threads.
///
/// # Errors
/// [`Unpackable`], before anything is inflated whenever the directory of the archive tells.
pub fn unpack(archive: &[u8]) -> Result<Unpacked, Unpackable> {
    let mut zip = Archive::open(archive, Limits { entries: ENTRIES, total: TOTAL })?;
    let wanted = below_main(zip.files()?)?;
    let mut files = Vec::with_capacity(wanted.len());
    for (file, path) in wanted {
        let bytes = inflate(&mut zip, &file, &path)?;
        files.push(File { path, mode: file.mode, bytes });
    }
    let main = files.iter().find(|file| file.path == MAIN).ok_or(Unpackable::NoMain)?;
    let text = std::str::from_utf8(&main.bytes).map_err(|_| Unpackable::NotText)?;
    let front = front_matter::parse(text)?;
    Ok(Unpacked { front, files })
}

/// The files of the folder that [`MAIN`] is in, by their names within it: the root, else the first folder there that has one.
fn below_main(files: Vec<Entry>) -> Result<Vec<(Entry, String)>, Unpackable> {
    let root = files.iter().any(|file| file.path == MAIN).then(String::new);
    let folder = || {
        let mut folders = files.iter().filter_map(|file| file.path.strip_suffix(MAIN));
        folders.find(|folder| folder.ends_with('/') && folder.matches('/').count() == 1)
    };
    let prefix = root.or_else(|| folder().map(str::to_owned)).ok_or(Unpackable::NoMain)?;
    let below = files.into_iter().filter_map(|file| {
        let path = file.path.strip_prefix(&prefix)?.to_owned();
        Some((file, path))
    });
    let below: Vec<_> = below.collect();
    match below.len() > MOST_FILES {
        true => Err(Flaw::TooManyFiles.into()),
        false => Ok(below),
    }
}

/// The bytes of one file. What is wrong with a file is told by its name within the skill.
fn inflate(zip: &mut Archive<'_>, file: &Entry, path: &str) -> Result<Bytes, Unpackable> {
    let main = path == MAIN;
    let own = if main { MAIN_BYTES } else { FILE };
    zip.inflate(file, own).map_err(|error| match error {
        archive::Unpackable::TooLarge if main && file.claim > own => Unpackable::MainTooLarge,
        archive::Unpackable::Damaged(_) => Unpackable::Damaged(path.to_owned()),
        archive::Unpackable::Encrypted(_) => Unpackable::Encrypted(path.to_owned()),
        error => error.into(),
    })
}

#[cfg(test)]
#[path = "skill_archive_tests.rs"]
mod tests;
