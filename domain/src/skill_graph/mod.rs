//! Skills as a graph: which of them a task calls for. The same skills and the same task always give the same answer.

mod rank;
mod spread;
#[cfg(test)]
mod tests;
mod words;

pub use spread::{Fired, LEAK_RATE, spread};
pub use words::tokens;

use crate::skill_edges::Pair;
use rank::Index;
use std::collections::{BTreeMap, BTreeSet};

/// Skills from which a task spreads.
const SEEDS: usize = 5;
/// Constant of reciprocal rank fusion.
const FUSION: f64 = 60.0;
/// Terms of a description that count.
const TERMS: usize = 5;
/// Weight of an edge between a skill and its category.
const KINSHIP: f64 = 0.3;
/// Part of the largest term of entropy below which a candidate is dropped.
const GATE: f64 = 0.05;

/// One skill.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Skill {
    /// Its name, unique.
    pub name: String,
    /// Where it belongs, for example `01-planning`.
    pub category: String,
    /// What it is good for.
    pub description: String,
    /// Words it is filed under.
    pub tags: Vec<String>,
    /// What it is about.
    pub concepts: Vec<String>,
    /// Neighbours, and how near they are, from 0 to 1.
    pub related: Vec<(String, f64)>,
    /// The skill itself, Markdown.
    pub content: String,
}

/// All skills, and what leads from one to another.
#[derive(Debug, Default)]
pub struct Graph {
    skills: Vec<Skill>,
    by_name: BTreeMap<String, usize>,
    index: Index,
    /// Edges by node; nodes beyond the skills are categories.
    edges: Vec<Vec<(usize, f64)>>,
}

/// A skill that a task calls for.
#[derive(Debug, Clone, PartialEq)]
pub struct Activated {
    /// Which one, as its place in [`Graph::skills`].
    pub skill: usize,
    /// How much.
    pub score: f64,
    /// Steps from the nearest skill that the task itself names; 0 for those.
    pub hops: u32,
    /// What matched.
    pub matched: Matched,
}

/// What of a skill matches a task.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Matched {
    /// Tags.
    pub tags: Vec<String>,
    /// Concepts.
    pub concepts: Vec<String>,
    /// Words of the description.
    pub terms: Vec<String>,
}

/// What came of a task.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Activation {
    /// The skills, best first.
    pub skills: Vec<Activated>,
    /// How many fired, before the limit.
    pub fired: usize,
}

impl Graph {
    /// The graph of these skills; of several of one name the last one counts.
    pub fn of(skills: Vec<Skill>) -> Self {
        Self::with(skills, &BTreeMap::new())
    }

    /// The same, with what was learnt besides: authored edges never sink below what their author gave them.
    pub fn with(skills: Vec<Skill>, learned: &BTreeMap<Pair, f64>) -> Self {
        let named: BTreeMap<String, Skill> =
            skills.into_iter().map(|skill| (skill.name.clone(), skill)).collect();
        let skills: Vec<Skill> = named.into_values().collect();
        let by_name: BTreeMap<String, usize> =
            skills.iter().enumerate().map(|(at, skill)| (skill.name.clone(), at)).collect();
        let categories: BTreeSet<&str> = skills.iter().map(|s| s.category.as_str()).collect();
        let anchors: BTreeMap<&str, usize> = categories.into_iter().zip(skills.len()..).collect();
        let mut weights: BTreeMap<(usize, usize), f64> = BTreeMap::new();
        for (at, skill) in skills.iter().enumerate() {
            let mut connect = |other: usize, weight: f64| {
                for edge in [(at, other), (other, at)] {
                    let known = weights.entry(edge).or_insert(weight);
                    *known = known.max(weight);
                }
            };
            for (name, weight) in &skill.related {
                if let Some(other) = by_name.get(name).filter(|other| **other != at) {
                    connect(*other, weight.clamp(0.0, 1.0));
                }
            }
            if let Some(anchor) = anchors.get(skill.category.as_str()) {
                connect(*anchor, KINSHIP);
            }
        }
        for ((from, to), weight) in learned {
            if let (Some(from), Some(to)) = (by_name.get(from), by_name.get(to)) {
                for edge in [(*from, *to), (*to, *from)] {
                    let known = weights.entry(edge).or_insert(*weight);
                    *known = known.max(*weight);
                }
            }
        }
        let mut edges = vec![Vec::new(); skills.len() + anchors.len()];
        for ((from, to), weight) in weights {
            edges[from].push((to, weight));
        }
        let index = Index::of(&skills);
        Self { skills, by_name, index, edges }
    }

    /// All skills, by name.
    pub fn skills(&self) -> &[Skill] {
        &self.skills
    }

