//! One program with a list of arguments, in a folder of its own that goes away with it.

use crate::reactors::queue::Failed;
use bytes::Bytes;
use std::{
    io,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use tokio::{
    fs,
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    process::{ChildStdin, Command},
    time::timeout,
};
use uuid::Uuid;

/// How long a program may work.
const TIME: Duration = Duration::from_secs(600);
/// Bytes of what it says that are read.
const SAID: usize = 4 << 20;
/// Characters of its complaint that are told.
const COMPLAINT: usize = 500;

/// A folder for one piece of work, removed when dropped.
pub(in crate::effects) struct Folder(PathBuf);

impl Folder {
    pub(in crate::effects) async fn make() -> Result<Self, Failed> {
        let folder = Self(std::env::temp_dir().join(format!("annals-media-{}", Uuid::new_v4())));
        fs::create_dir(&folder.0).await.map_err(broken)?;
        Ok(folder)
    }

    pub(in crate::effects) async fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Failed> {
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

/// What a program reads.
pub(in crate::effects) enum Input {
    /// Nothing.
    None,
    /// This text.
    Text(String),
}

/// Hears every line that a program says, as soon as it does.
pub(in crate::effects) type Listener<'a> = &'a (dyn Fn(&str) + Send + Sync);

/// Runs a program to its end; what it said.
pub(in crate::effects) async fn run(
    program: &Path,
    arguments: &[String],
    input: Input,
    folder: &Folder,
    listener: Listener<'_>,
) -> Result<String, Failed> {
    let mut child = Command::new(program)
        .args(arguments)
        .current_dir(&folder.0)
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("HOME", &folder.0)
        .stdin(if matches!(input, Input::None) { Stdio::null() } else { Stdio::piped() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| Failed::for_good(format!("the program cannot be started: {error}")))?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let told = tell(child.stdin.take(), input);
    let work = async { tokio::join!(told, said(out, listener), said(err, &|_| {}), child.wait()) };
    let Ok(((), said, complaint, status)) = timeout(TIME, work).await else {
        return Err(Failed::for_good(format!("it took longer than {TIME:?}")));
    };
    if status.is_ok_and(|status| status.success()) {
        return Ok(said);
    }
    let complaint: String = complaint.trim().chars().take(COMPLAINT).collect();
    Err(Failed::for_good(format!("the program failed: {complaint}")))
}

async fn tell(input: Option<ChildStdin>, text: Input) {
    if let (Some(mut input), Input::Text(text)) = (input, text) {
        // A program that does not read to the end knows enough.
        let _ = input.write_all(text.as_bytes()).await;
    }
}

async fn said(output: Option<impl AsyncRead + Unpin>, listener: Listener<'_>) -> String {
    let Some(mut output) = output else { return String::new() };
    let (mut bytes, mut heard, mut chunk) = (Vec::new(), 0, [0; 8 << 10]);
    // What was said until it broke off is better than nothing; what is too much is read and forgotten.
    while let Ok(read @ 1..) = output.read(&mut chunk).await {
        bytes.extend_from_slice(&chunk[..read.min(SAID - bytes.len())]);
        while let Some(length) = bytes[heard..].iter().position(|byte| b"\n\r".contains(byte)) {
            listener(&String::from_utf8_lossy(&bytes[heard..heard + length]));
            heard += length + 1;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn broken(error: io::Error) -> Failed {
    Failed::for_now(format!("there is no place to work: {error}"))
}
