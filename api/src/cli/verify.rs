//! `annals verify`.

use super::Progress;
use crate::{
    compose::{Store, read_models},
    feed::LogFeed,
};
use anyhow::{Context, Result};
use commands::log::postgres::{self, Broken};
use std::{
    io::{self, Write},
    process::ExitCode,
};

pub(super) async fn run(store: &Store) -> Result<ExitCode> {
    let mut out = io::stdout();
    if store.chained {
        if let Some(different) = verify_chain(store).await? {
            writeln!(out, "the log is not what was written: {different}")?;
            return Ok(ExitCode::FAILURE);
        }
    } else {
        writeln!(out, "log: kept by another server, which has no chain to check")?;
    }
    let feed = LogFeed(store.log.clone());
    for model in read_models() {
        let name = model.name();
        let compared = projections::compare(&store.db, &feed, &*model).await;
        let compared = compared.with_context(|| format!("{name} could not be compared"))?;
        if let Some(difference) = compared.difference {
            writeln!(
                out,
                "{name} is not what the log says up to position {}: {difference}",
                compared.position
            )?;
            return Ok(ExitCode::FAILURE);
        }
        let (events, position) = (compared.events, compared.position);
        writeln!(out, "{name}: equal to the fold of {events} events up to position {position}")?;
    }
    writeln!(out, "verified")?;
    Ok(ExitCode::SUCCESS)
}

/// What is wrong with the log of this database, if anything.
pub(super) async fn verify_chain(store: &Store) -> Result<Option<Broken>> {
    let progress = Progress::new();
    let bar = progress.bar("log");
    let verified = postgres::verify(&store.db, |done, total| bar.at(done, total)).await;
    drop(bar);
    match verified {
        Ok(verified) => {
            writeln!(
                io::stdout(),
                "log: {} events in {} batches; positions, revisions and chain are right",
                verified.head,
                verified.batches
            )?;
            Ok(None)
        }
        Err(different @ Broken::Differs { .. }) => Ok(Some(different)),
        Err(unreadable @ Broken::Unreadable(_)) => Err(unreadable.into()),
    }
}
