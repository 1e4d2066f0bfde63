//! Classifying texts by the words in them, with a memory of what was classified before.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Texts that are remembered.
const CAPACITY: usize = 10_000;
/// Tags, and the words that lead to them.
const TAGS: &[(&str, &[&str])] = &[
    ("announcement", &["new", "launch", "release", "announcement", "now"]),
    ("behind-the-scenes", &["behind", "scenes", "backstage", "making"]),
    ("beauty", &["makeup", "hair", "nails", "beauty", "skin"]),
    ("fashion", &["outfit", "dress", "style", "fashion", "lingerie"]),
    ("fitness", &["gym", "workout", "fitness", "yoga", "training"]),
    ("food", &["food", "recipe", "cooking", "dinner", "coffee"]),
    ("gaming", &["game", "gaming", "stream", "cosplay"]),
    ("music", &["song", "music", "album", "concert", "dance"]),
    ("promotion", &["sale", "discount", "offer", "free", "subscribe"]),
    ("question", &["what", "why", "how", "which", "tell"]),
    ("travel", &["travel", "beach", "hotel", "trip", "holiday"]),
    ("video", &["video", "clip", "film", "teaser", "trailer"]),
];

/// The classifier and its memory.
#[derive(Debug, Default)]
pub struct Taxonomy(Mutex<Memory>);

#[derive(Debug, Default)]
struct Memory {
    known: HashMap<String, Vec<&'static str>>,
    counters: Counters,
}

/// How the memory does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counters {
    /// Texts that were known.
    pub hits: u64,
    /// Texts that were not.
    pub misses: u64,
    /// Texts that are remembered.
    pub size: usize,
}

impl Taxonomy {
    /// The tags of a text, in alphabetical order, and whether they were remembered.
    pub fn classify(&self, text: &str) -> (Vec<&'static str>, bool) {
        let words = text.to_lowercase();
        let mut memory = self.lock();
        if let Some(tags) = memory.known.get(&words).cloned() {
            memory.counters.hits += 1;
            return (tags, true);
        }
        let tags = tags(&words);
        memory.counters.misses += 1;
        if memory.known.len() < CAPACITY {
            memory.known.insert(words, tags.clone());
        }
        (tags, false)
    }

    /// Forgets all texts; the counters go on.
    pub fn invalidate(&self) -> Counters {
        self.lock().known.clear();
        self.counters()
    }

    /// How the memory does.
    pub fn counters(&self) -> Counters {
        let memory = self.lock();
        Counters { size: memory.known.len(), ..memory.counters }
    }

    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn tags(text: &str) -> Vec<&'static str> {
    let words: Vec<&str> = text.split(|c: char| !c.is_alphanumeric()).collect();
    let meant = |meaning: &&(&str, &[&str])| meaning.1.iter().any(|word| words.contains(word));
    TAGS.iter().filter(meant).map(|(tag, _)| *tag).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_is_not_classified_again_until_it_is_forgotten() {
        let taxonomy = Taxonomy::default();
        assert_eq!(taxonomy.classify("A new Video!"), (vec!["announcement", "video"], false));
        assert_eq!(taxonomy.classify("a new video!"), (vec!["announcement", "video"], true));
        assert_eq!(taxonomy.counters(), Counters { hits: 1, misses: 1, size: 1 });
        assert_eq!(taxonomy.invalidate(), Counters { hits: 1, misses: 1, size: 0 });
        assert!(!taxonomy.classify("a new video!").1);
    }
}
