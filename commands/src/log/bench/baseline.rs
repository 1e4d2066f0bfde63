//! What PostgreSQL does without us.

use super::{
    BenchError, STREAM,
    measure::{Meter, Timed, Worker, run},
    payload,
};
use serde_json::value::RawValue;
use sqlx::{ConnectOptions, Connection, PgConnection, PgPool};
use std::time::Duration;
use uuid::Uuid;

/// Rows of one bulk insert.
pub(super) const BULK: usize = 500;

const TABLE: &str = "
    create table if not exists bench_rows (
        id bigint generated always as identity primary key,
        stream text not null,
        version bigint not null,
        data json not null,
        unique (stream, version)
    )";
const SINGLE: &str =
    "insert into bench_rows (stream, version, data) values ($1, $2, $3::text::json)";
const MANY: &str = "
    insert into bench_rows (stream, version, data)
    select $1, $2 + n, data::json from unnest($3::text[]) with ordinality as rows (data, n)";

/// Most connections a baseline has.
const CLIENTS: usize = 150;
/// Connections that are left to everybody else.
const LEFT: i64 = 16;

/// How many of `wanted` clients the server has room for, at most 150.
///
/// # Errors
/// When it does not answer.
pub async fn clients(pool: &PgPool, wanted: usize) -> Result<usize, BenchError> {
    let free: i64 = sqlx::query_scalar(
        "select current_setting('max_connections')::bigint - count(*) from pg_stat_activity
         where backend_type = 'client backend'",
    )
    .fetch_one(pool)
    .await?;
    Ok(wanted.min(CLIENTS).min(usize::try_from(free - LEFT).unwrap_or(0)).max(1))
}

/// Commits of single rows by so many clients at once, for this long.
///
/// # Errors
/// When the database fails.
pub async fn commits(pool: &PgPool, clients: usize, time: Duration) -> Result<Timed, BenchError> {
    let mut inserters = Inserter::several(pool, clients, 1).await?;
    run(&mut inserters, time, &Meter::new(pool).await?).await
}

/// A client that commits one row, or one bulk of rows, after the other.
pub(super) struct Inserter {
    connection: PgConnection,
    data: Vec<Box<RawValue>>,
    stream: String,
    version: i64,
}

impl Inserter {
    /// `count` clients that insert `rows` at once.
    pub(super) async fn several(
        pool: &PgPool,
        count: usize,
        rows: usize,
    ) -> Result<Vec<Self>, BenchError> {
        sqlx::query(TABLE).execute(pool).await?;
        let mut inserters = Vec::with_capacity(count);
        for _ in 0..count {
            let options = pool.connect_options().as_ref().clone().disable_statement_logging();
            let connection = PgConnection::connect_with(&options).await?;
            let data = vec![payload()?; rows];
            inserters.push(Self { connection, data, stream: name(), version: 0 });
        }
        Ok(inserters)
    }
}

fn name() -> String {
    format!("bench-{}", Uuid::now_v7())
}

impl Worker for Inserter {
    async fn call(&mut self) -> Result<u64, BenchError> {
        if self.version >= STREAM as i64 {
            (self.stream, self.version) = (name(), 0);
        }
        let query = if let [data] = &*self.data {
            sqlx::query(SINGLE).bind(&self.stream).bind(self.version).bind(data.get())
        } else {
            let texts: Vec<&str> = self.data.iter().map(|data| data.get()).collect();
            sqlx::query(MANY).bind(&self.stream).bind(self.version).bind(texts)
        };
        let done = query.execute(&mut self.connection).await?;
        self.version += done.rows_affected() as i64;
        Ok(done.rows_affected())
    }
}
