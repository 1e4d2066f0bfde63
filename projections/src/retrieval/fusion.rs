//! Two rankings into one, and neighbours into one quotation.

use super::{Found, Hit, Leg};
use std::{
    cmp::Ordering,
    collections::{HashMap, hash_map::Entry},
};

/// Neighbours are joined up to this many bytes.
const MAX_JOINED: usize = 6_000;

/// A passage that at least one ranking has.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Candidate {
    pub document: String,
    pub attempt: i32,
    pub ordinal: i32,
    pub score: f64,
    pub lexical: Option<Leg>,
    pub semantic: Option<Leg>,
}

/// Fuses two rankings, best first.
///
/// Each ranking gives `1 / (1 + rank)`, and to what it does not have the share of the place after its last. A passage
/// that both have first scores 1. A ranking that found nothing says nothing about anybody.
pub(super) fn rank(words: Vec<Found>, vectors: Vec<Found>, semantic_weight: f32) -> Vec<Candidate> {
    let weight = f64::from(semantic_weight.clamp(0.0, 1.0));
    let lexical = Ranking { length: words.len(), weight: 1.0 - weight };
    let semantic = Ranking { length: vectors.len(), weight };
    let mut places = HashMap::new();
    let mut candidates: Vec<Candidate> = Vec::new();
    for (rank, found) in (1..).zip(words) {
        places.insert(key(&found), candidates.len());
        candidates.push(candidate(&found, Some(Leg { rank, score: found.score }), None));
    }
    for (rank, found) in (1..).zip(vectors) {
        let leg = Some(Leg { rank, score: found.score });
        match places.entry(key(&found)) {
            Entry::Occupied(place) => candidates[*place.get()].semantic = leg,
            Entry::Vacant(_) => candidates.push(candidate(&found, None, leg)),
        }
    }
    for one in &mut candidates {
        one.score = lexical.share(one.lexical) + semantic.share(one.semantic);
    }
    candidates.sort_by(|a, b| {
        b.score
            .total_cmp(&a.score)
            .then_with(|| by_leg(a.lexical, b.lexical))
            .then_with(|| a.document.cmp(&b.document).then(a.ordinal.cmp(&b.ordinal)))
    });
    candidates
}

/// Joins what touches; best first, at most `top_k`.
pub(super) fn join(mut hits: Vec<Hit>, top_k: usize) -> Vec<Hit> {
    hits.sort_by(|a, b| (&a.document, &a.passages).cmp(&(&b.document, &b.passages)));
    let mut joined: Vec<Hit> = Vec::new();
    for hit in hits {
        match joined.last_mut() {
            Some(last) if touches(last, &hit) => append(last, hit),
            _ => joined.push(hit),
        }
    }
    joined.sort_by(best_first);
    joined.truncate(top_k);
    for (rank, hit) in (1..).zip(&mut joined) {
        hit.fused = Leg { rank, score: hit.score };
    }
    joined
}

fn best_first(a: &Hit, b: &Hit) -> Ordering {
    b.score
        .total_cmp(&a.score)
        .then_with(|| by_leg(a.lexical, b.lexical))
        .then_with(|| a.document.cmp(&b.document).then(a.start.cmp(&b.start)))
}

fn key(found: &Found) -> (String, i32, i32) {
    (found.document.clone(), found.attempt, found.ordinal)
}

fn candidate(found: &Found, lexical: Option<Leg>, semantic: Option<Leg>) -> Candidate {
    let Found { document, attempt, ordinal, .. } = found.clone();
    Candidate { document, attempt, ordinal, score: 0.0, lexical, semantic }
}

struct Ranking {
    length: usize,
    weight: f64,
}

impl Ranking {
    fn share(&self, place: Option<Leg>) -> f64 {
        if self.length == 0 {
            return 0.0;
        }
        #[expect(clippy::cast_precision_loss, reason = "ranks are small")]
        let rank = place.map_or(self.length as f64 + 1.0, |leg| leg.rank as f64);
        2.0 * self.weight / (1.0 + rank)
    }
}

fn touches(last: &Hit, next: &Hit) -> bool {
    last.document == next.document
        && next.start <= last.end
        && next.start >= last.start
        && last.text.len() + next.text.len() <= MAX_JOINED
        && overlap(last, next).is_some()
}

/// How many bytes of `next` stand in `last` already.
fn overlap(last: &Hit, next: &Hit) -> Option<usize> {
    let shared = usize::try_from(last.end - next.start).ok()?.min(next.text.len());
    next.text.is_char_boundary(shared).then_some(shared)
}

