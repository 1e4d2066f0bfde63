//! The database goes away under load: what cannot be done is refused cleanly or waits, what was acknowledged stays.

#![expect(clippy::unwrap_used, reason = "tests")]

use annals_tests::{
    app::Person,
    audit::audit,
    chance::Chance,
    fold,
    lines::{Lines, check_snapshot, check_whole},
    model_server::{ModelServer, Script, text},
    process::{DEADLINE, Folder, Server, Setup, eventually},
};
use anyhow::{Context, Result, bail, ensure};
use embedded::{Options, Shutdown};
use futures::future::try_join_all;
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use sqlx::PgPool;
use std::{
    collections::{BTreeMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
};

struct Ground {
    model: ModelServer,
    server: Server,
    admin: Person,
    database: embedded::Server,
    _folder: Folder,
}

impl Ground {
    async fn lay() -> Result<Self> {
        let model = ModelServer::start(Script::default()).await?;
        let folder = Folder::new("outage");
        let database = embedded::start(Options::new(folder.path().join("shared"))).await?;
        let setup = Setup::on(&folder.path().join("annals"), database.url());
        let server = setup.with_model(&model.base_url()).start().await?;
        let admin = server.admin().await?;
        Ok(Self { model, server, admin, database, _folder: folder })
    }
}

/// Work that goes on while the database comes and goes.
#[derive(Clone)]
struct Load {
    admin: Person,
    number: u64,
    /// Acknowledged writes and lines of everybody.
    done: Arc<AtomicU64>,
    enough: Arc<AtomicBool>,
}

/// A reply, or `None` when the server said that it cannot answer now.
async fn reply(response: Response) -> Result<Option<Value>> {
    let status = response.status();
    let text = response.text().await?;
    let body: Value = serde_json::from_str(&text).with_context(|| format!("{status}: {text}"))?;
    match status {
        StatusCode::OK if body["code"] == 200 => Ok(Some(body)),
        StatusCode::SERVICE_UNAVAILABLE => {
            let whole =
                body["code"] == 503 && body["data"].is_null() && body["message"].is_string();
            ensure!(whole && body["timestamp"].is_number(), "no envelope: {body}");
            Ok(None)
        }
        _ => bail!("{status}: {body}"),
    }
}

impl Load {
    fn goes_on(&self) -> bool {
        !self.enough.load(SeqCst)
    }

    fn count(&self) {
        self.done.fetch_add(1, SeqCst);
    }

    /// Makes agents; the ids of those that were acknowledged.
    async fn make_agents(self) -> Result<HashSet<String>> {
        let mut made = HashSet::new();
        let mut attempt = 0;
        while self.goes_on() {
            attempt += 1;
            let body = json!({"name": format!("agent {} {attempt}", self.number)});
            let response = self.admin.post("/api/agent/create").json(&body).send().await?;
            if let Some(body) = reply(response).await? {
                made.insert(body["data"]["agent_id"].as_str().unwrap().to_owned());
                self.count();
            }
        }
        Ok(made)
    }

    /// Renames a conversation over and over; the titles it may have now.
    async fn rename(self, session: String) -> Result<Vec<String>> {
        let (mut possible, mut attempt) = (Vec::new(), 0);
        while self.goes_on() {
            attempt += 1;
            let title = format!("title {attempt}");
            let path = format!("/api/conversations/{session}/title");
            let response = self.admin.post(&path).json(&json!({"title": title})).send().await?;
            if reply(response).await?.is_some() {
                possible.clear();
                self.count();
            }
            possible.push(title);
        }
        Ok(possible)
    }

    /// Chats; how many runs came to their end.
    async fn chat(self) -> Result<u64> {
        let script = Script { deltas: 60, delay_ms: 10, ..Script::default() };
        let session = format!("s-{}", self.number);
        let (mut runs, mut before) = (0, None);
        while self.goes_on() {
            let body = json!({"session_id": session,
                "messages": [{"role": "user", "content": script.message("go on")}]});
            let response = self.admin.post("/api/web-stream").json(&body).send().await?;
            if response.status() != StatusCode::OK {
                ensure!(reply(response).await?.is_none());
                // Whether the message was heard is not known, so neither is what comes before the next one.
                before = None;
                continue;
            }
            let (mut stream, mut lines) = (Lines::of(response).await?, Vec::new());
            while let Some(line) = stream.next().await? {
                lines.push(line);
                self.count();
            }
            check_whole(&lines)?;
            let said = fold::fold(&lines);
            ensure!(said[0]["content"] == text(60) + "\n", "{said:#?}");
            runs += 1;
            let path = format!("/api/conversations/{session}/messages");
            if let Some(shown) = reply(self.admin.get(&path).send().await?).await? {
                let all = shown["data"]["messages"].as_array().unwrap().len();
                let known = before.unwrap_or(all - said.len() - 1);
                check_snapshot(&shown["data"], &lines, known)?;
                before = Some(all);
            } else {
                before = None;
            }
        }
        Ok(runs)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_acknowledged_is_lost_when_the_database_restarts() -> Result<()> {
    let mut chance = Chance::seeded();
    let ground = Ground::lay().await?;
    let first = ground.admin.say("/api/web-stream", "renamed", "hello").await?.run()?;
    let load = |number| Load {
        admin: ground.admin.clone(),
        number,
        done: Arc::default(),
        enough: Arc::default(),
    };
    let load = load(0);
    let as_number = |number| Load { number, ..load.clone() };
    let agents: Vec<_> = (0..2).map(|n| tokio::spawn(as_number(n).make_agents())).collect();
    let titles = tokio::spawn(as_number(0).rename("renamed".to_owned()));
    let chats: Vec<_> = (0..4).map(|n| tokio::spawn(as_number(n).chat())).collect();

    for round in 0..4 {
        let wanted = load.done.load(SeqCst) + 100 + chance.below(200);
        let seen = eventually("work that is done", async || {
            Ok((load.done.load(SeqCst) >= wanted || chats.iter().any(|c| c.is_finished()))
                .then_some(()))
        });
        seen.await.with_context(|| ground.server.last_words())?;
        let how = if round % 2 == 0 { Shutdown::Fast } else { Shutdown::Immediate };
        ground.database.restart(how).await?;
    }
    load.enough.store(true, SeqCst);
    let finish = async {
        let mut made = HashSet::new();
        for agents in agents {
            made.extend(agents.await??);
        }
        let mut runs = 0;
        for chat in chats {
            runs += chat.await??;
        }
        anyhow::Ok((made, titles.await??, runs))
    };
    let finish = tokio::time::timeout(DEADLINE, finish).await.context("work that never ends")?;
    let (made, titles, runs) = finish.with_context(|| ground.server.last_words())?;
    ground.server.ready().await?;

    let listed =
        reply(ground.admin.get("/api/agent/list").send().await?).await?.context("a list")?;
    let listed: HashSet<&str> =
        listed["data"].as_array().unwrap().iter().map(|a| a["id"].as_str().unwrap()).collect();
    let lost: Vec<_> = made.iter().filter(|id| !listed.contains(id.as_str())).collect();
    assert!(lost.is_empty() && !made.is_empty(), "{lost:?} of {}", made.len());
    let shown = ground.admin.messages("renamed").await?;
    let title = shown["conversation_info"]["title"].as_str().unwrap().to_owned();
    assert!(titles.contains(&title), "{title} is none of {titles:?}");
    assert_eq!(shown["run_id"], first);
    assert!(runs >= 4, "only {runs} runs");

    let db = PgPool::connect(ground.database.url()).await?;
    eventually("the end of every run", async || {
        let going_on: i64 = sqlx::query_scalar("select count(*) from runs where outcome is null")
            .fetch_one(&db)
            .await?;
        Ok((going_on == 0).then_some(()))
    })
    .await
    .with_context(|| ground.server.last_words())?;
    db.close().await;
    audit(ground.database.url()).await?;
    drop(ground.model);
    ground.server.stop().await?;
    Ok(ground.database.stop().await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn of_fifty_parallel_charges_three_that_fit_succeed() -> Result<()> {
    let ground = Ground::lay().await?;
    let charge = async || {
        let body = json!({"operation": "post_creations"});
        let response = ground.admin.post("/api/usage/increment").json(&body).send().await?;
        let status = response.status().as_u16();
        anyhow::Ok((status, response.json::<Value>().await?))
    };
    let db = PgPool::connect(ground.database.url()).await?;
    let head = async || -> Result<i64> {
        Ok(sqlx::query_scalar("select coalesce(max(position), 0) from events")
            .fetch_one(&db)
            .await?)
    };
    let before = head().await?;
    let mut answers: BTreeMap<u16, Vec<Value>> = BTreeMap::new();
    for (status, body) in try_join_all((0..50).map(|_| charge())).await? {
        answers.entry(status).or_default().push(body);
    }
    assert_eq!(answers.keys().collect::<Vec<_>>(), [&200, &403], "{answers:#?}");
    assert_eq!((answers[&200].len(), answers[&403].len()), (3, 47));
    let mut values: Vec<_> = answers[&200].iter().map(|body| body["newValue"].as_u64()).collect();
    values.sort_unstable();
    assert_eq!(values, [Some(1), Some(2), Some(3)]);
    for denied in &answers[&403] {
        assert_eq!(denied["error"], "tier_limit_reached");
        assert_eq!(denied["reason"], "limit_reached");
        assert_eq!(denied["ok"], false);
    }
    assert_eq!(head().await? - before, 3, "refusals leave no trace");
    db.close().await;
    ground.server.stop().await?;
    Ok(ground.database.stop().await?)
}
