//! Reads files so that none of them takes the server down with it.
//!
//! Text is read on a thread. What large foreign parsers have to look at (PDF, Office files, mails) is read by this very
//! program in a process of its own, which may use so much memory and so much time, writes no file and, where we are root, is
//! nobody. A crash, an endless loop, a bomb: whatever becomes of that process, it is that document's failure.

use super::{Extracted, Reading, Source, Unreadable, extract_any, sniff};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::{
    any::Any,
    io::{self, BufRead, Read, Write},
    os::unix::process::ExitStatusExt,
    panic::{self, AssertUnwindSafe},
    path::PathBuf,
    process::{ExitCode, ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::{Child, Command},
    sync::Semaphore,
    task::spawn_blocking,
    time::timeout,
};

/// The subcommand that [`serve`] is behind.
pub const SUBCOMMAND: &str = "extract";
/// Address space of the process: the program, the file, and what its parser makes of it.
const MEMORY: u64 = 1 << 30;
/// Beyond the file itself.
const PER_BYTE: u64 = 4;
/// Bytes that the process may answer.
const ANSWER: u64 = 3 * super::TEXT as u64;
/// Files that are read at the same time.
const AT_ONCE: usize = 2;
/// The account of nobody.
const NOBODY: u32 = 65_534;

/// Reads files. Cheap to clone; clones share the limit of files at once.
#[derive(Debug, Clone)]
pub struct Reader {
    program: Option<Arc<PathBuf>>,
    time: Duration,
    places: Arc<Semaphore>,
}

/// A file to be read.
#[derive(Debug, Clone)]
pub struct File {
    /// Its name: a hint.
    pub name: String,
    /// Its media type as a client gave it: another hint.
    pub media_type: String,
    /// How its tables are read.
    pub reading: Reading,
    /// The file.
    pub bytes: Bytes,
}

/// Why there is no text.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The file is the reason.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// The machine is, and this may pass.
    #[error("the file could not be read now: {0}")]
    Away(Arc<str>),
}

/// What the process is told before the bytes.
#[derive(Debug, Serialize, Deserialize)]
struct Order {
    name: String,
    media_type: String,
    reading: Reading,
    size: u64,
    seconds: u64,
}

impl Reader {
    /// Gives what is not text to `program`, which is annals; without one it is read on a thread, too.
    pub fn new(program: Option<PathBuf>, time: Duration) -> Self {
        let places = Arc::new(Semaphore::new(AT_ONCE));
        Self { program: program.map(Arc::new), time, places }
    }

    /// The text of a file.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn read(&self, file: File) -> Result<Extracted, Error> {
        let away = |why: &str| Error::Away(why.into());
        let place = timeout(self.time, self.places.clone().acquire_owned()).await;
        let Ok(Ok(place)) = place else { return Err(away("all readers are busy")) };
        let foreign = sniff::foreign(&file.source()).is_some();
        if let Some(program) = self.program.as_ref().filter(|_| foreign) {
            let _place = place;
            return self.apart(program, &file).await;
        }
        let reading = spawn_blocking(move || {
            // The thread keeps its place until it is really done, so that runaway files cannot pile up.
            let _place = place;
            guarded(|| extract_any(&file.source()))
        });
        match timeout(self.time, reading).await {
            Ok(Ok(read)) => Ok(read?),
            Ok(Err(_)) => Err(away("reading was interrupted")),
            Err(_) => Err(Unreadable::TooSlow.into()),
        }
    }

    /// In a process of its own.
    async fn apart(&self, program: &PathBuf, file: &File) -> Result<Extracted, Error> {
        let away = |error: io::Error| Error::Away(error.to_string().into());
        let mut child = Command::new(program)
            .arg(SUBCOMMAND)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(away)?;
        let answered = timeout(self.time, converse(&mut child, file, self.time)).await;
        let Ok(answered) = answered else {
            // It may have ended this moment; it is gone afterwards either way.
            let _gone = child.kill().await;
            return Err(Unreadable::TooSlow.into());
        };
        let (answer, status) = answered.map_err(away)?;
        match serde_json::from_slice::<Result<Extracted, Unreadable>>(&answer) {
            Ok(read) => Ok(read?),
            Err(_) => Err(verdict(status).into()),
        }
    }
}

