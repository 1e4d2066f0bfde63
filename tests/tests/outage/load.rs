//! Work that goes on while the database comes and goes.

use annals_tests::{
    app::Person,
    fold,
    lines::{Lines, check_snapshot, check_whole},
    model_server::{Script, text},
    process::{DEADLINE, eventually},
};
use anyhow::{Context, Result, bail, ensure};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
};
use tokio::{task::JoinHandle, time::timeout};

/// The conversation that is renamed.
const RENAMED: &str = "renamed";
/// How many chat at the same time.
const CHATS: u64 = 5;

/// Work that goes on while the database comes and goes.
#[derive(Clone)]
pub struct Load {
    admin: Person,
    number: u64,
    script: Script,
    /// Whether runs may fail because the database was away for too long.
    lenient: bool,
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
    pub fn new(admin: Person, script: Script, lenient: bool) -> Self {
        let (done, enough) = Default::default();
        Self { admin, number: 0, script, lenient, done, enough }
    }

    /// Sets everybody to work.
    pub async fn begin(self) -> Result<Working> {
        let mut stream = self.admin.say("/api/web-stream", RENAMED, "hello").await?;
        stream.rest(&mut Vec::new()).await?;
        let as_number = |number| Self { number, ..self.clone() };
        // One run after the other that always has something to write.
        let slow = Script { deltas: 100, delay_ms: 20, ..Script::default() };
        let slow = tokio::spawn(Self { number: CHATS, script: slow, ..self.clone() }.chat());
        let agents = (0..2).map(|number| tokio::spawn(as_number(number).make_agents())).collect();
        let quick = (0..CHATS).map(|number| tokio::spawn(as_number(number).chat()));
        let chats = quick.chain([slow]).collect();
        let titles = tokio::spawn(self.clone().rename());
        Ok(Working { load: self, agents, titles, chats })
    }

    /// What was answered, or `None` when it was a clean refusal.
    async fn answered(&self, response: Response) -> Result<Option<Value>> {
        let reply = reply(response).await?;
        if reply.is_some() {
            self.done.fetch_add(1, SeqCst);
        }
        Ok(reply)
    }

    fn goes_on(&self) -> bool {
        !self.enough.load(SeqCst)
    }

    /// Makes agents; the ids of those that were acknowledged.
    async fn make_agents(self) -> Result<HashSet<String>> {
        let mut made = HashSet::new();
        let mut attempt = 0;
        while self.goes_on() {
            attempt += 1;
            let body = json!({"name": format!("agent {} {attempt}", self.number)});
            let response = self.admin.post("/api/agent/create").json(&body).send().await?;
            if let Some(body) = self.answered(response).await? {
                made.insert(body["data"]["agent_id"].as_str().unwrap().to_owned());
            }
        }
        Ok(made)
    }

    /// Renames a conversation over and over; the titles it may have now.
    async fn rename(self) -> Result<Vec<String>> {
        let (mut possible, mut attempt) = (Vec::new(), 0);
        while self.goes_on() {
            attempt += 1;
            let title = format!("title {attempt}");
            let path = format!("/api/conversations/{RENAMED}/title");
            let response = self.admin.post(&path).json(&json!({"title": title})).send().await?;
            if self.answered(response).await?.is_some() {
                possible.clear();
            }
            possible.push(title);
        }
        Ok(possible)
    }

    /// Chats; how many runs came to their end.
    async fn chat(self) -> Result<u64> {
        let session = format!("s-{}", self.number);
        let (mut runs, mut before) = (0, None);
        while self.goes_on() {
            let body = json!({"session_id": session,
                "messages": [{"role": "user", "content": self.script.message("go on")}]});
            let response = self.admin.post("/api/web-stream").json(&body).send().await?;
            if response.status() != StatusCode::OK {
                ensure!(self.answered(response).await?.is_none());
                // Whether the message was heard is not known, so neither is what comes before the next one.
                before = None;
                continue;
            }
            let (mut stream, mut lines) = (Lines::of(response).await?, Vec::new());
            while let Some(line) = stream.next().await? {
                lines.push(line);
                self.done.fetch_add(1, SeqCst);
            }
            check_whole(&lines)?;
            let said = fold::fold(&lines);
            let failed = said.last().is_some_and(|last| last["type"] == "final_answer");
            let complete = said[0]["content"] == text(self.script.deltas) + "\n";
            ensure!(complete || failed && self.lenient, "{said:#?}");
            runs += 1;
            let path = format!("/api/conversations/{session}/messages");
            if let Some(shown) = self.answered(self.admin.get(&path).send().await?).await? {
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

/// Everybody at work.
pub struct Working {
    load: Load,
    agents: Vec<JoinHandle<Result<HashSet<String>>>>,
    titles: JoinHandle<Result<Vec<String>>>,
    chats: Vec<JoinHandle<Result<u64>>>,
}

impl Working {
    /// Waits until so much more was done, or somebody gave up, which [`Working::end`] tells.
    pub async fn more(&self, count: u64) -> Result<()> {
        let wanted = self.load.done.load(SeqCst) + count;
        let left = || {
            self.titles.is_finished()
                || self.agents.iter().any(JoinHandle::is_finished)
                || self.chats.iter().any(JoinHandle::is_finished)
        };
        let look = async || Ok((self.load.done.load(SeqCst) >= wanted || left()).then_some(()));
        eventually("work that is done", look).await
    }

    /// Lets everybody finish, and looks whether all that was acknowledged is there. How many runs there were.
    pub async fn end(self, admin: &Person) -> Result<u64> {
        self.load.enough.store(true, SeqCst);
        let finish = async {
            let mut made = HashSet::new();
            for agents in self.agents {
                made.extend(agents.await??);
            }
            let mut runs = 0;
            for chat in self.chats {
                runs += chat.await??;
            }
            anyhow::Ok((made, self.titles.await??, runs))
        };
        let (made, titles, runs) =
            timeout(DEADLINE, finish).await.context("work without end")??;
        let listed = reply(admin.get("/api/agent/list").send().await?).await?.context("a list")?;
        let listed: HashSet<&str> =
            listed["data"].as_array().unwrap().iter().map(|a| a["id"].as_str().unwrap()).collect();
        let lost: Vec<_> = made.iter().filter(|id| !listed.contains(id.as_str())).collect();
        ensure!(lost.is_empty() && !made.is_empty(), "{lost:?} of {}", made.len());
        let shown = admin.messages(RENAMED).await?;
        let title = shown["conversation_info"]["title"].as_str().unwrap().to_owned();
        ensure!(titles.contains(&title), "{title} is none of {titles:?}");
        Ok(runs)
    }
}
