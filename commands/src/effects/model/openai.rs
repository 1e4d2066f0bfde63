//! Any endpoint that speaks the OpenAI chat-completions protocol.

use super::answer::Answer;
use super::{Deltas, Model, ModelError, Request, excerpt, observed::observed, parameters};
use crate::effects::Sensitive;
use crate::effects::outbound::PublicOnly;
use crate::{
    pulse::models::{self, Provided},
    trace,
};
use bytes::Bytes;
use futures::future::BoxFuture;
use reqwest::{Client, ClientBuilder, Response, StatusCode, Url, header, redirect};
use serde_json::{Map, Value, json};
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, sleep, timeout, timeout_at};

/// How long a provider may linger over what is not the answer: its usage after the end, the body of an error.
const GRACE: Duration = Duration::from_secs(5);
/// What this provider is called.
const PROVIDER: &str = "openai";
/// Bytes of an error body that are read.
const ERROR_BODY: usize = 64 * 1024;

/// How long to wait, how often to try, how much to hold.
#[derive(Debug, Clone)]
pub struct Limits {
    /// For a connection.
    pub connect: Duration,
    /// From the call to the first byte of the answer's body.
    pub first_byte: Duration,
    /// Between two bytes of the answer.
    pub idle: Duration,
    /// Between two deltas when keep-alives are all that comes.
    pub keep_alive: Duration,
    /// Calls at most, the first included.
    pub tries: u32,
    /// Before the second call; doubled with each further one, and drawn between its half and its whole.
    pub backoff: Duration,
    /// Longest pause between two calls, also when the provider asks for more.
    pub longest_backoff: Duration,
    /// No further call begins when this much time has passed since the first one.
    pub patience: Duration,
    /// Bytes of a line, of an event and of an answer that is one JSON document.
    pub line: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            first_byte: Duration::from_secs(120),
            idle: Duration::from_secs(120),
            keep_alive: Duration::from_secs(600),
            tries: 3,
            backoff: Duration::from_millis(500),
            longest_backoff: Duration::from_secs(30),
            patience: Duration::from_secs(180),
            line: 4 * 1024 * 1024,
        }
    }
}

/// The provider. Cheap to clone; connections are shared.
#[derive(Debug, Clone)]
pub struct OpenAi {
    client: Option<Client>,
    limits: Limits,
}

impl OpenAi {
    /// A provider within these limits, for endpoints the operator chose.
    pub fn new(limits: Limits) -> Self {
        Self::built(limits, Client::builder)
    }

    /// A provider that reaches public addresses only, for endpoints somebody else chose. The URL itself has to pass
    /// [`crate::effects::outbound::check`] before.
    pub fn guarded(limits: Limits) -> Self {
        Self::built(limits, || Client::builder().dns_resolver(PublicOnly))
    }

    fn built(limits: Limits, client: impl Fn() -> ClientBuilder) -> Self {
        let builder = || {
            client()
                .user_agent(concat!("annals/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(limits.connect)
                // A redirect could carry the key, or the call, to a host nobody has checked.
                .redirect(redirect::Policy::none())
        };
        // A machine without any CA certificate can still call a local model by plain HTTP.
        let client = builder().build().or_else(|_| builder().tls_certs_only([]).build());
        Self { client: client.ok(), limits }
    }
}

impl Default for OpenAi {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

impl Model for OpenAi {
    fn stream(&self, request: Request) -> BoxFuture<'static, Result<Deltas, ModelError>> {
        let Self { client, limits } = self.clone();
        let (name, asked) = (PROVIDER, request.clone());
        observed(name, &asked, async move {
            let client = client.ok_or(ModelError::Misconfigured("no HTTP client can be made"))?;
            let (response, first) = Call::new(client, &limits, &request)?.begin().await?;
            Ok(deltas(response, first, limits, request.endpoint.api_key))
        })
    }

    fn name(&self) -> &str {
        PROVIDER
    }
}

/// One call, made as often as need be until the first byte is there.
struct Call<'a> {
    client: Client,
    limits: &'a Limits,
    url: Url,
    key: Sensitive,
    authorization: Option<header::HeaderValue>,
    body: Map<String, Value>,
    tries: u32,
    provided: Arc<Provided>,
}

/// Why one try has led to nothing.
enum Setback {
    /// Another try may help, after this pause if the provider named one.
    Passing(ModelError, Option<Duration>),
    Lasting(ModelError),
    /// The server does not know this field, or the model can do nothing with it.
    Without(&'static str),
}

impl<'a> Call<'a> {
    fn new(client: Client, limits: &'a Limits, request: &Request) -> Result<Self, ModelError> {
        let key = request.endpoint.api_key.clone();
        let authorization = authorization(&key)?;
        let url = completions(&request.endpoint.base_url)?;
        let provided = models::of(PROVIDER, &request.endpoint.model);
        let body = body(request);
        Ok(Self { client, limits, url, key, authorization, body, tries: 0, provided })
    }

