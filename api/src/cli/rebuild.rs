//! `annals rebuild [NAME|--all]`.

use super::Progress;
use crate::{
    compose::{Store, read_models},
    feed::LogFeed,
};
use anyhow::{Context, Result, bail};
use futures::{StreamExt, TryStreamExt, stream};
use projections::{Projection, RebuildProgress};
use std::{
    io::{self, Write},
    sync::Arc,
};

/// Read models rebuilt at a time: each keeps one connection and one core of the database busy.
pub(crate) const AT_ONCE: usize = 4;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The read model; without a name and without --all, the names are listed.
    name: Option<String>,
    /// Every read model, a few at a time.
    #[arg(long, conflicts_with = "name")]
    all: bool,
}

pub(super) async fn run(store: &Store, arguments: Arguments) -> Result<()> {
    let mut out = io::stdout();
    let chosen: Vec<_> = match (&arguments.name, arguments.all) {
        (None, false) => {
            for model in read_models() {
                writeln!(out, "{}", model.name())?;
            }
            return Ok(());
        }
        (None, true) => read_models(),
        (Some(name), _) => read_models().into_iter().filter(|model| model.name() == name).collect(),
    };
    if chosen.is_empty() {
        let names: Vec<_> = read_models().iter().map(|model| model.name()).collect();
        let name = arguments.name.unwrap_or_default();
        bail!("there is no read model called {name}; there are {}", names.join(", "));
    }
    let feed = LogFeed(store.log.clone());
    let progress = Progress::new();
    let rebuild = async |model: Arc<dyn Projection>| {
        let name = model.name();
        let bar = progress.bar(name);
        let tell = |RebuildProgress { done, total }| bar.at(done, total);
        let rebuilt = projections::rebuild(&store.db, &feed, &*model, tell).await;
        rebuilt.map(|rebuilt| (name, rebuilt)).with_context(|| format!("{name} was not rebuilt"))
    };
    let mut rebuilt = stream::iter(chosen).map(rebuild).buffer_unordered(AT_ONCE);
    while let Some((name, rebuilt)) = rebuilt.try_next().await? {
        let (events, position, seconds) =
            (rebuilt.events, rebuilt.position, rebuilt.elapsed.as_secs_f64());
        progress.print(&format!(
            "{name}: rebuilt from {events} events up to position {position} in {seconds:.2} s"
        ))?;
    }
    Ok(())
}
