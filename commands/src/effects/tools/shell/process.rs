//! One command as a process of its own, within limits.

use nix::{
    sys::{
        prctl,
        signal::{Signal, killpg},
    },
    unistd::{Pid, geteuid},
};
use std::{io, path::Path, process::Stdio, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::Command,
    time::timeout,
};

/// The account of commands where we are root. It owns nothing, and is not `nobody`, who may own our database.
pub(super) const ACCOUNT: u32 = 65_533;
/// Bytes of each output that are kept.
const OUTPUT: usize = 64 << 10;
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

/// A process group, ended whenever this goes away: also when the call is given up.
struct Group(Pid);

impl Drop for Group {
    fn drop(&mut self) {
        // Nobody is left in it, as a rule.
        let _gone = killpg(self.0, Signal::SIGKILL);
    }
}

/// The account that commands run as, if it is not ours.
pub(super) fn account() -> Option<u32> {
    geteuid().is_root().then_some(ACCOUNT)
}

/// Keeps processes of the same account from reading this one's environment and memory.
pub(super) fn close_ourselves() {
    if account().is_none() {
        tracing::warn!("commands run as this server's account and can read its files");
        if let Err(error) = prctl::set_dumpable(false) {
            tracing::warn!(%error, "commands can read this server's environment");
        }
    }
}

/// Runs `command` in `folder`, which holds `work` and `home`. When this is over, nothing that it started is left: all of
/// its process group is ended, and as root everything of its account.
pub(super) async fn run(command: &str, folder: &Path, time: Duration) -> io::Result<Finished> {
    let mut child = isolated(folder)
        .args(["-c", LIMITED, "sh", command])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let id = child.id().and_then(|id| i32::try_from(id).ok());
    let group = Group(Pid::from_raw(id.ok_or_else(|| io::Error::other("no process"))?));
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let outputs = tokio::spawn(async { tokio::join!(beginning(stdout), beginning(stderr)) });
    let ended = timeout(time, child.wait()).await;
    drop(group);
    let status = match &ended {
        Ok(status) => status.as_ref().ok().copied(),
        Err(_) => child.wait().await.ok(),
    };
    sweep(folder).await;
    let (stdout, stderr) = match timeout(LAST_WORDS, outputs).await {
        Ok(Ok(outputs)) => outputs,
        Ok(Err(_)) | Err(_) => (String::new(), String::new()),
    };
    let exit_code = status.and_then(|status| status.code());
    Ok(Finished { exit_code, stdout, stderr, timed_out: ended.is_err() })
}

fn isolated(folder: &Path) -> Command {
    let mut command = Command::new("/bin/sh");
    command
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("LANG", "C.UTF-8")
        .env("HOME", folder.join("home"))
        .env("TMPDIR", folder.join("home"))
        .current_dir(folder.join("work"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .kill_on_drop(true);
    if let Some(account) = account() {
        // Root's supplementary groups go together with the account.
        command.uid(account).gid(account);
    }
    command
}

/// Ends what left the group, which only an account of its own gives away.
async fn sweep(folder: &Path) {
    if account().is_none() {
        return;
    }
    let swept = isolated(folder).args(["-c", "kill -9 -1"]).status();
    if !matches!(timeout(LAST_WORDS, swept).await, Ok(Ok(_))) {
        tracing::warn!("processes of a command may be left");
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