/// Hands the file over and hears what comes back.
async fn converse(
    child: &mut Child,
    file: &File,
    time: Duration,
) -> io::Result<(Vec<u8>, ExitStatus)> {
    let piped = || io::Error::other("no pipe");
    let (mut stdin, stdout) =
        (child.stdin.take().ok_or_else(piped)?, child.stdout.take().ok_or_else(piped)?);
    let order = Order {
        name: file.name.clone(),
        media_type: file.media_type.clone(),
        reading: file.reading,
        size: file.bytes.len() as u64,
        seconds: time.as_secs().max(1),
    };
    let mut order = serde_json::to_vec(&order)?;
    order.push(b'\n');
    let bytes = file.bytes.clone();
    let told = async move {
        // It stops listening when it fails; why, its end tells.
        let _unheard: io::Result<()> = async {
            stdin.write_all(&order).await?;
            stdin.write_all(&bytes).await?;
            stdin.shutdown().await
        }
        .await;
    };
    let mut answer = Vec::new();
    let mut answering = stdout.take(ANSWER);
    let ((), heard) = tokio::join!(told, answering.read_to_end(&mut answer));
    heard?;
    // One that answers more than it may is not waited for.
    drop(answering);
    Ok((answer, child.wait().await?))
}

/// What the end of a process that did not answer says of the file.
fn verdict(status: ExitStatus) -> Unreadable {
    use nix::libc::{SIGABRT, SIGKILL, SIGXCPU};
    match status.signal() {
        Some(SIGXCPU) => Unreadable::TooSlow,
        // Rust aborts when there is no memory left; the kernel kills.
        Some(SIGABRT | SIGKILL) => Unreadable::TooMuchMemory,
        _ => Unreadable::Damaged("uploaded".into()),
    }
}

impl File {
    fn source(&self) -> Source<'_> {
        let Self { name, media_type, reading, bytes } = self;
        Source { name, media_type, reading: *reading, bytes }
    }
}

/// A panic is a failure like others.
fn guarded(read: impl FnOnce() -> Result<Extracted, Unreadable>) -> Result<Extracted, Unreadable> {
    panic::catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|panic: Box<dyn Any + Send>| {
        drop(panic);
        Err(Unreadable::Damaged("uploaded".into()))
    })
}

/// What the subcommand does: reads a file from standard input and writes its text to standard output, within limits.
pub fn serve() -> ExitCode {
    panic::set_hook(Box::new(|_| {}));
    match answer() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn answer() -> io::Result<()> {
    let mut input = io::stdin().lock();
    let mut order = String::new();
    (&mut input).take(64 << 10).read_line(&mut order)?;
    let order: Order = serde_json::from_str(&order)?;
    limit(&order)?;
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(usize::try_from(order.size).unwrap_or(usize::MAX))?;
    input.take(order.size).read_to_end(&mut bytes)?;
    if bytes.len() as u64 != order.size {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let Order { name, media_type, reading, .. } = &order;
    let source = Source { name, media_type, reading: *reading, bytes: &bytes };
    let read = guarded(|| extract_any(&source));
    let mut output = io::BufWriter::new(io::stdout().lock());
    serde_json::to_writer(&mut output, &read)?;
    output.flush()
}

/// Gives away what a parser that was taken over could use, and sets limits that it cannot lift.
fn limit(order: &Order) -> io::Result<()> {
    use nix::sys::resource::{Resource, setrlimit};
    let memory = MEMORY + order.size.saturating_mul(PER_BYTE);
    let limits = [
        (Resource::RLIMIT_AS, memory),
        (Resource::RLIMIT_CPU, order.seconds),
        (Resource::RLIMIT_FSIZE, 0),
        (Resource::RLIMIT_CORE, 0),
    ];
    for (resource, limit) in limits {
        setrlimit(resource, limit, limit)?;
    }
    if nix::unistd::geteuid().is_root() {
        nix::unistd::setgroups(&[])?;
        nix::unistd::setgid(NOBODY.into())?;
        nix::unistd::setuid(NOBODY.into())?;
    }
    Ok(())
}
