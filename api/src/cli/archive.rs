//! The file of a backup: a tar archive in gzip, which `tar -tzf` lists. Written and read from front to end, a few megabytes in
//! memory at a time.
//!
//! ```text
//! annals-backup            the format's number
//! config.txt               the settings in force, without secrets
//! master.key               only when asked for
//! tables/NAME/000001 …     rows as PostgreSQL copies them, in pieces
//! files/HASH               what lies in the blob store
//! manifest.json            what all of it has to be; without it the file is cut off
//! ```

mod file;

use anyhow::{Context, Result, bail, ensure};
use chrono::{DateTime, Utc};
use commands::effects::{Sensitive, keys::MasterKey, secret::hex};
pub(super) use file::{Entry, WAITING, Writing, each};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{collections::BTreeMap, path::Path};

/// The first entry.
pub(super) const MARK: &str = "annals-backup";
/// What this version writes there.
pub(super) const FORMAT: &str = "1\n";
/// What lies in the blob store is below this.
pub(super) const FILES: &str = "files/";
/// The last entry.
pub(super) const MANIFEST: &str = "manifest.json";
/// The settings, for people.
pub(super) const SETTINGS: &str = "config.txt";
/// The master key.
pub(super) const KEY: &str = "master.key";

/// What is kept of the database: all that is no fold of the log. Parents before children.
pub(super) const TABLES: [Table; 6] = [
    Table {
        name: "events",
        columns: "position, revision, recorded_at, id, stream, type, data, metadata",
        rows: "order by position",
    },
    Table { name: "log_batches", columns: "first, last, digest, chain", rows: "order by last" },
    Table {
        name: "subject_keys",
        columns: "subject, wrapped, created_at, destroyed_at",
        rows: "order by subject",
    },
    Table {
        name: "secrets",
        columns: "id, subject, version, sealed, created_at",
        rows: "order by id",
    },
    Table { name: "vector_memo", columns: "model, hash, embedding", rows: "" },
    // Those of read models begin anew; what a broker has acknowledged is not sent to it again.
    Table {
        name: "checkpoints",
        columns: "name, position, moved_at",
        rows: "where name like 'publisher:%'",
    },
];

/// A table of the database.
pub(super) struct Table {
    /// Its name.
    pub name: &'static str,
    /// What is kept of each row.
    pub columns: &'static str,
    /// Which rows, in which order.
    pub rows: &'static str,
}

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    /// The version that made it.
    pub annals: String,
    /// The last migration of the database.
    pub schema: i64,
    /// When it was begun.
    pub taken_at: DateTime<Utc>,
    /// The end of the log.
    pub head: Head,
    /// Tells whether a master key is the right one.
    pub key: String,
    /// Rows by table.
    pub tables: BTreeMap<String, Contents>,
    /// Files; `None` when they were left out.
    pub files: Option<Contents>,
}

/// The end of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, sqlx::FromRow)]
pub(super) struct Head {
    /// Position of the last event.
    pub position: i64,
    /// Its time.
    pub recorded_at: DateTime<Utc>,
    /// The chain, in hexadecimal.
    pub chain: String,
}

/// Rows of a table, or files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Contents {
    /// How many.
    pub count: u64,
    /// How many bytes in all.
    pub bytes: u64,
    /// SHA-256 of all bytes of a table; of files it is the name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// Adds up what [`Contents`] says of a table.
#[derive(Default)]
pub(super) struct Tally {
    contents: Contents,
    digest: Sha256,
}

impl Tally {
    /// Takes in the next piece: whole rows, one to a line.
    pub fn add(&mut self, piece: &[u8]) {
        self.contents.count += piece.iter().filter(|&&byte| byte == b'\n').count() as u64;
        self.contents.bytes += piece.len() as u64;
        self.digest.update(piece);
    }

    /// Rows so far.
    pub fn rows(&self) -> u64 {
        self.contents.count
    }

    /// The sum.
    pub fn finish(self) -> Contents {
        Contents { sha256: Some(hex(&self.digest.finalize())), ..self.contents }
    }
}

/// Reads all of a backup and compares it with its manifest; the master key, if it is in there. `progress` hears how many bytes
/// of the file are read.
///
/// # Errors
/// When it is no backup, cut off, damaged, or of a newer version.
pub(super) async fn check(
    path: &Path,
    mut progress: impl FnMut(u64),
) -> Result<(Manifest, Option<MasterKey>)> {
    let mut tallies: BTreeMap<String, Tally> = BTreeMap::new();
    let (mut files, mut manifest, mut key) = (Contents::default(), None, None);
    let mut first = true;
    let outcome = each(path, async |mut entry| {
        progress(entry.place);
        if std::mem::take(&mut first) {
            ensure!(entry.name == MARK, "this is no backup of annals");
            let format = entry.bytes().await?;
            ensure!(
                format == FORMAT.as_bytes(),
                "a backup of another format: a newer annals reads it"
            );
            return Ok(());
        }
        ensure!(manifest.is_none(), "there is something behind the manifest");
        if let Some(table) = table_of(&entry.name) {
            let table = table.to_owned();
            tallies.entry(table).or_default().add(&entry.bytes().await?);
        } else if let Some(name) = entry.name.strip_prefix(FILES) {
            let (mut digest, mut size) = (Sha256::new(), 0);
            while let Some(bytes) = entry.body.recv().await {
                digest.update(&bytes);
                size += bytes.len() as u64;
            }
            let found = hex(&digest.finalize());
            ensure!(found == name && size == entry.size, "the file {name} is damaged");
            (files.count, files.bytes) = (files.count + 1, files.bytes + size);
        } else if entry.name == MANIFEST {
            let text = entry.bytes().await?;
            manifest = Some(serde_json::from_slice(&text).context("the manifest")?);
        } else if entry.name == KEY {
            let text = Sensitive::from(String::from_utf8(entry.bytes().await?)?);
            key = Some(MasterKey::parse(text.expose(), KEY)?);
        } else {
            ensure!(entry.name == SETTINGS, "what is {}?", entry.name);
            entry.bytes().await?;
        }
        Ok(())
    });
    outcome.await.with_context(|| path.display().to_string())?;
    let Some(manifest): Option<Manifest> = manifest else {
        bail!("{}: the backup is cut off: it has no manifest", path.display());
    };
    ensure!(
        manifest.schema <= migrations::latest(),
        "the backup was made by annals {}, which is newer than this version",
        manifest.annals
    );
    let tables = tallies.into_iter().map(|(name, tally)| (name, tally.finish())).collect();
    let found =
        Manifest { tables, files: manifest.files.as_ref().map(|_| files), ..manifest.clone() };
    ensure!(
        found == manifest,
        "{}: the backup is damaged: its manifest says otherwise",
        path.display()
    );
    Ok((manifest, key))
}

/// The table that an entry is a piece of.
pub(super) fn table_of(entry: &str) -> Option<&str> {
    Some(entry.strip_prefix("tables/")?.split_once('/')?.0)
}
