//! `annals invite create|list|disable`.

use super::operator;
use crate::compose::Store;
use anyhow::{Context, Result};
use chrono::{DateTime, TimeDelta, Utc};
use commands::{execute::unpack, invites::Invites, log::Filter};
use domain::{Decider, Position, invite::Invite};
use std::{
    collections::BTreeMap,
    io::{self, Write},
};

/// Events looked at in one go.
const PAGE: usize = 5_000;

#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Print the code of a new invitation, for `POST /api/register`; it is shown this once.
    Create {
        /// How many people may register with it.
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        uses: u32,
        /// After how many days it ends by itself; never without it.
        #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
        days: Option<u16>,
    },
    /// List invitations: id, status, uses, when they were made.
    List,
    /// Let an invitation no longer count.
    Disable {
        /// Its code, or its id from `list`.
        code: String,
    },
}

pub(super) async fn run(store: &Store, command: Command) -> Result<()> {
    let invites = Invites::new(store.log.clone(), store.identity.clone());
    let mut out = io::stdout().lock();
    match command {
        Command::Create { uses, days } => {
            let ends = days.map(|days| Utc::now() + TimeDelta::days(days.into()));
            let made = invites.create(ends, uses, &operator()).await?;
            writeln!(out, "{}", made.code.expose())?;
        }
        Command::List => {
            for (id, (at, invite)) in all(store).await? {
                let status = invite.status().unwrap_or_default();
                let (used, most) = match &invite {
                    Invite::Open(open) => (open.claims.len(), open.max_uses),
                    Invite::Absent | Invite::Disabled => (0, 0),
                };
                writeln!(out, "{id} {status} {used}/{most} {}", at.to_rfc3339())?;
            }
        }
        Command::Disable { code } => {
            let disabled = invites.disable(&code, &operator()).await;
            disabled.context("there is no such invitation that could be used")?;
            writeln!(out, "disabled")?;
        }
    }
    Ok(())
}

/// Every invitation and when it was made, from the log: no server has to run.
async fn all(store: &Store) -> Result<BTreeMap<String, (DateTime<Utc>, Invite)>> {
    let (filter, head) = (Filter::categories(&[Invite::CATEGORY]), store.log.head().await?);
    let (mut all, mut at) = (BTreeMap::new(), Position::START);
    while at < head {
        let page = store.log.read_all(at, PAGE, &filter).await?;
        for recorded in &page.events {
            let event = unpack::<Invite>(recorded)?;
            let id = recorded.stream.key().to_owned();
            let known = all.entry(id).or_insert((recorded.recorded_at, Invite::default()));
            known.1 = std::mem::take(&mut known.1).evolve(&event);
        }
        at = page.scanned;
    }
    Ok(all)
}