    /// The place of the skill of this name.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// How near two skills are to each other by an edge between them; 0 without one.
    pub fn weight(&self, from: &str, to: &str) -> f64 {
        let (Some(from), Some(to)) = (self.find(from), self.find(to)) else { return 0.0 };
        self.edges[from].iter().find(|(at, _)| *at == to).map_or(0.0, |(_, weight)| *weight)
    }

    /// Skills that hold words of the query, best first. The last word may be the beginning of one.
    pub fn search(&self, query: &str) -> Vec<(usize, f64)> {
        self.index.search(&tokens(query), true)
    }

    /// Neighbours of a skill with the best path to each: an edge, or two over its category.
    pub fn related(&self, skill: usize) -> Vec<(usize, f64)> {
        let mut best: BTreeMap<usize, f64> = BTreeMap::new();
        let mut found = |at: usize, weight: f64| {
            if at != skill && at < self.skills.len() {
                let known = best.entry(at).or_insert(weight);
                *known = known.max(weight);
            }
        };
        for (next, weight) in &self.edges[skill] {
            found(*next, *weight);
            if *next >= self.skills.len() {
                for (beyond, other) in &self.edges[*next] {
                    found(*beyond, weight * other * LEAK_RATE);
                }
            }
        }
        let mut found: Vec<_> = best.into_iter().collect();
        sort(&mut found);
        found
    }

    /// What a task calls for, best first.
    pub fn activate(&self, task: &str, limit: usize) -> Activation {
        let tokens = tokens(task);
        let known: BTreeSet<&str> = tokens.iter().map(String::as_str).collect();
        let direct: Vec<(f64, Matched)> =
            self.skills.iter().map(|skill| matched(skill, &known)).collect();
        let seeds = self.seeds(&tokens, &direct);
        let fired = spread(&self.edges, &seeds, self.skills.len());
        let mut found: Vec<Activated> = fired
            .iter()
            .map(|fired| {
                let (direct, matched) = &direct[fired.node];
                let score = 0.6 * direct + 0.4 * fired.potential.min(1.0);
                let (skill, hops, matched) = (fired.node, fired.hops, matched.clone());
                Activated { skill, score, hops, matched }
            })
            .collect();
        gate(&mut found);
        // Places are in the order of names.
        found.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.skill.cmp(&b.skill)));
        let fired = found.len();
        found.truncate(limit);
        Activation { skills: found, fired }
    }

    /// The best of what matches directly and what the words rank, in the order of their places.
    fn seeds(&self, tokens: &[String], direct: &[(f64, Matched)]) -> Vec<usize> {
        let mut by_match: Vec<(usize, f64)> = direct
            .iter()
            .enumerate()
            .filter(|(_, (score, _))| *score > 0.0)
            .map(|(at, (score, _))| (at, *score))
            .collect();
        sort(&mut by_match);
        let mut fused: BTreeMap<usize, f64> = BTreeMap::new();
        for list in [by_match, self.index.search(tokens, false)] {
            for (rank, (at, _)) in (1_u32..).zip(list) {
                *fused.entry(at).or_default() += 1.0 / (FUSION + f64::from(rank));
            }
        }
        let mut fused: Vec<_> = fused.into_iter().collect();
        sort(&mut fused);
        let mut seeds: Vec<usize> = fused.into_iter().take(SEEDS).map(|(at, _)| at).collect();
        seeds.sort_unstable();
        seeds
    }
}

/// Best first, then by place.
fn sort(found: &mut [(usize, f64)]) {
    found.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
}

fn matched(skill: &Skill, known: &BTreeSet<&str>) -> (f64, Matched) {
    let found = |words: &[String]| -> Vec<String> {
        words.iter().filter(|word| known.contains(word.to_lowercase().as_str())).cloned().collect()
    };
    let mut terms: Vec<String> = tokens(&skill.description)
        .into_iter()
        .filter(|term| !term.contains('-') && known.contains(term.as_str()))
        .collect();
    terms.sort();
    terms.dedup();
    terms.truncate(TERMS);
    let matched = Matched { tags: found(&skill.tags), concepts: found(&skill.concepts), terms };
    let count = |words: &[String]| u32::try_from(words.len()).map_or(f64::MAX, f64::from);
    let named = if known.contains(skill.name.as_str()) { 0.5 } else { 0.0 };
    let score = 0.3 * count(&matched.tags)
        + 0.2 * count(&matched.concepts)
        + 0.1 * count(&matched.terms)
        + named;
    (score.min(1.0), matched)
}

/// Drops from the tail what adds next to nothing; never what the task itself names.
fn gate(found: &mut Vec<Activated>) {
    let total: f64 = found.iter().map(|found| found.score).sum();
    if total <= 0.0 {
        return;
    }
    let term = |found: &Activated| {
        let part = found.score / total;
        if part > 0.0 { -part * part.log2() } else { 0.0 }
    };
    let largest = found.iter().map(term).fold(0.0, f64::max);
    found.retain(|found| found.hops == 0 || term(found) >= GATE * largest);
}
