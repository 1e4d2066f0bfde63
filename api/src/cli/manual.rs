//! Completions and manual pages, from the definition of the command line; documents of the APIs, from their routers.

use super::Arguments;
use crate::openapi::Name;
use anyhow::{Context, Result};
use clap::CommandFactory;
use clap_complete::Shell;
use std::{
    fs,
    io::{self, Write},
    path::Path,
};

pub(super) fn completions(shell: Shell) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "annals", &mut script);
    Ok(io::stdout().write_all(&script)?)
}

/// The page of the program to standard output, or one page for each subcommand into a folder.
pub(super) fn page(folder: Option<&Path>) -> Result<()> {
    match folder {
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(Arguments::command()).render(&mut page)?;
            Ok(io::stdout().write_all(&page)?)
        }
        Some(folder) => {
            let place = || folder.display().to_string();
            fs::create_dir_all(folder).with_context(place)?;
            clap_mangen::generate_to(Arguments::command(), folder).with_context(place)
        }
    }
}

/// The OpenAPI document of a dialect to standard output.
pub(super) fn document(dialect: Name) -> Result<()> {
    Ok(writeln!(io::stdout(), "{}", dialect.json()?)?)
}
