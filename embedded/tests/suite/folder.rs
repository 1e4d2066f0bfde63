//! Temporary data folders and a stand-in for annals that can be killed.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use annals_embedded::{Durability, Options};
use anyhow::{Context, Result};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use sqlx::{Connection, PgConnection};

/// Starts a server for a folder and holds it.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_annals-postgres");
pub const READY: &str = "server ready: ";

/// An empty folder, removed at the end; a server left in it by a failed test is killed.
pub struct Folder {
    path: PathBuf,
    durability: Durability,
}

impl Folder {
    /// For servers whose syncing to disk is not what the test is about.
    pub fn new(name: &str) -> Result<Self> {
        Self::with(name, Durability::FastForTests)
    }

    pub fn durable(name: &str) -> Result<Self> {
        Self::with(name, Durability::Durable)
    }

    fn with(name: &str, durability: Durability) -> Result<Self> {
        let path = std::env::temp_dir().join(format!("annals-it-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        // As root the server runs as somebody else, who has to get through.
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
        Ok(Self { path: path.canonicalize()?, durability })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn options(&self) -> Options {
        Options { durability: self.durability, ..Options::new(&self.path) }
    }

    pub fn url_guess(&self) -> String {
        let socket = self.path.join("socket");
        format!("postgres://annals@localhost/annals?host={}&sslmode=disable", socket.display())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Ok(text) = std::fs::read_to_string(self.path.join("postgres/postmaster.pid"))
            && let Some(pid) = text.lines().next().and_then(|line| line.parse().ok())
        {
            let _ = kill(pid);
        }
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

pub async fn connect(url: &str) -> Result<PgConnection> {
    let connecting = PgConnection::connect(url);
    Ok(tokio::time::timeout(Duration::from_secs(10), connecting).await??)
}

/// Connects as soon as the server takes connections again.
pub async fn connect_when_up(url: &str) -> Result<PgConnection> {
    let started = Instant::now();
    loop {
        match connect(url).await {
            Ok(db) => return Ok(db),
            Err(error) if started.elapsed() > Duration::from_secs(30) => return Err(error),
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

pub fn kill(pid: u32) -> Result<()> {
    nix::sys::signal::kill(Pid::from_raw(i32::try_from(pid)?), Signal::SIGKILL)?;
    Ok(())
}

/// A process that owns a folder as annals does.
pub struct Annals {
    process: Child,
    postmaster: u32,
    url: String,
}

impl Annals {
    pub fn spawn(folder: &Folder) -> Result<Self> {
        let fast = folder.durability == Durability::FastForTests;
        let mut process = Command::new(PROGRAM)
            .arg(folder.path())
            .args(fast.then_some("--fast"))
            .process_group(0)
            .stdout(Stdio::piped())
            .spawn()?;
        let out = BufReader::new(process.stdout.take().context("no output")?);
        for line in out.lines() {
            let line = line?;
            if let Some((_, ready)) = line.split_once(READY) {
                let (pid, url) = ready.split_once(' ').context("pid and url")?;
                return Ok(Self { process, postmaster: pid.parse()?, url: url.to_owned() });
            }
        }
        anyhow::bail!("the process ended: {}", process.wait()?)
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// What Ctrl-C in its terminal does; answers the pid of the server.
    pub fn interrupt_from_terminal(mut self) -> Result<u32> {
        let group = Pid::from_raw(-i32::try_from(self.process.id())?);
        nix::sys::signal::kill(group, Signal::SIGINT)?;
        let patience = Instant::now() + Duration::from_secs(20);
        while self.process.try_wait()?.is_none() {
            // Programs started in the background of a script ignore Ctrl-C, and so does all that they start.
            anyhow::ensure!(
                Instant::now() < patience,
                "SIGINT is ignored: run the tests in the foreground"
            );
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(self.postmaster)
    }

    /// SIGKILL; answers the pid of the server that is left running.
    pub fn kill(mut self) -> Result<u32> {
        self.process.kill()?;
        self.process.wait()?;
        Ok(self.postmaster)
    }
}
