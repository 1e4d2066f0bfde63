//! Reading line streams as clients do: counted lines, cut anywhere, taken up again.

use crate::{app::Person, fold};
use anyhow::{Context, Result, bail, ensure};
use futures::{StreamExt, stream::BoxStream};
use reqwest::{Response, header::HeaderMap};
use serde_json::{Value, json};
use std::{
    collections::{HashSet, VecDeque},
    time::Duration,
};
use tokio::time::timeout;

/// Silence after which a stream counts as stuck.
const SILENCE: Duration = Duration::from_secs(120);

/// A stream that is being read.
pub struct Lines {
    /// Headers of the response.
    pub headers: HeaderMap,
    body: BoxStream<'static, reqwest::Result<bytes::Bytes>>,
    cut: Vec<u8>,
    whole: VecDeque<String>,
}

impl Lines {
    /// Reads this response.
    ///
    /// # Errors
    /// When it is no line stream, with what it is instead.
    pub async fn of(response: Response) -> Result<Self> {
        let status = response.status();
        let kind = response.headers().get("content-type");
        if status != 200 || kind.is_none_or(|kind| kind != "text/plain; charset=utf-8") {
            bail!("no line stream but {status}: {}", response.text().await?);
        }
        let headers = response.headers().clone();
        let body = response.bytes_stream().boxed();
        Ok(Self { headers, body, cut: Vec::new(), whole: VecDeque::new() })
    }

    /// The run whose lines these are.
    ///
    /// # Errors
    /// When the response does not say.
    pub fn run(&self) -> Result<String> {
        let run = self.headers.get("x-run-id").context("a stream names its run")?;
        Ok(run.to_str()?.to_owned())
    }

    /// The next whole line, without its newline; heartbeats are no lines. `None` at the end of the body.
    ///
    /// # Errors
    /// When the connection breaks, or the body ends in the middle of a line.
    pub async fn next(&mut self) -> Result<Option<String>> {
        loop {
            while let Some(line) = self.whole.pop_front() {
                if !line.is_empty() && line != ": heartbeat" {
                    return Ok(Some(line));
                }
            }
            let Some(bytes) = timeout(SILENCE, self.body.next()).await.context("silence")? else {
                ensure!(self.cut.is_empty(), "the body ends in the middle of a line");
                return Ok(None);
            };
            for piece in bytes?.split_inclusive(|&byte| byte == b'\n') {
                self.cut.extend_from_slice(piece);
                if self.cut.last() == Some(&b'\n') {
                    self.cut.pop();
                    self.whole.push_back(String::from_utf8(std::mem::take(&mut self.cut))?);
                }
            }
        }
    }

    /// Adds lines to `lines` until there are `count`.
    ///
    /// # Errors
    /// When the stream ends before.
    pub async fn until(&mut self, count: usize, lines: &mut Vec<String>) -> Result<()> {
        while lines.len() < count {
            lines.push(self.next().await?.context("the stream ended early")?);
        }
        Ok(())
    }

    /// Adds all further lines to `lines`, up to the end of the body.
    ///
    /// # Errors
    /// When the connection breaks; the lines before that are in `lines`.
    pub async fn rest(&mut self, lines: &mut Vec<String>) -> Result<()> {
        while let Some(line) = self.next().await? {
            lines.push(line);
        }
        Ok(())
    }
}

impl Person {
    /// Sends a message through one of the chat routes and gets the stream.
    ///
    /// # Errors
    /// When there is no stream, with what there is instead.
    pub async fn say(&self, path: &str, session: &str, text: &str) -> Result<Lines> {
        let body = json!({"session_id": session, "messages": [{"role": "user", "content": text}]});
        Lines::of(self.post(path).json(&body).send().await?).await
    }

    /// Takes a session's stream up again; `query` begins with `?` or is empty.
    ///
    /// # Errors
    /// When there is no stream, with what there is instead.
    pub async fn resume(&self, session: &str, query: &str) -> Result<Lines> {
        Lines::of(self.get(&format!("/api/stream/resume/{session}{query}")).send().await?).await
    }

    /// All lines of a session's last run, from the first.
    ///
    /// # Errors
    /// When they cannot be had.
    pub async fn replay(&self, session: &str) -> Result<Vec<String>> {
        let mut lines = Vec::new();
        self.resume(session, "").await?.rest(&mut lines).await?;
        Ok(lines)
    }

    /// `data` of the messages of a conversation.
    ///
    /// # Errors
    /// When they cannot be had, with what there is instead.
    pub async fn messages(&self, session: &str) -> Result<Value> {
        let path = format!("/api/conversations/{session}/messages");
        let mut reply: Value = self.get(&path).send().await?.json().await?;
        ensure!(reply["code"] == 200, "no messages: {reply}");
        Ok(reply["data"].take())
    }
}

/// Parsed lines.
///
/// # Errors
/// When one is no JSON.
pub fn parsed(lines: &[String]) -> Result<Vec<Value>> {
    Ok(lines.iter().map(|line| serde_json::from_str(line)).collect::<Result<_, _>>()?)
}

/// Whether this line is the end of a run.
pub fn is_end(line: &str) -> bool {
    serde_json::from_str::<Value>(line).is_ok_and(|line| line["type"] == "stream_end")
}

/// Checks what holds for the lines of every run that is over: one end line, at the end, with the right count; every
/// abandoned attempt closed by one line of its own message; no message taken up again after another one began.
///
/// # Errors
/// With what is wrong.
pub fn check_whole(lines: &[String]) -> Result<()> {
    let all = parsed(lines)?;
    let ends: Vec<usize> = (0..all.len()).filter(|&i| all[i]["type"] == "stream_end").collect();
    ensure!(ends == [all.len().wrapping_sub(1)], "ends at {ends:?} of {}", all.len());
    let end = &all[ends[0]];
    ensure!(end["total_stream_count"] == ends[0], "{end} after {} lines", ends[0]);
    ensure!(end.get("resume_fallback").is_none(), "a fallback instead of an end: {end}");

    let mut seen = HashSet::new();
    let mut superseded = HashSet::new();
    let mut last = "";
    for line in &all[..ends[0]] {
        let id = line["message_id"].as_str().with_context(|| format!("no message id: {line}"))?;
        ensure!(!superseded.contains(id), "goes on after it was superseded: {line}");
        ensure!(id == last || seen.insert(id), "taken up again: {line}");
        if line["metadata"]["superseded"] == true {
            superseded.insert(id);
        }
        last = id;
    }
    Ok(())
}

/// Checks that messages and index of one moment agree: the run's messages are the fold of its lines below the index,
/// after what the user said.
///
/// # Errors
/// With the difference.
pub fn check_snapshot(snapshot: &Value, lines: &[String], before: usize) -> Result<()> {
    let next = snapshot["next_stream_index"].as_u64().context("an index")?;
    let below = lines.get(..usize::try_from(next)?).context("the index is beyond the lines")?;
    let messages = snapshot["messages"].as_array().context("messages")?;
    let said = messages.get(before..).context("earlier messages are missing")?;
    let (question, answers) = said.split_first().context("the user's message is missing")?;
    ensure!(question["role"] == "user", "not what the user said: {question}");
    let (found, wanted) = (fold::essence(answers), fold::essence(&fold::fold(below)));
    ensure!(found == wanted, "at index {next}:\n{found:#?}\ninstead of\n{wanted:#?}");
    Ok(())
}
