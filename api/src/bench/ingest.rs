//! Ingestion of made-up files: from the upload to the moment in which the search finds them.

use super::{
    corpus::{self, Scatter},
    mix,
    node::Served,
    scratch::Scratch,
    written::append,
};
use anyhow::{Result, bail};
use bytes::Bytes;
use commands::log::{
    Filter,
    bench::{Meter, Report, Row, Timed},
};
use domain::{
    Decider, Position,
    document::{self, Document},
    ids::{DocumentId, KnowledgeBaseId},
};
use futures::{StreamExt, stream};
use sqlx::PgPool;
use std::{
    collections::BTreeMap,
    convert::Infallible,
    time::{Duration, Instant},
};
use uuid::Uuid;

/// Sections of a file, and words of each.
const SECTIONS: (u64, usize) = (20, 120);
const PATIENCE: Duration = Duration::from_secs(3_600);

/// `documents` files of about 18 KB each (Markdown, HTML, plain text, CSV in turn), uploaded at once into one knowledge
/// base, read, cut, and followed by all read models; with the vectors of the built-in embedder. `mb_per_s` counts the
/// files' bytes. The baseline puts the same sections into a table with a GIN index over their words, a transaction per
/// file.
pub(super) async fn ingest(scratch: &Scratch, documents: u64) -> Result<Report> {
    let served = Served::start(scratch, None).await?;
    let measured = measure(scratch, &served, documents).await;
    let stopped = served.stop().await;
    let row = measured?;
    stopped?;
    Ok(Report { bench: "ingest", results: vec![row] })
}

async fn measure(scratch: &Scratch, served: &Served, documents: u64) -> Result<Row> {
    let files: Vec<File> = (0..documents).map(File::make).collect();
    let bytes: usize = files.iter().map(|file| file.body.len()).sum();
    let raw = baseline(&scratch.pool, &files).await?;
    let base = mix::shelf(&*served.app.log, &served.user).await?;
    let meter = Meter::new(&scratch.pool).await?;
    let (cpu, began, head) = (meter.read(), Instant::now(), served.app.log.head().await?);
    for file in files {
        file.upload(served, &base).await?;
    }
    let last = ended(served, head, documents).await?;
    let read = began.elapsed();
    served.app.projections.wait_for_all(last, PATIENCE).await?;
    let wall = began.elapsed();
    let ours = Timed { events: documents, calls_us: vec![], wall, cpu_us: meter.since(cpu) };
    let mb_per_s =
        |time: Duration| (bytes as f64 / 1e6 / time.as_secs_f64() * 100.0).round() / 100.0;
    let more = BTreeMap::from([
        ("mb_per_s", mb_per_s(wall)),
        ("baseline_mb_per_s", mb_per_s(raw.wall)),
        ("read_and_stored_after_s", (read.as_secs_f64() * 100.0).round() / 100.0),
    ]);
    let baseline = "the same sections into one table with a GIN index".to_owned();
    Ok(Row { more, ..ours.against("documents, until the search finds them", (baseline, &raw)) })
}

/// Until so many ingestions have ended; the last one's position.
async fn ended(served: &Served, after: Position, mut documents: u64) -> Result<Position> {
    let ends = Filter::categories(&[Document::CATEGORY]);
    let ends = ends.kinds(&["DocumentIngested", "IngestionFailed"]);
    let mut ends = served.app.log.subscribe(after, ends);
    while let Some(delivery) = ends.next().await {
        for event in delivery.events {
            if &*event.kind != "DocumentIngested" {
                bail!("a made-up file was not ingested: {}", event.data);
            }
            documents = documents.saturating_sub(1);
            if documents == 0 {
                return Ok(event.position);
            }
        }
    }
    bail!("the log has ended")
}

async fn baseline(db: &PgPool, files: &[File]) -> Result<Timed> {
    sqlx::raw_sql(
        "create table bench_sections (body text not null);
         create index on bench_sections using gin (to_tsvector('english', body))",
    )
    .execute(db)
    .await?;
    let began = Instant::now();
    for file in files {
        sqlx::query("insert into bench_sections select unnest($1::text[])")
            .bind(&file.sections)
            .execute(db)
            .await?;
    }
    let wall = began.elapsed();
    sqlx::raw_sql("drop table bench_sections").execute(db).await?;
    Ok(Timed { events: files.len() as u64, calls_us: vec![], wall, cpu_us: None })
}

struct File {
    name: String,
    sections: Vec<String>,
    body: Bytes,
}

impl File {
    fn make(number: u64) -> Self {
        let mut scatter = Scatter(number);
        let topic = corpus::topic(number);
        let sections: Vec<String> =
            (0..SECTIONS.0).map(|_| corpus::text(&mut scatter, topic, SECTIONS.1)).collect();
        let each = |section: &String, n: usize| match number % 4 {
            0 => format!("## Section {n}\n\n{section}\n\n"),
            1 => format!("<h2>Section {n}</h2>\n<p>{section}</p>\n"),
            2 => format!("{section}\n\n"),
            _ => format!("{n},\"{section}\"\n"),
        };
        let body: String = sections.iter().enumerate().map(|(n, text)| each(text, n)).collect();
        let ending = ["md", "html", "txt", "csv"][usize::try_from(number % 4).unwrap_or(0)];
        let body =
            if ending == "html" { format!("<html><body>{body}</body></html>") } else { body };
        Self { name: format!("notes {number}.{ending}"), sections, body: body.into() }
    }

    async fn upload(self, served: &Served, base: &KnowledgeBaseId) -> Result<()> {
        let body = stream::iter([Ok::<_, Infallible>(self.body)]);
        let blob = served.app.library.blobs.put(body, u64::MAX).await?;
        let uploaded = document::Event::DocumentUploaded {
            knowledge_base: base.clone(),
            owner: served.user.clone(),
            task: Uuid::nil().simple().to_string(),
            name: self.name,
            blob: blob.hash,
            size: blob.size,
            media_type: "application/octet-stream".to_owned(),
            metadata: document::Labels::default(),
            origin: document::Origin::File,
        };
        let id = DocumentId(Uuid::now_v7().simple().to_string());
        append::<Document>(&*served.app.log, &id, [uploaded].into_iter()).await?;
        Ok(())
    }
}
