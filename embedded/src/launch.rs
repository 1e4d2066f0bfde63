//! Starting the server process of a data folder.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::account::Account;
use crate::error::{At, Error};
use crate::install::{Install, tail};
use crate::layout::{Layout, PORT, socket_file};
use crate::postmaster::{PidFile, Postmaster, TICK, alive, signal};
use crate::{Durability, Options, cluster};

/// Crash recovery replays at most `max_wal_size`; slow disks need minutes for that.
pub(crate) const READY_DEADLINE: Duration = Duration::from_secs(300);
/// After a kill the processes of the old server need a moment to notice and leave, and longer when
/// the disk is busy and they are in the middle of a sync.
const STALE_DEADLINE: Duration = Duration::from_secs(60);

/// All it takes to start a server, and to start it again.
#[derive(Debug)]
pub(crate) struct Launch {
    install: Install,
    account: Account,
    pub(crate) layout: Layout,
    socket_dir: PathBuf,
    arguments: Vec<String>,
}

impl Launch {
    pub(crate) fn new(
        install: Install,
        account: Account,
        layout: Layout,
        options: &Options,
    ) -> Result<Self, Error> {
        let socket_dir = layout.socket_dir(&account)?;
        let arguments = cluster::arguments(&layout.pgdata, &socket_dir, options);
        Ok(Self { install, account, layout, socket_dir, arguments })
    }

    /// Makes the cluster.
    pub(crate) async fn create_cluster(&self, durability: Durability) -> Result<(), Error> {
        cluster::create(&self.install, &self.account, &self.layout.pgdata, durability).await
    }

    /// Whether the server that runs on the folder was started with just these arguments, so that it
    /// can be taken over.
    pub(crate) fn is_running(&self) -> bool {
        let mut expected = self.install.program("postgres").display().to_string();
        for argument in &self.arguments {
            expected.push_str(&format!(" \"{argument}\""));
        }
        std::fs::read_to_string(self.layout.pgdata.join("postmaster.opts"))
            .is_ok_and(|text| text.trim_end() == expected)
    }

    /// Starts a server and waits until it accepts connections.
    pub(crate) async fn start(&self) -> Result<Postmaster, Error> {
        let started = Instant::now();
        loop {
            self.forget_stale()?;
            let child = self.spawn()?;
            match self.wait_ready(child).await? {
                Ok(postmaster) => return Ok(postmaster),
                Err(status) => {
                    let said = log_tail(&self.layout.log);
                    let stale = (said.contains("lock file") && said.contains("already exists"))
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

    fn spawn(&self) -> Result<Child, Error> {
        let log = &self.layout.log;
        if log.exists() {
            std::fs::rename(log, log.with_extension("log.old")).at("cannot rename", log)?;
        }
        let out = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(log)
            .at("cannot open", log)?;
        self.layout.belong_to_owner(log)?;
        let err = out.try_clone().at("cannot open", log)?;
        let mut command = self.install.command("postgres");
        self.account.run(&mut command);
        command
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            // Ctrl-C in the terminal is for annals, which stops the server after its own work.
            .process_group(0);
        command.spawn().at("cannot run", &self.install.program("postgres"))
    }

    async fn wait_ready(&self, child: Child) -> Result<Result<Postmaster, ExitStatus>, Error> {
        let pgdata = &self.layout.pgdata;
        let started = Instant::now();
        let mut starting = Starting(Some(child));
        while let Some(child) = &mut starting.0 {
            if let Some(status) = child.try_wait().at("cannot wait for the server of", pgdata)? {
                starting.0 = None;
                return Ok(Err(status));
            }
            let file = PidFile::read(pgdata).filter(|file| file.ready && file.pid == child.id());
            if let Some(file) = file {
                return Ok(Ok(Postmaster::new(file, starting.0.take())));
            }
            if started.elapsed() > READY_DEADLINE {
                break;
            }
            tokio::time::sleep(TICK).await;
        }
        let what = "starting PostgreSQL".to_owned();
        Err(Error::TimedOut { what, after: READY_DEADLINE })
    }

    /// PostgreSQL itself refuses to start when `postmaster.pid` or the lock beside the socket names
    /// any process of the same account, even one that is dead and unreaped, and in a container the
    /// same small pids come back at every start. Where the system tells that the process is no
    /// server on this folder, the files are stale. (Server processes that outlived their postmaster
    /// are still noticed through the shared memory.)
    fn forget_stale(&self) -> Result<(), Error> {
        if !cfg!(target_os = "linux") {
            return Ok(());
        }
        let pgdata = &self.layout.pgdata;
        let mut beside_socket = socket_file(&self.socket_dir, PORT).into_os_string();
        beside_socket.push(".lock");
        for path in [pgdata.join("postmaster.pid"), PathBuf::from(beside_socket)] {
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            if PidFile::parse(&text).is_some_and(|file| !alive(file.pid, pgdata)) {
                match std::fs::remove_file(&path) {
                    Err(error) if error.kind() != ErrorKind::NotFound => {
                        return Err(error).at("cannot remove", &path);
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }
}

/// A server that is not ready yet: told to stop when nobody waits for it any more.
struct Starting(Option<Child>);

impl Drop for Starting {
    fn drop(&mut self) {
        if let Some(child) = &self.0 {
            signal(child.id(), Signal::SIGINT);
        }
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
