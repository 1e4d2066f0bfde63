//! One running server process: finding it and stopping it.

use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::error::Error;
use crate::launch::READY_DEADLINE;
use crate::layout::socket_file;

const FAST_DEADLINE: Duration = Duration::from_secs(60);
const ANSWER_DEADLINE: Duration = Duration::from_secs(5);
const IMMEDIATE_DEADLINE: Duration = Duration::from_secs(15);
pub(crate) const TICK: Duration = Duration::from_millis(10);

/// A server that accepts connections (or did when it was last looked at).
#[derive(Debug)]
pub(crate) struct Postmaster {
    pub(crate) pid: u32,
    pub(crate) socket_dir: PathBuf,
    pub(crate) port: u16,
    /// False for a living server whose socket was taken away (by a cleaner of temp folders, say).
    pub(crate) reachable: bool,
    /// None for a server that another process started.
    child: Option<Child>,
}

/// What `postmaster.pid` says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PidFile {
    pub(crate) pid: u32,
    port: u16,
    socket_dir: PathBuf,
    pub(crate) ready: bool,
}

impl PidFile {
    pub(crate) fn read(pgdata: &Path) -> Option<Self> {
        Self::parse(&std::fs::read_to_string(pgdata.join("postmaster.pid")).ok()?)
    }

    /// Lines: pid, data folder, start time, port, socket folder, address, shared memory, state. The
    /// server writes the last ones while it starts, so a short file is a server not ready yet.
    pub(crate) fn parse(text: &str) -> Option<Self> {
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
    pub(crate) fn new(file: PidFile, child: Option<Child>) -> Self {
        let PidFile { pid, port, socket_dir, .. } = file;
        Self { pid, socket_dir, port, reachable: true, child }
    }

    /// Finds a living server on `pgdata`; waits while one starts or stops.
    pub(crate) async fn find(pgdata: &Path) -> Result<Option<Self>, Error> {
        let started = Instant::now();
        while let Some(file) = PidFile::read(pgdata) {
            if !alive(file.pid, pgdata) {
                return Ok(None);
            }
            if file.ready && answers(&file).await {
                return Ok(Some(Self::new(file, None)));
            }
            if file.ready && started.elapsed() > ANSWER_DEADLINE {
                return Ok(Some(Self { reachable: false, ..Self::new(file, None) }));
            }
            if started.elapsed() > READY_DEADLINE {
                let what = format!("process {} on {}", file.pid, pgdata.display());
                return Err(Error::TimedOut { what, after: READY_DEADLINE });
            }
            tokio::time::sleep(TICK).await;
        }
        Ok(None)
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

/// Whether `pid` is a living server on `pgdata`, as far as the system tells.
pub(crate) fn alive(pid: u32, pgdata: &Path) -> bool {
    let Ok(raw) = i32::try_from(pid) else { return false };
    if kill(Pid::from_raw(raw), None) == Err(Errno::ESRCH) {
        return false;
    }
    if cfg!(target_os = "linux") {
        // A postmaster works in its data folder; a dead one that nobody reaped has none.
        let process = PathBuf::from(format!("/proc/{pid}"));
        match std::fs::read_link(process.join("cwd")) {
            Ok(folder) => return folder == pgdata,
            // A root without CAP_SYS_PTRACE may not see that, but always the arguments.
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                let arguments = std::fs::read(process.join("cmdline")).unwrap_or_default();
                let folder = pgdata.as_os_str().as_bytes();
                return arguments.split(|byte| *byte == 0).any(|argument| argument == folder);
            }
            // Without an entry the process is hidden from us, and the signal's word counts.
            Err(_) => return !process.exists(),
        }
    }
    true
}

/// Whether the process of the pid file serves its socket. Being let in is not enough: a process that
/// was just killed still holds its listener for a moment, so it has to say something.
async fn answers(file: &PidFile) -> bool {
    /// Length 8 and the code that asks for TLS; the answer is one byte before any login.
    const ASK_FOR_TLS: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
    let path = socket_file(&file.socket_dir, file.port);
    let talk = async {
        let mut stream = UnixStream::connect(path).await?;
        let peer = stream.peer_cred()?.pid();
        stream.write_all(&ASK_FOR_TLS).await?;
        stream.read_u8().await?;
        std::io::Result::Ok(peer)
    };
    match tokio::time::timeout(ANSWER_DEADLINE, talk).await {
        Ok(Ok(Some(pid))) => u32::try_from(pid) == Ok(file.pid),
        // Not every system tells who listens.
        Ok(Ok(None)) => true,
        Ok(Err(_)) | Err(_) => false,
    }
}

pub(crate) fn signal(pid: u32, signal: Signal) {
    if let Ok(pid) = i32::try_from(pid) {
        // It fails only for a process that is gone, which is what is wanted.
        let _ = kill(Pid::from_raw(pid), signal);
    }
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
