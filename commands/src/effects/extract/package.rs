//! The archives that Office files are. Nothing an archive says of itself is believed: what comes out is counted.

use super::Unreadable;
use std::io::{Cursor, Read};
use zip::{ZipArchive, result::ZipError};

/// Entries of an archive.
const ENTRIES: usize = 20_000;
/// Bytes of all entries, inflated.
const TOTAL: u64 = 512 << 20;
/// How many times the archive its content may be, beyond the first [`FREE`] bytes. Office files rarely get to 50.
const RATIO: u64 = 200;
/// Bytes that may be inflated whatever the ratio.
const FREE: u64 = 16 << 20;

/// An open archive.
pub(super) struct Package<'a> {
    zip: ZipArchive<Cursor<&'a [u8]>>,
    format: &'static str,
    left: u64,
}

impl<'a> Package<'a> {
    /// Opens it; `format` is what to call it in failures.
    pub fn open(bytes: &'a [u8], format: &'static str) -> Result<Self, Unreadable> {
        let damaged = |_| Unreadable::Damaged(format.into());
        let zip = ZipArchive::new(Cursor::new(bytes)).map_err(damaged)?;
        if zip.len() > ENTRIES {
            return Err(Unreadable::Bomb);
        }
        Ok(Self { zip, format, left: TOTAL.min(FREE + bytes.len() as u64 * RATIO) })
    }

    /// Inflates everything to nowhere: for parsers that do not count themselves.
    pub fn check(&mut self) -> Result<(), Unreadable> {
        for index in 0..self.zip.len() {
            let entry = self.zip.by_index(index).map_err(|error| failure(&error, self.format))?;
            let damaged = |_| Unreadable::Damaged(self.format.into());
            let inflated = std::io::copy(&mut entry.take(self.left + 1), &mut std::io::sink());
            self.left =
                self.left.checked_sub(inflated.map_err(damaged)?).ok_or(Unreadable::Bomb)?;
        }
        Ok(())
    }

    /// The names of all entries that begin and end so.
    pub fn names(&self, begin: &str, end: &str) -> Vec<String> {
        let names = self.zip.file_names().flatten();
        names.filter(|n| n.starts_with(begin) && n.ends_with(end)).map(Into::into).collect()
    }

    /// A part as text, without the mark at its beginning; `None` when there is none of this name.
    pub fn text(&mut self, name: &str) -> Result<Option<String>, Unreadable> {
        let entry = match self.zip.by_name(name) {
            Ok(entry) => entry,
            Err(ZipError::FileNotFound) => return Ok(None),
            Err(error) => return Err(failure(&error, self.format)),
        };
        let damaged = || Unreadable::Damaged(self.format.into());
        let mut bytes = Vec::new();
        entry.take(self.left + 1).read_to_end(&mut bytes).map_err(|_| damaged())?;
        self.left = self.left.checked_sub(bytes.len() as u64).ok_or(Unreadable::Bomb)?;
        super::encoding::decode(&bytes, None).map(Some).map_err(|_| damaged())
    }

    /// A part that has to be there.
    pub fn needed(&mut self, name: &str) -> Result<String, Unreadable> {
        self.text(name)?.ok_or_else(|| Unreadable::Damaged(self.format.into()))
    }
}

fn failure(error: &ZipError, format: &'static str) -> Unreadable {
    match error {
        ZipError::UnsupportedArchive(ZipError::PASSWORD_REQUIRED) => {
            Unreadable::Encrypted(format.into())
        }
        _ => Unreadable::Damaged(format.into()),
    }
}
