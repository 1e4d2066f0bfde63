//! The data folder is lost, and a backup that was taken while people talked brings everything back.

use annals_tests::{
    app::Person,
    database::Database,
    form::Form,
    lines::{check_whole, is_end},
    model_server::{ModelServer, Script},
    process::{Folder, Setup, eventually},
    sage::data,
};
use anyhow::{Context, Result, ensure};
use serde_json::json;
use sqlx::PgPool;
use std::{fs, path::Path, process::Command};

const KEY: &str = "sk-very-secret-one";
const QUESTION: &str = "How deep is the lake?";

/// Something of everything that has to be saved.
struct Belongings {
    shelf: String,
    upload: String,
    /// Of the session `kept`, which has ended.
    lines: Vec<String>,
}

async fn gather(person: &Person, model: &ModelServer) -> Result<Belongings> {
    let provider = json!({"name": "Mine", "base_url": model.base_url(), "api_keys": [KEY],
        "model": "preferred", "max_tokens": 33});
    let provider = data(person.post("/api/llm-provider/create").json(&provider)).await?;
    let id = provider["id"].as_str().context("an id")?;
    let update = person.request(reqwest::Method::PUT, &format!("/api/llm-provider/update/{id}"));
    data(update.json(&json!({"is_default": true}))).await?;

    let add = json!({"name": "Lakes", "type": "rag"});
    let added = data(person.post("/api/knowledge-base/add").json(&add)).await?;
    let shelf = added["kdb_id"].as_str().context("an id")?.to_owned();
    let form = Form::default().text("kdb_id", &shelf);
    let form = form.file("lake.md", b"# The lake\n\nThe lake is 47 metres deep.\n");
    let add = person.post("/api/knowledge-base/doc/add_by_files");
    data(add.header("content-type", form.media_type()).body(form.end())).await?;
    let list = format!("/api/knowledge-base/doc/list?kdb_id={shelf}&query_status=2");
    eventually("a document that is read", async || {
        Ok((data(person.get(&list)).await?["total"] == 1).then_some(()))
    })
    .await?;
    let form = Form::default().raw(b"name=\"file\"; filename=\"note.txt\"", b"bytes of an upload");
    let add = person.post("/api/oss/upload").header("content-type", form.media_type());
    let upload = data(add.body(form.end())).await?;
    let upload = upload["url"].as_str().context("a link")?;
    let upload = upload[upload.find("/api/").context("a path")?..].to_owned();
    let lines = said(person, "kept").await?;
    Ok(Belongings { shelf, upload, lines })
}

/// Asks, and reads the answer to its end.
async fn said(person: &Person, session: &str) -> Result<Vec<String>> {
    let question = Script { deltas: 12, ..Script::default() }.message("and then?");
    let mut lines = Vec::new();
    person.say("/api/web-stream", session, &question).await?.rest(&mut lines).await?;
    ensure!(lines.last().is_some_and(|line| is_end(line)), "{lines:#?}");
    Ok(lines)
}

