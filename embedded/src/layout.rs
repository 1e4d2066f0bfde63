//! The places inside one data folder, and its lock.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;
use sha2::{Digest, Sha256};

use crate::account::Account;
use crate::error::{At, Error};

/// The port is only part of the socket's file name.
pub(crate) const PORT: u16 = 5432;
/// A unix socket's path holds 103 (macOS) or 107 bytes (Linux).
const LONGEST_SOCKET: usize = 100;

#[derive(Debug, Clone)]
pub(crate) struct Layout {
    pub(crate) root: PathBuf,
    pub(crate) pgdata: PathBuf,
    pub(crate) log: PathBuf,
}

impl Layout {
    /// Makes the data folder when it is missing.
    pub(crate) fn open(data: &Path) -> Result<Self, Error> {
        if !data.exists() {
            // Only the folder itself is private: the server's account must get through the rest.
            if let Some(parent) = data.parent().filter(|parent| !parent.as_os_str().is_empty()) {
                std::fs::create_dir_all(parent).at("cannot make", parent)?;
            }
            match DirBuilder::new().mode(0o700).create(data) {
                Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                    return Err(error).at("cannot make", data);
                }
                _ => {}
            }
        }
        let root = data.canonicalize().at("cannot resolve", data)?;
        Ok(Self { pgdata: root.join("postgres"), log: root.join("postgres.log"), root })
    }

    /// Takes the folder for this process, or says that somebody else has it.
    pub(crate) fn try_lock(&self) -> Result<Option<File>, Error> {
        let path = self.root.join("lock");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .at("cannot open", &path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error).at("cannot lock", &path),
        }
        self.belong_to_owner(&path)?;
        file.set_len(0).at("cannot write", &path)?;
        writeln!(file, "{}", std::process::id()).at("cannot write", &path)?;
        Ok(Some(file))
    }

    /// The error for a folder that is taken.
    pub(crate) fn in_use(&self) -> Error {
        let mut text = String::new();
        if let Ok(file) = File::open(self.root.join("lock")) {
            let _ = file.take(32).read_to_string(&mut text);
        }
        Error::InUse { data: self.root.clone(), holder: text.trim().parse().ok() }
    }

    /// A root that works in somebody else's folder leaves no file behind that they cannot open.
    pub(crate) fn belong_to_owner(&self, path: &Path) -> Result<(), Error> {
        if geteuid().is_root() {
            let meta = self.root.metadata().at("cannot look at", &self.root)?;
            chown(path, Some(meta.uid()), Some(meta.gid())).at("cannot chown", path)?;
        }
        Ok(())
    }

    /// A folder for the socket that only `account` (and root) can enter.
    pub(crate) fn socket_dir(&self, account: &Account) -> Result<PathBuf, Error> {
        let near = self.root.join("socket");
        let dir = if fits(&near) {
            near
        } else {
            let digest = Sha256::digest(self.root.as_os_str().as_bytes());
            let name = format!("annals-{}", hex(&digest[..8]));
            let temp = std::env::temp_dir().join(&name);
            let reachable = temp.parent().is_some_and(|p| matches!(account.blocked(p), Ok(None)));
            if fits(&temp) && reachable { temp } else { Path::new("/tmp").join(name) }
        };
        private_dir(&dir, account)?;
        Ok(dir)
    }
}

/// Makes `dir` with mode 0700 for `account`, or checks that it is just that: in a temp folder
/// somebody else could have put it there first.
pub(crate) fn private_dir(dir: &Path, account: &Account) -> Result<(), Error> {
    match DirBuilder::new().mode(0o700).create(dir) {
        Ok(()) => account.give(dir)?,
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error).at("cannot make", dir),
    }
    let meta = dir.symlink_metadata().at("cannot look at", dir)?;
    if !meta.is_dir() || meta.uid() != account.uid {
        return Err(Error::ForeignOwner {
            path: dir.to_owned(),
            owner: meta.uid(),
            uid: account.uid,
        });
    }
    if meta.mode() & 0o077 != 0 {
        let mut mode = meta.permissions();
        mode.set_mode(0o700);
        std::fs::set_permissions(dir, mode).at("cannot chmod", dir)?;
    }
    Ok(())
}

pub(crate) fn socket_file(dir: &Path, port: u16) -> PathBuf {
    dir.join(format!(".s.PGSQL.{port}"))
}

fn fits(dir: &Path) -> bool {
    socket_file(dir, PORT).as_os_str().len() <= LONGEST_SOCKET
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The address of `database` behind the socket in `dir`, as sqlx and libpq read it.
pub(crate) fn url(dir: &Path, port: u16) -> String {
    let mut host = String::new();
    for &byte in dir.as_os_str().as_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' | b'~' => {
                host.push(char::from(byte));
            }
            _ => host.push_str(&format!("%{byte:02X}")),
        }
    }
    format!("postgres://annals@localhost/annals?host={host}&port={port}&sslmode=disable")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strange_folder_name_survives_the_url() {
        assert_eq!(
            url(Path::new("/tmp/a b&c/ü"), 5432),
            "postgres://annals@localhost/annals?host=/tmp/a%20b%26c/%C3%BC&port=5432&sslmode=disable"
        );
    }

    #[test]
    fn a_long_folder_is_too_long_for_a_socket() {
        assert!(fits(Path::new("/var/lib/annals/socket")));
        assert!(!fits(&Path::new("/").join("x".repeat(90))));
    }
}
