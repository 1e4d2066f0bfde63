//! What a ranking is worth, as trec_eval counts it.

use serde::Serialize;
use std::collections::HashMap;

/// Averages over all questions, 0 to 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Measures {
    /// Discounted gain of the first ten, as a part of what the best order would have.
    pub ndcg_at_10: f64,
    /// Part of the answers that are among the first ten.
    pub recall_at_10: f64,
    /// Part of the answers that are among the first hundred.
    pub recall_at_100: f64,
    /// One by the place of the first answer, if that is among the first ten.
    pub mrr_at_10: f64,
}

impl Measures {
    /// Of one ranking, best first.
    pub fn of(ranking: &[String], grades: &HashMap<String, u32>) -> Self {
        let grade = |document: &String| grades.get(document).copied().unwrap_or(0);
        let found = |depth: usize| {
            ranking.iter().take(depth).filter(|document| grade(document) > 0).count() as f64
        };
        let all = grades.len().max(1) as f64;
        let mut best: Vec<u32> = grades.values().copied().collect();
        best.sort_unstable_by(|a, b| b.cmp(a));
        let ideal = gain(best.into_iter());
        let first = ranking.iter().take(10).position(|document| grade(document) > 0);
        Self {
            ndcg_at_10: if ideal > 0.0 { gain(ranking.iter().map(grade)) / ideal } else { 0.0 },
            recall_at_10: found(10) / all,
            recall_at_100: found(100) / all,
            mrr_at_10: first.map_or(0.0, |at| 1.0 / (at + 1) as f64),
        }
    }

    /// The average.
    pub fn mean(all: &[Self]) -> Self {
        let mean = |of: fn(&Self) -> f64| {
            let sum: f64 = all.iter().map(of).sum();
            (sum / all.len().max(1) as f64 * 1e4).round() / 1e4
        };
        Self {
            ndcg_at_10: mean(|one| one.ndcg_at_10),
            recall_at_10: mean(|one| one.recall_at_10),
            recall_at_100: mean(|one| one.recall_at_100),
            mrr_at_10: mean(|one| one.mrr_at_10),
        }
    }
}

fn gain(grades: impl Iterator<Item = u32>) -> f64 {
    grades.take(10).enumerate().map(|(at, grade)| f64::from(grade) / (at as f64 + 2.0).log2()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ranking_is_measured_as_the_textbooks_do() {
        let grades = HashMap::from([("a".to_owned(), 2), ("b".to_owned(), 1)]);
        let ranking = ["x", "b", "a"].map(str::to_owned);
        let found = Measures::of(&ranking, &grades);
        let (got, best) = (1.0 / 3_f64.log2() + 2.0 / 2.0, 2.0 + 1.0 / 3_f64.log2());
        assert!((found.ndcg_at_10 - got / best).abs() < 1e-12);
        assert_eq!((found.recall_at_10, found.mrr_at_10), (1.0, 0.5));
        assert_eq!(Measures::of(&[], &grades), Measures::default());
    }
}
