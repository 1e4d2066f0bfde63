//! `annals events`.

use crate::{audit::Search, compose::Store};
use anyhow::Result;
use commands::{log::Filter, publish};
use domain::{Position, Recorded, StreamId};
use futures::StreamExt;
use std::{
    io::{self, Write},
    time::Duration,
};

/// Events per page.
const PAGE: usize = 1_000;
/// How long a page may be looked for before the next one begins.
const PATIENCE: Duration = Duration::from_secs(1);

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Go on with what comes, until Ctrl-C.
    #[arg(long, short)]
    pub follow: bool,
    /// Only what comes after this position.
    #[arg(long, default_value_t = 0)]
    after: u64,
    /// Only of this stream, for example `user-6f1c…`.
    #[arg(long)]
    stream: Option<StreamId>,
    /// Only of these categories.
    #[arg(long)]
    category: Vec<Box<str>>,
    /// Only of these types.
    #[arg(long = "type")]
    kinds: Vec<Box<str>>,
    /// No more than so many.
    #[arg(long)]
    limit: Option<usize>,
}

pub(super) async fn run(store: &Store, arguments: Arguments) -> Result<()> {
    let filter = Filter { categories: arguments.category, kinds: arguments.kinds };
    let search = Search { stream: arguments.stream, filter, ..Search::default() };
    let mut left = arguments.limit.unwrap_or(usize::MAX);
    let mut after = Position(arguments.after);
    while left > 0 {
        let found = search.page(&*store.log, after, PAGE.min(left), PATIENCE).await?;
        print(&found.events)?;
        left -= found.events.len();
        match found.next {
            Some(next) => after = next,
            None => {
                after = after.max(found.head);
                break;
            }
        }
    }
    if !arguments.follow {
        return Ok(());
    }
    let mut news = store.log.subscribe(after, search.filter.clone());
    while left > 0 {
        let Some(delivery) = news.next().await else { break };
        let mut events = delivery.events;
        events.retain(|event| search.admits(event));
        events.truncate(left);
        left -= events.len();
        print(&events)?;
    }
    Ok(())
}

/// Whole lines at once, so that a reader at the other end of a pipe sees no half event for long.
fn print(events: &[impl AsRef<Recorded>]) -> Result<()> {
    let mut lines = Vec::new();
    for event in events {
        lines.extend(publish::payload(event.as_ref())?);
        lines.push(b'\n');
    }
    let mut out = io::stdout().lock();
    out.write_all(&lines)?;
    Ok(out.flush()?)
}
