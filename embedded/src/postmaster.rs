//! One running server process: starting it, finding one that is already there, stopping it.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::net::UnixStream;

use crate::account::Account;
use crate::error::{At, Error};
use crate::install::{Install, tail};
use crate::layout::{Layout, socket_file};

/// Crash recovery replays at most `max_wal_size`; slow disks need minutes for that.
const READY_DEADLINE: Duration = Duration::from_secs(300);
/// After a kill the backends of the old server need a moment to notice and leave.
const STALE_DEADLINE: Duration = Duration::from_secs(10);
const FAST_DEADLINE: Duration = Duration::from_secs(60);
const IMMEDIATE_DEADLINE: Duration = Duration::from_secs(15);
const TICK: Duration = Duration::from_millis(10);

/// A server that accepts connections (or did when it was last looked at).
#[derive(Debug)]
pub(crate) struct Postmaster {
    pub(crate) pid: u32,
    pub(crate) socket_dir: PathBuf,
    pub(crate) port: u16,
    /// None for a server that another process started.
    child: Option<Child>,
}

/// What `postmaster.pid` says.
#[derive(Debug, PartialEq, Eq)]
struct PidFile {
    pid: u32,
    port: u16,
    socket_dir: PathBuf,
    ready: bool,
}

impl PidFile {
    fn read(pgdata: &Path) -> Option<Self> {
        Self::parse(&std::fs::read_to_string(pgdata.join("postmaster.pid")).ok()?)
    }

    /// Lines: pid, data folder, start time, port, socket folder, address, shared memory, state. The
    /// server writes the last ones while it starts, so a short file is a server not ready yet.
    fn parse(text: &str) -> Option<Self> {
        let lines: Vec<&str> = text.lines().collect();
        Some(Self {
            pid: lines.first()?.trim().parse().ok()?,
            port: lines.get(3).and_then(|line| line.trim().parse().ok()).unwrap_or(0),
            socket_dir: lines.get(4).map(PathBuf::from).unwrap_or_default(),
            ready: lines.get(7).is_some_and(|line| line.trim() == "ready"),
        })
    }
}

impl Postmaster {
    /// Finds a server on `pgdata` that accepts connections; waits while one starts or stops.
    pub(crate) async fn find(pgdata: &Path) -> Result<Option<Self>, Error> {
        let started = Instant::now();
        while let Some(file) = PidFile::read(pgdata) {
            if !alive(file.pid, pgdata) {
                return Ok(None);
            }
            if file.ready && answers(&file).await {
                let PidFile { pid, port, socket_dir, .. } = file;
                return Ok(Some(Self { pid, socket_dir, port, child: None }));
            }
            if started.elapsed() > FAST_DEADLINE {
                let what = format!("process {} on {}", file.pid, pgdata.display());
                return Err(Error::TimedOut { what, after: FAST_DEADLINE });
            }
            tokio::time::sleep(TICK).await;
        }
        Ok(None)
    }

    /// Whether the server was started with just these arguments, so that it can be taken over.
    pub(crate) fn runs_with(&self, install: &Install, pgdata: &Path, arguments: &[String]) -> bool {
        let mut expected = install.program("postgres").display().to_string();
        for argument in arguments {
            expected.push_str(&format!(" \"{argument}\""));
        }
        std::fs::read_to_string(pgdata.join("postmaster.opts"))
            .is_ok_and(|text| text.trim_end() == expected)
    }

