//! One connection: what its client asks for, one run after the other, until it has nothing more to say.

use super::frames::{Said, Telling};
use crate::{
    app::App,
    core::{
        run_stream::{self, Framing, Reader},
        tie::Tie,
    },
    llmstack::{
        Fault, Holder,
        runs::{Begun, Wanted, What, begin},
    },
};
use axum::{
    extract::ws::{CloseFrame, Message, WebSocket, close_code},
    http::HeaderMap,
};
use commands::app_runs::STOPPED;
use domain::{
    Metadata,
    ids::{AppId, RunId},
    run::{Interrupt, Origin},
};
use futures::StreamExt;
use std::{collections::VecDeque, time::Duration};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, timeout};
use uuid::Uuid;

/// How long a connection lives on which nothing is asked for.
const IDLE: Duration = Duration::from_secs(600);
/// How often a client is asked whether it is still there.
const PING: Duration = Duration::from_secs(30);
/// How long a client may take to receive something.
const SEND: Duration = Duration::from_secs(60);
/// Runs that may wait for the one that is going on.
const WAITING: usize = 8;

/// See the module.
pub struct Conversation {
    app: App,
    headers: HeaderMap,
    id: AppId,
    what: What,
    origin: Origin,
    /// For those who name no session.
    session: String,
    waiting: VecDeque<Said>,
}

/// A run that somebody waits for.
struct Running {
    run: RunId,
    tie: Tie,
    metadata: Metadata,
}

/// Why a conversation ends.
enum End {
    /// The client is gone, or cannot be reached.
    Gone,
    /// Something has to be said about it.
    Close(u16, &'static str),
}

type Goes<T> = Result<T, End>;

impl Conversation {
    /// A conversation with whoever sent these headers.
    pub fn new(app: App, headers: HeaderMap, id: AppId, what: What, origin: Origin) -> Self {
        let session = Uuid::new_v4().to_string();
        Self { app, headers, id, what, origin, session, waiting: VecDeque::new() }
    }

    /// Talks until there is nothing more to say.
    pub async fn hold(mut self, mut socket: WebSocket) {
        let mut last = Instant::now();
        let mut ping = pings();
        let draining = self.app.draining.clone();
        let end = loop {
            let said = match self.waiting.pop_front() {
                Some(said) => Ok(Some(said)),
                None => tokio::select! {
                    heard = socket.recv() => hear(&mut socket, heard).await,
                    () = draining.cancelled() => Err(End::Close(close_code::RESTART, "restart")),
                    _ = ping.tick() => beat(&mut socket, last).await,
                },
            };
            let done = match said {
                Ok(None) => continue,
                // Nothing is going on that could be stopped.
                Ok(Some(said)) if said.event.as_deref() == Some("stop") => Ok(()),
                Ok(Some(said)) => self.run(&mut socket, said).await,
                Err(end) => Err(end),
            };
            last = Instant::now();
            if let Err(end) = done {
                break end;
            }
        };
        if let End::Close(code, reason) = end {
            let frame = CloseFrame { code, reason: reason.into() };
            // The client may be gone as well.
            let _gone = timeout(SEND, socket.send(Message::Close(Some(frame)))).await;
        }
    }

    /// Begins a run and tells it to its end.
    async fn run(&mut self, socket: &mut WebSocket, said: Said) -> Goes<()> {
        let mut telling = Telling::of(&said);
        match self.begin(socket, said).await? {
            Some(Ok(begun)) => telling = self.tell(socket, telling, begun).await?,
            Some(Err(fault)) => send(socket, telling.errors(&fault.texts())).await?,
            None => send(socket, telling.errors(&[STOPPED.to_owned()])).await?,
        }
        send(socket, telling.done()).await
    }

    /// Begins a run; `None` if it was stopped before. That may take a while, in which the session is another run's. Whether
    /// it has begun by then nobody can tell, so it begins in any case, and ends at once if nobody waits for it any more.
    async fn begin(
        &mut self,
        socket: &mut WebSocket,
        said: Said,
    ) -> Goes<Option<Result<Running, Fault>>> {
        let (app, headers, id) = (self.app.clone(), self.headers.clone(), self.id);
        let named = said.session_id.filter(|session| !session.is_empty());
        let wanted = Wanted {
            what: self.what.clone(),
            session: named.unwrap_or_else(|| self.session.clone()),
            input: said.input.unwrap_or_default(),
            stream: true,
            origin: self.origin.clone(),
        };
        let beginning = async move {
            // A token may have been withdrawn since the last run.
            let holder = Holder::of(&app, &headers).await?;
            let metadata = holder.metadata();
            let Begun { run, .. } = begin(&app, &holder, id, wanted, &metadata).await?;
            Ok(Running { run, tie: Tie::new(app, run, metadata.clone()), metadata })
        };
        let mut beginning = tokio::spawn(beginning);
        loop {
            tokio::select! {
                begun = &mut beginning => return Ok(Some(begun.unwrap_or_else(|error| {
                    Err(crate::core::Error::Internal(error.to_string()).into())
                }))),
                heard = socket.recv() => {
                    if self.listen(socket, heard).await? {
                        return Ok(None);
                    }
                }
            }
        }
    }

