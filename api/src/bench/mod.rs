//! `annals bench`: what this build does on this machine and this database, beside what PostgreSQL does alone.
//!
//! Every benchmark works in a database of its own, made on the configured server and removed at the end. Ours and the
//! baseline are taken in the same run, so their ratio means something on a busy machine, too.

mod client;
mod corpus;
mod embedder;
mod event_store;
mod ingest;
pub(crate) mod mix;
mod node;
mod provider;
mod reader;
mod rebuild;
mod report;
mod resume;
mod retrieve;
mod runs;
mod scratch;
#[cfg(test)]
mod tests;
mod written;

use crate::{cli::INTERRUPTED, config::Config, serve};
use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use commands::log::bench::{self as log, Report};
pub(crate) use scratch::Scratch;
use std::{
    io::{self, Write},
    process::ExitCode,
};

/// What to measure, and how.
#[derive(Debug, Clone, Args)]
pub struct Arguments {
    /// The benchmark.
    #[arg(value_enum)]
    bench: Bench,
    /// Seconds per measurement; filling the database comes on top.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: u64,
    /// One JSON object instead of a table.
    #[arg(long)]
    json: bool,
    /// Of `runs`: how many stream at once.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=20_000))]
    runs: u64,
    /// Of `runs`: lines per second of each.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    rate: u64,
    /// Of `resume`: lines of the run.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(100..=2_000_000))]
    lines: u64,
    /// Of `rebuild`: events in the log, about.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1_000..=10_000_000))]
    events: u64,
    /// Of `retrieve`: chunks of the larger of two collections.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1_000..=1_000_000))]
    chunks: u64,
    /// Of `ingest`: files.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    documents: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Bench {
    /// Durable appends against single-row commits.
    Log,
    /// How much later than its answer an event reaches its subscribers.
    Tail,
    /// Reading the log from the beginning against a raw SELECT.
    Catchup,
    /// The log over the EventStoreDB protocol against the same log without.
    Eventstore,
    /// Resuming a long finished run over HTTP from random indexes.
    Resume,
    /// Many runs that stream at once, each with a reader over HTTP.
    Runs,
    /// Rebuilding every read model.
    Rebuild,
    /// Files from their upload until the search finds them.
    Ingest,
    /// Hybrid retrieval: speed, and what the vector index misses.
    Retrieve,
}

impl Arguments {
    /// Whether the client of EventStoreDB is in it.
    pub(crate) fn event_store(&self) -> bool {
        self.bench == Bench::Eventstore
    }
}

/// Measures and prints. The database made for it is gone afterwards, also after SIGTERM or Ctrl-C.
///
/// # Errors
/// When there is no database, or what was measured did not work.
pub async fn run(config: &Config, arguments: Arguments) -> Result<ExitCode> {
    let stopped = serve::stop_signal()?;
    let scratch = Scratch::create(config).await?;
    let outcome = tokio::select! {
        report = measure(&scratch, &arguments) => Some(report),
        () = stopped => None,
    };
    let removed = scratch.remove().await;
    let Some(report) = outcome.transpose()? else {
        return removed.map(|()| ExitCode::from(INTERRUPTED));
    };
    if arguments.json {
        writeln!(io::stdout(), "{}", serde_json::to_string(&report)?)?;
    } else {
        write!(io::stdout(), "{}", report::Table(&report))?;
    }
    removed.map(|()| ExitCode::SUCCESS)
}

async fn measure(scratch: &Scratch, arguments: &Arguments) -> Result<Report> {
    let (pool, seconds) = (&scratch.pool, arguments.seconds);
    Ok(match arguments.bench {
        Bench::Log => log::append(pool, seconds).await?,
        Bench::Tail => log::tail(pool, seconds).await?,
        Bench::Catchup => log::catchup(pool, seconds).await?,
        Bench::Resume => resume::resume(scratch, seconds, arguments.lines).await?,
        Bench::Runs => runs::runs(scratch, seconds, arguments.runs, arguments.rate).await?,
        Bench::Rebuild => rebuild::rebuild(scratch, arguments.events).await?,
        Bench::Ingest => ingest::ingest(scratch, arguments.documents).await?,
        Bench::Eventstore => event_store::event_store(scratch, seconds).await?,
        Bench::Retrieve => retrieve::retrieve(scratch, seconds, arguments.chunks).await?,
    })
}

/// Connections are files: two ends of each reader's, and two of each call to the provider.
fn enough_files(wanted: u64) -> Result<()> {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let soft = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    match soft {
        Some(soft) if soft < wanted => {
            bail!("{wanted} open files are needed: `ulimit -n {wanted}` first")
        }
        _ => Ok(()),
    }
}
