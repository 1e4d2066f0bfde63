//! `annals doctor`: looks at an installation, changes nothing, and says what to do.

mod database;
mod machine;
mod services;
mod tiers;

use crate::config::Config;
use anyhow::Result;
use serde::Serialize;
use std::{
    io::{self, IsTerminal, Write},
    process::ExitCode,
};

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// One JSON object per finding: `area`, `level` (`fine`, `advice`, `trouble`), `what`, `remedy`.
    #[arg(long)]
    json: bool,
}

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Level {
    /// As it should be.
    Fine,
    /// Works, and could be better.
    Advice,
    /// Does not work.
    Trouble,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    area: &'static str,
    level: Level,
    what: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
}

impl Finding {
    fn fine(area: &'static str, what: impl Into<String>) -> Self {
        Self { area, level: Level::Fine, what: what.into(), remedy: None }
    }

    fn advice(area: &'static str, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { area, level: Level::Advice, what: what.into(), remedy: Some(remedy.into()) }
    }

    fn trouble(area: &'static str, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { area, level: Level::Trouble, what: what.into(), remedy: Some(remedy.into()) }
    }
}

/// Exit code 1 when something does not work.
pub(super) async fn run(config: &Config, arguments: Arguments) -> Result<ExitCode> {
    // Each part has deadlines of its own; together they take as long as the slowest.
    let (machine, database, services) =
        tokio::join!(machine::look(config), database::look(config), services::look(config));
    let findings = [machine, database, tiers::look(config), services];
    let findings: Vec<Finding> = findings.into_iter().flatten().collect();
    let mut out = io::stdout().lock();
    for finding in &findings {
        if arguments.json {
            serde_json::to_writer(&mut out, finding)?;
            writeln!(out)?;
        } else {
            print(&mut out, finding)?;
        }
    }
    let sick = findings.iter().any(|finding| finding.level == Level::Trouble);
    Ok(if sick { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn print(out: &mut impl Write, finding: &Finding) -> io::Result<()> {
    let (word, colour) = match finding.level {
        Level::Fine => ("fine", "32"),
        Level::Advice => ("advice", "33"),
        Level::Trouble => ("TROUBLE", "31"),
    };
    let (on, off) = match io::stdout().is_terminal() {
        true => (format!("\x1b[{colour}m"), "\x1b[0m"),
        false => (String::new(), ""),
    };
    writeln!(out, "{on}{word:<8}{off}{:<14}{}", finding.area, finding.what)?;
    match &finding.remedy {
        Some(remedy) => writeln!(out, "{:22}→ {remedy}", ""),
        None => Ok(()),
    }
}
