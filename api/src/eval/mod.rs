//! `annals eval`: how good answers are, by the measures that the field compares systems with.

mod collection;
mod measures;
mod retrieval;

use crate::{bench::Scratch, cli::INTERRUPTED, config::Config, serve};
use anyhow::Result;
use clap::Subcommand;
use std::process::ExitCode;

pub use collection::Collection;
pub use measures::Measures;
pub use retrieval::{Arguments, Outcome, Subject, search};

/// What to judge.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Retrieval over a collection with judged questions: lexical, vector and hybrid apart.
    Retrieval(Arguments),
}

/// Judges and prints. The database made for it is gone afterwards, also after SIGTERM or Ctrl-C.
///
/// # Errors
/// When the files cannot be understood, or there is no database.
pub async fn run(config: &Config, command: Command) -> Result<ExitCode> {
    let Command::Retrieval(arguments) = command;
    let collection = arguments.collection()?;
    let stopped = serve::stop_signal()?;
    let scratch = Scratch::create(config).await?;
    let outcomes = tokio::select! {
        outcomes = retrieval::judge(config, &scratch.pool, &collection, &arguments) => Some(outcomes),
        () = stopped => None,
    };
    let removed = scratch.remove().await;
    let Some(outcomes) = outcomes.transpose()? else {
        return removed.map(|()| ExitCode::from(INTERRUPTED));
    };
    arguments.report(&collection, &outcomes)?;
    removed.map(|()| ExitCode::SUCCESS)
}
