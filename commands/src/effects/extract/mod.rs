//! From the bytes of a file to text that can be cut, searched and quoted.
//!
//! What a file is, its bytes say first and its name second. Every failure is a sentence for the person who uploaded it.
//! Formats whose parsers are large and not ours are read in a process of their own: [`reader`].

mod csv;
mod docx;
mod draft;
mod encoding;
mod entities;
mod html;
mod json;
mod mail;
mod markdown;
mod package;
mod pdf;
mod pptx;
pub mod questions;
pub mod reader;
mod sheet;
mod sniff;
mod xml;

use serde::{Deserialize, Serialize};
use sniff::Format;
use std::{borrow::Cow, ops::Range};

/// Mails within mails within mails are read down to here.
const DEPTH: u32 = 3;
/// Bytes of text that one file may become. Each reader at work holds it several times over: as it is read, as it is handed on
/// and as it is cut.
pub const TEXT: usize = 32 << 20;
/// Headings of one file that count as such, and rows of a table of questions: what is kept of each is more than its text.
const PARTS: usize = 200_000;

/// A file to be read.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// Its name: a hint.
    pub name: &'a str,
    /// Its media type as a client gave it: another hint.
    pub media_type: &'a str,
    /// How its tables are read.
    pub reading: Reading,
    /// The file.
    pub bytes: &'a [u8],
}

/// What a file is read for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reading {
    /// Its text.
    #[default]
    Text,
    /// A table of questions and answers.
    Questions,
}

/// The text of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extracted {
    /// The text; all places below are bytes of it.
    pub text: String,
    /// Its headings, in order.
    pub outline: Vec<Heading>,
    /// Where each page begins, the first one first; empty in formats without pages.
    pub pages: Vec<usize>,
    /// Parts that are cut at the ends of lines only, in order: rows of tables, code.
    pub lines: Vec<Range<usize>>,
    /// Rows that are a passage each, in order, and all there is when there are any.
    pub rows: Vec<Range<usize>>,
    /// What the file was recognised as.
    pub media_type: Cow<'static, str>,
}

/// A heading within a text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heading {
    /// Where its line begins, in bytes.
    pub start: usize,
    /// Where its line ends, in bytes.
    pub end: usize,
    /// 1 is the outermost; 0 is the title of the whole.
    pub level: u8,
    /// Its words, without markup.
    pub title: String,
}

/// Why a file has no text for us.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Unreadable {
    /// No bytes at all.
    #[error("the file is empty")]
    Empty,
    /// Only space, or only pictures.
    #[error("the file holds no text")]
    NoText,
    /// A PDF of pictures.
    #[error(
        "the PDF holds no text, only pictures (a scan has to go through text recognition first)"
    )]
    Scanned,
    /// A format we know by its first bytes, and cannot read.
    #[error("{0} files cannot be read")]
    Unsupported(Cow<'static, str>),
    /// In no encoding we know, or not text at all.
    #[error("the file is not text in any known encoding")]
    NotText,
    /// A password is needed.
    #[error("the {0} file is encrypted: it needs a password")]
    Encrypted(Cow<'static, str>),
    /// It claims to be of this format.
    #[error("the {0} file is damaged or incomplete")]
    Damaged(Cow<'static, str>),
    /// It unpacks to more than is taken.
    #[error("the file unpacks to far more than its size, as archives do that are made to do harm")]
    Bomb,
    /// More text than is taken.
    #[error("the file holds more than {} MB of text", TEXT >> 20)]
    TooMuchText,
    /// A table of questions with more rows than are taken.
    #[error("the table has more than {PARTS} rows")]
    TooManyRows,
    /// Its parser took too long.
    #[error("reading the file took too long")]
    TooSlow,
    /// Its parser asked for too much.
    #[error("reading the file needs too much memory")]
    TooMuchMemory,
    /// Not a table of questions and answers.
    #[error("{0}")]
    NoQuestions(Cow<'static, str>),
}

/// Reads a file of text: plain, marked up, tables, source code. Its parsers are ours, and take time and memory in proportion
/// to the file. `name` and `media_type` are hints by the client; neither is trusted over the bytes.
///
/// # Errors
/// [`Unreadable`], also for formats that are not text.
pub fn extract(name: &str, media_type: &str, bytes: &[u8]) -> Result<Extracted, Unreadable> {
    let source = Source { name, media_type, reading: Reading::Text, bytes };
    if let Some(format) = sniff::foreign(&source) {
        return Err(Unreadable::Unsupported(format.into()));
    }
    extract_any(&source)
}

/// Reads any file. Large foreign parsers see the bytes: away from the server, please.
///
/// # Errors
/// [`Unreadable`].
pub fn extract_any(source: &Source<'_>) -> Result<Extracted, Unreadable> {
    if source.bytes.is_empty() {
        return Err(Unreadable::Empty);
    }
    let extracted = match source.reading {
        Reading::Questions => questions::extract(source)?,
        Reading::Text => within(source, 0)?,
    };
    if extracted.text.len() > TEXT {
        return Err(Unreadable::TooMuchText);
    }
    match extracted.text.trim().is_empty() {
        true => Err(Unreadable::NoText),
        false => Ok(extracted),
    }
}

/// A file within `depth` others.
fn within(source: &Source<'_>, depth: u32) -> Result<Extracted, Unreadable> {
    let format = sniff::sniff(source)?;
    let decoded = || encoding::decode(source.bytes, encoding::declared(source));
    Ok(match format {
        Format::Pdf => pdf::extract(source.bytes)?,
        Format::Docx => docx::extract(source.bytes)?,
        Format::Pptx => pptx::extract(source.bytes)?,
        Format::Sheet(kind) => sheet::extract(source.bytes, kind)?,
        Format::Mail => mail::extract(source.bytes, depth)?,
        Format::Html => html::extract(&decoded()?),
        Format::Csv(separator) => csv::extract(&decoded()?, separator),
        Format::Json => json::extract(&decoded()?),
        Format::Markdown => markdown::extract(decoded()?),
        Format::Code(media_type) => {
            let text = decoded()?;
            let whole = 0..text.len();
            Extracted { text, lines: vec![whole], media_type, ..Extracted::default() }
        }
        Format::Plain => {
            let media_type = "text/plain".into();
            Extracted { text: decoded()?, media_type, ..Extracted::default() }
        }
    })
}

#[cfg(test)]
mod tests;
