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
    let progress = Progress::new();
    let verified =
        postgres::verify(&store.db, |done, total| progress.say("log", done, total)).await;
    progress.clear();
    let verified = match verified {
        Ok(verified) => verified,
        Err(different @ Broken::Differs { .. }) => {
            writeln!(out, "the log is not what was written: {different}")?;
            return Ok(ExitCode::FAILURE);
        }
        Err(unreadable @ Broken::Unreadable(_)) => return Err(unreadable.into()),
    };
    writeln!(
        out,
        "log: {} events in {} batches; positions, revisions and chain are right",
        verified.head, verified.batches
    )?;
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