/// Everything is there as it was, what is secret can be used, and life goes on.
async fn check(person: &Person, had: &Belongings, model: &ModelServer) -> Result<()> {
    assert_eq!(person.replay("kept").await?, had.lines);
    let half = had.lines.len() / 2;
    let mut rest = Vec::new();
    person.resume("kept", &format!("?last_index={half}")).await?.rest(&mut rest).await?;
    assert_eq!(rest, had.lines[half..]);
    let ask = json!({"kdb_id": had.shelf, "query": QUESTION, "top_k": 1});
    let found = data(person.post("/api/knowledge-base/retrieve").json(&ask)).await?;
    ensure!(found.to_string().contains("47 metres"), "{found}");
    let upload = person.get(&had.upload).send().await?.bytes().await?;
    assert_eq!(&upload[..], b"bytes of an upload");
    let before = model.calls().count();
    check_whole(&said(person, "new").await?)?;
    let call = model.calls().all().pop().context("a call")?;
    assert_eq!((model.calls().count(), &call.body["model"]), (before + 1, &json!("preferred")));
    assert_eq!(call.headers["authorization"], format!("Bearer {KEY}"), "the secret is another");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_backup_taken_under_writes_brings_a_lost_installation_back() -> Result<()> {
    let model = ModelServer::start(Script::default()).await?;
    let (lost, fresh, saved) = (Folder::new("lost"), Folder::new("fresh"), Folder::new("saved"));
    fs::create_dir_all(saved.path())?;
    let setup =
        |folder: &Folder| Setup::embedded(folder.path()).with("ANNALS_ALLOW_PRIVATE_URLS", "true");
    let server = setup(&lost).start().await?;
    let person = server.admin().await?;
    let had = gather(&person, &model).await?;

    // One run is slow and still going on when the backup is taken, others come and go.
    let slow = Script { deltas: 400, delay_ms: 20, ..Script::default() }.message("and then?");
    let mut open = person.say("/api/web-stream", "open", &slow).await?;
    let mut opened = Vec::new();
    while opened.len() < 20 {
        opened.push(open.next().await?.context("it goes on")?);
    }
    let writers: Vec<_> = (0..3)
        .map(|number| {
            let person = person.clone();
            tokio::spawn(async move {
                for round in 0.. {
                    // Ends with the server.
                    let talk = said(&person, &format!("busy-{number}-{round}")).await;
                    if talk.is_err() {
                        break;
                    }
                }
            })
        })
        .collect();
    let (file, keyed) = (saved.path().join("a.annals"), saved.path().join("b.annals"));
    let (path, with_key) = (text(&file)?, text(&keyed)?);
    let told = setup(&lost).run(&["backup", path]).await?;
    ensure!(told.contains("the master key is not in it"), "{told}");
    setup(&lost).run(&["backup", "--with-key", with_key]).await?;
    let again = setup(&lost).run(&["backup", path]).await;
    ensure!(again.is_err_and(|error| error.to_string().contains("there already")));
    server.kill()?;
    for writer in writers {
        writer.await?;
    }
    drop(lost);

    // What is damaged, cut off, or has no key is refused before anything is written.
    let whole = fs::read(&file)?;
    let spoilt = saved.path().join("spoilt.annals");
    let mut other = whole.clone();
    other[whole.len() / 2] ^= 1;
    for bytes in [&whole[..whole.len() / 2], &whole[..whole.len() - 9], &other, b"nothing"] {
        fs::write(&spoilt, bytes)?;
        refused(&setup(&fresh), &["restore", text(&spoilt)?], "damaged").await?;
    }
    let keyless = setup(&fresh).with("ANNALS_MASTER_KEY", "");
    refused(&keyless, &["restore", path], "holds no master key").await?;
    let foreign = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let foreign = setup(&fresh).with("ANNALS_MASTER_KEY", foreign);
    refused(&foreign, &["restore", path], "another master key").await?;
    ensure!(!fresh.path().join("postgres").exists(), "a refused restore made a database");

    let told = setup(&fresh).run(&["restore", path]).await?;
    ensure!(told.contains("chain are right"), "{told}");
    setup(&fresh).run(&["verify"]).await?;
    refused(&setup(&fresh), &["restore", path], "not empty").await?;
    let server = setup(&fresh).start().await?;
    let person = server.admin().await?;
    check(&person, &had, &model).await?;
    // The run that was going on is taken over, and goes on where the backup has it.
    let mut resumed = Vec::new();
    person.resume("open", "?last_index=0").await?.rest(&mut resumed).await?;
    check_whole(&resumed)?;
    assert_eq!(resumed[..opened.len()], opened);
    server.stop().await?;
    setup(&fresh).run(&["verify"]).await?;

    // With the key inside, an empty folder is enough.
    let bare = Folder::new("bare");
    let keyless = setup(&bare).with("ANNALS_MASTER_KEY", "");
    keyless.run(&["restore", with_key]).await?;
    let server = keyless.start().await?;
    check(&server.admin().await?, &had, &model).await?;
    server.stop().await
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a name in UTF-8")
}

async fn refused(setup: &Setup, arguments: &[&str], why: &str) -> Result<()> {
    match setup.run(arguments).await {
        Ok(said) => anyhow::bail!("{arguments:?} was not refused: {said}"),
        Err(error) => {
            ensure!(error.to_string().contains(why), "{arguments:?}: {error}");
            Ok(())
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_dump_of_the_database_and_a_copy_of_the_files_are_a_backup_and_a_newer_database_is_refused()
-> Result<()> {
    let model = ModelServer::start(Script::default()).await?;
    let (old, new) = (Folder::new("dumped"), Folder::new("undumped"));
    let (source, target) = (Database::create().await?, Database::create().await?);
    let setup = |folder: &Folder, database: &Database| {
        let setup = Setup::on(folder.path(), &database.url());
        setup.with("ANNALS_ALLOW_PRIVATE_URLS", "true")
    };
    let server = setup(&old, &source).start().await?;
    let had = gather(&server.admin().await?, &model).await?;

    let db = PgPool::connect(&target.url()).await?;
    sqlx::raw_sql(
        "drop schema public cascade; create schema public; drop extension if exists vector",
    )
    .execute(&db)
    .await?;
    let programs: String =
        sqlx::query_scalar("select setting from pg_config where name = 'BINDIR'")
            .fetch_one(&db)
            .await?;
    let dump = old.path().join("annals.dump");
    let program = |name: &str| Command::new(Path::new(&programs).join(name));
    let mut save = program("pg_dump");
    save.arg("--format=custom").arg("--file").arg(&dump).arg(source.url());
    ensure!(save.status()?.success(), "pg_dump");
    // Files after the database: what it refers to is there.
    let copied = Command::new("cp").arg("-r").args([old.path(), new.path()]).status()?;
    ensure!(copied.success(), "cp");
    server.kill()?;
    let mut restore = program("pg_restore");
    restore.args(["--exit-on-error", "--no-owner", "--dbname"]).arg(target.url()).arg(&dump);
    ensure!(restore.status()?.success(), "pg_restore");

    setup(&new, &target).run(&["verify"]).await?;
    let server = setup(&new, &target).start().await?;
    check(&server.admin().await?, &had, &model).await?;
    server.stop().await?;

    sqlx::query(
        "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
         values (999999, 'of the future', true, '', 1)",
    )
    .execute(&db)
    .await?;
    db.close().await;
    for command in ["serve", "verify"] {
        refused(&setup(&new, &target), &[command], "newer annals (it has migration 999999").await?;
    }
    source.remove().await?;
    target.remove().await
}