    async fn tell(
        &mut self,
        socket: &mut WebSocket,
        mut telling: Telling,
        Running { run, tie, metadata }: Running,
    ) -> Goes<Telling> {
        let reader = Reader { run, index: 0, framing: Framing::Lines, heartbeat: false };
        let unreadable = || End::Close(close_code::ERROR, "the run cannot be read");
        let lines =
            run_stream::open_until(&self.app, reader, |end| end.starts_with("{\"errors\":"));
        let mut lines = Box::pin(lines.await.map_err(|_| unreadable())?);
        let mut ping = pings();
        let draining = self.app.draining.clone();
        loop {
            tokio::select! {
                () = draining.cancelled() => {
                    // Another node goes on with it.
                    tie.loosen();
                    return Err(End::Close(close_code::RESTART, "restart"));
                }
                chunk = lines.next() => match chunk {
                    Some(Ok(bytes)) => {
                        let text = String::from_utf8_lossy(&bytes);
                        let batch: Vec<String> = text.lines().map(str::to_owned).collect();
                        // Rendering is work for a processor core, and may be long.
                        let rendered = tokio::task::spawn_blocking(move || {
                            let frames = telling.frames(run, &batch);
                            (telling, frames)
                        });
                        let (back, frames) = rendered.await.map_err(|_| unreadable())?;
                        telling = back;
                        for frame in frames {
                            send(socket, frame).await?;
                        }
                    }
                    Some(Err(_)) => return Err(unreadable()),
                    None => {
                        tie.loosen();
                        return Ok(telling);
                    }
                },
                heard = socket.recv() => {
                    if self.listen(socket, heard).await? {
                        let wish = Interrupt { reason: "stop".to_owned(), replaced: false };
                        if let Err(failure) = self.app.interrupt(run, wish, &metadata).await {
                            tracing::warn!(%run, %failure, "a run could not be stopped");
                        }
                    }
                }
                _ = ping.tick() => send_message(socket, Message::Ping(Vec::new().into())).await?,
            }
        }
    }

    /// Takes in what is said while a run is going on. Whether it shall stop.
    async fn listen(
        &mut self,
        socket: &mut WebSocket,
        heard: Option<Result<Message, axum::Error>>,
    ) -> Goes<bool> {
        match hear(socket, heard).await? {
            Some(said) if said.event.as_deref() == Some("stop") => {
                self.waiting.clear();
                return Ok(true);
            }
            Some(said) if self.waiting.len() >= WAITING => {
                let telling = Telling::of(&said);
                let text = format!("At most {WAITING} runs may wait.");
                send(socket, telling.errors(&[text])).await?;
            }
            Some(said) => self.waiting.push_back(said),
            None => {}
        }
        Ok(false)
    }
}

/// What the client says, if it says something; nonsense is answered.
async fn hear(
    socket: &mut WebSocket,
    heard: Option<Result<Message, axum::Error>>,
) -> Goes<Option<Said>> {
    let text = match heard {
        Some(Ok(Message::Text(text))) => text,
        Some(Ok(Message::Binary(_))) => {
            return Err(End::Close(close_code::UNSUPPORTED, "texts only"));
        }
        Some(Ok(Message::Ping(_) | Message::Pong(_))) => return Ok(None),
        None | Some(Err(_) | Ok(Message::Close(_))) => return Err(End::Gone),
    };
    let said: Result<Said, String> = match domain::json::is_too_deep(text.as_bytes()) {
        true => Err("JSON nests too deep".to_owned()),
        false => serde_json::from_str(&text).map_err(|error| error.to_string()),
    };
    let told = match said {
        Ok(said) if matches!(said.event.as_deref(), None | Some("run" | "stop")) => {
            return Ok(Some(said));
        }
        Ok(said) => Telling::of(&said).errors(&["event: \"run\" or \"stop\"".to_owned()]),
        Err(reason) => Telling::Lines.errors(&[format!("JSON parse error - {reason}")]),
    };
    send(socket, told).await?;
    Ok(None)
}

/// When to ask for a sign of life; not at once.
fn pings() -> Interval {
    let mut pings = interval_at(Instant::now() + PING, PING);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pings
}

/// A sign of life, unless nothing was asked for for too long.
async fn beat(socket: &mut WebSocket, last: Instant) -> Goes<Option<Said>> {
    if last.elapsed() > IDLE {
        return Err(End::Close(close_code::NORMAL, "idle"));
    }
    send_message(socket, Message::Ping(Vec::new().into())).await?;
    Ok(None)
}

async fn send(socket: &mut WebSocket, text: String) -> Goes<()> {
    send_message(socket, Message::Text(text.into())).await
}

async fn send_message(socket: &mut WebSocket, message: Message) -> Goes<()> {
    match timeout(SEND, socket.send(message)).await {
        Ok(Ok(())) => Ok(()),
        _ => Err(End::Gone),
    }
}
