//! Two rankings into one, and neighbours into one quotation.

use super::{Hit, Leg, Row};
use std::cmp::Ordering;

/// Neighbours are joined up to this many bytes.
const MAX_JOINED: usize = 6_000;

/// Fuses the rankings of `rows`, joins what touches, best first.
///
/// Each ranking gives `1 / (1 + rank)`, and to what it does not have the share of the place after its last. A passage
/// that both have first scores 1. A ranking that found nothing says nothing about anybody.
pub(super) fn fuse(rows: Vec<Row>, semantic_weight: f32, top_k: usize) -> Vec<Hit> {
    let weight = f64::from(semantic_weight.clamp(0.0, 1.0));
    let lexical = Ranking::new(rows.iter().filter_map(|r| r.lexical_rank).max(), 1.0 - weight);
    let semantic = Ranking::new(rows.iter().filter_map(|r| r.semantic_rank).max(), weight);
    let hits = rows.into_iter().map(|row| {
        let score = lexical.share(row.lexical_rank) + semantic.share(row.semantic_rank);
        hit(row, score)
    });
    // What lies far down joins nobody: it would only make quotations longer.
    let mut hits: Vec<Hit> = hits.collect();
    hits.sort_by(best_first);
    hits.truncate(2 * top_k);
    hits.sort_by(|a, b| (&a.document, &a.passages).cmp(&(&b.document, &b.passages)));
    let mut joined: Vec<Hit> = Vec::new();
    for hit in hits {
        match joined.last_mut() {
            Some(last) if touches(last, &hit) => join(last, hit),
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

struct Ranking {
    length: i64,
    weight: f64,
}

impl Ranking {
    fn new(length: Option<i64>, weight: f64) -> Self {
        Self { length: length.unwrap_or(0), weight }
    }

    fn share(&self, rank: Option<i64>) -> f64 {
        if self.length == 0 {
            return 0.0;
        }
        #[expect(clippy::cast_precision_loss, reason = "ranks are small")]
        let rank = rank.unwrap_or(self.length + 1) as f64;
        2.0 * self.weight / (1.0 + rank)
    }
}

fn hit(row: Row, score: f64) -> Hit {
    let leg = |rank: Option<i64>, score: Option<f64>| Some(Leg { rank: rank?, score: score? });
    Hit {
        document: row.document.into(),
        knowledge_base: row.knowledge_base.into(),
        title: row.title,
        passages: vec![row.ordinal],
        text: row.text,
        start: row.starts,
        end: row.ends,
        page: row.page,
        heading: row.heading,
        score,
        fused: Leg { rank: 0, score },
        lexical: leg(row.lexical_rank, row.lexical_score),
        semantic: leg(row.semantic_rank, row.semantic_score),
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

fn join(last: &mut Hit, next: Hit) {
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

    fn row(document: &str, ordinal: i32, text: &str, starts: i64, ranks: [i64; 2]) -> Row {
        let rank = |n: usize| Some(ranks[n]).filter(|rank| *rank > 0);
        Row {
            document: document.to_owned(),
            ordinal,
            knowledge_base: "kb".to_owned(),
            title: "t".to_owned(),
            text: text.to_owned(),
            heading: String::new(),
            page: None,
            starts,
            ends: starts + i64::try_from(text.len()).unwrap_or_default(),
            lexical_rank: rank(0),
            lexical_score: rank(0).map(|_| 2.0),
            semantic_rank: rank(1),
            semantic_score: rank(1).map(|_| 0.5),
        }
    }

    fn scores(hits: &[Hit]) -> Vec<(&str, f64)> {
        hits.iter().map(|hit| (hit.document.as_str(), hit.score)).collect()
    }

    #[test]
    fn first_in_both_is_one_and_a_missing_ranking_counts_as_the_place_after_its_last() {
        let rows = vec![row("a", 0, "x", 0, [1, 1]), row("b", 0, "x", 0, [2, 0])];
        let hits = fuse(rows, 0.5, 9);
        assert_eq!(scores(&hits), [("a", 1.0), ("b", 1.0 / 3.0 + 1.0 / 3.0)]);
    }

    #[test]
    fn a_ranking_that_found_nothing_lifts_nobody() {
        let hits = fuse(vec![row("a", 0, "x", 0, [0, 1])], 0.5, 9);
        assert_eq!(scores(&hits), [("a", 0.5)]);
    }

    #[test]
    fn weights_decide_between_the_two() {
        let rows = || vec![row("a", 0, "x", 0, [1, 2]), row("b", 0, "x", 0, [2, 1])];
        assert_eq!(fuse(rows(), 0.1, 9)[0].document.as_str(), "a");
        assert_eq!(fuse(rows(), 0.9, 9)[0].document.as_str(), "b");
    }

    #[test]
    fn neighbours_become_one_quotation_without_repetition() {
        let rows = vec![
            row("a", 0, "one two", 0, [3, 0]),
            row("a", 1, "two three", 4, [1, 0]),
            row("a", 2, "é!", 13, [0, 1]),
            row("a", 4, "far", 90, [2, 0]),
            row("b", 0, "one", 0, [4, 0]),
        ];
        let hits = fuse(rows, 0.5, 9);
        let joined = hits.iter().find(|hit| hit.start == 0).map(|hit| (&*hit.text, hit.end));
        assert_eq!(joined, Some(("one two threeé!", 16)));
        assert_eq!(hits[0].passages, [0, 1, 2]);
        let places: Vec<_> = hits.iter().map(|hit| (hit.fused.rank, hit.fused.score)).collect();
        assert_eq!(places, [(1, hits[0].score), (2, hits[1].score), (3, hits[2].score)]);
        assert_eq!(hits[0].lexical.map(|leg| leg.rank), Some(1));
        assert_eq!(hits.len(), 3);
    }

    #[test]
    fn what_lies_far_down_joins_nobody() {
        let text = |n: i64| row("a", i32::try_from(n).unwrap_or(0), "x", n, [5 - n, 0]);
        let hits = fuse((1..5).map(text).collect(), 0.5, 1);
        assert_eq!(hits[0].passages, [3, 4]);
    }

    #[test]
    fn no_more_than_asked_for() {
        let rows = (1..9).map(|n| row("a", 0, "x", 10 * n, [n, n])).collect();
        assert_eq!(fuse(rows, 0.5, 3).len(), 3);
    }
}
