//! What a group has set aside, as the stream of links that readers of the original know: `$persistentsubscription-{stream}::{group}-parked`.

use crate::{
    content::{IdForm, Shown},
    read::{Begin, Wish, event_of, not_found},
    status,
    wire::streams::ReadResp,
};
use async_stream::try_stream;
use chrono::SecondsFormat;
use commands::{
    execute::{Failure, Loaded, unpack},
    log::{Direction, EventLog},
};
use domain::{
    Recorded, Revision, StreamId,
    admins::Everywhere,
    subscription_group::{
        GroupId, Groups, Name,
        parked::{Event, Origin, Parked},
    },
};
use futures::Stream;
use serde_json::json;
use std::sync::Arc;
use tonic::Status;
use uuid::Uuid;

/// Events read at a time.
const PAGE: usize = 1_000;

/// The group whose messages the stream of this name shows.
pub(crate) fn shelf_named(name: &str) -> Option<Name> {
    let inner = name.strip_prefix("$persistentsubscription-")?.strip_suffix("-parked")?;
    let (source, group) = inner.split_once("::")?;
    Some(Name { source: source.to_owned(), group: group.to_owned() })
}

/// The stream, as it is now.
pub(crate) fn shelf(
    log: Arc<dyn EventLog>,
    name: Name,
    wish: Wish,
) -> impl Stream<Item = Result<ReadResp, Status>> + Send {
    try_stream! {
        let stream: Box<str> = format!("$persistentsubscription-{name}-parked").into();
        let failed = |failure: Failure| status::group_failed(&name, &failure);
        let groups = Loaded::<Groups>::load(&*log, &Everywhere).await.map_err(failed)?;
        let group = groups.state().get(&name).map(|group| group.id);
        let mut links = match group {
            Some(group) => links(&*log, group).await.map_err(failed)?,
            None => Vec::new(),
        };
        if links.is_empty() {
            yield not_found(&stream);
            return;
        }
        match (wish.from, wish.direction) {
            (Begin::At(at), Direction::Forward) => links.retain(|link| link.number >= at),
            (Begin::At(at), Direction::Backward) => links.retain(|link| link.number <= at),
            (Begin::End, Direction::Forward) => links.clear(),
            (Begin::Start, Direction::Backward) => links.truncate(1),
            (Begin::Start, Direction::Forward) | (Begin::End, Direction::Backward) => {}
        }
        if wish.direction == Direction::Backward {
            links.reverse();
        }
        for link in links.into_iter().take(usize::try_from(wish.count).unwrap_or(usize::MAX)) {
            let Origin { stream: of, revision, .. } = &link.origin;
            let linked = match wish.resolve {
                true => log.read(of, *revision, Direction::Forward, 1).await,
                false => Ok(Vec::new()),
            };
            let linked = linked.map_err(|error| status::unreadable(&error))?.pop();
            yield event_of(linked.as_deref(), link.shown(&stream, wish.ids), wish.ids);
        }
    }
}

struct Link {
    number: u64,
    group: GroupId,
    said: Arc<Recorded>,
    reason: String,
    origin: Origin,
}

impl Link {
    fn shown(&self, stream: &str, ids: IdForm) -> Shown {
        let Self { number, group, said, reason, origin } = self;
        let id = Uuid::new_v5(&group.0, &number.to_be_bytes());
        let added = said.recorded_at.to_rfc3339_opts(SecondsFormat::Micros, true);
        let metadata = json!({ "added": added, "reason": reason });
        let to = format!("{}@{}", origin.revision, origin.stream);
        Shown::made_link(said, ids.of(id), stream, *number, to, metadata.to_string())
    }
}

async fn links(log: &dyn EventLog, group: GroupId) -> Result<Vec<Link>, Failure> {
    let stream = StreamId::of::<Parked>(&group);
    let (mut links, mut next) = (Vec::new(), Revision(0));
    loop {
        let page = log.read(&stream, next, Direction::Forward, PAGE).await?;
        let Some(last) = page.last() else { return Ok(links) };
        next = Revision(last.revision.0 + 1);
        for said in page {
            match unpack::<Parked>(&said)? {
                Event::SubscriptionMessageParked { number, message, reason } => {
                    links.push(Link { number, group, said, reason, origin: message });
                }
                Event::ParkedMessagesReplayed { before } => {
                    links.retain(|link: &Link| link.number >= before);
                }
                Event::ReplayedMessagesSettled { .. } => {}
            }
        }
    }
}
