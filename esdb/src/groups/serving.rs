//! The groups at work on this node.

use super::{
    actor::{Actor, Call, Standing, Surroundings, Word},
    owners::{Claim, Owners},
};
use crate::status;
use commands::log::EventLog;
use domain::subscription_group::{Group, GroupId, MOST, Name};
use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::{
    sync::{Mutex as Slot, mpsc, oneshot},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::Status;

/// Words that may wait for a group.
const WORDS: usize = 256;
/// How often a consumer tries to join a group that ends at that moment.
const TRIES: usize = 3;

/// The groups at work on this node.
pub(crate) struct Serving {
    log: Arc<dyn EventLog>,
    owners: Arc<dyn Owners>,
    draining: CancellationToken,
    /// A group has one place here, so that it begins after it has ended.
    working: Mutex<HashMap<GroupId, Arc<Slot<Option<Working>>>>>,
    calls: AtomicU64,
    tasks: TaskTracker,
}

struct Working {
    words: mpsc::Sender<Word>,
    ended: tokio::task::JoinHandle<()>,
}

impl Serving {
    /// None yet.
    pub(crate) fn new(
        log: Arc<dyn EventLog>,
        owners: Arc<dyn Owners>,
        draining: CancellationToken,
    ) -> Self {
        let (working, calls, tasks) = (Mutex::default(), AtomicU64::new(0), TaskTracker::new());
        Self { log, owners, draining, working, calls, tasks }
    }

    /// A number for a consumer's call.
    pub(crate) fn next_call(&self) -> u64 {
        self.calls.fetch_add(1, Ordering::Relaxed)
    }

    /// Waits until all groups have recorded how far they are, after the server was told to go down.
    pub(crate) async fn ended(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Tells a group something, if it is at work here.
    pub(crate) async fn tell(&self, id: GroupId, word: Word) {
        if let Some(words) = self.words(id).await {
            let _ended = words.send(word).await;
        }
    }

    /// How a group stands, if it is at work here.
    pub(crate) async fn standing(&self, id: GroupId) -> Option<Standing> {
        let words = self.words(id).await?;
        let (answer, standing) = oneshot::channel();
        words.send(Word::Ask(answer)).await.ok()?;
        standing.await.ok()
    }

    /// Ends all groups' work.
    pub(crate) async fn restart(&self) {
        let ids: Vec<GroupId> = self.lock().keys().copied().collect();
        for id in ids {
            self.tell(id, Word::Restart).await;
        }
    }

    /// Lets a call consume; where to tell the group what it says.
    pub(crate) async fn join(
        &self,
        name: &Name,
        group: &Group,
        reached_at: SocketAddr,
        call: impl Fn() -> (Call, Answers),
    ) -> Result<(mpsc::Sender<Word>, Answers), Status> {
        for _ in 0..TRIES {
            let words = self.begin(name, group, reached_at).await?;
            let (call, answers) = call();
            let (answer, joined) = oneshot::channel();
            if words.send(Word::Join(call, answer)).await.is_ok()
                && let Ok(joined) = joined.await
            {
                return joined.map(|()| (words, answers));
            }
        }
        Err(status::group_dropped(name))
    }

    /// The group at work, begun if need be.
    async fn begin(
        &self,
        name: &Name,
        group: &Group,
        reached_at: SocketAddr,
    ) -> Result<mpsc::Sender<Word>, Status> {
        let slot = self.slot(group.id);
        let mut slot = slot.lock().await;
        match slot.take() {
            Some(working) if !working.words.is_closed() => {
                let words = working.words.clone();
                *slot = Some(working);
                return Ok(words);
            }
            // It records how far it is, and lets go of its claim.
            Some(working) => {
                let _panicked = working.ended.await;
            }
            None => {}
        }
        let claimed = Instant::now();
        match self.owners.claim(group.id, reached_at).await {
            Ok(Claim::Ours) => {}
            Ok(Claim::Theirs(host, port)) => return Err(status::not_leader(&host, port)),
            Err(error) => return Err(Status::unavailable(error.to_string())),
        }
        let around = Surroundings {
            log: self.log.clone(),
            owners: self.owners.clone(),
            draining: self.draining.clone(),
            reached_at,
        };
        let loaded = Actor::load(around, name.clone(), group.clone(), claimed).await;
        let actor = match loaded {
            Ok(actor) => actor,
            Err(status) => {
                self.owners.release(group.id).await;
                return Err(status);
            }
        };
        let (words, heard) = mpsc::channel(WORDS);
        let ended = self.tasks.spawn(actor.run(heard));
        *slot = Some(Working { words: words.clone(), ended });
        Ok(words)
    }

    async fn words(&self, id: GroupId) -> Option<mpsc::Sender<Word>> {
        let slot = self.lock().get(&id)?.clone();
        let working = slot.lock().await;
        working.as_ref().map(|working| working.words.clone())
    }

    fn slot(&self, id: GroupId) -> Arc<Slot<Option<Working>>> {
        let mut working = self.lock();
        if working.len() > 2 * MOST {
            // Groups that are deleted leave their places behind.
            working.retain(|_, slot| {
                Arc::strong_count(slot) > 1
                    || slot.try_lock().is_ok_and(|slot| {
                        slot.as_ref().is_some_and(|working| !working.ended.is_finished())
                    })
            });
        }
        working.entry(id).or_default().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<GroupId, Arc<Slot<Option<Working>>>>> {
        self.working.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a call is answered.
pub(crate) type Answers =
    mpsc::Receiver<Result<crate::wire::persistent_subscriptions::ReadResp, Status>>;
