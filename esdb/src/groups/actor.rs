//! A group at work on this node: drives what `domain` decides, with clock, log and consumers. It ends when nobody has consumed for a while, when
//! the group is changed or removed, or when another node has it.

use super::{
    owners::{Claim, LEASE, Owners},
    record::Records,
    source::{Item, Source},
};
use crate::{content::IdForm, status, wire::persistent_subscriptions::ReadResp};
use commands::log::{Batch, EventLog};
use domain::{
    Recorded,
    subscription_group::{
        Group, Name,
        delivery::{Counts, Delivery, Verdict},
        parked::Origin,
    },
};
use futures::{
    StreamExt,
    stream::{BoxStream, select},
};
use std::{
    collections::{HashMap, VecDeque},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;
use tonic::Status;
use uuid::Uuid;

/// How long a group stays at work without consumers.
const LINGER: Duration = Duration::from_secs(5);
/// How often a claim is made again.
const RENEW: Duration = Duration::from_secs(3);
/// Messages that were set aside, read at a time.
const AGAIN: usize = 50;

/// What consumers and the service tell a group.
pub(crate) enum Word {
    /// Somebody wants to consume; hears whether they may.
    Join(Call, oneshot::Sender<Result<(), Status>>),
    /// They do not any more.
    Leave(u64),
    /// These messages are done with.
    Ack(Vec<Uuid>),
    /// These messages are not.
    Nack(u64, Vec<Uuid>, Verdict, String),
    /// A consumer cannot go on, and what it has goes to others, as one try more.
    Stop(u64, Vec<Uuid>),
    /// Something was recorded that the group has to know.
    News,
    /// Somebody asks how things stand.
    Ask(oneshot::Sender<Standing>),
    /// All groups begin anew.
    Restart,
}

/// A consumer's call.
pub(crate) struct Call {
    pub(crate) id: u64,
    pub(crate) who: String,
    pub(crate) from: String,
    pub(crate) room: usize,
    pub(crate) ids: IdForm,
    /// Where answers go.
    pub(crate) out: mpsc::Sender<Result<ReadResp, Status>>,
}

/// How a group stands.
pub(crate) struct Standing {
    pub(crate) counts: Counts,
    pub(crate) since: Duration,
    pub(crate) consumers: Vec<Consuming>,
}

/// How a consumer stands.
pub(crate) struct Consuming {
    pub(crate) who: String,
    pub(crate) from: String,
    pub(crate) room: usize,
    pub(crate) flying: usize,
    pub(crate) sent: u64,
}

/// What a group at work needs.
pub(crate) struct Surroundings {
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) owners: Arc<dyn Owners>,
    pub(crate) draining: CancellationToken,
    /// Where clients find this node.
    pub(crate) reached_at: SocketAddr,
}

/// A group at work.
pub(crate) struct Actor {
    around: Surroundings,
    name: Name,
    group: Group,
    source: Source,
    records: Records,
    delivery: Delivery<Arc<Recorded>>,
    calls: HashMap<u64, Call>,
    /// What is to be delivered again, and not yet read.
    replays: VecDeque<(u64, Origin)>,
    began: Instant,
    /// Until when the group is this node's.
    ours: Instant,
    renew: Instant,
    /// Since when nobody consumes.
    idle: Option<Instant>,
}

impl Actor {
    /// A group of this node's, as the log has it.
    pub(crate) async fn load(
        around: Surroundings,
        name: Name,
        group: Group,
        claimed: Instant,
    ) -> Result<Self, Status> {
        let source = Source::of(&name, &group.settings)?;
        let records = Records::load(around.log.clone(), group.id).await;
        let records = records.map_err(|failure| status::group_failed(&name, &failure))?;
        let after = records.checkpoint().unwrap_or_else(|| source.after(group.start));
        let delivery = Delivery::new(group.settings.clone(), after, records.places());
        let mut actor = Self {
            around,
            name,
            group,
            source,
            records,
            delivery,
            calls: HashMap::new(),
            replays: VecDeque::new(),
            began: Instant::now(),
            ours: claimed + LEASE,
            renew: claimed + RENEW,
            idle: Some(Instant::now()),
        };
        actor.replays.extend(actor.records.new_replays());
        Ok(actor)
    }

