//! Whether a read model is what its events say: folds the log a second time and compares.
//!
//! All in one transaction that is rolled back: one view of the live tables and their checkpoint, and copies among the
//! connection's temporary tables. Nothing is left behind, whatever way it ends.

use crate::{
    Feed, FoldError, Projection, Projections, checkpoints,
    rebuild::{Fold, shadow},
};
use domain::Position;
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool};
use std::fmt;

/// What a comparison found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// The checkpoint up to which both sides were folded.
    pub position: Position,
    /// Events applied.
    pub events: u64,
    /// The first difference, by table and key; `None` when the tables are equal.
    pub difference: Option<Difference>,
}

/// A row that is not the same on both sides. Rows and keys are JSON objects, all values as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The table.
    pub table: &'static str,
    /// The primary key of the row; the whole row where there is none.
    pub key: String,
    /// The row in the live table; `None` when only the fold has one of this key.
    pub live: Option<String>,
    /// The row that the events give; `None` when only the live table has one of this key.
    pub folded: Option<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let none = "no such row";
        let (live, folded) = (self.live.as_deref(), self.folded.as_deref());
        let Self { table, key, .. } = self;
        write!(f, "table {table}, row {key}: ")?;
        write!(f, "live {}, folded {}", live.unwrap_or(none), folded.unwrap_or(none))
    }
}

impl Projections {
    /// Compares the read model `name` with a fold of the log; see [`compare`].
    ///
    /// # Errors
    /// [`FoldError`] when the comparison could not be made.
    pub async fn compare(&self, name: &str) -> Result<Comparison, FoldError> {
        let (pool, feed, projection) = self.parts(name)?;
        compare(pool, feed, projection).await
    }
}

/// Folds the log up to the read model's checkpoint and compares the rows both ways.
///
/// # Errors
/// [`FoldError`] when the comparison could not be made; a difference is no error.
pub async fn compare(
    pool: &PgPool,
    feed: &dyn Feed,
    projection: &dyn Projection,
) -> Result<Comparison, FoldError> {
    // Closed in the end: its search path and temporary tables must not return to the pool.
    let mut db = pool.acquire().await?.detach();
    let found = look(&mut db, feed, projection).await;
    if let Err(error) = db.close().await {
        tracing::debug!(%error, "the connection of a comparison did not close cleanly");
    }
    found
}

async fn look(
    db: &mut PgConnection,
    feed: &dyn Feed,
    projection: &dyn Projection,
) -> Result<Comparison, FoldError> {
    // Locks before the first look, which fixes the view: a swap cannot come in between.
    let tables = projection.tables().join(", ");
    let live: String =
        sqlx::query_scalar("select quote_ident(current_schema())").fetch_one(&mut *db).await?;
    let mut db = db.begin_with("begin isolation level repeatable read").await?;
    shadow::run(&mut db, format!("lock table {tables} in access share mode")).await?;
    let position = checkpoints::peek(&mut *db, projection.name()).await?;
    shadow::make(&mut db, projection, "pg_temp").await?;
    let mut fold = Fold::new(feed, projection, |_, _| ());
    fold.advance(&mut db, position).await?;
    let events = fold.events;
    let mut difference = None;
    for table in projection.tables() {
        difference = first_difference(&mut db, &live, table).await?;
        if difference.is_some() {
            break;
        }
    }
    db.rollback().await?;
    Ok(Comparison { position, events, difference })
}

/// A column, as it stands in a statement, and whether it belongs to the primary key.
#[derive(sqlx::FromRow)]
struct Column {
    name: String,
    is_key: bool,
}

#[derive(sqlx::FromRow)]
struct Odd {
    is_live: bool,
    key: String,
    body: String,
}

async fn first_difference(
    db: &mut PgConnection,
    live: &str,
    table: &'static str,
) -> sqlx::Result<Option<Difference>> {
    let columns: Vec<Column> = sqlx::query_as(
        "select quote_ident(a.attname) as name, coalesce(a.attnum = any(i.indkey), false) as is_key
           from pg_attribute a left join pg_index i on i.indrelid = a.attrelid and i.indisprimary
          where a.attrelid = $1::text::regclass and a.attnum > 0 and not a.attisdropped
          order by a.attnum",
    )
    .bind(format!("{live}.{table}"))
    .fetch_all(&mut *db)
    .await?;
    let statement = both_ways(live, table, &columns);
    let odd: Vec<Odd> = sqlx::query_as(AssertSqlSafe(statement)).fetch_all(&mut *db).await?;
    let Some(first) = odd.first() else { return Ok(None) };
    let key = first.key.clone();
    let side = |is_live: bool| {
        let found = odd.iter().find(|row| row.is_live == is_live && row.key == key);
        found.map(|row| row.body.clone())
    };
    Ok(Some(Difference { table, live: side(true), folded: side(false), key }))
}

/// Rows that only one side has, in the order of their keys. Everything is compared as text: json has no equality, and
/// text tells apart what differs in any other type too.
fn both_ways(live: &str, table: &str, columns: &[Column]) -> String {
    let list = |wanted: fn(&Column) -> bool| {
        let texts = columns.iter().filter(|column| wanted(column));
        texts
            .map(|Column { name, .. }| format!("{name}::text as {name}"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let all = list(|_| true);
    let key = if columns.iter().any(|c| c.is_key) { list(|c| c.is_key) } else { all.clone() };
    format!(
        "with live as (select {all} from {live}.{table}), folded as (select {all} from pg_temp.{table}),
         odd as (
             (select true as is_live, one.* from (table live except all table folded) one)
             union all
             (select false, one.* from (table folded except all table live) one)
         )
         select is_live, (select row_to_json(key) from (select {key}) key)::text as key,
                (to_jsonb(odd) - 'is_live')::text as body
           from odd order by 2, 1 limit 2"
    )
}
