//! The schema of the database: forward-only migrations, embedded in the binary.

/// Every migration, in order. Needs PostgreSQL 15 or later.
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("./sql");
