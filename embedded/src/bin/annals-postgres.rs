//! Starts the embedded database of a data folder and holds it until the process ends: for looking into the database of a
//! stopped annals with other tools, and for tests that kill a process which owns one.
//!
//! `annals-postgres FOLDER [--fast] [--once]`: `--fast` gives up durability, `--once` stops again at once. Prints
//! `server ready: PID URL`.

use annals_embedded::{Durability, Error, Options, start};
use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let Some(folder) = arguments.next() else {
        eprintln!("usage: annals-postgres FOLDER [--fast] [--once]");
        return ExitCode::from(2);
    };
    let flags: Vec<_> = arguments.collect();
    let mut options = Options::new(folder);
    if flags.iter().any(|flag| flag == "--fast") {
        options.durability = Durability::FastForTests;
    }
    match hold(options, flags.iter().any(|flag| flag == "--once")).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn hold(options: Options, once: bool) -> Result<(), Error> {
    let server = start(options).await?;
    println!("server ready: {} {}", server.pid(), server.url());
    if once {
        return server.stop().await;
    }
    std::future::pending().await
}
