//! Texts that are about something: words as frequent as in real ones, some of them bound to a topic.

/// Words that occur at all.
const VOCABULARY: u64 = 30_000;
/// Topics; each has words of its own.
const TOPICS: u64 = 400;
/// Words of a topic.
const PER_TOPIC: u64 = 60;
const SYLLABLES: [&str; 24] = [
    "ka", "lor", "mi", "ven", "ta", "sur", "no", "rel", "di", "pan", "os", "eth", "bru", "cal",
    "fi", "gan", "hul", "jor", "pel", "qua", "ster", "ul", "wen", "zim",
];

/// Scattered numbers from a seed, the same on every machine.
#[derive(Debug, Clone)]
pub(super) struct Scatter(pub u64);

impl Scatter {
    /// The next number.
    pub fn next(&mut self) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// The next number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    /// A word of the language: the n-th is drawn about 1/n as often as the first.
    fn common(&mut self) -> String {
        let unit = self.below(1 << 53) as f64 / (1_u64 << 53) as f64;
        word((VOCABULARY as f64).powf(unit) as u64)
    }
}

/// `words` words about `topic`, every third one of the topic's own.
pub(super) fn text(scatter: &mut Scatter, topic: u64, words: usize) -> String {
    let mut text = String::with_capacity(words * 8);
    for n in 0..words {
        if n > 0 {
            text.push_str(if n % 14 == 0 { ". " } else { " " });
        }
        if n % 3 == 0 {
            text.push_str(&own(topic, scatter.below(PER_TOPIC)));
        } else {
            text.push_str(&scatter.common());
        }
    }
    text.push('.');
    text
}

/// A topic, the same for the same number.
pub(super) fn topic(number: u64) -> u64 {
    number % TOPICS
}

fn own(topic: u64, number: u64) -> String {
    word(VOCABULARY + topic * PER_TOPIC + number)
}

fn word(number: u64) -> String {
    let (mut rest, mut word) = (number + 1, String::new());
    let base = SYLLABLES.len() as u64;
    while rest > 0 {
        word.push_str(SYLLABLES[usize::try_from(rest % base).unwrap_or(0)]);
        rest /= base;
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_text_and_topics_differ() {
        let about = |topic| text(&mut Scatter(7), topic, 30);
        assert_eq!(about(1), about(1));
        assert_ne!(about(1), about(2));
        assert_eq!(about(1).split_whitespace().count(), 30);
    }
}
