//! Databases of their own for tests.

#![expect(clippy::unwrap_used, reason = "tests")]

use super::{PostgresLog, Settings};
use crate::log::{EventLog, contract::Backend};
use futures::{FutureExt, future::BoxFuture};
use sqlx::{
    AssertSqlSafe, Connection, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use std::sync::Arc;
use uuid::Uuid;

/// A fresh, empty log.
pub(super) struct Fresh {
    pub(super) options: PgConnectOptions,
}

impl Fresh {
    /// In a new database of the shared server.
    pub(super) async fn new() -> anyhow::Result<Self> {
        let options: PgConnectOptions = embedded::testing::server_url().await?.parse()?;
        Self::on(options).await
    }

    /// In a new database of this server.
    pub(super) async fn on(server: PgConnectOptions) -> anyhow::Result<Self> {
        let name = format!("log_{}", Uuid::new_v4().simple());
        let mut connection = PgConnection::connect_with(&server).await?;
        let create = format!("create database {name}");
        sqlx::raw_sql(AssertSqlSafe(create)).execute(&mut connection).await?;
        connection.close().await?;
        let fresh = Self { options: server.database(&name) };
        let pool = fresh.pool();
        migrations::MIGRATOR.run(&pool).await?;
        pool.close().await;
        Ok(fresh)
    }

    /// A new pool on it.
    pub(super) fn pool(&self) -> PgPool {
        PgPoolOptions::new().max_connections(8).connect_lazy_with(self.options.clone())
    }

    /// One more node on it.
    pub(super) async fn node(&self) -> anyhow::Result<Arc<PostgresLog>> {
        Ok(PostgresLog::open(self.pool(), Settings::default()).await?)
    }
}

impl Backend for Fresh {
    fn open(&self) -> BoxFuture<'_, Arc<dyn EventLog>> {
        async {
            let log: Arc<dyn EventLog> = self.node().await.unwrap();
            log
        }
        .boxed()
    }
}

mod contract {
    crate::log_contract!(super::Fresh::new().await.unwrap());
}
