//! What a user reads when there is no way to a database.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::folder::{Folder, PROGRAM, READY, connect};
use annals_embedded::{Durability, Error, Options, start};
use anyhow::{Context, Result, ensure};

/// Starts a server in a process with other variables; answers what it printed.
fn start_with(folder: &Folder, variables: &[(&str, &Path)]) -> Result<String> {
    let mut command = Command::new(PROGRAM);
    command.arg(folder.path()).arg("--once").envs(variables.iter().copied());
    let output = command.output()?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr))
}

#[test]
fn without_binaries_pip_or_network_the_ways_out_are_named() -> Result<()> {
    let folder = Folder::new("nothing")?;
    let empty = folder.path().join("empty");
    std::fs::create_dir(&empty)?;
    let said = start_with(&folder, &[("PATH", &empty), ("ANNALS_CACHE", &empty)])?;
    if said.contains(READY) {
        // This system has a PostgreSQL with pgvector of its own: nothing can be missing.
        return Ok(());
    }
    for way in ["pip: not installed", "ANNALS_PG_DIR", "DATABASE_URL", "docker compose up"] {
        ensure!(said.contains(way), "{way} is not in:\n{said}");
    }
    ensure!(!folder.path().join("postgres").exists(), "nothing half-made is left");
    Ok(())
}

#[test]
fn a_useless_pg_dir_is_named_with_what_it_lacks() -> Result<()> {
    let folder = Folder::new("pgdir")?;
    let missing = folder.path().join("none");
    let said = start_with(&folder, &[("ANNALS_PG_DIR", &missing)])?;
    let wanted = format!("ANNALS_PG_DIR={} cannot be used", missing.display());
    ensure!(said.contains(&wanted) && said.contains("bin/postgres is missing"), "{said}");

    let bin = missing.join("bin");
    std::fs::create_dir_all(&bin)?;
    for name in ["postgres", "initdb"] {
        std::fs::write(bin.join(name), "#!/bin/sh\necho 'postgres (PostgreSQL) 14.2'\n")?;
        std::fs::set_permissions(bin.join(name), PermissionsExt::from_mode(0o755))?;
    }
    let said = start_with(&folder, &[("ANNALS_PG_DIR", &missing)])?;
    ensure!(said.contains("it is PostgreSQL 14, older than 15"), "{said}");

    std::fs::write(bin.join("postgres"), "#!/bin/sh\necho 'postgres (PostgreSQL) 16.1'\n")?;
    let said = start_with(&folder, &[("ANNALS_PG_DIR", &missing)])?;
    ensure!(said.contains("pgvector is not installed"), "{said}");
    Ok(())
}

#[tokio::test]
async fn a_folder_that_the_account_of_the_server_cannot_reach_is_named() -> Result<()> {
    if !nix::unistd::geteuid().is_root() {
        return Ok(()); // Only root's server runs as somebody else.
    }
    let folder = Folder::new("unreachable")?;
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o700))?;
    let refused = start(Options::new(folder.path().join("data"))).await;
    let refused = refused.err().context("it was started")?;
    ensure!(
        matches!(&refused, Error::Unreachable { blocked, .. } if blocked == folder.path()),
        "{refused}"
    );
    ensure!(refused.to_string().contains("ANNALS_DATA"), "{refused}");
    Ok(())
}

#[tokio::test]
async fn a_long_and_strange_folder_name_is_no_obstacle() -> Result<()> {
    let folder = Folder::new("long")?;
    let data = folder.path().join(format!("a b,\"c\" & ü {}", "x".repeat(100)));
    let options = Options { durability: Durability::FastForTests, ..Options::new(&data) };
    let server = start(options.clone()).await?;
    connect(server.url()).await?;
    let url = server.url().to_owned();
    server.stop().await?;

    let short = folder.path().join("a b,\"c\" & ü");
    let server = start(Options { data: short, ..options }).await?;
    connect(server.url()).await?;
    assert_ne!(server.url(), url);
    server.stop().await?;
    let (_, socket) = url.split_once("host=").context("no socket")?;
    std::fs::remove_dir(socket.split('&').next().unwrap_or_default())?;
    Ok(())
}