    /// Works until it ends; then all consumers have heard why.
    pub(crate) async fn run(mut self, mut words: mpsc::Receiver<Word>) {
        let why = self.work(&mut words).await;
        words.close();
        // What was acknowledged before the end does not come again, heard of or not.
        while let Ok(word) = words.try_recv() {
            if let Word::Ack(ids) = word {
                let now = self.now();
                ids.into_iter().for_each(|id| self.delivery.ack(id, now));
            }
        }
        for call in self.calls.values() {
            let _gone = call.out.try_send(Err(why.clone()));
        }
        if let Some(rest) = self.delivery.rest() {
            self.records.progress(&rest).await;
        }
        self.around.owners.release(self.group.id).await;
    }

    async fn work(&mut self, words: &mut mpsc::Receiver<Word>) -> Status {
        let mut items = self.source.items(&*self.around.log, self.delivery.checkpoint());
        let mut news = self.news();
        let draining = self.around.draining.clone();
        loop {
            let told = tokio::select! {
                () = draining.cancelled() => Err(status::going_down()),
                word = words.recv() => match word {
                    Some(word) => self.hear(word).await,
                    None => Err(status::going_down()),
                },
                item = items.next(), if self.delivery.wants_more() => match item {
                    Some(Item { messages, place }) => {
                        self.delivery.take(messages, place, self.now());
                        Ok(())
                    }
                    None => Err(status::going_down()),
                },
                batch = news.next() => match batch {
                    Some(batch) if self.records.knows(&batch) => Ok(()),
                    Some(_) => self.refresh().await,
                    None => Err(status::going_down()),
                },
                () = sleep_until(self.wake()) => Ok(()),
            };
            let done = match told {
                Ok(()) => self.turn().await,
                Err(why) => Err(why),
            };
            if let Err(why) = done {
                return why;
            }
        }
    }

    /// What may be due after anything happened.
    async fn turn(&mut self) -> Result<(), Status> {
        self.stay_owner().await?;
        self.delivery.tick(self.now());
        self.read_replays().await;
        self.send();
        let asides = self.delivery.asides(self.now());
        if !asides.is_empty() {
            let done = self.records.park(&asides).await;
            let now = self.now();
            asides.iter().for_each(|(message, _)| self.delivery.aside(message.id, done, now));
        }
        if let Some(progress) = self.delivery.progress(self.now()) {
            let done = self.records.progress(&progress).await;
            let now = self.now();
            self.delivery.recorded(progress, done, now);
        }
        match self.idle {
            Some(since) if since.elapsed() >= LINGER => Err(status::going_down()),
            _ => Ok(()),
        }
    }

    async fn hear(&mut self, word: Word) -> Result<(), Status> {
        let now = self.now();
        match word {
            Word::Join(call, answer) => {
                let fits = self.delivery.join(call.id, call.room);
                let told = if fits { Ok(()) } else { Err(status::group_full(&self.name)) };
                let there = answer.send(told).is_ok();
                if fits && there {
                    self.idle = None;
                    self.calls.insert(call.id, call);
                } else if fits {
                    self.delivery.leave(call.id);
                }
            }
            Word::Leave(consumer) => self.leave(consumer),
            Word::Ack(ids) => ids.into_iter().for_each(|id| self.delivery.ack(id, now)),
            Word::Nack(consumer, ids, verdict, reason) => {
                ids.into_iter()
                    .for_each(|id| self.delivery.nack(consumer, id, verdict, &reason, now));
            }
            Word::Stop(consumer, ids) => {
                let reason = "a consumer stopped at it";
                ids.into_iter().for_each(|id| {
                    self.delivery.nack(consumer, id, Verdict::Retry, reason, now);
                });
                self.drop_call(consumer, status::group_dropped(&self.name));
            }
            Word::News => self.refresh().await?,
            Word::Ask(answer) => {
                let _gone = answer.send(self.standing());
            }
            Word::Restart => return Err(status::group_dropped(&self.name)),
        }
        Ok(())
    }

