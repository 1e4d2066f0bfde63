//! A database that exists for one benchmark.

use crate::config::Config;
use anyhow::{Context, Result};
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use std::{path::PathBuf, time::Duration};
use uuid::Uuid;

/// Connections of the pool, as many as a server has.
const CONNECTIONS: u32 = 24;
/// How long one of them is awaited.
const ACQUIRE: Duration = Duration::from_secs(30);
/// Connections the embedded server accepts when it is started for the benchmark: the baseline has up to 150.
const EMBEDDED: u16 = 220;

/// See the module. [`Scratch::remove`] has to be called in the end.
pub(crate) struct Scratch {
    /// The migrated database.
    pub pool: PgPool,
    /// Where it is.
    pub url: String,
    /// A folder for a node's keys and files.
    pub data: PathBuf,
    name: String,
    server: PgConnectOptions,
    embedded: Option<embedded::Server>,
}

impl Scratch {
    /// A new database on the configured server, or on the embedded one, which is started when it does not run.
    pub async fn create(config: &Config) -> Result<Self> {
        let (embedded, url) = match &config.database_url {
            Some(url) => (None, url.expose().to_owned()),
            None => {
                let mut options = embedded::Options::new(&config.data);
                options.progress = Some(|line| eprintln!("{line}"));
                options.max_connections = EMBEDDED;
                let server = embedded::attach_or_start(options).await?;
                let url = server.url().to_owned();
                (Some(server), url)
            }
        };
        let server: PgConnectOptions = url.parse().context("DATABASE_URL")?;
        let name = format!("annals_bench_{}", Uuid::now_v7().simple());
        let data = std::env::temp_dir().join(&name);
        let own = server.clone().database(&name).disable_statement_logging();
        let url = own.to_url_lossy().to_string();
        let pool = PgPoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(ACQUIRE);
        let pool = pool.connect_lazy_with(own);
        let scratch = Self { pool, url, data, name, server, embedded };
        match scratch.prepare().await {
            Ok(()) => Ok(scratch),
            Err(error) => {
                if let Err(error) = scratch.remove().await {
                    tracing::warn!(%error, "the benchmark's database is still there");
                }
                Err(error)
            }
        }
    }

    async fn prepare(&self) -> Result<()> {
        let create = format!("create database {} encoding 'UTF8' template template0", self.name);
        self.on_server(create).await.context("a database for the benchmark cannot be made")?;
        migrations::MIGRATOR.run(&self.pool).await?;
        for setting in ["fsync", "synchronous_commit", "full_page_writes"] {
            let value: String = sqlx::query_scalar("select current_setting($1)")
                .bind(setting)
                .fetch_one(&self.pool)
                .await?;
            if value == "off" {
                eprintln!(
                    "beware: {setting} is off on this server, so these are not production figures"
                );
            }
        }
        Ok(())
    }

    /// Removes the database, whoever is still connected, and stops the server if it was started for this.
    pub async fn remove(self) -> Result<()> {
        self.pool.close().await;
        let removed = self.on_server(format!("drop database if exists {} with (force)", self.name));
        let removed =
            removed.await.with_context(|| format!("the database {} is still there", self.name));
        if self.data.exists() {
            std::fs::remove_dir_all(&self.data)?;
        }
        if let Some(embedded) = self.embedded {
            embedded.stop().await?;
        }
        removed
    }

    /// Statistics and visibility as they are on a database that has been running for a while.
    pub async fn settle(&self) -> Result<()> {
        sqlx::raw_sql("vacuum analyze").execute(&self.pool).await?;
        Ok(())
    }

    async fn on_server(&self, statement: String) -> Result<()> {
        let mut db = PgConnection::connect_with(&self.server).await?;
        // Constants and a name made here.
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut db).await?;
        Ok(db.close().await?)
    }
}
