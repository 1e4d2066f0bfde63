//! A migrated database of its own for every test, copied from a template that is made once.

use anyhow::{Context, Result};
use migrations::MIGRATOR;
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool};
use uuid::Uuid;

/// Taken while the template is made, so that of many test programs one makes it.
const MAKING: i64 = 0x616e_6e61_6c73;

/// A migrated database that nobody else uses.
#[derive(Debug)]
pub struct Database {
    name: String,
    server: String,
}

impl Database {
    /// A new one on the server for tests.
    ///
    /// # Errors
    /// When there is no server, or it refuses.
    pub async fn create() -> Result<Self> {
        let server = embedded::testing::server_url().await?;
        let mut db = PgConnection::connect(&server).await.context("the server for tests")?;
        let template = template(&server, &mut db).await?;
        let name = format!("annals_{}", Uuid::new_v4().simple());
        run(&mut db, format!("create database {name} template {template}")).await?;
        db.close().await?;
        Ok(Self { name, server })
    }

    /// Where it is.
    pub fn url(&self) -> String {
        url(&self.server, &self.name)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Removes it, whoever is still connected.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn remove(self) -> Result<()> {
        let mut db = PgConnection::connect(&self.server).await?;
        run(&mut db, format!("drop database if exists {} with (force)", self.name)).await?;
        Ok(db.close().await?)
    }
}

/// Named by what is in it: another checkout or version has another one.
async fn template(server: &str, db: &mut PgConnection) -> Result<String> {
    let checksums: Vec<u8> = MIGRATOR.iter().flat_map(|one| one.checksum.to_vec()).collect();
    let name =
        format!("annals_template_{}", Uuid::new_v5(&Uuid::NAMESPACE_OID, &checksums).simple());
    sqlx::query("select pg_advisory_lock($1)").bind(MAKING).execute(&mut *db).await?;
    let made = make(server, db, &name).await;
    sqlx::query("select pg_advisory_unlock($1)").bind(MAKING).execute(&mut *db).await?;
    made.map(|()| name)
}

async fn make(server: &str, db: &mut PgConnection, name: &str) -> Result<()> {
    let there: bool =
        sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
            .bind(name)
            .fetch_one(&mut *db)
            .await?;
    if there {
        return Ok(());
    }
    let unfinished = format!("{name}_unfinished");
    run(db, format!("drop database if exists {unfinished} with (force)")).await?;
    run(db, format!("create database {unfinished}")).await?;
    let pool = PgPool::connect(&url(server, &unfinished)).await?;
    let migrated = MIGRATOR.run(&pool).await;
    pool.close().await;
    migrated?;
    run(db, format!("alter database {unfinished} rename to {name}")).await
}

async fn run(db: &mut PgConnection, statement: String) -> Result<()> {
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(db).await?;
    Ok(())
}

/// The URL of a database on the server at this URL.
fn url(server: &str, name: &str) -> String {
    let (base, query) = server.split_once('?').unwrap_or((server, ""));
    let host = base.rsplit_once('/').map_or(base, |(host, _)| host);
    format!("{host}/{name}?{query}")
}
