//! `annals copy --from … --to …`.

use super::Progress;
use anyhow::{Context, Result, bail};
use commands::{
    effects::Sensitive,
    log::{
        EventLog, copy,
        eventstore::EventStoreLog,
        postgres::{PostgresLog, Settings},
    },
};
use sqlx::postgres::PgPoolOptions;
use std::{
    io::{self, Write},
    sync::Arc,
};

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The log to read: postgres://… or esdb://….
    #[arg(long)]
    from: Sensitive,
    /// The log to fill: empty, or what an earlier copy has left. Nobody else may write to it meanwhile.
    #[arg(long)]
    to: Sensitive,
}

/// Copies events only: secrets lie in a database of their own, and files in the blob store.
pub(super) async fn run(arguments: Arguments) -> Result<()> {
    let from = open(&arguments.from).await.context("--from")?;
    let to = open(&arguments.to).await.context("--to")?;
    let progress = Progress::new();
    let bar = progress.bar("events");
    let copied = copy::copy(&*from, &*to, |done, end| bar.at(done, end.0)).await;
    drop(bar);
    let copy::Copied { found, written } = copied?;
    writeln!(io::stdout(), "{written} events copied, {found} were there; all compared")?;
    Ok(())
}

async fn open(url: &Sensitive) -> Result<Arc<dyn EventLog>> {
    let text = url.expose();
    if text.starts_with("esdb") {
        return Ok(EventStoreLog::open(url)?);
    }
    if !text.starts_with("postgres") {
        bail!("a log is at postgres://… or esdb://…");
    }
    let db = PgPoolOptions::new().max_connections(4).connect(text).await;
    let db = db.context("the database does not answer")?;
    migrations::bring_up_to_date(&db).await?;
    Ok(PostgresLog::open(db, Settings::default()).await?)
}
