//! The words of a text as search sees them, the same for documents and questions and for every language.
//!
//! Runs of letters and digits are words, in lower case. Scripts that write no spaces are cut into overlapping pairs.

/// Longest word in bytes; what is longer is cut, so that a line of base64 is one short term.
const MAX_WORD: usize = 64;

/// Calls `each` for every word, in order.
pub fn for_each(text: &str, mut each: impl FnMut(&str)) {
    let mut word = String::new();
    let mut spaceless: Option<(char, bool)> = None;
    let mut pair = String::with_capacity(8);
    for c in text.chars() {
        if is_spaceless(c) {
            flush(&mut word, &mut each);
            if let Some((before, _)) = spaceless {
                pair.clear();
                pair.extend([before, c]);
                each(&pair);
            }
            spaceless = Some((c, spaceless.is_none()));
            continue;
        }
        end_run(&mut spaceless, &mut pair, &mut each);
        if c.is_alphanumeric() {
            if word.len() < MAX_WORD {
                word.extend(c.to_lowercase());
            }
        } else {
            flush(&mut word, &mut each);
        }
    }
    end_run(&mut spaceless, &mut pair, &mut each);
    flush(&mut word, &mut each);
}

/// All words, in order.
pub fn all(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    for_each(text, |word| words.push(word.to_owned()));
    words
}

/// A number that stands for a word (FNV-1a, 64 bits): the same on every machine and in every version.
pub fn number(word: &str) -> u64 {
    word.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// Every distinct word's number with how often it occurs, in order of the numbers; and the count of all words.
pub fn counted(text: &str) -> (Vec<(i64, i16)>, i32) {
    let mut numbers = Vec::new();
    for_each(text, |word| numbers.push(number(word).cast_signed()));
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

fn flush(word: &mut String, each: &mut impl FnMut(&str)) {
    if !word.is_empty() {
        each(word);
        word.clear();
    }
}

/// A run of a single spaceless character is a word of its own.
fn end_run(run: &mut Option<(char, bool)>, pair: &mut String, each: &mut impl FnMut(&str)) {
    if let Some((only, true)) = run.take() {
        pair.clear();
        pair.push(only);
        each(pair);
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
        | 0xFF66..=0xFF9D // kana, half width
        | 0x20000..=0x3134F) // Han, extensions
        && c.is_alphanumeric()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_letters_and_digits_in_lower_case() {
        assert_eq!(all("The user_id 42, ÉTÉ!"), ["the", "user", "id", "42", "été"]);
    }

    #[test]
    fn chinese_is_cut_into_pairs() {
        assert_eq!(all("知识库 API接口"), ["知识", "识库", "api", "接口"]);
        assert_eq!(all("好,x"), ["好", "x"]);
    }

    #[test]
    fn endless_words_are_cut() {
        assert_eq!(all(&"a".repeat(10_000)), ["a".repeat(64)]);
    }

    #[test]
    fn words_are_counted_by_number() {
        let (counted, total) = counted("b a b");
        let mut expected = [(number("a").cast_signed(), 1), (number("b").cast_signed(), 2)];
        expected.sort_unstable();
        assert_eq!((counted.as_slice(), total), (&expected[..], 3));
    }

    #[test]
    fn numbers_never_change() {
        assert_eq!(number("a"), 0xaf63_dc4c_8601_ec8c);
    }
}
