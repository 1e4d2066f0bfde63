//! From the bytes of a file to text that can be cut, searched and quoted.
//!
//! What a file is, its bytes say first and its name second. Every failure is a sentence for the person who uploaded it.

use super::extract_html;

/// The text of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extracted {
    /// The text; passages are offsets into it.
    pub text: String,
    /// Its headings, in order.
    pub outline: Vec<Heading>,
    /// What the file was recognised as.
    pub media_type: &'static str,
}

/// A heading within a text.
#[derive(Debug, Clone, PartialEq, Eq)]
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
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// No bytes, or only space.
    #[error("the file holds no text")]
    Empty,
    /// A format we know by its first bytes, and cannot read.
    #[error("{0} files cannot be read")]
    Unsupported(&'static str),
    /// Neither UTF-8 nor UTF-16, or not text at all.
    #[error("the file is not text in UTF-8 or UTF-16")]
    NotText,
}

/// Reads a file. `name` and `media_type` are hints by the client; neither is trusted over the bytes.
///
/// # Errors
/// [`Unreadable`].
pub fn extract(name: &str, media_type: &str, bytes: &[u8]) -> Result<Extracted, Unreadable> {
    if let Some(format) = binary_format(bytes) {
        return Err(Unreadable::Unsupported(format));
    }
    let text = decode(bytes)?;
    let extracted = match format_of(name, media_type, &text) {
        Format::Html => extract_html::extract(&text),
        Format::Markdown => {
            let outline = markdown_outline(&text);
            Extracted { text, outline, media_type: "text/markdown" }
        }
        Format::Plain => Extracted { text, outline: Vec::new(), media_type: "text/plain" },
    };
    if extracted.text.trim().is_empty() { Err(Unreadable::Empty) } else { Ok(extracted) }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Html,
    Markdown,
    Plain,
}

fn format_of(name: &str, media_type: &str, text: &str) -> Format {
    let extension = name.rsplit_once('.').map_or("", |(_, e)| e).to_ascii_lowercase();
    let media_type = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if extract_html::looks_like_html(text) {
        return Format::Html;
    }
    match (extension.as_str(), media_type.as_str()) {
        ("html" | "htm" | "xhtml", _) | ("", "text/html" | "application/xhtml+xml") => Format::Html,
        ("md" | "markdown" | "mdown" | "mkd", _) | ("", "text/markdown") => Format::Markdown,
        _ => Format::Plain,
    }
}

/// Formats that begin with bytes of their own.
fn binary_format(bytes: &[u8]) -> Option<&'static str> {
    const KNOWN: [(&[u8], &str); 10] = [
        (b"%PDF-", "PDF"),
        (b"PK\x03\x04", "ZIP and Office"),
        (b"\xD0\xCF\x11\xE0", "old Office"),
        (b"\x89PNG", "PNG"),
        (b"\xFF\xD8\xFF", "JPEG"),
        (b"GIF8", "GIF"),
        (b"\x1F\x8B", "gzip"),
        (b"7z\xBC\xAF", "7z"),
        (b"Rar!", "RAR"),
        (b"\x7FELF", "program"),
    ];
    KNOWN.iter().find(|(magic, _)| bytes.starts_with(magic)).map(|(_, format)| *format)
}

fn decode(bytes: &[u8]) -> Result<String, Unreadable> {
    let text = match bytes {
        [0xEF, 0xBB, 0xBF, rest @ ..] => utf8(rest)?,
        [0xFF, 0xFE, rest @ ..] => utf16(rest, u16::from_le_bytes)?,
        [0xFE, 0xFF, rest @ ..] => utf16(rest, u16::from_be_bytes)?,
        _ => match unmarked_utf16(bytes) {
            Some(read) => utf16(bytes, read)?,
            None => utf8(bytes)?,
        },
    };
    // A text holds no NUL, and few other control characters.
    let strange = text.chars().filter(|c| c.is_control() && !c.is_whitespace()).count();
    if text.contains('\0') || strange * 100 > text.len() {
        Err(Unreadable::NotText)
    } else {
        Ok(text)
    }
}

fn utf8(bytes: &[u8]) -> Result<String, Unreadable> {
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| Unreadable::NotText)
}

fn utf16(bytes: &[u8], read: fn([u8; 2]) -> u16) -> Result<String, Unreadable> {
    let (pairs, []) = bytes.as_chunks::<2>() else { return Err(Unreadable::NotText) };
    let units = pairs.iter().map(|pair| read(*pair));
    char::decode_utf16(units).collect::<Result<_, _>>().map_err(|_| Unreadable::NotText)
}

