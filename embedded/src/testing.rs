//! One shared server for all tests of a checkout.
//!
//! Test programs come and go in parallel, and each must be able to be the first or the last. So:
//! every user leaves a file named by its pid in `users/`; a detached shell script looks at them
//! every second and, once none of those processes has lived for some seconds, removes the folder
//! `users/` (which fails while anybody is registered), stops the server and deletes its data. A
//! newcomer that finds no `users/` waits for that end and starts afresh. Nothing is left behind,
//! whatever way the tests end.

use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::unistd::geteuid;
use sha2::{Digest, Sha256};
use tokio::sync::OnceCell;

use crate::account::Account;
use crate::error::{At, Error};
use crate::install;
use crate::launch::Launch;
use crate::layout::{Layout, hex, url};
use crate::postmaster::Postmaster;
use crate::{Durability, Options};

/// Many programs with a pool for each test share it.
const CONNECTIONS: u16 = 400;
const DEADLINE: Duration = Duration::from_secs(900);

/// Arguments: the server's pid, the seconds to linger.
const WATCHER: &str = r#"
server=$1 linger=$2 idle=0
while kill -0 "$server" 2>/dev/null; do
  sleep 1
  idle=$((idle + 1))
  for user in users/*; do
    [ -e "$user" ] || continue
    if kill -0 "${user##*/}" 2>/dev/null; then idle=0; else rm -f "$user"; fi
  done
  if [ "$idle" -ge "$linger" ] && rmdir users 2>/dev/null; then
    kill -INT "$server"
    while [ -e postgres/postmaster.pid ] && kill -0 "$server" 2>/dev/null; do sleep 1; done
    rm -rf postgres
    exit
  fi
done
"#;
const LINGER_SECONDS: u32 = 8;

/// The URL of a server for tests (superuser and database `annals`): nothing in it is durable, it is
/// shared with all other tests of this checkout, and it ends by itself some seconds after the last
/// of them. `DATABASE_URL`, when set, is used instead.
///
/// Tests make databases of their own in it, with names that no other test uses.
///
/// # Errors
/// As [`crate::start`].
pub async fn server_url() -> Result<String, Error> {
    static URL: OnceCell<String> = OnceCell::const_new();
    URL.get_or_try_init(|| async {
        match std::env::var("DATABASE_URL") {
            Ok(url) if !url.is_empty() => Ok(url),
            _ => join().await,
        }
    })
    .await
    .cloned()
}

async fn join() -> Result<String, Error> {
    let me = geteuid().as_raw();
    let checkout = Sha256::digest(env!("CARGO_MANIFEST_DIR"));
    let name = format!("annals-tests-{me}-{}", hex(&checkout[..6]));
    let data = std::env::temp_dir().join(name);
    match std::fs::DirBuilder::new().create(&data) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            return Err(error).at("cannot make", &data);
        }
        _ => {}
    }
    private_or_passable(&data)?;
    let layout = Layout::open(&data)?;
    let options = Options {
        data,
        durability: Durability::FastForTests,
        max_connections: CONNECTIONS,
        progress: Some(|line| eprintln!("{line}")),
    };

    let _lock = wait_lock(&layout).await?;
    let account = Account::of(&layout.pgdata)?;
    account.let_through(&layout.root)?;
    account.check_reach(&layout.root, "TMPDIR")?;
    let install = install::locate(&options, None, &account).await?;
    let launch = Launch::new(install, account, layout.clone(), &options)?;
    let users = layout.root.join("users");

    // Registered first, so that the watcher cannot stop the server under us; unless it already does.
    let open = register(&users)?;
    let mut running = Postmaster::find(&layout.pgdata).await?;
    if let Some(mut other) =
        running.take_if(|found| !open || !found.reachable || !launch.is_running())
    {
        other.stop(&layout.pgdata, true).await?;
    }
    let postmaster = match running {
        Some(postmaster) => postmaster,
        None => fresh(&launch).await?,
    };
    if !open {
        std::fs::create_dir_all(&users).at("cannot make", &users)?;
        register(&users)?;
    }
    ensure_watched(&layout.root, postmaster.pid)?;
    Ok(url(&postmaster.socket_dir, postmaster.port))
}

/// A new cluster every time: one left behind was never synced and cannot be trusted.
async fn fresh(launch: &Launch) -> Result<Postmaster, Error> {
    let pgdata = &launch.layout.pgdata;
    match std::fs::remove_dir_all(pgdata) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(error).at("cannot remove", pgdata);
        }
        _ => {}
    }
    launch.create_cluster(Durability::FastForTests).await?;
    launch.start().await
}

/// The folder lies in a place where others may write: it must be ours.
fn private_or_passable(data: &Path) -> Result<(), Error> {
    use std::os::unix::fs::MetadataExt;
    let (meta, uid) = (data.symlink_metadata().at("cannot look at", data)?, geteuid().as_raw());
    if meta.is_dir() && meta.uid() == uid && meta.mode() & 0o022 == 0 {
        return Ok(());
    }
    Err(Error::ForeignOwner { path: data.to_owned(), owner: meta.uid(), uid })
}

async fn wait_lock(layout: &Layout) -> Result<File, Error> {
    let asked = Instant::now();
    loop {
        if let Some(lock) = layout.try_lock()? {
            return Ok(lock);
        }
        if asked.elapsed() > DEADLINE {
            return Err(layout.in_use());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Signs this process in; false when the folder is gone because the server is being stopped.
fn register(users: &Path) -> Result<bool, Error> {
    let mine = users.join(std::process::id().to_string());
    match OpenOptions::new().write(true).create(true).truncate(true).open(&mine) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).at("cannot write", &mine),
    }
}

/// Starts the watcher of the server unless one is there. Held by the caller's lock.
fn ensure_watched(root: &Path, server: u32) -> Result<(), Error> {
    let note = root.join("watcher");
    let watched = std::fs::read_to_string(&note).is_ok_and(|text| {
        let mut words = text.split_whitespace();
        let (of, pid) = (words.next(), words.next().and_then(|pid| pid.parse::<i32>().ok()));
        of == Some(server.to_string().as_str())
            && pid.is_some_and(|pid| {
                nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), None).is_ok()
            })
    });
    if watched {
        return Ok(());
    }
    let child = Command::new("sh")
        .args(["-c", WATCHER, "annals-test-postgres-watcher"])
        .args([server.to_string(), LINGER_SECONDS.to_string()])
        .current_dir(root)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .at("cannot start the watcher in", root)?;
    std::fs::write(&note, format!("{server} {}", child.id())).at("cannot write", &note)
}
