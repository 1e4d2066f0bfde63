//! The six lines of the README on a node whose log is elsewhere, with both killed between any two of them.

use annals_tests::{
    app::Person,
    database::Database,
    form::Form,
    lines::{Lines, check_whole},
    log_server::LogServer,
    process::{Folder, Server, Setup, eventually},
};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tokio::try_join;

struct Both {
    log: LogServer,
    setup: Setup,
    node: Server,
    person: Person,
}

impl Both {
    /// SIGKILL of both, and their next life.
    async fn killed(self) -> Result<Self> {
        let Self { mut log, setup, node, .. } = self;
        log.kill()?;
        node.kill()?;
        let (node, ()) = try_join!(setup.start(), log.restart())?;
        let person = node.admin().await?;
        Ok(Self { log, setup, node, person })
    }

    async fn json(&self, path: &str) -> Result<Value> {
        let answer: Value = self.person.get(path).send().await?.json().await?;
        ensure!(answer["code"] == 200, "{path}: {answer}");
        Ok(answer["data"].clone())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_six_lines_hold_when_everything_is_killed_between_them() -> Result<()> {
    let log = LogServer::start(&[]).await?;
    let (folder, database) = (Folder::new("walk"), Database::create().await?);
    let setup = Setup::on(folder.path(), &database.url());
    let setup = setup.with("EVENTSTORE_URL", &log.url("tls=false"));
    let node = setup.start().await?;
    let person = node.admin().await?;
    let both = Both { log, setup, node, person }.killed().await?;

    let body = json!({"name": "Docs", "type": "rag"});
    let added = both.person.post("/api/knowledge-base/add").json(&body).send().await?;
    let added: Value = added.json().await?;
    let shelf = added["data"]["kdb_id"].as_str().with_context(|| added.to_string())?.to_owned();
    let both = both.killed().await?;

    let readme = include_str!("../../../../README.md");
    let form = Form::default().text("kdb_id", &shelf).file("README.md", readme);
    let upload = both.person.post("/api/knowledge-base/doc/add_by_files");
    let upload = upload.header("content-type", form.media_type()).body(form.end());
    ensure!(upload.send().await?.status() == 200);
    // In the middle of reading it, as likely as not.
    let both = both.killed().await?;
    let path = format!("/api/knowledge-base/doc/list?kdb_id={shelf}");
    let read = async || {
        let list = both.json(&path).await?;
        Ok(list.to_string().contains("\"status\":2").then_some(()))
    };
    eventually("a document that is read", read).await?;
    let both = both.killed().await?;

    let body = json!({"session_id": "walk", "available_knowledge_bases": [shelf],
        "messages": [{"role": "user", "content": "What is every write?"}]});
    let mut lines = vec![];
    let stream = both.person.post("/api/web-stream").json(&body).send().await?;
    let mut stream = Lines::of(stream).await?;
    stream.until(10, &mut lines).await?;
    let both = both.killed().await?;

    both.person.resume("walk", "?last_index=10").await?.rest(&mut lines).await?;
    check_whole(&lines)?;
    let both = both.killed().await?;
    ensure!(both.person.replay("walk").await? == lines, "the replay differs");
    ensure!(lines.iter().any(|line| line.contains("append-only")), "{lines:#?}");

    both.setup.run(&["verify"]).await?;
    both.node.stop().await?;
    database.remove().await?;
    both.log.finish().await?;
    Ok(())
}
