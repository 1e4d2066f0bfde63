//! An embedder behind an OpenAI-compatible `/embeddings` endpoint.

use super::{
    Sensitive,
    embedder::{Embedder, Error},
};
use crate::trace;
use chrono::{DateTime, Utc};
use futures::{
    StreamExt, TryStreamExt,
    future::{BoxFuture, FutureExt},
    stream,
};
use rand::RngExt;
use reqwest::{Client, Response, StatusCode, header::RETRY_AFTER, redirect::Policy};
use serde::Deserialize;
use serde_json::json;
use std::{
    fmt,
    sync::{Mutex, OnceLock, PoisonError},
    time::Duration,
};
use tokio::{sync::Semaphore, time::Instant};
use tracing::Instrument;

/// Texts in one request, and their bytes together unless one text alone is longer.
const BATCH: (usize, usize) = (32, 128 << 10);
/// Requests on their way at once, whoever asks.
const PARALLEL: usize = 4;
/// How often one request is tried.
const TRIES: u32 = 4;
/// Longest wait between two tries, whatever the service asks for.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// Largest answer taken.
const MAX_ANSWER: usize = 64 << 20;
/// Most dimensions a vector may have: what pgvector stores.
const MAX_DIMENSIONS: usize = 16_000;

/// Where the endpoint is and how to speak to it.
#[derive(Clone)]
pub struct Settings {
    /// Base URL, for example `https://api.example.com/v1`.
    pub base_url: String,
    /// Key, sent as bearer token; `None` sends none.
    pub api_key: Option<Sensitive>,
    /// Name of the model.
    pub model: String,
    /// Deadline of one request.
    pub timeout: Duration,
    /// Wait before the second try; doubles with every further one.
    pub backoff: Duration,
}

impl Settings {
    /// With a minute for a request and half a second before the second try.
    pub fn new(
        base_url: impl Into<String>,
        api_key: Option<Sensitive>,
        model: impl Into<String>,
    ) -> Self {
        Self {
            base_url: base_url.into(),
            api_key,
            model: model.into(),
            timeout: Duration::from_secs(60),
            backoff: Duration::from_millis(500),
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("model", &self.model).finish_non_exhaustive()
    }
}

/// The embedder.
#[derive(Debug)]
pub struct Remote {
    client: Client,
    settings: Settings,
    endpoint: String,
    dimensions: OnceLock<usize>,
    places: Semaphore,
    /// Nobody asks before this: the service wants to be left alone.
    not_before: Mutex<Option<Instant>>,
}

impl Remote {
    /// Prepares a client; nothing is sent yet.
    ///
    /// # Errors
    /// [`Error::Refused`] when the HTTP client cannot be set up.
    pub fn new(settings: Settings) -> Result<Self, Error> {
        let client = Client::builder()
            .redirect(Policy::none())
            .connect_timeout(Duration::from_secs(10))
            .timeout(settings.timeout)
            .build()
            .map_err(|error| Error::Refused(error.to_string().into()))?;
        let endpoint = format!("{}/embeddings", settings.base_url.trim_end_matches('/'));
        let (places, not_before) = (Semaphore::new(PARALLEL), Mutex::default());
        Ok(Self { client, settings, endpoint, dimensions: OnceLock::new(), places, not_before })
    }

