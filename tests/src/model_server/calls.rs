//! What the scripted provider was asked, and how each call came out.

use anyhow::{Context, bail};
use axum::http::HeaderMap;
use serde::Serialize;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{sync::watch, time::timeout};

/// Calls that are remembered; older ones are only counted.
const REMEMBERED: usize = 10_000;
/// How long [`Calls::until`] waits.
const DEADLINE: Duration = Duration::from_secs(20);

/// One call.
#[derive(Debug, Clone, Serialize)]
pub struct Call {
    /// Its number, from 0.
    pub number: usize,
    /// The client's end of the connection: equal for calls on the same one.
    pub peer: SocketAddr,
    /// Its headers, names in lower case.
    pub headers: BTreeMap<String, String>,
    /// Its JSON body.
    pub body: Value,
    /// What became of it.
    pub fate: Fate,
}

/// What became of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// Not yet at its end.
    Running,
    /// Answered as scripted.
    Answered,
    /// The client went away before that.
    Abandoned,
}

/// The calls of one server, shared with those who look at them.
#[derive(Debug, Clone)]
pub struct Calls {
    seen: Arc<Mutex<Seen>>,
    changes: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct Seen {
    calls: BTreeMap<usize, Call>,
    next: usize,
    asked: BTreeMap<String, usize>,
}

impl Default for Calls {
    fn default() -> Self {
        Self { seen: Arc::default(), changes: watch::Sender::new(()) }
    }
}

impl Calls {
    /// The remembered calls, oldest first.
    pub fn all(&self) -> Vec<Call> {
        self.lock().calls.values().cloned().collect()
    }

    /// How many calls there were.
    pub fn count(&self) -> usize {
        self.lock().next
    }

    /// Waits until the calls are as `wanted`.
    ///
    /// # Errors
    /// When they are not within 20 seconds.
    pub async fn until(&self, wanted: impl Fn(&[Call]) -> bool) -> anyhow::Result<Vec<Call>> {
        let mut changes = self.changes.subscribe();
        let looking = async {
            loop {
                let calls = self.all();
                if wanted(&calls) {
                    return anyhow::Ok(calls);
                }
                changes.changed().await?;
            }
        };
        match timeout(DEADLINE, looking).await {
            Ok(calls) => calls,
            Err(_) => bail!("the calls to the model are not as expected: {:?}", self.all()),
        }
    }

    /// Waits until call `number` has ended and tells how.
    ///
    /// # Errors
    /// When it has not within 20 seconds.
    pub async fn fate_of(&self, number: usize) -> anyhow::Result<Fate> {
        let ended = |call: &Call| call.number == number && call.fate != Fate::Running;
        let calls = self.until(|calls| calls.iter().any(ended)).await?;
        let call = calls.iter().find(|call| call.number == number);
        Ok(call.context("the call is forgotten")?.fate)
    }

    /// Remembers a call; `prompt` counts the calls that ask the same.
    pub(super) fn begin(
        &self,
        peer: SocketAddr,
        headers: &HeaderMap,
        body: &Value,
        prompt: String,
    ) -> (Open, usize) {
        let text = |value: &axum::http::HeaderValue| {
            String::from_utf8_lossy(value.as_bytes()).into_owned()
        };
        let headers = headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
        let mut seen = self.lock();
        let number = seen.next;
        seen.next += 1;
        let call = Call { number, peer, headers, body: body.clone(), fate: Fate::Running };
        seen.calls.insert(number, call);
        if seen.calls.len() > REMEMBERED {
            seen.calls.pop_first();
        }
        let asked = seen.asked.entry(prompt).or_default();
        *asked += 1;
        let before = *asked - 1;
        drop(seen);
        self.changes.send_replace(());
        (Open { calls: self.clone(), number, fate: Fate::Abandoned }, before)
    }

    fn end(&self, number: usize, fate: Fate) {
        if let Some(call) = self.lock().calls.get_mut(&number) {
            call.fate = fate;
        }
        self.changes.send_replace(());
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call that is being answered. Dropped before it is answered, it was abandoned by the client.
#[derive(Debug)]
pub(super) struct Open {
    calls: Calls,
    number: usize,
    fate: Fate,
}

impl Open {
    /// The script has come to its end.
    pub fn answered(mut self) {
        self.fate = Fate::Answered;
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.calls.end(self.number, self.fate);
    }
}