fn append(last: &mut Hit, next: Hit) {
    let shared = overlap(last, &next).unwrap_or(0);
    last.text.push_str(&next.text[shared..]);
    last.end = last.end.max(next.end);
    last.passages.extend(next.passages);
    last.score = last.score.max(next.score);
    last.lexical = best(last.lexical, next.lexical);
    last.semantic = best(last.semantic, next.semantic);
}

fn best(a: Option<Leg>, b: Option<Leg>) -> Option<Leg> {
    if by_leg(a, b) == Ordering::Greater { b } else { a }
}

/// What a ranking has comes before what it does not have.
fn by_leg(a: Option<Leg>, b: Option<Leg>) -> Ordering {
    let rank = |leg: Option<Leg>| leg.map_or(i64::MAX, |leg| leg.rank);
    rank(a).cmp(&rank(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(document: &str) -> Found {
        Found { document: document.to_owned(), attempt: 1, ordinal: 0, score: 2.0 }
    }

    fn scores(words: &[&str], vectors: &[&str], weight: f32) -> Vec<(String, f64)> {
        let ranking = |documents: &[&str]| documents.iter().map(|one| found(one)).collect();
        let ranked = rank(ranking(words), ranking(vectors), weight);
        ranked.into_iter().map(|one| (one.document, one.score)).collect()
    }

    /// A passage at a place of the ranking by words, 0 for none, and of the one by vectors.
    fn hit(document: &str, ordinal: i32, text: &str, start: i64, ranks: [i64; 2]) -> Hit {
        let [lexical, semantic] =
            ranks.map(|rank| Some(Leg { rank, score: 2.0 }).filter(|leg| leg.rank > 0));
        let share = |leg: Option<Leg>| leg.map_or(0.0, |leg| 1.0 / (1.0 + leg.rank as f64));
        let score = share(lexical) + share(semantic);
        Hit {
            document: document.into(),
            knowledge_base: "kb".into(),
            title: "t".to_owned(),
            passages: vec![ordinal],
            text: text.to_owned(),
            start,
            end: start + i64::try_from(text.len()).unwrap_or_default(),
            page: None,
            heading: String::new(),
            score,
            fused: Leg { rank: 0, score },
            lexical,
            semantic,
        }
    }

    #[test]
    fn first_in_both_is_one_and_a_missing_ranking_counts_as_the_place_after_its_last() {
        let expected = [("a".to_owned(), 1.0), ("b".to_owned(), 1.0 / 3.0 + 1.0 / 3.0)];
        assert_eq!(scores(&["a", "b"], &["a"], 0.5), expected);
    }

    #[test]
    fn a_ranking_that_found_nothing_lifts_nobody() {
        assert_eq!(scores(&[], &["a"], 0.5), [("a".to_owned(), 0.5)]);
    }

    #[test]
    fn weights_decide_between_the_two() {
        assert_eq!(scores(&["a", "b"], &["b", "a"], 0.1)[0].0, "a");
        assert_eq!(scores(&["a", "b"], &["b", "a"], 0.9)[0].0, "b");
    }

    #[test]
    fn passages_of_two_attempts_are_two() {
        let again = Found { attempt: 2, ..found("a") };
        assert_eq!(rank(vec![found("a")], vec![again], 0.5).len(), 2);
    }

    #[test]
    fn neighbours_become_one_quotation_without_repetition() {
        let hits = vec![
            hit("a", 0, "one two", 0, [3, 0]),
            hit("a", 1, "two three", 4, [1, 0]),
            hit("a", 2, "é!", 13, [0, 1]),
            hit("a", 4, "far", 90, [2, 0]),
            hit("b", 0, "one", 0, [4, 0]),
        ];
        let hits = join(hits, 9);
        let joined = hits.iter().find(|hit| hit.start == 0).map(|hit| (&*hit.text, hit.end));
        assert_eq!(joined, Some(("one two threeé!", 16)));
        assert_eq!(hits[0].passages, [0, 1, 2]);
        let places: Vec<_> = hits.iter().map(|hit| (hit.fused.rank, hit.fused.score)).collect();
        assert_eq!(places, [(1, hits[0].score), (2, hits[1].score), (3, hits[2].score)]);
        assert_eq!(hits[0].lexical.map(|leg| leg.rank), Some(1));
        assert_eq!(hits.len(), 3);
    }

    #[test]
    fn no_more_than_asked_for() {
        let hits = (1..9).map(|n| hit("a", 0, "x", 10 * n, [n, n])).collect();
        assert_eq!(join(hits, 3).len(), 3);
    }
}
