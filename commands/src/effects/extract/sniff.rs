//! What a file is, by its bytes first, then by its name, then by what its sender called it.

use super::{Source, Unreadable, encoding, html};
use std::borrow::Cow;

/// How far into a file its beginning may be preceded by something else.
const BEGINNING: usize = 1_024;

/// How a file is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Format {
    /// Portable Document Format.
    Pdf,
    /// Word since 2007.
    Docx,
    /// PowerPoint since 2007.
    Pptx,
    /// A workbook.
    Sheet(Workbook),
    /// A mail as it is sent.
    Mail,
    /// A page.
    Html,
    /// Values by lines, with what separates them.
    Csv(u8),
    /// JSON, or JSON by lines.
    Json,
    /// Markdown.
    Markdown,
    /// Source code and the like: lines mean something.
    Code(Cow<'static, str>),
    /// Anything else.
    Plain,
}

/// The kinds of workbooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Workbook {
    /// Excel since 2007.
    Xlsx,
    /// Its binary sister.
    Xlsb,
    /// Excel before 2007.
    Xls,
    /// OpenDocument.
    Ods,
}

/// Formats that begin with bytes of their own and are never text.
const UNREAD: [(&[u8], &str); 12] = [
    (b"\x89PNG", "PNG"),
    (b"\xFF\xD8\xFF", "JPEG"),
    (b"GIF8", "GIF"),
    (b"RIFF", "sound and film"),
    (b"ID3", "sound"),
    (b"OggS", "sound"),
    (b"\x1F\x8B", "gzip"),
    (b"7z\xBC\xAF", "7z"),
    (b"Rar!", "RAR"),
    (b"\x7FELF", "program"),
    (b"MZ\x90\0", "program"),
    (b"SQLite format 3\0", "SQLite"),
];
const ZIP: &[u8] = b"PK\x03\x04";
const EMPTY_ZIP: &[u8] = b"PK\x05\x06";
const OLE: &[u8] = b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1";

/// The name of the format when its parser is foreign.
pub(super) fn foreign(source: &Source<'_>) -> Option<&'static str> {
    let bytes = source.bytes;
    if is_pdf(bytes) {
        Some("PDF")
    } else if bytes.starts_with(ZIP) || bytes.starts_with(EMPTY_ZIP) {
        Some("ZIP and Office")
    } else if bytes.starts_with(OLE) {
        Some("old Office")
    } else if is_mail(source) {
        Some("mail")
    } else {
        None
    }
}

/// What the file is.
pub(super) fn sniff(source: &Source<'_>) -> Result<Format, Unreadable> {
    let bytes = source.bytes;
    if let Some((_, format)) = UNREAD.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return Err(Unreadable::Unsupported((*format).into()));
    }
    if is_pdf(bytes) {
        return Ok(Format::Pdf);
    }
    if bytes.starts_with(ZIP) {
        return zipped(source);
    }
    if bytes.starts_with(OLE) {
        return ole(bytes);
    }
    if is_mail(source) {
        return Ok(Format::Mail);
    }
    textual(source)
}

fn is_pdf(bytes: &[u8]) -> bool {
    contains(&bytes[..bytes.len().min(BEGINNING)], b"%PDF-")
}

/// Office files are archives; what they hold says which.
fn zipped(source: &Source<'_>) -> Result<Format, Unreadable> {
    let holds = |name: &[u8]| contains(source.bytes, name);
    if holds(b"word/document.xml") || holds(b"word/document2.xml") {
        Ok(Format::Docx)
    } else if holds(b"ppt/presentation.xml") {
        Ok(Format::Pptx)
    } else if holds(b"xl/workbook.xml") {
        Ok(Format::Sheet(Workbook::Xlsx))
    } else if holds(b"xl/workbook.bin") {
        Ok(Format::Sheet(Workbook::Xlsb))
    } else if holds(b"application/vnd.oasis.opendocument.spreadsheet") {
        Ok(Format::Sheet(Workbook::Ods))
    } else {
        // The beginning of one that broke off still has its name.
        Err(match office(source.name) {
            Some(format) => Unreadable::Damaged(format.into()),
            None => Unreadable::Unsupported("ZIP".into()),
        })
    }
}

/// The container of Office before 2007, and of encrypted files since.
fn ole(bytes: &[u8]) -> Result<Format, Unreadable> {
    let holds = |name: &str| {
        let name: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
        contains(bytes, &name)
    };
    if holds("EncryptedPackage") {
        Err(Unreadable::Encrypted("Office".into()))
    } else if holds("Workbook") || holds("Book") {
        Ok(Format::Sheet(Workbook::Xls))
    } else if holds("WordDocument") {
        Err(Unreadable::Unsupported("old Word (.doc; save it as .docx)".into()))
    } else if holds("PowerPoint Document") {
        Err(Unreadable::Unsupported("old PowerPoint (.ppt; save it as .pptx)".into()))
    } else {
        Err(Unreadable::Unsupported("old Office".into()))
    }
}

