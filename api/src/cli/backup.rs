//! `annals backup FILE`.

use super::{
    Progress,
    archive::{
        Contents, Entry, FILES, FORMAT, Head, KEY, MANIFEST, MARK, Manifest, SETTINGS, TABLES,
        Table, Tally, WAITING, Writing,
    },
    progress::Bar,
};
use crate::{
    compose::{self, Store},
    config::Config,
};
use anyhow::{Context, Result, ensure};
use bytes::{Bytes, BytesMut};
use chrono::Utc;
use commands::effects::{
    blobs::{Blob, Blobs},
    secret::hex,
};
use futures::TryStreamExt;
use sha2::{Digest, Sha256};
use sqlx::{Connection, PgConnection};
use std::{
    collections::BTreeMap,
    io::{self, Write},
    path::PathBuf,
};
use tokio::sync::mpsc;

/// Rows are written together up to so many bytes.
const PIECE: usize = 4 << 20;
/// Everything that is read is as it was at one moment, however long reading it takes.
const BEGIN: &str = "begin isolation level repeatable read read only";
const NO_HURRY: &str =
    "set local statement_timeout = 0; set local idle_in_transaction_session_timeout = 0";
const HEAD: &str = "select position, recorded_at, encode(chain, 'hex') as chain from log_head";
const KEY_CHECK: &str = "select encode(digest, 'hex') from key_check";

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The file to make; there must be none of this name.
    file: PathBuf,
    /// Leave the files of the blob store out: they are kept safe in another way, as a bucket with versions is.
    #[arg(long)]
    without_files: bool,
    /// Put the master key in. Whoever has such a backup can read every secret in it.
    #[arg(long)]
    with_key: bool,
}

pub(super) async fn run(store: &Store, config: &Config, arguments: Arguments) -> Result<()> {
    ensure!(
        store.chained,
        "the log lies on another server (EVENTSTORE_URL): bring it into PostgreSQL with `annals copy`, or save both servers by their own means"
    );
    let writing = Writing::begin(&arguments.file)?;
    let taken = take(store, config, &arguments, &writing).await;
    let manifest = writing.finish(taken).await?;
    Ok(tell(&manifest, arguments.with_key)?)
}

async fn take(
    store: &Store,
    config: &Config,
    arguments: &Arguments,
    writing: &Writing,
) -> Result<Manifest> {
    writing.add(Entry::whole(MARK, FORMAT)).await?;
    writing.add(Entry::whole(SETTINGS, config.shown().to_string())).await?;
    let taken_at = Utc::now();
    let mut db = store.db.acquire().await?;
    let mut snapshot = db.begin_with(BEGIN).await?;
    sqlx::raw_sql(NO_HURRY).execute(&mut *snapshot).await?;
    let head: Head = sqlx::query_as(HEAD).fetch_one(&mut *snapshot).await?;
    let key: String = sqlx::query_scalar(KEY_CHECK).fetch_one(&mut *snapshot).await?;
    if arguments.with_key {
        let master = compose::master_key(config)?;
        writing.add(Entry::whole(KEY, master.text().as_bytes().to_vec())).await?;
    }
    let mut tables = BTreeMap::new();
    for table in &TABLES {
        let contents = rows(&mut snapshot, table, &head, writing).await;
        let contents = contents.with_context(|| format!("table {}", table.name))?;
        if contents.count > 0 {
            tables.insert(table.name.to_owned(), contents);
        }
    }
    snapshot.rollback().await?;
    drop(db);
    // After the rows: what they refer to was in the store before, and nothing is removed from it.
    let files = match arguments.without_files {
        true => None,
        false => Some(files(&Blobs::open(&config.blobs)?, writing).await?),
    };
    let annals = env!("CARGO_PKG_VERSION").to_owned();
    let schema = migrations::latest();
    let manifest = Manifest { annals, schema, taken_at, head, key, tables, files };
    writing.add(Entry::whole(MANIFEST, serde_json::to_vec_pretty(&manifest)?)).await?;
    Ok(manifest)
}

/// Writes the rows of a table, in pieces of whole rows.
async fn rows(
    db: &mut PgConnection,
    table: &Table,
    head: &Head,
    writing: &Writing,
) -> Result<Contents> {
    let Table { name, columns, rows } = table;
    let progress = Progress::new();
    let bar = (*name == "events").then(|| progress.bar("log"));
    let end = head.position.cast_unsigned();
    let copy = format!("copy (select {columns} from {name} {rows}) to stdout");
    let mut copied = db.copy_out_raw(&copy).await?;
    let (mut tally, mut piece, mut pieces) = (Tally::default(), BytesMut::new(), 0);
    loop {
        let row = copied.try_next().await?;
        if piece.len() >= PIECE || row.is_none() && !piece.is_empty() {
            pieces += 1;
            let full = piece.split().freeze();
            tally.add(&full);
            bar.iter().for_each(|bar: &Bar| bar.at(tally.rows(), end));
            writing.add(Entry::whole(format!("tables/{name}/{pieces:06}"), full)).await?;
        }
        match row {
            Some(row) => piece.extend_from_slice(&row),
            None => return Ok(tally.finish()),
        }
    }
}

/// Writes every file of the blob store.
async fn files(blobs: &Blobs, writing: &Writing) -> Result<Contents> {
    let total: u64 = blobs.all().try_fold(0, async |sum, _| Ok(sum + 1)).await?;
    let progress = Progress::new();
    let bar = progress.bar("files");
    let mut contents = Contents::default();
    let mut all = blobs.all();
    while let Some(blob) = all.try_next().await? {
        let (send, body) = mpsc::channel(WAITING);
        let entry =
            Entry { name: format!("{FILES}{}", blob.hash.0), size: blob.size, body, place: 0 };
        writing.add(entry).await?;
        file(blobs, &blob, &send).await?;
        contents.count += 1;
        contents.bytes += blob.size;
        bar.at(contents.count, total.max(contents.count));
    }
    Ok(contents)
}

async fn file(blobs: &Blobs, blob: &Blob, to: &mpsc::Sender<Bytes>) -> Result<()> {
    let mut bytes = blobs.stream(&blob.hash).await?;
    let mut digest = Sha256::new();
    while let Some(bytes) = bytes.try_next().await? {
        digest.update(&bytes);
        to.send(bytes).await.ok().context("nothing more can be written")?;
    }
    let found = hex(&digest.finalize());
    ensure!(
        found == blob.hash.0,
        "the file {0} in the blob store is damaged: its bytes are not those of its name. Take it from an earlier backup or remove it, \
         then back up again; --without-files saves everything else",
        blob.hash.0
    );
    Ok(())
}

fn tell(manifest: &Manifest, with_key: bool) -> io::Result<()> {
    let mut out = io::stdout();
    let rows = |table: &str| manifest.tables.get(table).map_or(0, |contents| contents.count);
    let (events, secrets) = (manifest.head.position, rows("secrets"));
    let files = match &manifest.files {
        Some(Contents { count, bytes, .. }) => format!("{count} files of {bytes} bytes"),
        None => "no files".to_owned(),
    };
    writeln!(out, "saved: the log up to position {events}, {secrets} secrets, {files}")?;
    match with_key {
        true => {
            writeln!(out, "the master key is in it: whoever has this file can read the secrets")
        }
        false => writeln!(
            out,
            "the master key is not in it: keep it in another place, nothing secret can be read without it"
        ),
    }
}
