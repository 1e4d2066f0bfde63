//! Who the server runs as: ourselves, or, when we are root, the owner of the cluster.

use std::fs::Metadata;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::unistd::{getegid, geteuid};

use crate::error::{At, Error};

/// `nobody`: the one account besides root that has a passwd entry everywhere.
const NOBODY: u32 = 65534;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Account {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// We are root and must step down.
    switch: bool,
}

impl Account {
    /// The account for the cluster at `pgdata`, which need not exist yet.
    pub(crate) fn of(pgdata: &Path) -> Result<Self, Error> {
        let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
        let owner = match std::fs::metadata(pgdata) {
            Ok(meta) => Some((meta.uid(), meta.gid())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(error).at("cannot look at", pgdata),
        };
        if uid == 0 {
            let (uid, gid) = owner.filter(|(uid, _)| *uid != 0).unwrap_or((NOBODY, NOBODY));
            return Ok(Self { uid, gid, switch: true });
        }
        match owner {
            Some((owner, _)) if owner != uid => {
                Err(Error::ForeignOwner { path: pgdata.to_owned(), owner, uid })
            }
            _ => Ok(Self { uid, gid, switch: false }),
        }
    }

    /// Makes `command` run as this account.
    pub(crate) fn run(&self, command: &mut Command) {
        if self.switch {
            // std drops root's supplementary groups together with the uid.
            command.uid(self.uid).gid(self.gid);
        }
    }

    /// Hands `path` over to this account.
    pub(crate) fn give(&self, path: &Path) -> Result<(), Error> {
        if self.switch {
            chown(path, Some(self.uid), Some(self.gid)).at("cannot chown", path)?;
        }
        Ok(())
    }

    /// Lets this account pass through `folder` (not list it) when it cannot yet and the folder is
    /// root's own, as a fresh data folder is.
    pub(crate) fn let_through(&self, folder: &Path) -> Result<(), Error> {
        let meta = folder.metadata().at("cannot look at", folder)?;
        if self.may_enter(&meta) || meta.uid() != 0 || meta.gid() != 0 {
            return Ok(());
        }
        chown(folder, None, Some(self.gid)).at("cannot chgrp", folder)?;
        let mut mode = meta.permissions();
        mode.set_mode(meta.mode() & 0o7777 & !0o060 | 0o010);
        std::fs::set_permissions(folder, mode).at("cannot chmod", folder)
    }

    /// Fails when this account cannot enter every folder on the way to `path`, judged by mode bits.
    pub(crate) fn check_reach(&self, path: &Path, setting: &'static str) -> Result<(), Error> {
        match self.blocked(path)? {
            None => Ok(()),
            Some(blocked) => {
                Err(Error::Unreachable { path: path.to_owned(), blocked, uid: self.uid, setting })
            }
        }
    }

    pub(crate) fn blocked(&self, path: &Path) -> Result<Option<PathBuf>, Error> {
        if !self.switch {
            return Ok(None);
        }
        let path = path.canonicalize().at("cannot resolve", path)?;
        let mut upwards: Vec<&Path> = path.ancestors().collect();
        upwards.reverse();
        for step in upwards {
            let meta = step.metadata().at("cannot look at", step)?;
            if meta.is_dir() && !self.may_enter(&meta) {
                return Ok(Some(step.to_owned()));
            }
        }
        Ok(None)
    }

    fn may_enter(&self, meta: &Metadata) -> bool {
        let needed = match () {
            () if !self.switch => return true,
            () if meta.uid() == self.uid => 0o100,
            () if meta.gid() == self.gid => 0o010,
            () => 0o001,
        };
        meta.mode() & needed != 0
    }
}
