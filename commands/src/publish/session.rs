//! One connection to the broker, from the look at what the stream holds to the first failure.

use super::{BrokerUrl, End, Leader, Status, message, stopped};
use crate::log::{EventLog, Filter};
use async_nats::{
    Event,
    jetstream::{
        Context,
        context::{ContextBuilder, PublishError},
        stream::{Config, DiscardPolicy, LastRawMessageErrorKind, StorageType, Stream},
    },
};
use domain::{Position, Recorded};
use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesOrdered};
use std::time::Duration;
use tokio::{
    sync::watch,
    time::{interval, timeout},
};
use tokio_util::sync::CancellationToken;

/// Name of the stream in JetStream. Made when absent; one that is there is left as the operator wants it.
pub const STREAM: &str = "ANNALS";
const SUBJECTS: &str = "annals.>";
/// Messages under way without acknowledgement.
const WINDOW: usize = 256;
/// How long the broker may take for an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often an idle session makes sure that it still holds the right to publish.
const TICK: Duration = Duration::from_secs(5);
/// The log is the record; the stream keeps what late consumers need.
const KEPT: Duration = Duration::from_secs(90 * 24 * 3600);
/// As wide as the broker allows by default. The guarantee does not rest on it.
const DUPLICATES: Duration = Duration::from_secs(120);

/// The stream as it is made when absent.
fn config() -> Config {
    Config {
        name: STREAM.to_owned(),
        subjects: vec![SUBJECTS.to_owned()],
        storage: StorageType::File,
        discard: DiscardPolicy::Old,
        max_age: KEPT,
        duplicate_window: DUPLICATES,
        description: Some("Every event of the annals log, in order".to_owned()),
        ..Config::default()
    }
}

/// The server's version, where it has JetStream and lets us in.
pub(super) async fn check(broker: &BrokerUrl) -> Result<String, End> {
    let (addresses, options) = broker.parse()?;
    let options = options.name("annals").connection_timeout(PATIENCE).max_reconnects(1);
    let client = timeout(PATIENCE, options.connect(addresses))
        .await
        .map_err(|_| End::because("the broker does not answer"))?
        .map_err(|error| End::because(format_args!("broker: {error}")))?;
    let version = client.server_info().version;
    let jetstream = ContextBuilder::new().timeout(PATIENCE).build(client);
    jetstream
        .query_account()
        .await
        .map_err(|error| End::because(format_args!("JetStream: {error}")))?;
    Ok(version)
}

type Ack = BoxFuture<'static, Result<Position, PublishError>>;

pub(super) struct Session {
    jetstream: Context,
    /// Cancelled when the connection breaks: what is under way will not be answered.
    lost: CancellationToken,
    limit: usize,
    /// Sequence of the last message in the stream once everything under way has arrived. Every message names its
    /// predecessor, so none can be stored after one that was refused, and no second publisher can get in between.
    sequence: u64,
    /// The stream holds everything up to here.
    held: Position,
    acks: FuturesOrdered<Ack>,
}

impl Session {
    /// Connects, makes the stream when it is absent, and looks where to go on.
    pub async fn open(
        log: &dyn EventLog,
        broker: &BrokerUrl,
        leader: &Leader,
    ) -> Result<Self, End> {
        let lost = CancellationToken::new();
        let told = lost.clone();
        let (addresses, options) = broker.parse()?;
        let client = options
            .name("annals")
            .connection_timeout(PATIENCE)
            .request_timeout(Some(PATIENCE))
            .max_reconnects(1)
            .event_callback(move |event| {
                if matches!(event, Event::Disconnected | Event::Closed) {
                    told.cancel();
                }
                std::future::ready(())
            });
        let client = timeout(PATIENCE, client.connect(addresses))
            .await
            .map_err(|_| End::because("the broker does not answer"))?
            .map_err(|error| End::because(format_args!("broker: {error}")))?;
        let limit = client.server_info().max_payload;
        let jetstream = ContextBuilder::new().timeout(PATIENCE).ack_timeout(PATIENCE).build(client);
        let stream = jetstream
            .get_or_create_stream(config())
            .await
            .map_err(|error| End::because(format_args!("broker: {error}")))?;
        let sequence = stream.cached_info().state.last_sequence;
        let held = held(log, &stream, leader.position).await?;
        Ok(Self { jetstream, lost, limit, sequence, held, acks: FuturesOrdered::new() })
    }