    async fn begin(mut self) -> Result<(Response, Bytes), ModelError> {
        let deadline = Instant::now() + self.limits.patience;
        loop {
            self.tries += 1;
            let (error, wanted) = match self.once().await {
                Ok(begun) => return Ok(begun),
                Err(Setback::Lasting(error)) => return Err(error),
                Err(Setback::Without(field)) => {
                    tracing::info!(model = ?self.body.get("model"), field, "asked again without");
                    self.body.remove(field);
                    self.tries -= 1;
                    continue;
                }
                Err(Setback::Passing(error, wanted)) => (error, wanted),
            };
            let pause = wanted.unwrap_or_else(|| self.backoff()).min(self.limits.longest_backoff);
            if self.tries >= self.limits.tries || Instant::now() + pause >= deadline {
                return Err(error);
            }
            tracing::debug!(tries = self.tries, ?pause, %error, "the model call is tried again");
            self.provided.retries.add(1);
            sleep(pause).await;
        }
    }

    async fn once(&self) -> Result<(Response, Bytes), Setback> {
        let (tries, limit) = (self.tries, self.limits.first_byte);
        match timeout(limit, self.send()).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Setback::Passing(ModelError::NoFirstByte { tries, limit }, None)),
        }
    }

    async fn send(&self) -> Result<(Response, Bytes), Setback> {
        let mut call = trace::carried(self.client.post(self.url.clone())).json(&self.body);
        let stream = self.body.get("stream").is_some_and(|stream| stream == true);
        let kind = if stream { "text/event-stream" } else { "application/json" };
        call = call.header(header::ACCEPT, kind);
        if let Some(authorization) = self.authorization.clone() {
            call = call.header(header::AUTHORIZATION, authorization);
        }
        let mut response = call.send().await.map_err(|error| self.unreachable(error))?;
        if !response.status().is_success() {
            return Err(self.refused(response).await);
        }
        loop {
            match response.chunk().await {
                Ok(Some(bytes)) if bytes.is_empty() => {}
                Ok(Some(bytes)) => return Ok((response, bytes)),
                Ok(None) => return Err(self.closed("it closed without an answer".into())),
                Err(error) => return Err(self.unreachable(error)),
            }
        }
    }

    fn unreachable(&self, error: reqwest::Error) -> Setback {
        self.closed(excerpt::of_error(error, self.key.expose()))
    }

    fn closed(&self, reason: Arc<str>) -> Setback {
        Setback::Passing(ModelError::Unreachable { tries: self.tries, reason }, None)
    }

    async fn refused(&self, mut response: Response) -> Setback {
        let status = response.status();
        let pause = retry_after(&response);
        let mut body = Vec::new();
        let read = async {
            while let Ok(Some(bytes)) = response.chunk().await {
                body.extend_from_slice(&bytes);
                if body.len() >= ERROR_BODY {
                    break;
                }
            }
        };
        // What cannot be read of an error is not worth another error: the status is known.
        timeout(GRACE, read).await.unwrap_or_default();
        if matches!(status.as_u16(), 400 | 404 | 422)
            && let Some(field) = unwanted(&body).filter(|field| self.body.contains_key(*field))
        {
            return Setback::Without(field);
        }
        let excerpt = excerpt::of_body(&body, self.key.expose());
        let error = ModelError::Status { status: status.as_u16(), tries: self.tries, excerpt };
        match status.as_u16() {
            408 | 429 | 500 | 502 | 503 | 504 => Setback::Passing(error, pause),
            _ => Setback::Lasting(error),
        }
    }

    fn backoff(&self) -> Duration {
        let whole = self.limits.backoff.saturating_mul(1 << (self.tries - 1).min(16));
        whole.mul_f64(rand::random_range(0.5..=1.0))
    }
}