    /// Starts a server and waits until it accepts connections.
    pub(crate) async fn start(
        install: &Install,
        account: &Account,
        layout: &Layout,
        arguments: &[String],
    ) -> Result<Self, Error> {
        let started = Instant::now();
        loop {
            forget_stale_pid(&layout.pgdata)?;
            let child = spawn(install, account, layout, arguments)?;
            match wait_ready(child, &layout.pgdata).await? {
                Ok(postmaster) => return Ok(postmaster),
                Err(status) => {
                    let said = log_tail(&layout.log);
                    let stale = said.contains("\"postmaster.pid\" already exists")
                        || said.contains("pre-existing shared memory block");
                    if !stale || started.elapsed() > STALE_DEADLINE {
                        let detail = format!("{status}: {said}");
                        return Err(Error::Failed { what: "starting PostgreSQL", detail });
                    }
                }
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Asks for a shutdown that keeps everything and waits for no client.
    pub(crate) fn interrupt(&self) {
        signal(self.pid, Signal::SIGINT);
    }

    /// Stops the server: fast (a checkpoint is written) or at once (the next start recovers). A fast
    /// stop that does not end becomes an immediate one, which loses no acknowledged commit either.
    pub(crate) async fn stop(&mut self, pgdata: &Path, fast: bool) -> Result<(), Error> {
        if fast {
            self.interrupt();
            if self.wait_gone(pgdata, FAST_DEADLINE).await {
                return Ok(());
            }
            tracing::warn!(pid = self.pid, "PostgreSQL ignores a fast shutdown; stopping at once");
        }
        signal(self.pid, Signal::SIGQUIT);
        if self.wait_gone(pgdata, IMMEDIATE_DEADLINE).await {
            return Ok(());
        }
        let what = format!("stopping PostgreSQL (pid {})", self.pid);
        Err(Error::TimedOut { what, after: IMMEDIATE_DEADLINE })
    }

    /// Whether the process has ended; reaps it when it is ours.
    pub(crate) fn gone(&mut self, pgdata: &Path) -> bool {
        match &mut self.child {
            Some(child) => !matches!(child.try_wait(), Ok(None)),
            None => !alive(self.pid, pgdata),
        }
    }

    async fn wait_gone(&mut self, pgdata: &Path, deadline: Duration) -> bool {
        let started = Instant::now();
        while !self.gone(pgdata) {
            if started.elapsed() > deadline {
                return false;
            }
            tokio::time::sleep(TICK).await;
        }
        true
    }
}

fn spawn(
    install: &Install,
    account: &Account,
    layout: &Layout,
    arguments: &[String],
) -> Result<Child, Error> {
    let log = &layout.log;
    if log.exists() {
        std::fs::rename(log, log.with_extension("log.old")).at("cannot rename", log)?;
    }
    let out = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(log)
        .at("cannot open", log)?;
    layout.belong_to_owner(log)?;
    let err = out.try_clone().at("cannot open", log)?;
    let mut command = install.command("postgres");
    account.run(&mut command);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(err)
        // Ctrl-C in the terminal is for annals, which stops the server after its own work.
        .process_group(0);
    command.spawn().at("cannot run", &install.program("postgres"))
}

async fn wait_ready(
    mut child: Child,
    pgdata: &Path,
) -> Result<Result<Postmaster, ExitStatus>, Error> {
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait().at("cannot wait for", pgdata)? {
            return Ok(Err(status));
        }
        if let Some(file) =
            PidFile::read(pgdata).filter(|file| file.ready && file.pid == child.id())
        {
            let PidFile { pid, port, socket_dir, .. } = file;
            return Ok(Ok(Postmaster { pid, socket_dir, port, child: Some(child) }));
        }
        if started.elapsed() > READY_DEADLINE {
            signal(child.id(), Signal::SIGINT);
            let what = "starting PostgreSQL".to_owned();
            return Err(Error::TimedOut { what, after: READY_DEADLINE });
        }
        tokio::time::sleep(TICK).await;
    }
}

/// PostgreSQL itself refuses to start when `postmaster.pid` names any living process of the same
/// account, and in a container the same small pids come back at every start. Where the system
/// tells that the process is no server on this folder, the file is stale. (Server processes that
/// outlived their postmaster are still noticed through the shared memory.)
fn forget_stale_pid(pgdata: &Path) -> Result<(), Error> {
    let path = pgdata.join("postmaster.pid");
    match PidFile::read(pgdata) {
        Some(file) if cfg!(target_os = "linux") && !alive(file.pid, pgdata) => {
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    Err(error).at("cannot remove", &path)
                }
                _ => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

/// Whether `pid` is a living server on `pgdata`, as far as the system tells.
fn alive(pid: u32, pgdata: &Path) -> bool {
    let Ok(raw) = i32::try_from(pid) else { return false };
    if kill(Pid::from_raw(raw), None) == Err(Errno::ESRCH) {
        return false;
    }
    if cfg!(target_os = "linux") {
        // A postmaster works in its data folder; a dead one that nobody reaped has none.
        match std::fs::read_link(format!("/proc/{pid}/cwd")) {
            Ok(folder) => return folder == pgdata,
            Err(error) => return error.kind() == ErrorKind::PermissionDenied,
        }
    }
    true
}

/// Whether the process of the pid file listens on its socket.
async fn answers(file: &PidFile) -> bool {
    let path = socket_file(&file.socket_dir, file.port);
    let Ok(Ok(stream)) =
        tokio::time::timeout(Duration::from_secs(5), UnixStream::connect(path)).await
    else {
        return false;
    };
    match stream.peer_cred().ok().and_then(|peer| peer.pid()) {
        Some(pid) => u32::try_from(pid) == Ok(file.pid),
        None => true,
    }
}

pub(crate) fn signal(pid: u32, signal: Signal) {
    if let Ok(pid) = i32::try_from(pid) {
        // It fails only for a process that is gone, which is what is wanted.
        let _ = kill(Pid::from_raw(pid), signal);
    }
}

fn log_tail(log: &Path) -> String {
    let mut bytes = Vec::new();
    if let Ok(mut file) = std::fs::File::open(log) {
        let length = file.metadata().map_or(0, |meta| meta.len());
        let _ = file.seek(SeekFrom::Start(length.saturating_sub(2000)));
        let _ = file.take(2000).read_to_end(&mut bytes);
    }
    tail(&bytes, 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_file_is_ready_only_when_its_last_line_says_so() {
        let starting = "4711\n/data/postgres\n1700000000\n5432\n/data/socket\n\n";
        let file = PidFile::parse(starting);
        assert_eq!(file.as_ref().map(|file| (file.pid, file.ready)), Some((4711, false)));
        let ready = format!("{starting}  1234  5\nready   \n");
        assert_eq!(
            PidFile::parse(&ready),
            Some(PidFile {
                pid: 4711,
                port: 5432,
                socket_dir: PathBuf::from("/data/socket"),
                ready: true
            })
        );
        assert_eq!(PidFile::parse(""), None);
    }

    #[test]
    fn a_process_that_works_elsewhere_is_no_server_of_this_folder() {
        if cfg!(target_os = "linux") {
            assert!(!alive(std::process::id(), Path::new("/nonexistent")));
        }
        assert!(!alive(u32::MAX, Path::new("/")));
    }
}
