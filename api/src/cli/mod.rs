//! The command line. Every subcommand works beside a running server, through its database, and alone.
//!
//! Exit codes: 0 when it is done; 1 when it failed, or `verify` found a difference; 2 when the command line or the
//! configuration cannot be understood, or `verify` could not look.

mod archive;
mod backup;
mod copy;
mod doctor;
mod events;
mod invite;
mod manual;
mod progress;
pub(crate) mod rebuild;
mod restore;
mod user;
mod verify;

use crate::{
    bench,
    compose::{Store, Tenancy},
    config::Config,
    eval, event_store, openapi, serve, telemetry,
};
use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use commands::effects::extract::reader;
use domain::Metadata;
pub(crate) use progress::Progress;
use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};
use uuid::Uuid;

/// Exit code for what could not be understood or looked at.
const TROUBLE: u8 = 2;
/// As shells report a process that Ctrl-C ended.
pub(crate) const INTERRUPTED: u8 = 130;

/// A self-hosted backend for LLM agents: every write is an event, every stream can be resumed.
#[derive(Parser)]
#[command(name = "annals", version)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Serve HTTP until SIGTERM or Ctrl-C (the default).
    Serve,
    /// Serve the log alone over the EventStoreDB protocol, on ANNALS_EVENTSTORE_LISTEN.
    Log,
    /// Print the configuration in force; secrets only say whether they are set.
    Config,
    /// Look at this installation, change nothing, and say what to do.
    Doctor(doctor::Arguments),
    /// Bring the database up to date and end.
    Migrate,
    /// Print events as JSON lines, in the order of the log.
    Events(events::Arguments),
    /// Fold read models anew from the log, while the old ones serve, and put the result in their place.
    Rebuild(rebuild::Arguments),
    /// Copy the events of one log into another, in their order, compared one by one; goes on where an earlier copy stopped.
    Copy(copy::Arguments),
    /// Check that the log is what was written, and that every read model is what the log says.
    Verify,
    /// Save log, secrets and files, as they are at one moment, in one file; beside a running server, or alone.
    Backup(backup::Arguments),
    /// Put a backup into an empty database, prove its log, and fold the read models from it.
    Restore(restore::Arguments),
    /// Create people, give them tokens and roles.
    #[command(subcommand)]
    User(user::Command),
    /// Invite people to register.
    #[command(subcommand)]
    Invite(invite::Command),
    /// Measure this build on this machine, in a database of its own.
    Bench(bench::Arguments),
    /// Judge how good answers are, in a database of its own.
    #[command(subcommand)]
    Eval(eval::Command),
    /// Print completions for a shell; e.g. `annals completions bash > /etc/bash_completion.d/annals`.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page; e.g. `annals man > /usr/local/share/man/man1/annals.1`.
    Man {
        /// Write one page per subcommand into this folder instead.
        #[arg(long)]
        folder: Option<PathBuf>,
    },
    /// Print the OpenAPI document of a dialect.
    Openapi {
        /// Which one.
        dialect: openapi::Name,
    },
    /// Read a file for a server that gave it to this process.
    #[command(hide = true, name = reader::SUBCOMMAND)]
    Extract,
}

/// Runs what the command line asks for.
pub fn main() -> ExitCode {
    let command = Arguments::parse().command.unwrap_or(Command::Serve);
    let printed = match command {
        Command::Extract => return reader::serve(),
        Command::Completions { shell } => Some(manual::completions(shell)),
        Command::Man { ref folder } => Some(manual::page(folder.as_deref())),
        Command::Openapi { dialect } => Some(manual::document(dialect)),
        _ => None,
    };
    match printed {
        Some(Ok(())) => return ExitCode::SUCCESS,
        Some(Err(error)) if is_broken_pipe(&error) => return ExitCode::SUCCESS,
        Some(Err(error)) => return fail(&error, 1),
        None => {}
    }
    let config = match Config::load() {
        Ok(config) => config,
        Err(error) => return fail(&error.into(), TROUBLE),
    };
    // Two crypto providers end up in the dependency graph; this is the one in use. The client of EventStoreDB installs it by
    // itself, and does not work when somebody else has.
    let event_store = match &command {
        Command::Copy(_) => true,
        Command::Bench(arguments) => arguments.event_store(),
        _ => config.eventstore_url.is_some(),
    };
    if !event_store {
        let _already = rustls::crypto::aws_lc_rs::default_provider().install_default();
    }
    let usual = match command {
        Command::Serve | Command::Log => "info,sqlx=warn",
        // What it finds is what it says.
        Command::Doctor(_) => "off",
        _ => "warn,sqlx=error",
    };
    let traced = matches!(command, Command::Serve | Command::Log);
    let telemetry = match telemetry::start(config.log_json, usual, traced) {
        Ok(telemetry) => telemetry,
        Err(error) => return fail(&error, TROUBLE),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error.into(), TROUBLE),
    };
    let trouble = if matches!(command, Command::Verify) { TROUBLE } else { 1 };
    let ended = runtime.block_on(run(command, config));
    telemetry.stop();
    match ended {
        Ok(code) => code,
        // Whoever read the output has seen enough.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => fail(&error, trouble),
    }
}