    /// What others recorded: the group may be another, or there is more to deliver again.
    async fn refresh(&mut self) -> Result<(), Status> {
        match self.records.refresh(&self.name).await {
            Ok(Some(group)) if group == self.group => {
                self.replays.extend(self.records.new_replays());
                Ok(())
            }
            Ok(_) => Err(status::group_dropped(&self.name)),
            Err(failure) => Err(status::group_failed(&self.name, &failure)),
        }
    }

    fn leave(&mut self, consumer: u64) {
        if self.calls.remove(&consumer).is_some() {
            self.delivery.leave(consumer);
        }
        if self.calls.is_empty() && self.idle.is_none() {
            self.idle = Some(Instant::now());
        }
    }

    fn drop_call(&mut self, consumer: u64, why: Status) {
        if let Some(call) = self.calls.get(&consumer) {
            let _gone = call.out.try_send(Err(why));
        }
        self.leave(consumer);
    }

    fn send(&mut self) {
        for (consumer, message) in self.delivery.dispatch(self.now()) {
            let sent = self
                .calls
                .get(&consumer)
                .map(|call| call.out.try_send(Ok(self.source.show(&message, call.ids))).is_ok());
            if sent == Some(false) {
                // Answers come back before they have been read, or time out unread again and again.
                self.leave(consumer);
            }
        }
    }

    async fn read_replays(&mut self) {
        if self.delivery.counts().again >= AGAIN {
            return;
        }
        for _ in 0..AGAIN {
            let Some((number, origin)) = self.replays.pop_front() else { return };
            match self.source.again(&*self.around.log, number, &origin).await {
                Ok(message) => self.delivery.replay(message),
                Err(error) => {
                    tracing::warn!(%error, "a message that was set aside could not be read");
                    self.replays.push_front((number, origin));
                    return;
                }
            }
        }
    }

    async fn stay_owner(&mut self) -> Result<(), Status> {
        let now = Instant::now();
        if now < self.renew {
            return Ok(());
        }
        self.renew = now + RENEW;
        match self.around.owners.claim(self.group.id, self.around.reached_at).await {
            Ok(Claim::Ours) => {
                self.ours = now + LEASE;
                Ok(())
            }
            Ok(Claim::Theirs(host, port)) => Err(status::not_leader(&host, port)),
            Err(_) if now < self.ours => Ok(()),
            Err(error) => Err(Status::unavailable(error.to_string())),
        }
    }

    /// What others record of this group, and of all.
    fn news(&self) -> BoxStream<'static, Batch> {
        let [groups, parked] = self.records.after();
        let follow = |(stream, from)| self.around.log.follow(stream, from);
        select(follow(groups), follow(parked)).boxed()
    }

    fn standing(&self) -> Standing {
        let consumers = self.delivery.consumers().iter().filter_map(|consumer| {
            let call = self.calls.get(&consumer.id)?;
            Some(Consuming {
                who: call.who.clone(),
                from: call.from.clone(),
                room: consumer.room,
                flying: consumer.flying,
                sent: consumer.sent,
            })
        });
        Standing {
            counts: self.delivery.counts(),
            since: self.began.elapsed(),
            consumers: consumers.collect(),
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn wake(&self) -> Instant {
        // A moment later, because the clock that is asked then counts whole milliseconds.
        let due = self.delivery.wake();
        let due = due.map(|at| self.began + Duration::from_millis(at.saturating_add(1)));
        let idle = self.idle.map(|since| since + LINGER);
        due.into_iter().chain(idle).fold(self.renew, Instant::min)
    }
}
