//! What a group delivers: a stream, links, or what passes of the whole log. Places in a stream are revisions + 1, elsewhere positions:
//! 0 is before the first.

use super::settings;
use crate::{
    append::last,
    content::{IdForm, Shown, belonging, link_id},
    names::{Source as Named, identifier},
    read::View,
    status,
    wire::persistent_subscriptions::{
        ReadResp,
        read_resp::{
            Content, ReadEvent,
            read_event::{Count, Position as Place},
        },
    },
};
use commands::log::{Direction, EventLog, ReadError};
use domain::{
    Decider, Position, Recorded, Revision, StreamId,
    subscription_group::{
        ALL, Groups, Name,
        checkpoint::Checkpoint,
        consumers::pin,
        delivery::Message,
        parked::{Origin, Parked},
        settings::{Settings, Start, Strategy},
    },
};
use futures::{StreamExt, stream::BoxStream};
use std::sync::Arc;
use tonic::Status;

/// Some of a source, in order.
pub(crate) struct Item {
    pub(crate) messages: Vec<Message<Arc<Recorded>>>,
    /// Everything up to here is among them, or did not pass.
    pub(crate) place: u64,
}

/// A source, and how its messages look.
#[derive(Clone)]
pub(crate) struct Source {
    from: From,
    strategy: Strategy,
    resolve: bool,
}

#[derive(Clone)]
enum From {
    Stream(StreamId),
    View(Arc<View>),
    Nothing,
}

impl Source {
    /// What a group of this name and these settings delivers.
    pub(crate) fn of(name: &Name, settings: &Settings) -> Result<Self, Status> {
        let from = if name.source == ALL {
            let filter = settings.filter.as_ref().map(settings::understood).transpose()?;
            From::View(Arc::new(View::Events(filter.flatten())))
        } else {
            let named = Named::of(Some(identifier(&name.source)))?;
            match (View::links(&named), named) {
                (Some(view), _) => From::View(Arc::new(view)),
                (None, Named::Stream(stream)) => From::Stream(stream),
                (None, _) => From::Nothing,
            }
        };
        Ok(Self { from, strategy: settings.strategy, resolve: settings.resolve_links })
    }

    /// The place after which a group begins that is set up like this.
    pub(crate) fn after(&self, start: Start) -> u64 {
        match (start, &self.from) {
            (Start::Beginning, _) => 0,
            (Start::After(place), _) => place,
            (Start::At(revision), From::Stream(_) | From::Nothing) => revision,
            (Start::At(position), From::View(_)) => position.saturating_sub(1),
        }
    }

    /// The number that readers of the source know the message at this place by.
    pub(crate) fn number(&self, place: u64) -> u64 {
        match &self.from {
            From::Stream(_) | From::Nothing => place.saturating_sub(1),
            From::View(_) => place,
        }
    }

    /// The last place there is now.
    pub(crate) async fn end(&self, log: &dyn EventLog) -> Result<u64, ReadError> {
        Ok(match &self.from {
            From::Stream(stream) => last(log, stream).await?.map_or(0, |end| end.0 + 1),
            From::View(_) => log.head().await?.0,
            From::Nothing => 0,
        })
    }

    /// What comes after this place. Never ends.
    pub(crate) fn items(&self, log: &dyn EventLog, after: u64) -> BoxStream<'static, Item> {
        let this = self.clone();
        match &self.from {
            From::Stream(stream) => log
                .follow(stream.clone(), Revision(after))
                .map(move |batch| {
                    let place = batch.last().map_or(0, |event| event.revision.0 + 1);
                    let messages =
                        batch.into_iter().map(|event| this.message(event.revision.0 + 1, event));
                    Item { messages: messages.collect(), place }
                })
                .boxed(),
            From::View(view) => {
                let view = view.clone();
                log.subscribe(Position(after), view.coarse())
                    .map(move |delivery| {
                        let events = delivery.events.into_iter();
                        // Nothing is passed over because nobody knows whether it is wanted.
                        let wanted = |event: &_| view.admits(event).unwrap_or(true);
                        let wanted = events.filter(|event| is_news(event) && wanted(event));
                        let messages = wanted.map(|event| this.message(event.position.0, event));
                        Item { messages: messages.collect(), place: delivery.position.0 }
                    })
                    .boxed()
            }
            From::Nothing => futures::stream::pending().boxed(),
        }
    }

    /// A message that was set aside, once more.
    pub(crate) async fn again(
        &self,
        log: &dyn EventLog,
        number: u64,
        origin: &Origin,
    ) -> Result<Option<Message<Arc<Recorded>>>, ReadError> {
        let found = log.read(&origin.stream, origin.revision, Direction::Forward, 1).await?.pop();
        let parked = Some(number);
        Ok(found.map(|event| Message { parked, ..self.message(origin.place, event) }))
    }

    fn message(&self, place: u64, event: Arc<Recorded>) -> Message<Arc<Recorded>> {
        let id = match &self.from {
            From::View(view) => match &**view {
                View::Links(name, _) => link_id(&event, name),
                View::Events(_) => event.id,
            },
            From::Stream(_) | From::Nothing => event.id,
        };
        let pin = match self.strategy {
            Strategy::PinnedByCorrelation => pin(&belonging(&event)),
            _ => pin(event.stream.as_str()),
        };
        Message { id, place, pin, retries: 0, parked: None, event }
    }

    /// The answer that brings a message.
    pub(crate) fn show(&self, message: &Message<Arc<Recorded>>, ids: IdForm) -> ReadResp {
        let event = &*message.event;
        let link = match &self.from {
            From::View(view) => match &**view {
                View::Links(name, _) => Some(Shown::link(event, name, ids)),
                View::Events(_) => None,
            },
            From::Stream(_) | From::Nothing => None,
        };
        let (event, link) = match link {
            Some(link) if self.resolve => (Shown::event(event, ids), Some(link)),
            Some(link) => (link, None),
            None => (Shown::event(event, ids), None),
        };
        let retries = i32::try_from(message.retries).unwrap_or(i32::MAX);
        let shown = ReadEvent {
            position: Some(Place::CommitPosition(message.event.position.0)),
            event: Some(event.into()),
            link: link.map(Into::into),
            count: Some(Count::RetryCount(retries)),
        };
        ReadResp { content: Some(Content::Event(shown)) }
    }
}

/// The place that a client means by the end.
pub(crate) async fn at_end(
    log: &dyn EventLog,
    name: &Name,
    settings: &Settings,
) -> Result<Start, Status> {
    let end = Source::of(name, settings)?.end(log).await;
    end.map(Start::After).map_err(|error| status::unreadable(&error))
}

/// What groups record of themselves would make them record more.
fn is_news(event: &Recorded) -> bool {
    ![Groups::CATEGORY, Checkpoint::CATEGORY, Parked::CATEGORY].contains(&event.stream.category())
}
