//! The schema of the database: forward-only migrations, embedded in the binary.

use sqlx::{PgPool, migrate::MigrateError};

/// Every migration, in order. Needs PostgreSQL 15 or later.
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("./sql");

/// Why a database cannot be used by this version.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// A newer version has been here; going back is not possible.
    #[error(
        "the database was brought up to date by a newer annals (it has migration {0}, which this version does not know): run \
         that version or a later one, or restore a backup that was taken before into an empty database"
    )]
    Newer(i64),
    /// A migration that ran here is not the one of this name that this version has.
    #[error(
        "migration {0} of the database is not the one that this version has: the database belongs to another build of annals"
    )]
    Other(i64),
    /// A migration failed, or the database does not answer.
    #[error("the database cannot be brought up to date: {0}")]
    Failed(MigrateError),
}

impl From<MigrateError> for Unfit {
    fn from(error: MigrateError) -> Self {
        match error {
            MigrateError::VersionMissing(version) => Self::Newer(version),
            MigrateError::VersionMismatch(version) => Self::Other(version),
            error => Self::Failed(error),
        }
    }
}

/// Brings a database up to date; nothing to do when it is. Of several nodes that start at once one migrates, the others wait.
///
/// # Errors
/// See [`Unfit`]; a database of a newer version stays as it was.
pub async fn bring_up_to_date(db: &PgPool) -> Result<(), Unfit> {
    Ok(MIGRATOR.run(db).await?)
}

/// The number of the last migration of this version.
pub fn latest() -> i64 {
    MIGRATOR.iter().map(|one| one.version).max().unwrap_or_default()
}
