//! `annals restore FILE`.

use super::{
    Progress,
    archive::{self, Contents, Entry, FILES, Head, Manifest, TABLES, Table},
    verify,
};
use crate::{
    compose::{self, Store, Tenancy, read_models},
    config::Config,
    feed::LogFeed,
};
use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use commands::effects::{
    blobs::Blobs,
    keys::{Keys, MasterKey},
};
use domain::Position;
use futures::StreamExt;
use projections::Projections;
use sqlx::{Connection, PgConnection, PgPool};
use std::{
    convert::Infallible,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio_stream::wrappers::ReceiverStream;

/// How often it is looked how far the read models are.
const LOOK: Duration = Duration::from_millis(200);
const NO_HURRY: &str =
    "set local statement_timeout = 0; set local idle_in_transaction_session_timeout = 0";
/// Holds every writer up until the log is in its place.
const END: &str = "select position from log_head for update";
const SECRETS: &str = "select exists (select from subject_keys) or exists (select from secrets)";
const MOVE_END: &str =
    "update log_head set position = $1, recorded_at = $2, chain = decode($3, 'hex')";
const ANALYZE: &str = "analyze events; analyze log_batches; analyze secrets; analyze vector_memo";

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// What `annals backup` has made.
    file: PathBuf,
}

/// Into the configured database, which has to be empty, and the configured blob store.
pub(super) async fn run(config: &Config, arguments: Arguments) -> Result<()> {
    ensure!(
        config.eventstore_url.is_none(),
        "a backup is restored into PostgreSQL: unset EVENTSTORE_URL, restore, then `annals copy` brings the log to that server"
    );
    let path = &arguments.file;
    let progress = Progress::new();
    let bar = progress.bar("checking");
    let size = fs::metadata(path).with_context(|| path.display().to_string())?.len();
    let (manifest, inside) = archive::check(path, |read| bar.at(read, size)).await?;
    drop(bar);
    own_key(config, &manifest, inside)?;

    let store = Store::open(config, Tenancy::Owner).await?;
    let filled = fill(&store.db, config, &manifest, path).await;
    store.close().await?;
    filled?;
    // Opened anew: the log now ends elsewhere.
    let store = Store::open(config, Tenancy::Owner).await?;
    let proven = prove(&store, &manifest).await;
    store.close().await?;
    proven
}

/// Makes sure that this installation has the key of the backup, before anything else is written.
fn own_key(config: &Config, manifest: &Manifest, inside: Option<MasterKey>) -> Result<()> {
    let configured = config.master_key.is_some() || config.master_key_file.is_some();
    if !configured && !MasterKey::file_in(&config.data).try_exists()? {
        let Some(key) = inside else {
            bail!(
                "the backup holds no master key, and this installation has none: set ANNALS_MASTER_KEY or \
                 ANNALS_MASTER_KEY_FILE to the key of the installation that was saved, or copy its file to {}",
                MasterKey::file_in(&config.data).display()
            );
        };
        ensure!(
            Keys::derive(&key).fingerprint() == manifest.key,
            "the key in the backup is another's"
        );
        key.place(&config.data)?;
    }
    ensure!(
        Keys::derive(&compose::master_key(config)?).fingerprint() == manifest.key,
        "this installation has another master key than the one that was saved; nothing secret in the backup could be read with it"
    );
    Ok(())
}

/// Rows in one transaction, files before it commits: an interrupted restore leaves an empty database.
async fn fill(db: &PgPool, config: &Config, manifest: &Manifest, path: &Path) -> Result<()> {
    let blobs = Blobs::open(&config.blobs)?;
    let mut db = db.acquire().await?;
    let mut transaction = db.begin().await?;
    sqlx::raw_sql(NO_HURRY).execute(&mut *transaction).await?;
    let end: i64 = sqlx::query_scalar(END).fetch_one(&mut *transaction).await?;
    ensure!(end == 0, "the database is not empty: its log has {end} events");
    let secrets: bool = sqlx::query_scalar(SECRETS).fetch_one(&mut *transaction).await?;
    ensure!(!secrets, "the database is not empty: it holds secrets");

    let all = |contents: &Contents| contents.count;
    let total =
        manifest.tables.values().map(all).sum::<u64>() + manifest.files.as_ref().map_or(0, all);
    let (progress, mut done) = (Progress::new(), 0);
    let bar = progress.bar("restoring");
    archive::each(path, async |entry| {
        if let Some(table) = archive::table_of(&entry.name) {
            let known = TABLES.iter().find(|known| known.name == table);
            let table = known.with_context(|| format!("the table {table} is not known here"))?;
            done += rows(&mut transaction, table, entry).await?;
        } else if entry.name.starts_with(FILES) {
            file(&blobs, entry).await?;
            done += 1;
        } else {
            entry.bytes().await?;
        }
        bar.at(done, total);
        Ok(())
    })
    .await?;
    let Head { position, recorded_at, chain } = &manifest.head;
    let moved = sqlx::query(MOVE_END).bind(position).bind(recorded_at).bind(chain);
    moved.execute(&mut *transaction).await?;
    transaction.commit().await?;
    sqlx::raw_sql(ANALYZE).execute(&mut *db).await?;
    Ok(())
}

async fn rows(db: &mut PgConnection, table: &Table, entry: Entry) -> Result<u64> {
    let Table { name, columns, .. } = table;
    let piece = entry.bytes().await?;
    let mut copy = db.copy_in_raw(&format!("copy {name} ({columns}) from stdin")).await?;
    copy.send(piece).await?;
    copy.finish().await.with_context(|| format!("table {name}"))
}

async fn file(blobs: &Blobs, entry: Entry) -> Result<()> {
    let bytes = ReceiverStream::new(entry.body).map(Ok::<Bytes, Infallible>);
    let kept = blobs.put(bytes, entry.size).await?;
    ensure!(entry.name.strip_prefix(FILES) == Some(&kept.hash.0), "{} is damaged", entry.name);
    Ok(())
}

/// The log is what was written, and read models are folded from it.
async fn prove(store: &Store, manifest: &Manifest) -> Result<()> {
    let mut out = io::stdout();
    if let Some(different) = verify::verify_chain(store).await? {
        bail!("the log of the backup is not what was written: {different}");
    }
    let head = Position(manifest.head.position.cast_unsigned());
    let feed = Arc::new(LogFeed(store.log.clone()));
    let running = Projections::start(store.db.clone(), feed, read_models())?;
    let caught_up = catch_up(&running, head).await;
    running.shutdown().await;
    caught_up?;
    let files = manifest.files.as_ref().map_or(0, |files| files.count);
    writeln!(
        out,
        "restored: the log up to position {}, {files} files; the read models are folded from it",
        head.0
    )?;
    Ok(())
}

async fn catch_up(running: &Projections, head: Position) -> Result<()> {
    let progress = Progress::new();
    let bar = progress.bar("read models");
    let mut look = tokio::time::interval(LOOK);
    loop {
        look.tick().await;
        let status = running.status().await;
        if let Some((name, stuck)) =
            status.iter().find_map(|one| one.failure.as_ref().map(|stuck| (one.name, stuck)))
        {
            bail!("{name} cannot take the event at position {}: {}", stuck.position, stuck.reason);
        }
        let done = status.iter().map(|one| one.position.0.min(head.0)).sum();
        let total = head.0 * status.len() as u64;
        bar.at(done, total);
        if done == total {
            return Ok(());
        }
    }
}
