//! The words of a text as search sees them, the same for documents and questions.
//!
//! Runs of letters and digits are words: in one of their spellings (full width is half width, ligatures are letters), in
//! lower case, cut to their stem, without accents. Scripts that write no spaces are cut into characters and overlapping
//! pairs of them.

use rust_stemmers::{Algorithm, Stemmer};
use std::borrow::Cow;
use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

/// Longest word in bytes; what is longer is cut, so that a line of base64 is one short term.
const MAX_WORD: usize = 64;

/// How the words of one knowledge base are stemmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Language(Algorithm);

impl Language {
    /// By what the owner of a knowledge base calls its language, e.g. `zh-cn` or `de`. Words in Latin letters that stand
    /// in texts of other scripts, or of an unknown language, are taken to be English.
    pub fn of(name: &str) -> Self {
        let primary = name.split(['-', '_']).next().unwrap_or_default();
        Self(match primary.to_ascii_lowercase().as_str() {
            "da" => Algorithm::Danish,
            "de" => Algorithm::German,
            "es" => Algorithm::Spanish,
            "fi" => Algorithm::Finnish,
            "fr" => Algorithm::French,
            "hu" => Algorithm::Hungarian,
            "it" => Algorithm::Italian,
            "nb" | "nn" | "no" => Algorithm::Norwegian,
            "nl" => Algorithm::Dutch,
            "pt" => Algorithm::Portuguese,
            "ro" => Algorithm::Romanian,
            "sv" => Algorithm::Swedish,
            "tr" => Algorithm::Turkish,
            _ => Algorithm::English,
        })
    }

    /// The stem of a word without accents. Other alphabets than the Latin one tell the language by themselves.
    fn stem<'a>(self, word: &'a str) -> Cow<'a, str> {
        let Some(first) = word.chars().next() else { return Cow::Borrowed(word) };
        let algorithm = match u32::from(first) {
            0x0370..=0x03FF | 0x1F00..=0x1FFF => Algorithm::Greek,
            0x0400..=0x052F => Algorithm::Russian,
            0x0600..=0x06FF => Algorithm::Arabic,
            0x0B80..=0x0BFF => Algorithm::Tamil,
            0x0000..=0x024F | 0x1E00..=0x1EFF => self.0,
            _ => return Cow::Borrowed(word),
        };
        if !word.chars().all(char::is_alphabetic) {
            return Cow::Borrowed(word);
        }
        let stemmer = Stemmer::create(algorithm);
        match algorithm {
            // In English words accents are foreign, and unknown to the stemmer.
            Algorithm::English => Cow::Owned(stemmer.stem(&unaccented(word.into())).into_owned()),
            Algorithm::Arabic | Algorithm::Tamil => stemmer.stem(word),
            _ => unaccented(stemmer.stem(word)),
        }
    }
}

/// The word without the marks above and below its letters.
fn unaccented(word: Cow<'_, str>) -> Cow<'_, str> {
    if word.is_ascii() {
        return word;
    }
    Cow::Owned(word.nfd().filter(|c| !is_combining_mark(*c)).collect())
}

/// Calls `each` for every term of a text, in order.
pub fn for_each(text: &str, language: Language, mut each: impl FnMut(&str)) {
    let normal = if text.is_ascii() { Cow::Borrowed(text) } else { text.nfkc().collect() };
    let mut word = String::new();
    let mut pair = String::with_capacity(8);
    let mut before: Option<char> = None;
    for c in normal.chars() {
        if is_spaceless(c) {
            flush(&mut word, language, &mut each);
            pair.clear();
            pair.extend(before);
            pair.push(c);
            if before.is_some() {
                each(&pair);
            }
            each(c.encode_utf8(&mut [0; 4]));
            before = Some(c);
            continue;
        }
        before = None;
        if c.is_alphanumeric() {
            if word.len() < MAX_WORD {
                word.extend(c.to_lowercase());
            }
        } else {
            flush(&mut word, language, &mut each);
        }
    }
    flush(&mut word, language, &mut each);
}

/// A number that stands for a word (FNV-1a, 64 bits): the same on every machine and in every version.
pub fn number(word: &str) -> u64 {
    word.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// Every distinct term's number with how often it occurs, in order of the numbers; and the count of all terms.
pub fn counted(text: &str, language: Language) -> (Vec<(i64, i16)>, i32) {
    let mut numbers = Vec::new();
    for_each(text, language, |word| numbers.push(number(word).cast_signed()));
    let total = i32::try_from(numbers.len()).unwrap_or(i32::MAX);
    numbers.sort_unstable();
    let mut counted: Vec<(i64, i16)> = Vec::new();
    for n in numbers {
        match counted.last_mut() {
            Some((last, count)) if *last == n => *count = count.saturating_add(1),
            _ => counted.push((n, 1)),
        }
    }
    (counted, total)
}

fn flush(word: &mut String, language: Language, each: &mut impl FnMut(&str)) {
    if !word.is_empty() {
        each(&language.stem(word));
        word.clear();
    }
}

/// Letters of scripts that put no spaces between words (or, as Hangul, glue particles to them).
fn is_spaceless(c: char) -> bool {
    matches!(u32::from(c),
        0x0E00..=0x0EFF // Thai, Lao
        | 0x1000..=0x109F // Myanmar
        | 0x1780..=0x17FF // Khmer
        | 0x3005..=0x3007 // 々 〆 〇
        | 0x3040..=0x30FF // kana
        | 0x3400..=0x4DBF | 0x4E00..=0x9FFF // Han
        | 0xAC00..=0xD7A3 // Hangul
        | 0xF900..=0xFAFF // Han, compatibility
        | 0x20000..=0x3134F) // Han, extensions
        && c.is_alphanumeric()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str, language: &str) -> Vec<String> {
        let mut words = Vec::new();
        for_each(text, Language::of(language), |word| words.push(word.to_owned()));
        words
    }

    #[test]
    fn words_are_letters_and_digits_in_lower_case() {
        assert_eq!(all("The user_id 42, v2!", "en"), ["the", "user", "id", "42", "v2"]);
        assert_eq!(all("ＡＰＩ ﬁle", "zh-cn"), ["api", "file"]);
    }

    #[test]
    fn words_are_stemmed_as_their_language_does() {
        assert_eq!(all("uploading uploads uploaded", "en"), ["upload"; 3]);
        assert_eq!(all("Häuser Haus", "de-DE"), ["haus"; 2]);
        assert_eq!(all("книги книга", "zh-cn"), ["книг"; 2]);
        assert_eq!(all("Résumés resume", "zh-cn"), ["resum"; 2]);
    }

    #[test]
    fn chinese_is_cut_into_characters_and_pairs() {
        let cut = ["知", "知识", "识", "识库", "库", "api", "接", "接口", "口"];
        assert_eq!(all("知识库 API接口", "zh-cn"), cut);
        assert_eq!(all("好,x", "zh-cn"), ["好", "x"]);
    }

    #[test]
    fn endless_words_are_cut() {
        assert_eq!(all(&"7".repeat(10_000), "en"), ["7".repeat(64)]);
    }

    #[test]
    fn words_are_counted_by_number() {
        let (counted, total) = counted("b a b", Language::of("en"));
        let mut expected = [(number("a").cast_signed(), 1), (number("b").cast_signed(), 2)];
        expected.sort_unstable();
        assert_eq!((counted.as_slice(), total), (&expected[..], 3));
    }

    #[test]
    fn numbers_never_change() {
        assert_eq!(number("a"), 0xaf63_dc4c_8601_ec8c);
    }
}
