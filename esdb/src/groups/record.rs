//! What a group records: what it sets aside and how far it is.

use commands::{
    execute::{Error, Failure, Loaded},
    log::{Batch, EventLog},
};
use domain::{
    Metadata, Recorded, Revision, StreamId,
    admins::Everywhere,
    subscription_group::{
        Group, GroupId, Groups, Name,
        checkpoint::{Advance, Checkpoint},
        delivery::{Message, Progress},
        parked::{Aside, Command, Origin, Parked},
    },
};
use std::{collections::BTreeSet, sync::Arc};
use uuid::Uuid;

/// How far a group is; `None` before its first checkpoint. Only the last event counts.
pub(crate) async fn checkpoint(log: &dyn EventLog, group: GroupId) -> Result<Option<u64>, Failure> {
    Ok(Loaded::<Checkpoint>::load_ends(log, &group).await?.state().0)
}

/// A group's records, held by who delivers it.
pub(crate) struct Records {
    log: Arc<dyn EventLog>,
    groups: Loaded<Groups>,
    parked: Loaded<Parked>,
    checkpoint: Loaded<Checkpoint>,
    /// Numbers below are delivered again already, or were.
    replayed: u64,
}

impl Records {
    /// As the log has them.
    pub(crate) async fn load(log: Arc<dyn EventLog>, group: GroupId) -> Result<Self, Failure> {
        Ok(Self {
            groups: Loaded::load(&*log, &Everywhere).await?,
            parked: Loaded::load(&*log, &group).await?,
            checkpoint: Loaded::load_ends(&*log, &group).await?,
            replayed: 0,
            log,
        })
    }

    /// The place up to which everything is settled.
    pub(crate) fn checkpoint(&self) -> Option<u64> {
        self.checkpoint.state().0
    }

    /// Places that are set aside.
    pub(crate) fn places(&self) -> BTreeSet<u64> {
        self.parked.state().places()
    }

    /// What is to be delivered again and was not told before.
    pub(crate) fn new_replays(&mut self) -> Vec<(u64, Origin)> {
        let new = self.parked.state().replaying.range(self.replayed..);
        let new: Vec<_> = new.map(|(number, origin)| (*number, origin.clone())).collect();
        self.replayed = new.last().map_or(self.replayed, |(number, _)| number + 1);
        new
    }

    /// The streams that tell when others record something, and what comes next in them.
    pub(crate) fn after(&self) -> [(StreamId, Revision); 2] {
        fn next<D: domain::Decider>(loaded: &Loaded<D>) -> (StreamId, Revision) {
            let next = loaded.revision().map_or(0, |last| last.0 + 1);
            (loaded.stream().clone(), Revision(next))
        }
        [next(&self.groups), next(&self.parked)]
    }

    /// Whether these events are folded in already.
    pub(crate) fn knows(&self, news: &Batch) -> bool {
        news.iter().all(|event| {
            let known = |(stream, next)| stream == event.stream && event.revision < next;
            self.after().into_iter().any(known)
        })
    }

    /// Folds in what others recorded; the group of this name as it is now.
    pub(crate) async fn refresh(&mut self, name: &Name) -> Result<Option<Group>, Failure> {
        self.groups.refresh(&*self.log).await?;
        self.parked.refresh(&*self.log).await?;
        Ok(self.groups.state().get(name).cloned())
    }

    /// Sets messages aside. False when that is not possible now.
    pub(crate) async fn park(&mut self, asides: &[(Message<Arc<Recorded>>, String)]) -> bool {
        let asides = asides.iter().map(|(message, reason)| Aside {
            message: Origin {
                place: message.place,
                stream: message.event.stream.clone(),
                revision: message.event.revision,
            },
            reason: reason.clone(),
            again: message.parked,
        });
        let command = Command::Park(asides.collect());
        told(self.parked.execute(&*self.log, &command, &metadata()).await.map(drop))
    }

    /// Records progress. False when that is not possible now: then messages come again some day, which consumers have to expect anyway.
    pub(crate) async fn progress(&mut self, progress: &Progress) -> bool {
        let Progress { place, replayed } = progress;
        let settle = Command::Settle(replayed.clone());
        let settled = self.parked.execute(&*self.log, &settle, &metadata()).await.map(drop);
        let Some(place) = place else { return told(settled) };
        let advance = Advance(*place);
        let advanced = self.checkpoint.execute(&*self.log, &advance, &metadata()).await;
        told(settled) && told(advanced.map(drop))
    }
}

fn metadata() -> Metadata {
    Metadata::system(Uuid::now_v7())
}

fn told<R: domain::Refusal>(done: Result<(), Error<R>>) -> bool {
    if let Err(error) = &done {
        tracing::warn!(%error, "a persistent subscription could not be recorded");
    }
    done.is_ok()
}
