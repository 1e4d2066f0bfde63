//! The ranking by vectors: each knowledge base is searched by itself, in the way that suits its size.

use super::{QueryVector, lexical::Shelf};
use pgvector::HalfVector;

/// Up to so many passages their vectors are compared one by one: exact, and as fast as an index with a filter.
const EXACT: i64 = 20_000;
/// Passages that a walk through the index looks at for each result wanted, within these bounds.
const WALK: (i64, i64, i64) = (8, 400, 1_000);

/// The vectors of a question, by the knowledge bases that are compared with them.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// Length of the vector of the embedding model.
    dimensions: usize,
    /// Knowledge bases whose vectors are compared one by one with that vector.
    pub small: Vec<String>,
    /// Those that are searched through its index.
    pub large: Vec<String>,
    /// Knowledge bases with meanings of their own.
    pub fitted: Vec<String>,
    /// Where the question stands in each of those.
    pub fitted_vectors: Vec<HalfVector>,
}

impl Places {
    /// Decides how each knowledge base is searched.
    pub fn new(
        shelves: &[Shelf],
        vector: Option<QueryVector<'_>>,
        fitted: Vec<(String, HalfVector)>,
    ) -> Self {
        let mut places = Self::default();
        if let Some(vector) = vector.filter(|vector| !vector.values.is_empty()) {
            places.dimensions = vector.values.len();
            for shelf in shelves.iter().filter(|shelf| shelf.eligible > 0 && shelf.model.is_some())
            {
                let exact = shelf.eligible <= EXACT || places.dimensions > super::MAX_INDEXED;
                let way = if exact { &mut places.small } else { &mut places.large };
                way.push(shelf.id.clone());
            }
        }
        (places.fitted, places.fitted_vectors) = fitted.into_iter().unzip();
        places
    }

    /// Whether there is nothing to compare.
    pub fn is_empty(&self) -> bool {
        self.small.is_empty() && self.large.is_empty() && self.fitted.is_empty()
    }

    /// Whether an index is walked.
    pub fn walks(&self) -> bool {
        !self.large.is_empty() || !self.fitted.is_empty()
    }

    /// The ranking. $5 limit, $6 small and $7 large knowledge bases, $8 the vector, $11 its model, $12 knowledge bases
    /// with meanings of their own, $13 the vectors in those. The planner takes an index only for the very expression
    /// it was made of; adding zero keeps it away from it.
    pub fn ranking(&self, filter: &str) -> String {
        let mut ways = Vec::new();
        let n = self.dimensions;
        for (ids, zero) in [(&self.small, " + 0"), (&self.large, "")] {
            let parameter = if zero.is_empty() { "$7" } else { "$6" };
            if !ids.is_empty() {
                ways.push(format!(
                    "select near.* from unnest({parameter}::text[]) as k (id) cross join lateral (
                        select document, attempt, ordinal, embedding::halfvec({n}) <=> $8::halfvec({n}) as distance
                        from passage_vectors p
                        where searchable and dimensions = {n} and model = $11 and knowledge_base = k.id {filter}
                        order by (embedding::halfvec({n}) <=> $8::halfvec({n})){zero} limit $5
                     ) near"
                ));
            }
        }
        if !self.fitted.is_empty() {
            for (settled, zero) in [("not settled", " + 0"), ("settled", "")] {
                ways.push(format!(
                    "select near.* from unnest($12::text[], $13::halfvec[]) as k (id, place) cross join lateral (
                        select document, attempt, ordinal, embedding <=> k.place as distance
                        from meanings p where {settled} and knowledge_base = k.id {filter}
                        order by (embedding <=> k.place){zero} limit $5
                     ) near"
                ));
            }
        }
        let ways = ways.into_iter().map(|way| format!("({way})")).collect::<Vec<_>>();
        format!(
            ",
semantic as (
    select document, attempt, ordinal, 1 - distance as score,
        row_number() over (order by distance, document, ordinal) as rank
    from (select * from ({}) ways where distance < 1 order by distance, document, ordinal limit $5) nearest
)",
            ways.join(" union all ")
        )
    }
}

/// Begins a transaction in which filters apply while an index is walked, and the walk goes on until enough is found.
pub(super) fn begin(limit: i64) -> String {
    let (each, least, most) = WALK;
    let walk = (limit * each).clamp(least, most);
    format!(
        "begin read only; set local hnsw.iterative_scan = 'relaxed_order'; set local hnsw.ef_search = {walk};
         set local hnsw.max_scan_tuples = 40000"
    )
}
