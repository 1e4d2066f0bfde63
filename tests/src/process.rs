//! annals as its own process: started with a data folder or a database, killed without warning, started again.

use crate::{app::Person, binary::annals};
use anyhow::{Context, Result, bail, ensure};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use std::{
    env,
    fs::File,
    io::{BufRead, BufReader, Write},
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};
use tokio::{task::spawn_blocking, time::sleep};
use uuid::Uuid;

/// How long anything here may take; far more than it needs.
pub const DEADLINE: Duration = Duration::from_secs(120);
/// Between two looks at something that cannot be waited for.
const LOOK: Duration = Duration::from_millis(10);
/// The administrator's password.
const PASSWORD: &str = "correct horse battery";
/// Seals and signs for all processes of a test, so that a login at one counts at the others.
const MASTER_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// Settings of the embedded database's launcher, which hold for tests, too.
const LAUNCHER: [&str; 2] = ["ANNALS_PG_DIR", "ANNALS_CACHE"];

/// Looks again and again until `look` finds something.
///
/// # Errors
/// When it does not within [`DEADLINE`], or `look` fails.
pub async fn eventually<T>(
    what: &str,
    mut look: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let asked = Instant::now();
    loop {
        if let Some(found) = look().await? {
            return Ok(found);
        }
        ensure!(asked.elapsed() < DEADLINE, "waited too long: {what}");
        sleep(LOOK).await;
    }
}

/// A folder below the system's folder for such things, removed when dropped.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// A new name for one; whoever needs the folder makes it.
    pub fn new(purpose: &str) -> Self {
        Self(env::temp_dir().join(format!("annals-{purpose}-{}", Uuid::new_v4().simple())))
    }

    /// Where.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A database that outlived its annals; what it holds is about to be removed anyway.
        if let Some(pid) = postmaster(&self.0) {
            signal(pid, "QUIT");
        }
        // Left for the system to clean when something still writes to it.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// How to start a server.
#[derive(Debug, Clone)]
pub struct Setup {
    data: PathBuf,
    settings: Vec<(String, String)>,
    program: Option<PathBuf>,
}

impl Setup {
    /// On the embedded database in this data folder.
    pub fn embedded(data: &Path) -> Self {
        let settings = [("ANNALS_MASTER_KEY", MASTER_KEY), ("ANNALS_ADMIN_PASSWORD", PASSWORD)];
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        Self { data: data.to_owned(), settings, program: None }
    }

    /// On this database. The data folder holds only what the process needs for itself.
    #[must_use]
    pub fn on(data: &Path, database_url: &str) -> Self {
        Self::embedded(data).with("DATABASE_URL", database_url)
    }

    /// As another program than `annals`, one that is configured and speaks like it.
    #[must_use]
    pub fn running(self, program: &str) -> Self {
        Self { program: Some(program.into()), ..self }
    }

    /// With one more setting.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With the scripted provider at this address as the default one.
    #[must_use]
    pub fn with_model(self, base_url: &str) -> Self {
        self.with("ANNALS_LLM_BASE_URL", base_url)
            .with("ANNALS_LLM_API_KEY", "test-key")
            .with("ANNALS_LLM_MODEL", "test-model")
    }

    /// Runs a subcommand to its end; what it printed.
    ///
    /// # Errors
    /// When it fails, with what it said.
    pub async fn run(&self, arguments: &[&str]) -> Result<String> {
        let mut command = self.command().await?;
        command.args(arguments).stdin(Stdio::null());
        let output = spawn_blocking(move || command.output()).await??;
        let (out, err) = (String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?);
        ensure!(output.status.success(), "annals {arguments:?}: {}\n{out}\n{err}", output.status);
        Ok(out)
    }

    async fn command(&self) -> Result<Command> {
        let mut command = match &self.program {
            Some(program) => Command::new(program),
            None => Command::new(binary().await?),
        };
        // What is set for the tests themselves is unknown to the server, which would say so and end.
        for (name, _) in env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("ANNALS_") && !LAUNCHER.contains(&&*text) {
                command.env_remove(&name);
            }
        }
        command
            .env("ANNALS_DATA", &self.data)
            .env_remove("DATABASE_URL")
            .env_remove("NATS_URL")
            .env_remove("EVENTSTORE_URL")
            .envs(self.settings.iter().map(|(name, value)| (name, value)));
        Ok(command)
    }

    /// Starts the server and waits until it is ready.
    ///
    /// # Errors
    /// When it does not get ready.
    pub async fn start(&self) -> Result<Server> {
        let server = self.spawn(&["serve"], "annals is serving http").await?;
        server.ready().await?;
        Ok(server)
    }

    /// Starts `annals log`, which listens when this returns. A setting has to say where; its `base_url` is what it says.
    ///
    /// # Errors
    /// When it does not listen.
    pub async fn start_log(&self) -> Result<Server> {
        self.spawn(&["log"], "annals is serving its log on esdb").await
    }

    /// Starts a subcommand and waits until it says where it serves, in a line that begins like this.
    async fn spawn(&self, arguments: &[&str], serves: &'static str) -> Result<Server> {
        let mut command = self.command().await?;
        command
            .args(arguments)
            .env("ANNALS_LISTEN", "127.0.0.1:0")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command.spawn().context("annals")?;
        let said = child.stderr.take().context("its output is piped")?;
        let told = env::temp_dir().join(format!("annals-process-{}.log", child.id()));
        let (address, serving) = mpsc::channel();
        let log = File::create(&told)?;
        thread::spawn(move || listen(said, log, serves, &address));
        let mut server = Server {
            child: Some(child),
            base_url: String::new(),
            log: told,
            client: Client::builder().no_proxy().build()?,
        };
        server.base_url = eventually("the server's address", async || match serving.try_recv() {
            Ok(url) => Ok(Some(url)),
            Err(mpsc::TryRecvError::Empty) => Ok(None),
            Err(mpsc::TryRecvError::Disconnected) => bail!("it ended: {}", server.last_words()),
        })
        .await?;
        Ok(server)
    }
}

