//! The ranking by vectors: each knowledge base is searched by itself, in the way that suits its size.

use super::{Found, QueryVector, lexical::Shelf, scope::Scope};
use pgvector::HalfVector;
use sqlx::{AssertSqlSafe, PgPool};

/// Up to so many passages their vectors are compared one by one: exact, and as fast as an index with a filter.
const EXACT: i64 = 20_000;
/// Passages that a walk through the index looks at for each result wanted, within these bounds.
const WALK: (i64, i64, i64) = (7, 350, 1_000);

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

    /// Whether vectors of an embedding model are compared.
    pub fn has_embedded(&self) -> bool {
        !self.small.is_empty() || !self.large.is_empty()
    }

    /// Whether an index is walked.
    fn walks(&self) -> bool {
        !self.large.is_empty() || !self.fitted.is_empty()
    }

    /// The statement. $1 limit, $2 small and $3 large knowledge bases, $4 the vector, $5 its model, $6 knowledge bases with
    /// meanings of their own, $7 the vectors in those; `counts` says which passages count, by $8, $9 and $10. The planner
    /// takes an index only for the very expression it was made of; adding zero keeps it away from it.
    fn statement(&self, counts: &str) -> String {
        let mut ways = Vec::new();
        let n = self.dimensions;
        for (ids, parameter, zero) in [(&self.small, "$2", " + 0"), (&self.large, "$3", "")] {
            if !ids.is_empty() {
                ways.push(format!(
                    "select near.* from unnest({parameter}::text[]) as k (id) cross join lateral (
                        select document, attempt, ordinal, embedding::halfvec({n}) <=> $4::halfvec({n}) as distance
                        from passage_vectors p
                        where dimensions = {n} and model = $5 and knowledge_base = k.id {counts}
                        order by (embedding::halfvec({n}) <=> $4::halfvec({n})){zero} limit $1
                     ) near"
                ));
            }
        }
        if !self.fitted.is_empty() {
            for (settled, zero) in [("not settled", " + 0"), ("settled", "")] {
                ways.push(format!(
                    "select near.* from unnest($6::text[], $7::halfvec[]) as k (id, place) cross join lateral (
                        select document, attempt, ordinal, embedding <=> k.place as distance
                        from meanings p where {settled} and knowledge_base = k.id {counts}
                        order by (embedding <=> k.place){zero} limit $1
                     ) near"
                ));
            }
        }
        let ways = ways.into_iter().map(|way| format!("({way})")).collect::<Vec<_>>();
        format!(
            "select document, attempt, ordinal, 1 - distance as score from ({}) ways
             where distance < 1 and num_nulls($2::text[], $3::text[], $4::halfvec, $5::text, $6::text[], $7::halfvec[],
                $8::text[], $9::text[], $10::text[]) >= 0
             order by distance, document, ordinal limit $1",
            ways.join(" union all ")
        )
    }
}

/// The best `limit` of all ways.
pub(super) async fn ranking(
    db: &PgPool,
    places: &Places,
    vector: Option<QueryVector<'_>>,
    scope: &Scope,
    limit: i64,
) -> sqlx::Result<Vec<Found>> {
    if places.is_empty() {
        return Ok(Vec::new());
    }
    let values = vector.map(|vector| vector.values).filter(|values| !values.is_empty());
    // Put together from constants, numbers and the numbers of parameters.
    let statement = AssertSqlSafe(places.statement(&scope.sql([8, 9, 10])));
    let query = sqlx::query_as(statement)
        .bind(limit)
        .bind(&places.small)
        .bind(&places.large)
        .bind(values.map(HalfVector::from_f32_slice))
        .bind(vector.map_or("", |vector| vector.model))
        .bind(&places.fitted)
        .bind(&places.fitted_vectors)
        .bind(&scope.shelves)
        .bind(scope.keys())
        .bind(scope.values());
    if !places.walks() {
        return query.fetch_all(db).await;
    }
    let mut transaction = db.begin_with(AssertSqlSafe(begin(limit))).await?;
    let found = query.fetch_all(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(found)
}

/// Begins a transaction in which filters apply while an index is walked, and the walk goes on until enough is found.
fn begin(limit: i64) -> String {
    let (each, least, most) = WALK;
    let walk = (limit * each).clamp(least, most);
    format!(
        "begin read only; set local hnsw.iterative_scan = 'relaxed_order'; set local hnsw.ef_search = {walk};
         set local hnsw.max_scan_tuples = 40000"
    )
}
