//! What lies on this machine: the data folder, the key, the port, the programs.

use super::Finding;
use crate::config::Config;
use commands::effects::keys::MasterKey;
use nix::sys::{resource, statvfs};
use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use tokio::{net::TcpListener, process::Command, time::timeout};

/// Free space below which the next large upload fails.
const CRAMPED: u64 = 1 << 30;
/// Free space below which somebody should think of a larger disk.
const NARROW: u64 = 5 << 30;
/// Streams and database connections are open files.
const FILES: u64 = 4096;
/// How long a program may take to name its version, and a server on our port to answer.
const DEADLINE: Duration = Duration::from_secs(10);

pub(super) async fn look(config: &Config) -> Vec<Finding> {
    let mut findings = vec![folder(&config.data), key(config), files()];
    findings.extend(disk(&config.data));
    findings.push(port(config).await);
    for (area, setting, program) in
        [("ffmpeg", "ANNALS_FFMPEG", &config.ffmpeg), ("yt-dlp", "ANNALS_YTDLP", &config.ytdlp)]
    {
        if let Some(program) = program {
            findings.push(runs(area, setting, program).await);
        }
    }
    findings
}

/// The folder itself, or the one that it will be made in.
fn standing(folder: &Path) -> PathBuf {
    let mut at = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    while !at.exists() {
        if !at.pop() {
            return PathBuf::from("/");
        }
    }
    at
}

fn folder(data: &Path) -> Finding {
    const AREA: &str = "data folder";
    let at = standing(data);
    let remedy = "give the user that runs annals the right to write there, or set ANNALS_DATA";
    match nix::unistd::access(&at, nix::unistd::AccessFlags::W_OK | nix::unistd::AccessFlags::X_OK)
    {
        Ok(()) if data.exists() => {
            Finding::fine(AREA, format!("{} can be written", data.display()))
        }
        Ok(()) => {
            Finding::fine(AREA, format!("{} will be made at the first start", data.display()))
        }
        Err(error) => Finding::trouble(AREA, format!("{}: {}", at.display(), error.desc()), remedy),
    }
}

fn disk(data: &Path) -> Option<Finding> {
    const AREA: &str = "disk";
    let room = statvfs::statvfs(&standing(data)).ok()?;
    #[expect(clippy::useless_conversion, reason = "the width of these fields differs by system")]
    let free = u64::from(room.blocks_available()).saturating_mul(u64::from(room.fragment_size()));
    let what = format!("{:.1} GiB free for {}", gibibytes(free), data.display());
    Some(match free {
        ..CRAMPED => Finding::trouble(AREA, what, "free some space: writes fail when none is left"),
        CRAMPED..NARROW => {
            Finding::advice(AREA, what, "the log and the files only grow; plan for more")
        }
        _ => Finding::fine(AREA, what),
    })
}

#[expect(clippy::cast_precision_loss, reason = "one digit is shown")]
fn gibibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 30)
}

fn key(config: &Config) -> Finding {
    const AREA: &str = "master key";
    if let Some(key) = &config.master_key {
        return match MasterKey::parse(key.expose(), "ANNALS_MASTER_KEY") {
            Ok(_) => Finding::fine(AREA, "from ANNALS_MASTER_KEY"),
            Err(error) => {
                Finding::trouble(AREA, error.to_string(), "`openssl rand -base64 32` makes one")
            }
        };
    }
    let named = config.master_key_file.is_some();
    let path = config.master_key_file.clone().unwrap_or_else(|| MasterKey::file_in(&config.data));
    match fs::metadata(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && !named => {
            Finding::fine(AREA, "will be made at the first start")
        }
        Err(error) => Finding::trouble(
            AREA,
            format!("{}: {error}", path.display()),
            "put the key there, readable by the user that runs annals",
        ),
        Ok(about) => match MasterKey::read(&path) {
            Err(error) => Finding::trouble(
                AREA,
                error.to_string(),
                "restore it from a backup: without it no secret can be read",
            ),
            Ok(_) if about.permissions().mode() & 0o077 != 0 => Finding::advice(
                AREA,
                format!("others on this machine can read {}", path.display()),
                format!("chmod 600 {}", path.display()),
            ),
            Ok(_) => Finding::fine(AREA, format!("{}, for its owner only", path.display())),
        },
    }
}

fn files() -> Finding {
    const AREA: &str = "open files";
    match resource::getrlimit(resource::Resource::RLIMIT_NOFILE) {
        Ok((_, hard)) if hard < FILES => Finding::advice(
            AREA,
            format!("{hard} at most; each open stream is one"),
            "raise the hard limit (LimitNOFILE= in a systemd unit, --ulimit nofile= of a container)",
        ),
        Ok((_, hard)) => Finding::fine(AREA, format!("{hard} at most")),
        Err(error) => Finding::advice(
            AREA,
            format!("the limit cannot be read: {}", error.desc()),
            "check `ulimit -Hn`",
        ),
    }
}

async fn port(config: &Config) -> Finding {
    const AREA: &str = "address";
    let listen = config.listen;
    let taken = match TcpListener::bind(listen).await {
        Ok(_) => return Finding::fine(AREA, format!("{listen} is free")),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => error,
        Err(error) => {
            return Finding::trouble(
                AREA,
                format!("{listen}: {error}"),
                "set ANNALS_LISTEN to an address of this machine",
            );
        }
    };
    let ask = async {
        let answer = reqwest::get(format!("http://{listen}/readyz")).await.ok()?;
        let body: serde_json::Value = answer.json().await.ok()?;
        body["ready"].as_bool()
    };
    match timeout(DEADLINE, ask).await.ok().flatten() {
        Some(true) => Finding::fine(AREA, format!("annals serves {listen} and is ready")),
        Some(false) => Finding::trouble(
            AREA,
            format!("annals serves {listen} and is not ready"),
            format!("see http://{listen}/readyz"),
        ),
        None => Finding::trouble(
            AREA,
            format!("{listen}: {taken}"),
            "stop the other program, or choose another ANNALS_LISTEN",
        ),
    }
}

async fn runs(area: &'static str, setting: &str, program: &Path) -> Finding {
    let version = if area == "ffmpeg" { "-version" } else { "--version" };
    let mut command = Command::new(program);
    command.arg(version).stdin(Stdio::null()).kill_on_drop(true);
    let remedy = format!("install it, and set {setting} to its path");
    match timeout(DEADLINE, command.output()).await {
        Ok(Ok(output)) if output.status.success() => {
            let text = String::from_utf8_lossy(&output.stdout);
            Finding::fine(area, text.lines().next().unwrap_or_default().trim().to_owned())
        }
        Ok(Ok(output)) => Finding::trouble(
            area,
            format!("{} ends with {}", program.display(), output.status),
            remedy,
        ),
        Ok(Err(error)) => Finding::trouble(area, format!("{}: {error}", program.display()), remedy),
        Err(_) => Finding::trouble(area, format!("{} does not answer", program.display()), remedy),
    }
}
