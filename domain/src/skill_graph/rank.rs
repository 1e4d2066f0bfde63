//! BM25 over the texts of skills.

use super::{Skill, sort, words::tokens};
use std::collections::BTreeMap;

const K1: f64 = 1.2;
const B: f64 = 0.75;

/// How often which word is in which skill.
#[derive(Debug, Default)]
pub(super) struct Index {
    postings: BTreeMap<String, BTreeMap<usize, u32>>,
    lengths: Vec<u32>,
}

impl Index {
    pub fn of(skills: &[Skill]) -> Self {
        let mut index = Self::default();
        for (at, skill) in skills.iter().enumerate() {
            let tags = skill.tags.join(" ");
            let name = skill.name.replace('-', " ");
            let parts = [
                (name.as_str(), 3),
                (tags.as_str(), 2),
                (skill.description.as_str(), 1),
                (skill.content.as_str(), 1),
            ];
            let mut length = 0;
            for (text, weight) in parts {
                for token in tokens(text) {
                    *index.postings.entry(token).or_default().entry(at).or_default() += weight;
                    length += weight;
                }
            }
            index.lengths.push(length);
        }
        index
    }

    /// Places and scores of what holds one of the words, best first.
    pub fn search(&self, words: &[String], prefix: bool) -> Vec<(usize, f64)> {
        let all = f64::from(u32::try_from(self.lengths.len()).unwrap_or(u32::MAX));
        let sum: f64 = self.lengths.iter().map(|length| f64::from(*length)).sum();
        let average = if sum > 0.0 { sum / all } else { 1.0 };
        let mut scores: BTreeMap<usize, f64> = BTreeMap::new();
        let last = words.iter().rposition(|word| !word.contains('-'));
        for (at, word) in words.iter().enumerate() {
            let mut found: BTreeMap<usize, u32> = BTreeMap::new();
            let matching = |known: &&String| match prefix && Some(at) == last {
                true => known.starts_with(word.as_str()),
                false => *known == word,
            };
            for known in
                self.postings.range(word.clone()..).map(|(known, _)| known).take_while(matching)
            {
                for (skill, count) in &self.postings[known] {
                    *found.entry(*skill).or_default() += count;
                }
            }
            let holders = f64::from(u32::try_from(found.len()).unwrap_or(u32::MAX));
            let rarity = ((all - holders + 0.5) / (holders + 0.5)).ln_1p();
            for (skill, count) in found {
                let (count, length) = (f64::from(count), f64::from(self.lengths[skill]));
                let norm = K1 * (1.0 - B + B * length / average);
                *scores.entry(skill).or_default() += rarity * count * (K1 + 1.0) / (count + norm);
            }
        }
        let mut found: Vec<_> = scores.into_iter().collect();
        sort(&mut found);
        found
    }
}