fn deltas(mut response: Response, first: Bytes, limits: Limits, key: Sensitive) -> Deltas {
    Box::pin(async_stream::stream! {
        let mut answer = Answer::new(limits.line, key.clone());
        let mut out = Vec::new();
        let mut last = Instant::now();
        let mut next = Ok(Some(first));
        loop {
            let step = match next {
                Ok(Some(bytes)) => answer.push(&bytes, &mut out),
                Ok(None) => answer.end(&mut out),
                Err(error) => answer.broke(error, &mut out),
            };
            if answer.is_done() {
                tokio::spawn(timeout(GRACE, drain(response)));
                for delta in out {
                    yield Ok(delta);
                }
                return;
            }
            if !out.is_empty() {
                for delta in out.drain(..) {
                    yield Ok(delta);
                }
                last = Instant::now();
            }
            if let Err(error) = step {
                yield Err(error);
                return;
            }
            let idle = if answer.has_finish() { limits.idle.min(GRACE) } else { limits.idle };
            next = read(&mut response, idle, last + limits.keep_alive, &limits, &key).await;
        }
    })
}

/// Reads what follows the end of an answer (a few bytes as a rule), so that the connection can serve another call.
async fn drain(mut response: Response) {
    while let Ok(Some(_)) = response.chunk().await {}
}

/// The next piece of the body; `None` at its end.
async fn read(
    response: &mut Response,
    idle: Duration,
    latest: Instant,
    limits: &Limits,
    key: &Sensitive,
) -> Result<Option<Bytes>, ModelError> {
    let until = Instant::now() + idle;
    match timeout_at(until.min(latest), response.chunk()).await {
        Ok(Ok(piece)) => Ok(piece),
        Ok(Err(error)) => Err(ModelError::Broken(excerpt::of_error(error, key.expose()))),
        Err(_) => Err(ModelError::Idle(if until <= latest { idle } else { limits.keep_alive })),
    }
}

/// The field that an error is about, if it is one without which the call can be made as well.
fn unwanted(error: &[u8]) -> Option<&'static str> {
    let error = String::from_utf8_lossy(error).to_lowercase();
    if error.contains("stream_options") {
        return Some("stream_options");
    }
    // "… does not support tools", "no endpoints found that support tool use", "… requires --enable-auto-tool-choice".
    let tools = ["support tool", "support function", "enable-auto-tool-choice"];
    tools.iter().any(|words| error.contains(words)).then_some("tools")
}

/// Parameters first, so that none of them can replace what makes the call work.
fn body(request: &Request) -> Map<String, Value> {
    let mut body = parameters::fitted(request.parameters.clone(), &request.endpoint.model);
    if !request.endpoint.model.is_empty() {
        body.insert("model".to_owned(), request.endpoint.model.as_str().into());
    }
    body.insert("messages".to_owned(), Value::Array(request.messages.clone()));
    if !request.tools.is_empty() {
        body.insert("tools".to_owned(), Value::Array(request.tools.clone()));
    }
    body.insert("stream".to_owned(), (!request.whole).into());
    if !request.whole {
        body.insert("stream_options".to_owned(), json!({"include_usage": true}));
    }
    body
}

fn completions(base: &str) -> Result<Url, ModelError> {
    let wrong = ModelError::Misconfigured("its base URL is not an http(s) URL");
    let Ok(mut url) = Url::parse(base.trim()) else { return Err(wrong) };
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong);
    }
    if !url.path().trim_end_matches('/').ends_with("/chat/completions")
        && let Ok(mut path) = url.path_segments_mut()
    {
        path.pop_if_empty().extend(["chat", "completions"]);
    }
    Ok(url)
}

fn authorization(key: &Sensitive) -> Result<Option<header::HeaderValue>, ModelError> {
    if key.expose().is_empty() {
        return Ok(None);
    }
    let bearer = zeroize::Zeroizing::new(format!("Bearer {}", key.expose()));
    let Ok(mut value) = header::HeaderValue::from_str(&bearer) else {
        return Err(ModelError::Misconfigured("its API key holds characters no header can carry"));
    };
    value.set_sensitive(true);
    Ok(Some(value))
}

/// The pause a provider asks for, in seconds or as a date.
fn retry_after(response: &Response) -> Option<Duration> {
    if !matches!(response.status(), StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE)
    {
        return None;
    }
    let value = response.headers().get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let date = chrono::DateTime::parse_from_rfc2822(value).ok()?;
    Some((date.to_utc() - chrono::Utc::now()).to_std().unwrap_or_default())
}
