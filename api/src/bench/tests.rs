//! Every benchmark that goes through the whole server, small: it works, says what it has to, and leaves nothing behind.

use super::{Arguments, Bench, Scratch, measure};
use crate::config::Config;
use anyhow::Result;
use serde_json::Value;
use sqlx::PgPool;

const FIGURES: [&str; 7] =
    ["name", "per_s", "baseline", "baseline_per_s", "ratio", "p50_us", "p99_us"];

/// The report, and the name of the database it was made in.
async fn small(bench: Bench) -> Result<(Value, String)> {
    let url = embedded::testing::server_url().await?;
    let config = Config::from_values([("DATABASE_URL".to_owned(), url)])?;
    let (runs, rate, lines, events, chunks, documents) = (3, 20, 400, 1_000, 1_000, 8);
    let arguments =
        Arguments { bench, seconds: 1, json: true, runs, rate, lines, events, chunks, documents };
    let scratch = Scratch::create(&config).await?;
    let name: String =
        sqlx::query_scalar("select current_database()").fetch_one(&scratch.pool).await?;
    let report = measure(&scratch, &arguments).await;
    scratch.remove().await?;
    Ok((serde_json::to_value(report?)?, name))
}

async fn reports(bench: Bench, rows: usize) -> Result<Value> {
    let (report, database) = small(bench).await?;
    let results = report["results"].as_array().cloned().unwrap_or_default();
    assert_eq!(results.len(), rows, "{report}");
    for row in &results {
        assert!(FIGURES.iter().all(|figure| !row[*figure].is_null()), "{row}");
    }
    let db = PgPool::connect(&embedded::testing::server_url().await?).await?;
    let there: bool =
        sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
            .bind(database)
            .fetch_one(&db)
            .await?;
    assert!(!there, "the database is still there");
    Ok(report)
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_deliver_every_line() -> Result<()> {
    let report = reports(Bench::Runs, 1).await?;
    // 20 deltas, the closing newline, the usage, the end line, of 3 runs.
    assert_eq!(report["results"][0]["lines"], 69.0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_measured_over_the_protocol() -> Result<()> {
    reports(Bench::Eventstore, 7).await.map(|_| ())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_run_is_resumed_whatever_its_shape() -> Result<()> {
    reports(Bench::Resume, 4).await.map(|_| ())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_read_model_is_rebuilt() -> Result<()> {
    let rows = crate::compose::read_models().len();
    let report = reports(Bench::Rebuild, rows + 2).await?;
    let all = report["results"][rows + 1]["events"].as_f64();
    assert!(all.is_some_and(|events| events >= 1_000.0), "{report}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn small_collections_are_searched_exactly() -> Result<()> {
    let report = reports(Bench::Retrieve, 2).await?;
    assert_eq!(report["results"][1]["recall_at_10"], 1.0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_file_is_ingested() -> Result<()> {
    let report = reports(Bench::Ingest, 1).await?;
    assert!(report["results"][0]["mb_per_s"].as_f64().is_some_and(|rate| rate > 0.0), "{report}");
    Ok(())
}
