//! The `annals` binary.

use annals::{bench, config::Config, serve};
use anyhow::Result;
use clap::{Parser, Subcommand};
use std::io::IsTerminal;

/// A self-hosted backend for LLM agents: every write is an event, every stream can be resumed.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Serve HTTP until SIGTERM or Ctrl-C (the default).
    Serve,
    /// Print the configuration in force; secrets only say whether they are set.
    Config,
    /// Measure this build on this machine, in a database of its own.
    Bench(bench::Arguments),
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let config = Config::load()?;
    // Two crypto providers end up in the dependency graph; this is the one in use.
    let _already = rustls::crypto::aws_lc_rs::default_provider().install_default();
    log_to_stderr(config.log_json);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match arguments.command.unwrap_or(Command::Serve) {
            Command::Serve => serve::serve(config).await,
            Command::Bench(arguments) => bench::run(&config, arguments).await,
            Command::Config => {
                print!("{}", config.shown());
                Ok(())
            }
        }
    })
}

fn log_to_stderr(json: Option<bool>) {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info,sqlx=warn"));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if json.unwrap_or_else(|| !std::io::stderr().is_terminal()) {
        lines.json().init();
    } else {
        lines.init();
    }
}
