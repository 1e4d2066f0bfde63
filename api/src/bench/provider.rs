//! A chat provider that speaks at a fixed pace and stamps every delta with its number and the time it was sent.

use super::client::Outside;
use anyhow::{Context, Result};
use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::header,
    response::{IntoResponse, Response},
    routing::post,
};
use futures::Stream;
use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{net::TcpListener, sync::watch, time};

/// Answers begin to speak within this time of each other.
const SPREAD: Duration = Duration::from_secs(1);
/// Spreads numbers evenly over what is above.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// How every answer goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// Deltas of an answer.
    pub deltas: u64,
    /// Time between two of them.
    pub interval: Duration,
}

/// The provider, serving on the threads of the world outside.
pub(super) struct Provider {
    /// What goes into `ANNALS_LLM_BASE_URL`.
    pub base_url: String,
    inner: Arc<Inner>,
}

struct Inner {
    pace: Pace,
    /// What times are counted from.
    epoch: Instant,
    calls: watch::Sender<u64>,
    speaking: watch::Sender<bool>,
}

impl Provider {
    /// Listens on a loopback port. `epoch` is what the stamps are counted from.
    pub async fn start(outside: &Outside, pace: Pace, epoch: Instant) -> Result<Self> {
        let (calls, speaking) = (watch::Sender::new(0), watch::Sender::new(false));
        let inner = Arc::new(Inner { pace, epoch, calls, speaking });
        let router =
            Router::new().route("/v1/chat/completions", post(answer)).with_state(inner.clone());
        let serve = async move {
            let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
            let address = listener.local_addr()?;
            tokio::spawn(async move { axum::serve(listener, router).await });
            Ok::<_, std::io::Error>(address)
        };
        let address = outside.handle().spawn(serve).await??;
        Ok(Self { base_url: format!("http://{address}/v1"), inner })
    }

    /// Waits until so many calls are open.
    pub async fn called(&self, count: u64, within: Duration) -> Result<()> {
        let mut calls = self.inner.calls.subscribe();
        let open = time::timeout(within, calls.wait_for(|calls| *calls >= count)).await;
        open.with_context(|| format!("of {count} runs only some reached the provider"))??;
        Ok(())
    }

    /// Lets all open answers, and those to come, speak.
    pub fn speak(&self) {
        self.inner.speaking.send_replace(true);
    }
}

async fn answer(State(inner): State<Arc<Inner>>) -> Response {
    let mut call = 0;
    inner.calls.send_modify(|calls| {
        call = *calls;
        *calls += 1;
    });
    let kind = [(header::CONTENT_TYPE, "text/event-stream")];
    (kind, Body::from_stream(deltas(inner, call))).into_response()
}

fn deltas(
    inner: Arc<Inner>,
    call: u64,
) -> impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static {
    async_stream::stream! {
        yield Ok(Bytes::from_static(b": listening\n\n"));
        let mut speaking = inner.speaking.subscribe();
        // The sender lives in `inner`, so this ends with the word to speak only.
        drop(speaking.wait_for(|speaking| *speaking).await);
        let share = call.wrapping_mul(GOLDEN) >> 32;
        time::sleep(SPREAD.mul_f64(share as f64 / f64::from(u32::MAX))).await;
        let mut ticks = time::interval(inner.pace.interval);
        for number in 0..inner.pace.deltas {
            ticks.tick().await;
            let sent = inner.epoch.elapsed().as_micros();
            yield Ok(format!(
                "data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"@{number}:{sent} and so on \"}}}}]}}\n\n"
            )
            .into());
        }
        yield Ok(Bytes::from_static(
            b"data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n\
              data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1,\"total_tokens\":2}}\n\n\
              data: [DONE]\n\n",
        ));
    }
}