    /// Publishes what follows until something fails or the process ends.
    pub async fn run(
        mut self,
        log: &dyn EventLog,
        leader: &mut Leader,
        report: &watch::Sender<Status>,
        stop: watch::Receiver<bool>,
    ) -> Result<(), End> {
        let lost = self.lost.clone();
        self.settle(leader, report).await?;
        let outcome = tokio::select! {
            biased;
            () = stopped(stop) => Err(End::Stopped),
            () = lost.cancelled() => return Err(End::because("the connection to the broker broke")),
            end = self.follow(log, leader, report) => end,
        };
        if matches!(outcome, Err(End::Stopped)) {
            let drain = timeout(PATIENCE / 2, async {
                while self.next_ack().await?.is_some() {}
                self.settle(leader, report).await
            });
            if !matches!(drain.await, Ok(Ok(()))) {
                tracing::info!("the last messages were not acknowledged; the stream will tell");
            }
        }
        outcome
    }

    async fn follow(
        &mut self,
        log: &dyn EventLog,
        leader: &mut Leader,
        report: &watch::Sender<Status>,
    ) -> Result<(), End> {
        let mut deliveries = log.subscribe(self.held, Filter::all());
        let mut tick = interval(TICK);
        loop {
            tokio::select! {
                biased;
                _ = tick.tick() => leader.check().await?,
                ack = self.acks.next(), if !self.acks.is_empty() => {
                    self.acknowledged(ack)?;
                    if self.acks.is_empty() {
                        self.settle(leader, report).await?;
                    }
                }
                delivery = deliveries.next() => {
                    let Some(delivery) = delivery else {
                        return Err(End::because("the log's subscription has ended"));
                    };
                    for event in &delivery.events {
                        self.send(event).await?;
                        if self.held.0 >= leader.position.0 + WINDOW as u64 {
                            self.settle(leader, report).await?;
                        }
                    }
                }
            }
        }
    }

    /// Hands one message over; waits while too many are under way.
    async fn send(&mut self, event: &Recorded) -> Result<(), End> {
        while self.acks.len() >= WINDOW {
            self.next_ack().await?;
        }
        let message = message::message(event, self.limit)
            .map_err(|error| End::because(format_args!("event {}: {error}", event.position)))?
            .expected_stream(STREAM)
            .expected_last_sequence(self.sequence);
        let position = event.position;
        let sent = self.jetstream.send_publish(message::subject(event), message);
        let ack = timeout(PATIENCE, sent)
            .await
            .map_err(|_| End::because("the broker takes nothing"))?
            .map_err(|error| End::because(format_args!("event {position}: {error}")))?;
        self.sequence += 1;
        self.acks.push_back(async move { ack.await.map(|_| position) }.boxed());
        Ok(())
    }

    async fn next_ack(&mut self) -> Result<Option<()>, End> {
        match self.acks.next().await {
            None => Ok(None),
            ack => self.acknowledged(ack).map(Some),
        }
    }

    fn acknowledged(&mut self, ack: Option<Result<Position, PublishError>>) -> Result<(), End> {
        if let Some(ack) = ack {
            self.held = ack.map_err(|error| End::because(format_args!("broker: {error}")))?;
        }
        Ok(())
    }

    /// Stores how far the stream has come, and says so.
    async fn settle(
        &mut self,
        leader: &mut Leader,
        report: &watch::Sender<Status>,
    ) -> Result<(), End> {
        if leader.position != self.held {
            leader.advance(self.held).await?;
        }
        report.send_if_modified(|status| {
            std::mem::replace(&mut status.position, self.held) != self.held
        });
        Ok(())
    }
}

/// Up to where the stream holds the log. Its last message tells: they arrive in order. That counts more than the
/// checkpoint, which may lag behind (acknowledgements lost) or be ahead (a broker that lost its last seconds, or a new one).
async fn held(log: &dyn EventLog, stream: &Stream, checkpoint: Position) -> Result<Position, End> {
    let state = &stream.cached_info().state;
    if state.last_sequence == 0 {
        return Ok(Position::START);
    }
    let last = match stream.get_last_raw_message_by_subject(SUBJECTS).await {
        Ok(last) => last,
        // Purged, or all of it grown too old.
        Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => {
            return Ok(checkpoint);
        }
        Err(error) => return Err(End::because(format_args!("broker: {error}"))),
    };
    let header = |name| last.headers.get(name).map(async_nats::HeaderValue::as_str);
    let position = header(message::POSITION).and_then(|text| text.parse().ok()).map(Position);
    let id: Option<uuid::Uuid> = header("Nats-Msg-Id").and_then(|text| text.parse().ok());
    let (Some(position), Some(id)) = (position, id) else {
        return Err(End::because("the stream's last message is not one of ours"));
    };
    let before = Position(position.0.saturating_sub(1));
    let page = log.read_all(before, 1, &Filter::all()).await.map_err(End::because)?;
    if page.events.first().is_none_or(|event| event.id != id) {
        return Err(End::because(format_args!(
            "the stream's last message (position {position}) is not in this log"
        )));
    }
    Ok(position)
}