fn textual(source: &Source<'_>) -> Result<Format, Unreadable> {
    let media_type = source.media_type.split(';').next().unwrap_or_default().trim();
    let media_type = media_type.to_ascii_lowercase();
    let extension = extension(source.name);
    let beginning = encoding::beginning(source.bytes);
    if html::looks_like_html(&beginning) {
        return Ok(Format::Html);
    }
    if let Some(format) = office(source.name) {
        return Err(Unreadable::Damaged(format.into()));
    }
    Ok(match (extension.as_str(), media_type.as_str()) {
        ("html" | "htm" | "xhtml", _) | ("", "text/html" | "application/xhtml+xml") => Format::Html,
        ("md" | "markdown" | "mdown" | "mkd" | "mdx", _) | ("", "text/markdown") => {
            Format::Markdown
        }
        ("tsv" | "tab", _) | ("", "text/tab-separated-values") => Format::Csv(b'\t'),
        ("csv", _) | ("", "text/csv") => Format::Csv(super::csv::separator(&beginning)),
        ("json" | "jsonl" | "ndjson" | "geojson" | "ipynb", _) | ("", "application/json") => {
            Format::Json
        }
        ("txt" | "text" | "log", _) => Format::Plain,
        ("", _) if is_json(source.bytes) => Format::Json,
        (extension, _) => code(extension).map_or(Format::Plain, Format::Code),
    })
}

/// Formats that are never text, by the ending of a name.
fn office(name: &str) -> Option<&'static str> {
    Some(match extension(name).as_str() {
        "pdf" => "PDF",
        "docx" | "docm" | "dotx" => "Word",
        "pptx" | "pptm" | "ppsx" => "PowerPoint",
        "xlsx" | "xlsm" | "xlsb" | "xls" | "ods" => "Excel",
        "doc" => "old Word",
        "ppt" => "old PowerPoint",
        _ => return None,
    })
}

pub(super) fn extension(name: &str) -> String {
    name.rsplit_once('.').map_or("", |(_, extension)| extension).to_ascii_lowercase()
}

/// The media type of source code with this ending.
fn code(extension: &str) -> Option<Cow<'static, str>> {
    const MORE: [&str; 22] = [
        "kt", "swift", "scala", "go", "rb", "php", "pl", "lua", "r", "jl", "dart", "ex", "exs",
        "hs", "clj", "zig", "vue", "tf", "gradle", "sql", "proto", "graphql",
    ];
    let known = mime_guess::from_ext(extension).first_raw();
    let is_text = |media_type: &&str| {
        media_type.starts_with("text/") && *media_type != "text/plain"
            || ["javascript", "xml", "toml", "yaml", "x-sh"]
                .iter()
                .any(|end| media_type.ends_with(end))
    };
    known
        .filter(is_text)
        .map(Cow::Borrowed)
        .or_else(|| MORE.contains(&extension).then(|| format!("text/x-{extension}").into()))
}

fn is_json(bytes: &[u8]) -> bool {
    let begins = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    matches!(begins, Some(b'{' | b'['))
        && serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok()
}

/// Whether a file begins with the headers of a mail, or is called one.
fn is_mail(source: &Source<'_>) -> bool {
    const HEADERS: [&str; 9] = [
        "from",
        "to",
        "subject",
        "date",
        "message-id",
        "mime-version",
        "received",
        "return-path",
        "delivered-to",
    ];
    let beginning = &source.bytes[..source.bytes.len().min(8 << 10)];
    let beginning = beginning.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(beginning);
    let lines = beginning.split(|byte| *byte == b'\n').take_while(|line| line.trim_ascii() != b"");
    let mut known = 0;
    for line in lines {
        let folded = line.first().is_some_and(|byte| matches!(byte, b' ' | b'\t'));
        // Mailboxes begin so.
        if folded || line.starts_with(b"From ") {
            continue;
        }
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { break };
        let name = &line[..colon];
        if name.is_empty() || !name.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-') {
            break;
        }
        known += usize::from(HEADERS.iter().any(|h| name.eq_ignore_ascii_case(h.as_bytes())));
    }
    let called = extension(source.name) == "eml" || source.media_type.starts_with("message/rfc822");
    known >= if called { 1 } else { 3 }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(bytes, part).is_some()
}
