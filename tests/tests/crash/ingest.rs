//! SIGKILL while 500 files of eleven formats come in, 20 of them damaged: every good one is searchable once, every damaged
//! one says why it is not.

use annals_tests::{
    app::Person,
    audit::audit,
    chance::Chance,
    files::{self, Part},
    form::Form,
    process::{Folder, Server, Setup, eventually},
};
use anyhow::{Context, Result, ensure};
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::{collections::HashSet, time::Duration};
use tokio::time::sleep;

const FILES: usize = 500;
/// Every so many files, one is damaged.
const DAMAGED: usize = 25;
/// Files of one upload.
const UPLOAD: usize = 20;

/// The file of this number: its name and its bytes, which no other has.
fn file(n: usize) -> (String, Vec<u8>) {
    let heading = format!("Report {n}");
    let body = format!("The gauge number{n} stood at {} in the morning. Nobody minded.", n * 7);
    let [title, text] = [heading.as_str(), body.as_str()];
    let parts = [Part::Heading(1, title), Part::Text(text), Part::Row(&["gauge", text])];
    let (ending, bytes) = match n % 11 {
        0 => ("txt", format!("{title}\n\n{text}\n").into_bytes()),
        1 => ("md", format!("# {title}\n\n{text}\n").into_bytes()),
        2 => ("html", format!("<!DOCTYPE html><h1>{title}</h1><p>{text}").into_bytes()),
        3 => ("csv", format!("title,text\n{title},{text}\n").into_bytes()),
        4 => ("json", json!({"title": title, "text": text}).to_string().into_bytes()),
        5 => ("pdf", files::pdf(&[(title, &[text])])),
        6 => ("docx", files::docx(&parts)),
        7 => ("pptx", files::pptx(&[(title, text)])),
        8 => ("xlsx", files::xlsx("Gauges", &[&["title", "text"], &[title, text]])),
        9 => ("eml", files::eml(title, text)),
        _ => ("rs", format!("/// {title}\nfn gauge() {{\n    // {text}\n}}\n").into_bytes()),
    };
    if n % DAMAGED != DAMAGED - 1 {
        return (format!("report {n}.{ending}"), bytes);
    }
    match n / DAMAGED % 5 {
        0 => (format!("half {n}.docx"), halved(files::docx(&parts))),
        1 => (format!("half {n}.xlsx"), halved(files::xlsx(title, &[&[text, "text"]]))),
        2 => (
            format!("locked {n}.pdf"),
            [files::encrypted_pdf(), n.to_string().into_bytes()].concat(),
        ),
        3 => (format!("noise {n}.txt"), (0..=255).cycle().skip(n).take(4_000).collect()),
        _ => (format!("nothing {n}.md"), Vec::new()),
    }
}

fn halved(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.truncate(bytes.len() / 2);
    bytes
}

/// A server that is killed, and the knowledge base on it.
struct Scene {
    setup: Setup,
    server: Server,
    admin: Person,
    shelf: String,
}

impl Scene {
    /// The same after a SIGKILL and another start.
    async fn killed(mut self) -> Result<Self> {
        self.server.kill()?;
        self.server = self.setup.start().await?;
        self.admin = self.server.admin().await?;
        Ok(self)
    }

    async fn get(&self, path: &str) -> Result<Value> {
        let answer: Value = self.admin.get(path).send().await?.json().await?;
        ensure!(answer["code"] == 200, "{path}: {answer}");
        Ok(answer["data"].clone())
    }

    /// Sends an upload. One that the server does not live to answer may have been taken.
    async fn upload(&self, numbers: std::ops::Range<usize>) -> Result<StatusCode> {
        let form = Form::default().text("kdb_id", &self.shelf);
        let form = numbers.map(file).fold(form, |form, (name, bytes)| form.file(&name, bytes));
        let request = self.admin.post("/api/knowledge-base/doc/add_by_files");
        let request = request.header("content-type", form.media_type()).body(form.end());
        Ok(request.send().await?.status())
    }

    async fn count(&self, status: &str) -> Result<u64> {
        let shelf = &self.shelf;
        let path = format!("/api/knowledge-base/doc/list?kdb_id={shelf}&page_size=1&{status}");
        self.get(&path).await?["total"].as_u64().context("a total")
    }

    async fn ended(&self) -> Result<u64> {
        self.count("query_status=2&query_status=3").await
    }