/// A running server. Dropped, it is killed.
#[derive(Debug)]
pub struct Server {
    child: Option<Child>,
    /// `http://127.0.0.1:port`; another one after every start.
    pub base_url: String,
    log: PathBuf,
    client: Client,
}

impl Server {
    /// Waits until `/readyz` says so.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ready(&self) -> Result<()> {
        eventually("a server that is ready", async || {
            let answer = self.client.get(format!("{}/readyz", self.base_url)).send().await;
            Ok(answer.ok().filter(|answer| answer.status() == StatusCode::OK).map(|_| ()))
        })
        .await
        .with_context(|| self.last_words())
    }

    /// The administrator, logged in.
    ///
    /// # Errors
    /// When the login is refused.
    pub async fn admin(&self) -> Result<Person> {
        let url = format!("{}/api/auth/login", self.base_url);
        let body = json!({"username_or_email": "admin", "password": PASSWORD});
        let reply: Value = self.client.post(url).json(&body).send().await?.json().await?;
        let token = reply["data"]["access_token"].as_str();
        let token = token.with_context(|| format!("no login: {reply}"))?;
        Person::calling(&self.base_url, &format!("Bearer {token}"))
    }

    /// The most memory it ever held, in bytes. The kernel counts roughly: a later look may say a little less.
    ///
    /// # Errors
    /// When it is not running.
    pub fn peak_memory(&self) -> Result<usize> {
        let pid = self.child.as_ref().context("it runs")?.id();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = peak.and_then(|peak| peak.split_whitespace().next()).context("no VmHWM")?;
        Ok(kilobytes.parse::<usize>()? << 10)
    }

    /// SIGKILL: no chance to do anything any more.
    ///
    /// # Errors
    /// When it was not running.
    pub fn kill(mut self) -> Result<()> {
        let mut child = self.child.take().context("it runs")?;
        child.kill()?;
        let status = child.wait()?;
        ensure!(status.signal() == Some(9), "it had ended before: {status}; {}", self.last_words());
        Ok(())
    }

    /// SIGTERM, and waits for the end.
    ///
    /// # Errors
    /// When it does not end well.
    pub async fn stop(mut self) -> Result<()> {
        let mut child = self.child.take().context("it runs")?;
        signal(child.id(), "TERM");
        let status = eventually("the end of the server", async || Ok(child.try_wait()?)).await;
        if status.is_err() {
            child.kill()?;
        }
        let status = status?;
        ensure!(status.success(), "it ended with {status}; {}", self.last_words());
        Ok(())
    }

    /// Stands still until [`Server::go_on`], as a machine that swaps or a virtual one that is moved.
    ///
    /// # Errors
    /// When it is not running.
    pub fn stand_still(&self) -> Result<()> {
        signal(self.child.as_ref().context("it runs")?.id(), "STOP");
        Ok(())
    }

    /// Ends [`Server::stand_still`].
    ///
    /// # Errors
    /// When it is not running.
    pub fn go_on(&self) -> Result<()> {
        signal(self.child.as_ref().context("it runs")?.id(), "CONT");
        Ok(())
    }

    /// Whether it has logged this.
    pub fn said(&self, text: &str) -> bool {
        std::fs::read_to_string(&self.log).is_ok_and(|log| log.contains(text))
    }

    /// What it said last, for people who look at a failed test.
    pub fn last_words(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            if thread::panicking() {
                eprintln!("{}", self.last_words());
            }
            // It may have ended by itself; either way it is gone afterwards.
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = std::fs::remove_file(&self.log);
    }
}

/// The binary of this checkout; the build holds up no other task.
///
/// # Errors
/// When it cannot be built.
pub async fn binary() -> Result<PathBuf> {
    spawn_blocking(annals).await?
}

/// Keeps what the server says, and tells where it serves.
fn listen(said: ChildStderr, mut log: File, serves: &str, address: &mpsc::Sender<String>) {
    for line in BufReader::new(said).lines().map_while(Result::ok) {
        if line.starts_with(serves)
            && let Some((_, url)) = line.rsplit_once(' ')
        {
            // Nobody waits for it any more when the test has failed.
            let _ = address.send(url.to_owned());
        }
        // The log is for people; a full disk shows elsewhere.
        let _ = writeln!(log, "{line}");
    }
}

/// The database server that a data folder names as its own, if it runs.
fn postmaster(data: &Path) -> Option<u32> {
    let note = std::fs::read_to_string(data.join("postgres/postmaster.pid")).ok()?;
    note.lines().next()?.trim().parse().ok()
}

fn signal(pid: u32, name: &str) {
    let command = format!("kill -{name} {pid}");
    // The process may have ended by itself; then there is nothing to tell.
    let _ = Command::new("sh").args(["-c", &command]).stderr(Stdio::null()).status();
}