async fn run(command: Command, config: Config) -> Result<ExitCode> {
    match command {
        Command::Serve => serve::serve(config).await.map(|()| ExitCode::SUCCESS),
        Command::Log => event_store::serve_alone(config).await.map(|()| ExitCode::SUCCESS),
        Command::Config => {
            write!(io::stdout(), "{}", config.shown())?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Doctor(arguments) => doctor::run(&config, arguments).await,
        Command::Bench(arguments) => bench::run(&config, arguments).await,
        Command::Eval(command) => eval::run(&config, command).await,
        Command::Copy(arguments) => copy::run(arguments).await.map(|()| ExitCode::SUCCESS),
        Command::Restore(arguments) => {
            let stopped = serve::stop_signal()?;
            tokio::select! {
                restored = restore::run(&config, arguments) => restored.map(|()| ExitCode::SUCCESS),
                // Nothing is committed before all of it is there.
                () = stopped => Ok(ExitCode::from(INTERRUPTED)),
            }
        }
        other => beside(other, &config).await,
    }
}

/// Runs a subcommand on the database, which is let go of in any case.
async fn beside(command: Command, config: &Config) -> Result<ExitCode> {
    let stopped = serve::stop_signal()?;
    tokio::pin!(stopped);
    let store = tokio::select! {
        store = Store::open(config, Tenancy::Guest) => store?,
        () = &mut stopped => return Ok(ExitCode::from(INTERRUPTED)),
    };
    // Nothing else ends one that follows.
    let interrupted = match &command {
        Command::Events(arguments) if arguments.follow => ExitCode::SUCCESS,
        _ => ExitCode::from(INTERRUPTED),
    };
    let outcome = tokio::select! {
        outcome = with_store(command, &store, config) => outcome,
        () = &mut stopped => Ok(interrupted),
    };
    let closed = store.close().await.context("the database did not stop");
    let code = outcome?;
    closed.map(|()| code)
}

async fn with_store(command: Command, store: &Store, config: &Config) -> Result<ExitCode> {
    match command {
        Command::Events(arguments) => events::run(store, arguments).await?,
        Command::Rebuild(arguments) => rebuild::run(store, arguments).await?,
        Command::Verify => return verify::run(store).await,
        Command::Backup(arguments) => backup::run(store, config, arguments).await?,
        Command::User(command) => user::run(store, command).await?,
        Command::Invite(command) => invite::run(store, command).await?,
        Command::Migrate => writeln!(io::stdout(), "the database is up to date")?,
        // None of them needs a database of ours.
        Command::Serve
        | Command::Log
        | Command::Config
        | Command::Doctor(_)
        | Command::Completions { .. }
        | Command::Man { .. }
        | Command::Openapi { .. }
        | Command::Copy(_)
        | Command::Restore(_)
        | Command::Bench(_)
        | Command::Eval(_)
        | Command::Extract => {}
    }
    Ok(ExitCode::SUCCESS)
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
    })
}

fn fail(error: &anyhow::Error, code: u8) -> ExitCode {
    // Nobody is left to tell when this cannot be written.
    let _unread = writeln!(io::stderr(), "annals: {error:#}");
    ExitCode::from(code)
}

/// Metadata of what an operator does on the command line.
fn operator() -> Metadata {
    Metadata::system(Uuid::now_v7())
}
