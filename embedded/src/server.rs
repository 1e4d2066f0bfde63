//! Owning, or only using, the server of one data folder.

use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use crate::account::Account;
use crate::error::{At, Error};
use crate::install;
use crate::launch::Launch;
use crate::layout::{self, Layout};
use crate::postmaster::Postmaster;
use crate::{Options, cluster};

/// A subcommand that is about to end may hold the folder for a moment.
const LOCK_PATIENCE: Duration = Duration::from_secs(2);
const ATTACH_DEADLINE: Duration = Duration::from_secs(60);
const WATCH_EVERY: Duration = Duration::from_millis(500);
const LARGEST_LOG: u64 = 8 << 20;

/// How a server is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shutdown {
    /// Clients are cut off, a checkpoint is written.
    Fast,
    /// Nothing is written: the next start recovers, as after a power cut.
    Immediate,
}

/// A server that accepts connections.
///
/// Call [`Server::stop`] at the end. A dropped owner still asks the server to shut down but cannot
/// wait for it.
#[derive(Debug)]
pub struct Server {
    url: String,
    inner: Arc<Inner>,
    watch: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Inner {
    layout: Layout,
    pid: AtomicU32,
    /// None when this process is only attached.
    owned: Option<Owned>,
}

#[derive(Debug)]
struct Owned {
    launch: Launch,
    /// None once stopped.
    postmaster: Mutex<Option<Postmaster>>,
    _lock: File,
}

/// Takes the data folder and starts the server in it, or takes over one that outlived its annals.
///
/// # Errors
/// [`Error::InUse`] when another annals holds the folder; [`Error::NoPostgres`] when there are no
/// server binaries and none can be fetched; others say what failed.
pub async fn start(options: Options) -> Result<Server, Error> {
    let layout = Layout::open(&options.data)?;
    let asked = Instant::now();
    loop {
        if let Some(lock) = layout.try_lock()? {
            return own(options, layout, lock).await;
        }
        if asked.elapsed() > LOCK_PATIENCE {
            return Err(layout.in_use());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Uses the server that a running annals started on the folder; without one, starts it for the time
/// of this process.
///
/// # Errors
/// As [`start`]; [`Error::InUse`] when the owner of the folder does not bring its server up in a
/// minute.
pub async fn attach_or_start(options: Options) -> Result<Server, Error> {
    let layout = Layout::open(&options.data)?;
    let asked = Instant::now();
    loop {
        if let Some(lock) = layout.try_lock()? {
            return own(options, layout, lock).await;
        }
        if let Some(postmaster) =
            Postmaster::find(&layout.pgdata).await?.filter(|found| found.reachable)
        {
            return Ok(Server::new(layout, &postmaster, None));
        }
        if asked.elapsed() > ATTACH_DEADLINE {
            return Err(layout.in_use());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn own(options: Options, layout: Layout, lock: File) -> Result<Server, Error> {
    let account = Account::of(&layout.pgdata)?;
    account.let_through(&layout.root)?;
    account.check_reach(&layout.root, "ANNALS_DATA")?;
    let made_by = cluster::made_by(&layout.pgdata)?;
    let install = install::locate(&options, made_by, &account).await?;
    let launch = Launch::new(install, account, layout.clone(), &options)?;
    if made_by.is_none() {
        options.say("initialising the database");
        empty_or_missing(&layout.pgdata)?;
        launch.create_cluster(options.durability).await?;
    }
    let mut found = Postmaster::find(&layout.pgdata).await?;
    if let Some(mut other) = found.take_if(|found| !found.reachable || !launch.is_running()) {
        options.say("stopping a PostgreSQL that was left running and cannot be taken over");
        other.stop(&layout.pgdata, true).await?;
    }
    let postmaster = match found {
        Some(running) => {
            options.say("taking over the PostgreSQL that was left running");
            running
        }
        None => {
            options.say("starting PostgreSQL");
            launch.start().await?
        }
    };
    let owned = Owned { launch, postmaster: Mutex::default(), _lock: lock };
    let server = Server::new(layout, &postmaster, Some(owned));
    if let Some(owned) = &server.inner.owned {
        *owned.postmaster.lock().await = Some(postmaster);
    }
    Ok(server)
}

/// Refuses to build a cluster over something that is not one.
fn empty_or_missing(pgdata: &Path) -> Result<(), Error> {
    let mut entries = match std::fs::read_dir(pgdata) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries.at("cannot read", pgdata)?,
    };
    match entries.next() {
        None => Ok(()),
        Some(_) => Err(Error::Failed {
            what: "initialising the database",
            detail: format!("{} is not empty but holds no database", pgdata.display()),
        }),
    }
}

impl Server {
    fn new(layout: Layout, postmaster: &Postmaster, owned: Option<Owned>) -> Self {
        let url = layout::url(&postmaster.socket_dir, postmaster.port);
        let watched = owned.is_some();
        let inner = Arc::new(Inner { layout, pid: AtomicU32::new(postmaster.pid), owned });
        let watch = watched.then(|| tokio::spawn(watch(Arc::downgrade(&inner))));
        Self { url, inner, watch }
    }

    /// `postgres://…` over the unix socket, for the superuser and the database `annals`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Process id of the postmaster; it changes when the server is started again.
    pub fn pid(&self) -> u32 {
        self.inner.pid.load(Ordering::Relaxed)
    }

    /// Whether this process owns the server (and not another annals).
    pub fn owned(&self) -> bool {
        self.inner.owned.is_some()
    }

    /// Shuts the server down and gives the folder up; does nothing to somebody else's server.
    ///
    /// # Errors
    /// When the server does not end within about a minute.
    pub async fn stop(mut self) -> Result<(), Error> {
        if let Some(watch) = self.watch.take() {
            watch.abort();
            // Cancelled is what was asked for; the task must be over before the folder is free.
            let _ = watch.await;
        }
        let Some(owned) = &self.inner.owned else { return Ok(()) };
        match owned.postmaster.lock().await.take() {
            Some(mut postmaster) => postmaster.stop(&self.inner.layout.pgdata, true).await,
            None => Ok(()),
        }
    }

    /// Stops the server and starts it again; the URL stays the same.
    ///
    /// # Errors
    /// [`Error::NotOwner`] when only attached; otherwise as [`start`].
    pub async fn restart(&self, how: Shutdown) -> Result<(), Error> {
        let owned = self.inner.owned.as_ref().ok_or(Error::NotOwner)?;
        let mut slot = owned.postmaster.lock().await;
        if let Some(postmaster) = slot.as_mut() {
            postmaster.stop(&self.inner.layout.pgdata, how == Shutdown::Fast).await?;
        }
        self.inner.start_again(owned, &mut slot).await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(watch) = self.watch.take() {
            watch.abort();
        }
        if let Some(owned) = &self.inner.owned
            && let Ok(slot) = owned.postmaster.try_lock()
            && let Some(postmaster) = slot.as_ref()
        {
            postmaster.interrupt();
        }
    }
}

impl Inner {
    async fn start_again(&self, owned: &Owned, slot: &mut Option<Postmaster>) -> Result<(), Error> {
        let started = owned.launch.start().await?;
        self.pid.store(started.pid, Ordering::Relaxed);
        *slot = Some(started);
        Ok(())
    }

    /// One look: bounds the log, and starts a server again that died (killed for memory, say).
    async fn look(&self) {
        let Some(owned) = &self.owned else { return };
        let log = &self.layout.log;
        if log.metadata().is_ok_and(|meta| meta.len() > LARGEST_LOG) {
            // The server appends, so it goes on at the new end.
            let emptied =
                std::fs::OpenOptions::new().write(true).open(log).and_then(|file| file.set_len(0));
            if let Err(error) = emptied {
                tracing::warn!(%error, "cannot bound the log of PostgreSQL");
            }
        }
        let mut slot = owned.postmaster.lock().await;
        let died = slot.as_mut().is_some_and(|postmaster| postmaster.gone(&self.layout.pgdata));
        if died {
            tracing::error!(pid = self.pid.load(Ordering::Relaxed), "PostgreSQL died; restarting");
            match self.start_again(owned, &mut slot).await {
                Ok(()) => tracing::info!("PostgreSQL runs again"),
                Err(error) => tracing::error!(%error, "PostgreSQL could not be restarted"),
            }
        }
    }
}

async fn watch(inner: Weak<Inner>) {
    loop {
        tokio::time::sleep(WATCH_EVERY).await;
        match inner.upgrade() {
            Some(inner) => inner.look().await,
            None => return,
        }
    }
}
