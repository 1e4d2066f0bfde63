//! One program with a list of arguments, in a folder of its own that goes away with it.

use crate::reactors::queue::Failed;
use bytes::Bytes;
use std::{
    io,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use tokio::{fs, io::AsyncReadExt, process::Command, time::timeout};
use uuid::Uuid;

/// How long a program may work.
const TIME: Duration = Duration::from_secs(600);
/// Bytes of what it says that are read.
const SAID: u64 = 4 << 20;
/// Characters of its complaint that are told.
const COMPLAINT: usize = 500;

/// A folder for one piece of work, removed when dropped.
pub(super) struct Folder(PathBuf);

impl Folder {
    pub async fn make() -> Result<Self, Failed> {
        let folder = Self(std::env::temp_dir().join(format!("annals-media-{}", Uuid::new_v4())));
        fs::create_dir(&folder.0).await.map_err(broken)?;
        Ok(folder)
    }

    pub async fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Failed> {
        fs::write(self.0.join(name), bytes).await.map_err(broken)
    }

    pub async fn read(&self, name: &str) -> Result<Bytes, Failed> {
        match fs::read(self.0.join(name)).await {
            Ok(bytes) if !bytes.is_empty() => Ok(Bytes::from(bytes)),
            Ok(_) => Err(Failed::for_good("nothing came out")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(Failed::for_good("nothing came out"))
            }
            Err(error) => Err(broken(error)),
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What stays behind is the system's to clean.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs a program to its end; what it said.
pub(super) async fn run(
    program: &Path,
    arguments: &[String],
    folder: &Folder,
) -> Result<String, Failed> {
    let mut child = Command::new(program)
        .args(arguments)
        .current_dir(&folder.0)
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("HOME", &folder.0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| Failed::for_good(format!("the program cannot be started: {error}")))?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let work = async { tokio::join!(said(out), said(err), child.wait()) };
    let Ok((said, complaint, status)) = timeout(TIME, work).await else {
        return Err(Failed::for_good(format!("it took longer than {TIME:?}")));
    };
    if status.is_ok_and(|status| status.success()) {
        return Ok(said);
    }
    let complaint: String = complaint.trim().chars().take(COMPLAINT).collect();
    Err(Failed::for_good(format!("the program failed: {complaint}")))
}

async fn said(output: Option<impl tokio::io::AsyncRead + Unpin>) -> String {
    let Some(output) = output else { return String::new() };
    let mut bytes = Vec::new();
    let mut limited = output.take(SAID);
    // What was said until it broke off is better than nothing.
    let _ = limited.read_to_end(&mut bytes).await;
    let _ = tokio::io::copy(limited.get_mut(), &mut tokio::io::sink()).await;
    String::from_utf8_lossy(&bytes).into_owned()
}

fn broken(error: io::Error) -> Failed {
    Failed::for_now(format!("there is no place to work: {error}"))
}