/// UTF-16 without a mark is told by its zero bytes: nearly all in the high halves, nearly none in the low ones.
fn unmarked_utf16(bytes: &[u8]) -> Option<fn([u8; 2]) -> u16> {
    let (pairs, []) = bytes.as_chunks::<2>() else { return None };
    let sample = &pairs[..pairs.len().min(2_048)];
    let zeros = |half: usize| sample.iter().filter(|pair| pair[half] == 0).count();
    let (first, second) = (zeros(0), zeros(1));
    if second * 10 > sample.len() * 3 && first * 20 <= sample.len() {
        Some(u16::from_le_bytes)
    } else if first * 10 > sample.len() * 3 && second * 20 <= sample.len() {
        Some(u16::from_be_bytes)
    } else {
        None
    }
}

/// The `#` headings outside fenced code.
fn markdown_outline(text: &str) -> Vec<Heading> {
    let mut outline = Vec::new();
    let (mut at, mut fence) = (0, None);
    for line in text.split_inclusive('\n') {
        let start = at;
        at += line.len();
        let line = line.trim_end();
        let indent = line.len() - line.trim_start_matches(' ').len();
        let body = line.trim_start_matches(' ');
        if indent > 3 {
            continue;
        }
        if let Some(mark) = ["```", "~~~"].into_iter().find(|mark| body.starts_with(mark)) {
            match fence {
                None => fence = Some(mark),
                Some(open) if open == mark => fence = None,
                Some(_) => {}
            }
            continue;
        }
        let level = body.len() - body.trim_start_matches('#').len();
        let title = &body[level..];
        if fence.is_none() && (1..=6).contains(&level) && title.starts_with([' ', '\t']) {
            let title = title.trim().trim_end_matches('#').trim().to_owned();
            if !title.is_empty() {
                let level = u8::try_from(level).unwrap_or(6);
                outline.push(Heading { start, end: start + line.len(), level, title });
            }
        }
    }
    outline
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn utf16_bytes(text: &str, write: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(write).collect()
    }

    #[test]
    fn text_comes_out_whatever_unicode_it_is_written_in() {
        let text = "Größe: 知识库 😀, and so on in English";
        let marked = |mark: &[u8], bytes: Vec<u8>| [mark, &bytes].concat();
        for bytes in [
            text.as_bytes().to_vec(),
            marked(b"\xEF\xBB\xBF", text.as_bytes().to_vec()),
            marked(b"\xFF\xFE", utf16_bytes(text, u16::to_le_bytes)),
            marked(b"\xFE\xFF", utf16_bytes(text, u16::to_be_bytes)),
            utf16_bytes(text, u16::to_le_bytes),
            utf16_bytes(text, u16::to_be_bytes),
        ] {
            assert_eq!(extract("a.txt", "", &bytes).unwrap().text, text, "{bytes:?}");
        }
    }

    #[test]
    fn what_is_no_text_says_so() {
        let failed = |bytes: &[u8]| extract("a.txt", "text/plain", bytes).unwrap_err();
        assert_eq!(failed(b""), Unreadable::Empty);
        assert_eq!(failed(b" \n\t"), Unreadable::Empty);
        assert_eq!(failed(b"%PDF-1.7"), Unreadable::Unsupported("PDF"));
        assert_eq!(failed(b"\xC4\xE3\xBA\xC3"), Unreadable::NotText);
        assert_eq!(failed(b"a\0b\0\0c"), Unreadable::NotText);
        assert_eq!(failed(b"\xFF\xFEa"), Unreadable::NotText);
        assert_eq!(failed(b"\xFF\xFE\x00\xD8"), Unreadable::NotText);
        assert_eq!(failed(b"\x01\x02\x03 ab"), Unreadable::NotText);
    }

    #[test]
    fn markdown_has_an_outline_and_code_does_not() {
        let text = "# One\r\n\n```sh\n# not this\n```\n## Two ##\n#hashtag\n    # code\n";
        let found = extract("a.md", "", text.as_bytes()).unwrap();
        assert_eq!(found.media_type, "text/markdown");
        let titles: Vec<_> = found.outline.iter().map(|h| (h.level, h.title.as_str())).collect();
        assert_eq!(titles, [(1, "One"), (2, "Two")]);
        let two = &found.outline[1];
        assert_eq!(&found.text[two.start..two.end], "## Two ##");
    }

    #[test]
    fn the_bytes_win_over_the_name() {
        let page = b"\n<!DOCTYPE html><p>Hi";
        assert_eq!(extract("a.txt", "text/plain", page).unwrap().media_type, "text/html");
        assert_eq!(extract("a.md", "", b"a < b").unwrap().media_type, "text/markdown");
        assert_eq!(extract("a", "text/html; charset=utf-8", b"a &lt; b").unwrap().text, "a < b");
    }
}
