//! Durable appends.

use super::{
    Author, BenchError, Report, Row, SLICE,
    baseline::{BULK, Inserter, clients},
    measure::{Meter, Timed, Worker, run},
    slices,
};
use crate::log::{
    EventLog,
    postgres::{PostgresLog, Settings},
};
use sqlx::PgPool;
use std::sync::Arc;

/// One event per append with 1, 8, 32 and 256 writers, against single-row commits of as many clients (at most 150, and what the server has room for);
/// and 100 events per append with one writer, against raw inserts of 500 rows. Each case takes twice `seconds`.
///
/// # Errors
/// When the database fails.
pub async fn append(pool: &PgPool, seconds: u64) -> Result<Report, BenchError> {
    let log = PostgresLog::open(pool.clone(), Settings::default()).await?;
    let meter = Meter::new(pool).await?;
    let mut results = Vec::new();
    for writers in [1, 8, 32, 256] {
        let clients = clients(pool, writers).await?;
        let case = Case { name: "append", writers, batch: 1, clients, rows: 1 };
        results.push(case.measure(pool, &log, &meter, seconds).await?);
    }
    let case = Case { name: "append batches", writers: 1, batch: 100, clients: 1, rows: BULK };
    results.push(case.measure(pool, &log, &meter, seconds).await?);
    Ok(Report { bench: "log", results })
}

struct Case {
    name: &'static str,
    writers: usize,
    batch: usize,
    clients: usize,
    rows: usize,
}

impl Case {
    async fn measure(
        &self,
        pool: &PgPool,
        log: &Arc<PostgresLog>,
        meter: &Meter,
        seconds: u64,
    ) -> Result<Row, BenchError> {
        let mut raw = Inserter::several(pool, self.clients, self.rows).await?;
        let log: Arc<dyn EventLog> = log.clone();
        let mut writers = Writer::several(&log, self.writers, self.batch)?;
        let (mut ours, mut theirs) = (Timed::default(), Timed::default());
        for _ in 0..slices(seconds) {
            theirs.add(run(&mut raw, SLICE, meter).await?);
            ours.add(run(&mut writers, SLICE, meter).await?);
        }
        let baseline = match self.rows {
            1 => format!("single-row commits, {} clients", self.clients),
            rows => format!("unnest of {rows} rows per commit"),
        };
        let row = ours.against(self.name, (baseline, &theirs));
        Ok(Row { writers: Some(self.writers), batch: Some(self.batch), ..row })
    }
}

/// Appends `batch` events at a time to streams of its own.
pub(super) struct Writer {
    log: Arc<dyn EventLog>,
    author: Author,
    batch: usize,
}

impl Writer {
    /// `count` of them.
    pub(super) fn several(
        log: &Arc<dyn EventLog>,
        count: usize,
        batch: usize,
    ) -> Result<Vec<Self>, BenchError> {
        let one = |_| Ok(Self { log: log.clone(), author: Author::new()?, batch });
        (0..count).map(one).collect()
    }
}

impl Worker for Writer {
    async fn call(&mut self) -> Result<u64, BenchError> {
        self.author.append(&*self.log, self.batch).await?;
        Ok(self.batch as u64)
    }
}
