//! Looking through a whole database: is the log what was written, and is every read model what the log says?

use anyhow::{Result, ensure};
use api::{compose::read_models, feed::LogFeed};
use commands::log::postgres::{self, PostgresLog, Settings, Verified};
use sqlx::PgPool;

/// Recomputes the chain of the log and folds every read model anew. May run beside servers.
///
/// # Errors
/// With the first difference.
pub async fn audit(database_url: &str) -> Result<Verified> {
    let db = PgPool::connect(database_url).await?;
    let verified = postgres::verify(&db, |_, _| ()).await?;
    let feed = LogFeed(PostgresLog::open(db.clone(), Settings::default()).await?);
    for model in read_models() {
        let found = projections::compare(&db, &feed, &*model).await?;
        let difference = found.difference.map(|difference| difference.to_string());
        ensure!(difference.is_none(), "{}: {}", model.name(), difference.unwrap_or_default());
    }
    drop(feed);
    db.close().await;
    Ok(verified)
}