    async fn batch(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, Error> {
        let mut wait = self.settings.backoff;
        for left in (0..TRIES).rev() {
            self.turn().await;
            let attempt = match self.places.acquire().await {
                Ok(_place) => self.once(texts).await,
                Err(_) => Err(Attempt::refused("it is shut")),
            };
            match attempt {
                Ok(vectors) => return self.checked(vectors, texts.len()),
                Err(Attempt::Final(error)) => return Err(error),
                Err(Attempt::Passing { error, .. }) if left == 0 => return Err(error),
                Err(Attempt::Passing { asked, .. }) => {
                    let jitter = rand::rng().random_range(0.5..1.0);
                    match asked {
                        // A limit on the rate is one on all requests, not on this one.
                        Some(pause) => self.leave_alone(pause.min(LONGEST_WAIT)),
                        None => tokio::time::sleep(wait.mul_f64(jitter).min(LONGEST_WAIT)).await,
                    }
                    wait *= 2;
                }
            }
        }
        Err(Error::Unavailable("no try was left".into()))
    }

    /// Waits until the service may be asked again.
    async fn turn(&self) {
        loop {
            let until = *self.not_before.lock().unwrap_or_else(PoisonError::into_inner);
            match until {
                Some(until) if until > Instant::now() => tokio::time::sleep_until(until).await,
                _ => return,
            }
        }
    }

    fn leave_alone(&self, pause: Duration) {
        let until = Instant::now() + pause;
        let mut not_before = self.not_before.lock().unwrap_or_else(PoisonError::into_inner);
        *not_before = (*not_before).max(Some(until));
    }

    async fn once(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, Attempt> {
        let body =
            json!({"model": self.settings.model, "input": texts, "encoding_format": "float"});
        let mut request = trace::carried(self.client.post(&self.endpoint)).json(&body);
        if let Some(key) = &self.settings.api_key {
            request = request.bearer_auth(key.expose());
        }
        let response = request.send().await.map_err(Attempt::from)?;
        if !response.status().is_success() {
            return Err(failed(&response));
        }
        let bytes = collect(response).await?;
        let answer: Answer = serde_json::from_slice(&bytes)
            .map_err(|_| Attempt::refused("the answer is no list of embeddings"))?;
        let mut data = answer.data;
        data.sort_by_key(|item| item.index);
        Ok(data.into_iter().map(|item| item.embedding).collect())
    }

    fn checked(&self, vectors: Vec<Vec<f32>>, wanted: usize) -> Result<Vec<Vec<f32>>, Error> {
        let refused = |why: &str| Err(Error::Refused(why.into()));
        if vectors.len() != wanted {
            return refused("it answered with another number of vectors than texts");
        }
        let Some(length) = vectors.first().map(Vec::len) else { return Ok(vectors) };
        if !(1..=MAX_DIMENSIONS).contains(&length) {
            return refused("its vectors have an impossible length");
        }
        let length = *self.dimensions.get_or_init(|| length);
        if vectors.iter().any(|v| v.len() != length || v.iter().any(|x| !x.is_finite())) {
            return refused("its vectors differ in length or hold no numbers");
        }
        Ok(vectors)
    }
}

impl Embedder for Remote {
    fn model(&self) -> &str {
        &self.settings.model
    }

    fn dimensions(&self) -> Option<usize> {
        self.dimensions.get().copied()
    }

    fn weight(&self) -> f32 {
        0.5
    }

    fn embed<'a>(&'a self, texts: &'a [&'a str]) -> BoxFuture<'a, Result<Vec<Vec<f32>>, Error>> {
        async move {
            let batches: Vec<_> =
                batches(texts).into_iter().map(|texts| self.batch(texts)).collect();
            let vectors: Vec<_> = stream::iter(batches).buffered(PARALLEL).try_collect().await?;
            Ok(vectors.concat())
        }
        .instrument(trace::model_call("embeddings", &self.settings.model, &self.endpoint))
        .boxed()
    }
}

/// Texts that travel together.
fn batches<'a, 'b>(texts: &'a [&'b str]) -> Vec<&'a [&'b str]> {
    let (mut batches, mut rest) = (Vec::new(), texts);
    while !rest.is_empty() {
        let mut bytes = 0;
        let fits = |text: &&&str| {
            bytes += text.len();
            bytes <= BATCH.1
        };
        let count = rest.iter().take(BATCH.0).take_while(fits).count().max(1);
        let (batch, others) = rest.split_at(count);
        batches.push(batch);
        rest = others;
    }
    batches
}

/// How long the service wants to be left alone: seconds, or until a date.
fn retry_after(response: &Response) -> Option<Duration> {
    let text = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = DateTime::parse_from_rfc2822(text).ok()?;
    date.signed_duration_since(Utc::now()).to_std().ok()
}

#[derive(Deserialize)]
struct Answer {
    data: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    #[serde(default)]
    index: usize,
    embedding: Vec<f32>,
}

/// One try that failed.
enum Attempt {
    Final(Error),
    Passing { error: Error, asked: Option<Duration> },
}

impl Attempt {
    fn refused(why: &str) -> Self {
        Self::Final(Error::Refused(why.into()))
    }
}

impl From<reqwest::Error> for Attempt {
    fn from(error: reqwest::Error) -> Self {
        // Without its URL: base URLs may carry credentials.
        let error = error.without_url();
        let why = if error.is_timeout() {
            "it did not answer in time".to_owned()
        } else {
            error.to_string()
        };
        Self::Passing { error: Error::Unavailable(why.into()), asked: None }
    }
}

fn failed(response: &Response) -> Attempt {
    let status = response.status();
    // The body stays unread: some services repeat the key in it.
    let why = format!("it answered {status}").into();
    if status.is_server_error()
        || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT)
    {
        Attempt::Passing { error: Error::Unavailable(why), asked: retry_after(response) }
    } else {
        Attempt::Final(Error::Refused(why))
    }
}

async fn collect(response: Response) -> Result<Vec<u8>, Attempt> {
    let mut bytes = Vec::new();
    let mut body = response.bytes_stream();
    while let Some(piece) = body.try_next().await? {
        if bytes.len() + piece.len() > MAX_ANSWER {
            return Err(Attempt::refused("the answer is too large"));
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

#[cfg(test)]
#[path = "embedder_remote_tests.rs"]
mod tests;
