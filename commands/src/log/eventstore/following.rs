//! Subscriptions that outlive their connections.

use super::{EventStoreLog, PAUSES, recorded};
use crate::log::{Batch, Filter};
use ::eventstore::{
    Client, Position as At, StreamPosition, SubscribeToAllOptions, SubscribeToStreamOptions,
    Subscription, SubscriptionEvent, SubscriptionFilter,
};
use domain::{Recorded, StreamId};
use futures::{FutureExt, future::BoxFuture};
use std::{sync::Arc, time::Duration};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

/// Events that a subscription holds ready, and the most of one delivery.
const READY: usize = 256;
/// Events that the server may look at between two checkpoints.
const WINDOW: u32 = 500;

/// What is followed.
pub(super) enum What {
    /// What passes of the whole log.
    All(Filter),
    /// One stream.
    Stream(StreamId),
}

/// A subscription that outlives its connections.
pub(super) struct Following {
    log: EventStoreLog,
    what: What,
    /// Position or revision of what was seen last.
    pub(super) at: Option<u64>,
    pump: Option<Pump>,
    pause: Duration,
}

/// What the server sends, taken in by a task: the client loses its place when a wait for the next event is given up.
struct Pump {
    ready: mpsc::Receiver<SubscriptionEvent>,
    _task: AbortOnDropHandle<()>,
}

impl Following {
    /// From what comes after `at`.
    pub(super) fn new(log: EventStoreLog, what: What, at: Option<u64>) -> Self {
        Self { log, what, at, pump: None, pause: PAUSES.0 }
    }

    /// Waits until the place has moved; what passed the filter on the way.
    pub(super) async fn next(&mut self) -> Batch {
        loop {
            let pump = self.pump.get_or_insert_with(|| {
                let (number, client) = self.log.client();
                let subscribe = Self::subscription(client, &self.what, self.at);
                Pump::start(self.log.clone(), number, subscribe)
            });
            let mut events = Vec::with_capacity(READY);
            if pump.ready.recv_many(&mut events, READY).await == 0 {
                self.pump = None;
                tokio::time::sleep(self.pause).await;
                self.pause = (self.pause * 2).min(PAUSES.1);
                continue;
            }
            self.pause = PAUSES.0;
            let (before, mut batch) = (self.at, Batch::new());
            events.into_iter().for_each(|event| self.take(event, &mut batch));
            if self.at > before {
                return batch;
            }
        }
    }

    fn take(&mut self, event: SubscriptionEvent, batch: &mut Batch) {
        let at = match (&event, &self.what) {
            (SubscriptionEvent::EventAppeared(event), What::Stream(_)) => {
                event.get_original_event().revision
            }
            (SubscriptionEvent::EventAppeared(event), What::All(_)) => {
                event.get_original_event().position.commit
            }
            (SubscriptionEvent::Checkpoint(at), What::All(_)) => at.commit,
            _ => return,
        };
        // After a reconnection nothing comes twice.
        if self.at.is_some_and(|seen| at <= seen) {
            return;
        }
        self.at = Some(at);
        if let SubscriptionEvent::EventAppeared(event) = event {
            let wanted = |event: &Arc<Recorded>| match &self.what {
                What::All(filter) => filter.admits(event),
                What::Stream(_) => true,
            };
            batch.extend(recorded(event).filter(wanted));
        }
    }

    fn subscription(
        client: Client,
        what: &What,
        at: Option<u64>,
    ) -> BoxFuture<'static, Subscription> {
        match what {
            What::All(filter) => {
                let position = at.map(|at| At { commit: at, prepare: at });
                let position = position.map_or(StreamPosition::Start, StreamPosition::Position);
                let options = SubscribeToAllOptions::default().position(position);
                let options = options.filter(coarse(filter));
                async move { client.subscribe_to_all(&options).await }.boxed()
            }
            What::Stream(stream) => {
                let position = at.map_or(StreamPosition::Start, StreamPosition::Position);
                let options = SubscribeToStreamOptions::default().start_from(position);
                let stream = stream.to_string();
                async move { client.subscribe_to_stream(stream, &options).await }.boxed()
            }
        }
    }
}

impl Pump {
    /// Begins to take in what the client of this number is sent.
    fn start(log: EventStoreLog, number: u64, subscribe: BoxFuture<'static, Subscription>) -> Self {
        let (sender, ready) = mpsc::channel(READY);
        let task = tokio::spawn(async move {
            let mut subscription = subscribe.await;
            loop {
                let event = match subscription.next_subscription_event().await {
                    Ok(event) => event,
                    Err(error) => {
                        tracing::debug!(%error, "a subscription to the log has to begin anew");
                        return log.renew(number, &error);
                    }
                };
                if sender.send(event).await.is_err() {
                    return;
                }
            }
        });
        Self { ready, _task: AbortOnDropHandle::new(task) }
    }
}

/// The part of a filter that the server can apply: one condition.
fn coarse(filter: &Filter) -> SubscriptionFilter {
    let window = SubscriptionFilter::on_stream_name().max(WINDOW);
    if !filter.categories.is_empty() {
        let prefixes = filter.categories.iter().map(|category| format!("{category}-"));
        prefixes.fold(window, SubscriptionFilter::add_prefix)
    } else if !filter.kinds.is_empty() {
        let kinds = SubscriptionFilter::on_event_type().max(WINDOW);
        filter.kinds.iter().fold(kinds, SubscriptionFilter::add_prefix)
    } else {
        window.exclude_system_events()
    }
}