    /// Waits until so many documents are done with, and a moment that nobody knows.
    async fn until(&self, documents: u64, chance: &mut Chance) -> Result<()> {
        eventually("documents", async || Ok((self.ended().await? >= documents).then_some(())))
            .await?;
        // Not to wait for anything: the moment shall not be one at which a document has just ended.
        sleep(Duration::from_micros(chance.below(60_000))).await;
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_document_is_ingested_once_or_says_why_not() -> Result<()> {
    let mut chance = Chance::seeded();
    let folder = Folder::new("crash-ingest");
    let setup = Setup::embedded(folder.path());
    let server = setup.start().await?;
    let admin = server.admin().await?;
    let add = json!({"name": "Reports", "type": "rag"});
    let added = admin.post("/api/knowledge-base/add").json(&add).send().await?;
    let added: Value = added.json().await?;
    let shelf = added["data"]["kdb_id"].as_str().context("an id")?.to_owned();
    let mut scene = Scene { setup, server, admin, shelf };

    // The first kill: while an upload is on its way.
    let uploads: Vec<_> = (0..FILES).step_by(UPLOAD).map(|first| first..first + UPLOAD).collect();
    let unlucky = usize::try_from(chance.below(uploads.len() as u64))?;
    for (n, numbers) in uploads.into_iter().enumerate() {
        if n == unlucky {
            let wait = Duration::from_micros(chance.below(80_000));
            let cut = tokio::time::timeout(wait, scene.upload(numbers.clone())).await;
            scene = scene.killed().await?;
            let again = scene.upload(numbers).await?;
            // All of it was taken, or nothing.
            ensure!(
                matches!(again, StatusCode::OK | StatusCode::CONFLICT),
                "{cut:?}, then {again}"
            );
        } else {
            let taken = scene.upload(numbers).await?;
            ensure!(taken == StatusCode::OK, "{taken}");
        }
    }
    ensure!(scene.count("").await? == FILES as u64, "uploads are missing or doubled");

    // Two more: while they are read.
    for _ in 0..2 {
        let more = scene.ended().await? + 20 + chance.below(120);
        scene.until(more.min(FILES as u64 - 20), &mut chance).await?;
        scene = scene.killed().await?;
    }
    scene.until(FILES as u64, &mut chance).await?;

    let path = format!("/api/knowledge-base/doc/list?kdb_id={}&page_size=1000", scene.shelf);
    let documents = scene.get(&path).await?;
    let documents = documents["list"].as_array().context("a list")?.clone();
    let names: HashSet<&str> = documents.iter().filter_map(|d| d["doc_name"].as_str()).collect();
    assert_eq!((documents.len(), names.len()), (FILES, FILES));
    let (good, bad): (Vec<_>, Vec<_>) = documents.iter().partition(|d| d["status"] == 2);
    assert_eq!((good.len(), bad.len()), (FILES - FILES / DAMAGED, FILES / DAMAGED));
    for document in bad {
        let name = document["doc_name"].as_str().context("a name")?;
        let reason = document["metadata"]["error"].as_str().unwrap_or_default();
        assert!(!name.starts_with("report") && reason.len() > 10, "{document}");
    }
    for n in [0, 105, 207, 303] {
        let ask = json!({"kdb_id": scene.shelf, "query": format!("gauge number{n}"), "top_k": 1});
        let found = scene.admin.post("/api/knowledge-base/retrieve").json(&ask).send().await?;
        let found: Value = found.json().await?;
        assert_eq!(found["data"]["results"][0]["title"], file(n).0, "{found}");
    }
    check(&folder, &scene.setup).await?;
    scene.server.stop().await
}

/// What the log and the read models hold.
async fn check(folder: &Folder, setup: &Setup) -> Result<()> {
    let database = embedded::attach_or_start(embedded::Options::new(folder.path())).await?;
    audit(database.url()).await?;
    let db = sqlx::PgPool::connect(database.url()).await?;
    let kinds: Vec<(String, i64)> = sqlx::query_as(
        "select type, count(*) from events where type in ('DocumentUploaded', 'DocumentIngested', 'DocumentDeleted')
         group by type order by type",
    )
    .fetch_all(&db)
    .await?;
    let expected = [("DocumentIngested", 480), ("DocumentUploaded", 500)];
    assert_eq!(kinds, expected.map(|(kind, count)| (kind.to_owned(), count)));
    let doubled: i64 = sqlx::query_scalar(
        "select count(*) from (select document from passages
         group by document having count(distinct attempt) > 1) doubled",
    )
    .fetch_one(&db)
    .await?;
    assert_eq!(doubled, 0, "documents with passages of two attempts");
    db.close().await;
    database.stop().await?;
    setup.run(&["verify"]).await?;
    Ok(())
}
