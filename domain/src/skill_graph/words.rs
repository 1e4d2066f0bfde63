//! Texts as the words that count.

/// Words that say nothing.
const STOP: &[&str] = &[
    "a", "an", "and", "are", "as", "at", "be", "by", "can", "do", "for", "from", "have", "i", "in",
    "into", "is", "it", "its", "me", "my", "of", "on", "or", "our", "so", "that", "the", "their",
    "them", "then", "this", "to", "up", "we", "what", "when", "with", "you", "your",
];

/// The words of a text in lower case, then pairs of neighbours joined by a dash.
pub fn tokens(text: &str) -> Vec<String> {
    let inner = |c: char| c.is_alphanumeric() || matches!(c, '-' | '+' | '#');
    let lower = text.to_lowercase();
    let words: Vec<&str> = lower
        .split(|c: char| !inner(c))
        .map(|word| word.trim_matches('-'))
        .filter(|word| word.chars().count() >= 2 && !STOP.contains(word))
        .collect();
    let pairs = words.windows(2).map(|pair| pair.join("-"));
    words.iter().map(|word| (*word).to_owned()).chain(pairs).collect()
}
