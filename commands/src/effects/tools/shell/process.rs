//! One command as a process of its own, within limits.

use nix::{
    sys::{
        prctl,
        signal::{Signal, killpg},
    },
    unistd::{Pid, geteuid},
};
use std::{
    collections::HashSet, fs, io, ops::RangeInclusive, os::unix::fs::MetadataExt, path::Path,
    process::Stdio, time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::Command,
    runtime::Handle,
    time::timeout,
};

/// Accounts of which a command gets one where we are root: those that systemd, too, hands out for the time of a process.
const ACCOUNTS: RangeInclusive<u32> = 61_184..=65_519;
/// How often an account that nobody uses is looked for.
const LOOKS: usize = 64;
/// Bytes of each output that are kept.
const OUTPUT: usize = 20 << 10;
/// How long outputs stay open after everything that was started has ended.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Sets limits, which the command cannot lift, and becomes the command. Units: seconds of CPU, KiB of memory, half KiB of
/// a file, open files, processes. Shells differ in the letter for processes.
const LIMITED: &str = r#"
set -e
ulimit -c 0
ulimit -t 120
ulimit -v 1048576
ulimit -f 131072
ulimit -n 256
ulimit -u 256 2>/dev/null || ulimit -p 256
exec /bin/sh -c "$1"
"#;

/// What became of a command.
#[derive(Debug)]
pub(super) struct Finished {
    /// What it said at its end; `None` when a signal ended it.
    pub exit_code: Option<i32>,
    /// The beginning of what it wrote.
    pub stdout: String,
    /// The beginning of what it complained about.
    pub stderr: String,
    /// Whether it had to be ended.
    pub timed_out: bool,
}

/// What a command started: its process group, and where it has an account of its own, everything of that. Ended
/// whenever this goes away, also when the call is given up.
struct Started {
    group: Pid,
    account: Option<u32>,
}

impl Started {
    async fn end(mut self) {
        self.end_group();
        if let Some(account) = self.account.take() {
            sweep(account).await;
        }
    }

    fn end_group(&self) {
        // Nobody is left in it, as a rule.
        let _gone = killpg(self.group, Signal::SIGKILL);
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        self.end_group();
        if let (Some(account), Ok(runtime)) = (self.account, Handle::try_current()) {
            runtime.spawn(sweep(account));
        }
    }
}

/// The account that a command runs as, if it is not ours: one that no process has.
pub(super) fn account() -> io::Result<Option<u32>> {
    if !geteuid().is_root() {
        return Ok(None);
    }
    let owner = |process: io::Result<fs::DirEntry>| Some(process.ok()?.metadata().ok()?.uid());
    let used: HashSet<u32> = fs::read_dir("/proc")?.filter_map(owner).collect();
    let mut some = (0..LOOKS).map(|_| rand::random_range(ACCOUNTS));
    let free = some.find(|account| !used.contains(account));
    free.map(Some).ok_or_else(|| io::Error::other("no account is free"))
}

/// Keeps processes of the same account from reading this one's environment and memory.
pub(super) fn close_ourselves() {
    if !geteuid().is_root() {
        tracing::warn!("commands run as this server's account and can read its files");
        if let Err(error) = prctl::set_dumpable(false) {
            tracing::warn!(%error, "commands can read this server's environment");
        }
    }
}

/// Runs `command` as `account` in `folder`, which holds `work` and `home`. When this is over, nothing that it started is left: all of
/// its process group is ended, and as root everything of its account.
pub(super) async fn run(
    command: &str,
    folder: &Path,
    account: Option<u32>,
    time: Duration,
) -> io::Result<Finished> {
    let mut child = isolated(folder, account)
        .args(["-c", LIMITED, "sh", command])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let id = child.id().and_then(|id| i32::try_from(id).ok());
    let group = Pid::from_raw(id.ok_or_else(|| io::Error::other("no process"))?);
    let started = Started { group, account };
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let outputs = tokio::spawn(async { tokio::join!(beginning(stdout), beginning(stderr)) });
    let ended = timeout(time, child.wait()).await;
    started.end().await;
    let status = match &ended {
        Ok(status) => status.as_ref().ok().copied(),
        Err(_) => child.wait().await.ok(),
    };
    let (stdout, stderr) = match timeout(LAST_WORDS, outputs).await {
        Ok(Ok(outputs)) => outputs,
        Ok(Err(_)) | Err(_) => (String::new(), String::new()),
    };
    let exit_code = status.and_then(|status| status.code());
    Ok(Finished { exit_code, stdout, stderr, timed_out: ended.is_err() })
}

fn isolated(folder: &Path, account: Option<u32>) -> Command {
    let mut command = bare(account);
    command
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("LANG", "C.UTF-8")
        .env("HOME", folder.join("home"))
        .env("TMPDIR", folder.join("home"))
        .current_dir(folder.join("work"))
        .process_group(0)
        .kill_on_drop(true);
    command
}

/// A shell as this account, with nothing of ours.
fn bare(account: Option<u32>) -> Command {
    let mut command = Command::new("/bin/sh");
    command.env_clear().current_dir("/");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if let Some(account) = account {
        // Root's supplementary groups go together with the account.
        command.uid(account).gid(account);
    }
    command
}

/// Ends what left the group, which only an account of its own gives away.
async fn sweep(account: u32) {
    let swept = bare(Some(account)).args(["-c", "kill -9 -1"]).status().await;
    if let Err(error) = swept {
        tracing::warn!(%error, "processes of a command may be left");
    }
}

/// The beginning of an output, read to its end so that nobody waits for us.
async fn beginning(output: Option<impl AsyncRead + Unpin>) -> String {
    let (mut kept, mut piece) = (Vec::new(), vec![0; 8 << 10]);
    let Some(mut output) = output else { return String::new() };
    while let Ok(read @ 1..) = output.read(&mut piece).await {
        let room = OUTPUT.saturating_sub(kept.len());
        kept.extend_from_slice(&piece[..read.min(room)]);
    }
    String::from_utf8_lossy(&kept).into_owned()
}
