//! From bytes to text, whatever it was written with.

use super::{Source, Unreadable};
use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, GB18030, UTF_8, UTF_16BE, UTF_16LE};

/// Bytes that are looked at to find out.
const SAMPLE: usize = 256 << 10;
/// Texts with fewer letters outside ASCII are too short for a detector to tell Chinese from Korean.
const SHORT: usize = 24;
/// Bytes of which the beginning of a text is decoded to see what it is.
const BEGINNING: usize = 4 << 10;

/// Decodes a text; `declared` is what it, or whoever sent it, says of itself.
///
/// # Errors
/// [`Unreadable::NotText`].
pub(super) fn decode(
    bytes: &[u8],
    declared: Option<&'static Encoding>,
) -> Result<String, Unreadable> {
    let text = if let Some((encoding, mark)) = Encoding::for_bom(bytes) {
        strict(encoding, &bytes[mark..]).ok_or(Unreadable::NotText)?
    } else if let Some(encoding) = unmarked_utf16(bytes) {
        strict(encoding, bytes).ok_or(Unreadable::NotText)?
    } else if bytes.contains(&0) {
        return Err(Unreadable::NotText);
    } else if let Ok(text) = std::str::from_utf8(bytes) {
        text.to_owned()
    } else {
        let declared = declared.and_then(|encoding| strict(encoding, bytes));
        declared.unwrap_or_else(|| guess(bytes).decode_without_bom_handling(bytes).0.into_owned())
    };
    // A text holds no NUL, and few other control characters.
    let strange =
        text.chars().filter(|c| c.is_control() && !c.is_whitespace() || *c == '\u{FFFD}').count();
    if text.contains('\0') || strange * 100 > text.len() {
        Err(Unreadable::NotText)
    } else {
        Ok(text)
    }
}

/// The first lines as well as they can be read, to see what they are.
pub(super) fn beginning(bytes: &[u8]) -> String {
    let bytes = &bytes[..bytes.len().min(BEGINNING)];
    let encoding = unmarked_utf16(&bytes[..bytes.len() & !1]).unwrap_or(UTF_8);
    encoding.decode(bytes).0.into_owned()
}

/// The encoding that a page or its sender declares.
pub(super) fn declared(source: &Source<'_>) -> Option<&'static Encoding> {
    let beginning = &source.bytes[..source.bytes.len().min(BEGINNING)];
    let beginning = String::from_utf8_lossy(beginning).to_ascii_lowercase();
    [source.media_type, &beginning].into_iter().find_map(|text| {
        let (_, label) = text.split_once("charset=").or_else(|| {
            text.starts_with("<?xml").then(|| text.split_once("encoding=")).flatten()
        })?;
        let label = label.trim_start_matches(['"', '\'']);
        let end = label.find(|c: char| !c.is_ascii_alphanumeric() && !"-_:.".contains(c));
        Encoding::for_label(&label.as_bytes()[..end.unwrap_or(label.len())])
    })
}

fn strict(encoding: &'static Encoding, bytes: &[u8]) -> Option<String> {
    let text = encoding.decode_without_bom_handling_and_without_replacement(bytes)?;
    Some(text.into_owned())
}

/// What eight-bit encoding this most probably is; they all decode most bytes.
fn guess(bytes: &[u8]) -> &'static Encoding {
    let sample = &bytes[..bytes.len().min(SAMPLE)];
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Allow);
    detector.feed(sample, sample.len() == bytes.len());
    let guess = detector.guess(None, Utf8Detection::Allow);
    let pairs = chinese_pairs(sample);
    let chinese = pairs > 0 && (guess.is_single_byte() || pairs < SHORT);
    if guess == encoding_rs::GBK || chinese {
        // All that is in GBK is the same in its successor.
        GB18030
    } else {
        guess
    }
}

/// How many pairs there are, if all that is not ASCII comes in pairs as in GB 2312; else none.
fn chinese_pairs(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    let mut pairs = 0;
    while let Some(at) = rest.iter().position(|byte| !byte.is_ascii()) {
        match rest[at..] {
            [0xA1..=0xA3 | 0xB0..=0xF7, 0xA1..=0xFE, ..] => pairs += 1,
            // Cut in the middle by the end of the sample.
            [_] if pairs > 0 => break,
            _ => return 0,
        }
        rest = &rest[at + 2..];
    }
    pairs
}

/// UTF-16 without a mark: read the right way round nearly everything is common, read the other way next to nothing.
fn unmarked_utf16(bytes: &[u8]) -> Option<&'static Encoding> {
    let (pairs, []) = bytes.as_chunks::<2>() else { return None };
    let sample = &pairs[..pairs.len().min(2_048)];
    let common = |read: fn([u8; 2]) -> u16| {
        sample.iter().filter(|pair| is_common(read(**pair))).count() * 10 >= sample.len() * 9
    };
    if sample.is_empty() || std::str::from_utf8(bytes).is_ok_and(|text| !text.contains('\0')) {
        return None;
    }
    match (common(u16::from_le_bytes), common(u16::from_be_bytes)) {
        (true, false) => Some(UTF_16LE),
        (false, true) => Some(UTF_16BE),
        _ => None,
    }
}

/// Latin with its accents, Chinese, Japanese, punctuation, surrogates of emoji.
fn is_common(unit: u16) -> bool {
    matches!(unit,
        0x09 | 0x0A | 0x0D | 0x20..=0x7E | 0xA0..=0x17F | 0x2010..=0x2030 | 0x3000..=0x30FF
        | 0x4E00..=0x9FFF | 0xFF01..=0xFF5E | 0xD83C..=0xD83E | 0xDC00..=0xDFFF)
}
