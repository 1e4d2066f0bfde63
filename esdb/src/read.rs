//! `Read` with a count: pages of a stream, of the whole log, or of the links of a category or type.

use crate::{
    append::last,
    content::{IdForm, Shown},
    filter::{Filter, TooHard},
    names::{Source, identifier},
    status,
    wire::streams::{
        ReadResp,
        read_resp::{Content, ReadEvent, StreamNotFound, read_event},
    },
};
use async_stream::try_stream;
use commands::log::{self, Batch, Direction, EventLog};
use domain::{Position, Recorded, Revision, StreamId};
use futures::Stream;
use std::sync::Arc;
use tokio::task::coop::consume_budget;
use tonic::Status;

/// Events of the first page.
const FIRST: usize = 64;
/// Most events of a page.
const MOST: usize = 1_000;
/// Bytes a page should weigh.
const WEIGHT: usize = 2 << 20;

/// Where a read begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begin {
    /// Before the first event.
    Start,
    /// At this revision or position.
    At(u64),
    /// After the last event.
    End,
}

/// What a read asks for.
pub(crate) struct Wish {
    pub(crate) from: Begin,
    pub(crate) direction: Direction,
    pub(crate) count: u64,
    pub(crate) ids: IdForm,
    /// Whether links come with what they link to.
    pub(crate) resolve: bool,
    /// Whether the reader understands where a stream ends.
    pub(crate) bounds: bool,
}

/// One stream; the last revision after it when the reader understands that.
pub(crate) fn stream(
    log: Arc<dyn EventLog>,
    name: StreamId,
    wish: Wish,
) -> impl Stream<Item = Result<ReadResp, Status>> + Send {
    try_stream! {
        let Some(end) = last(&*log, &name).await.map_err(|error| status::unreadable(&error))? else {
            yield not_found(name.as_str());
            return;
        };
        let (mut left, mut page) = (wish.count, FIRST);
        let mut next = match (wish.from, wish.direction) {
            (Begin::Start, _) => Some(Revision(0)),
            (Begin::At(at), Direction::Forward) => Some(Revision(at)).filter(|at| *at <= end),
            (Begin::At(at), Direction::Backward) => Some(Revision(at.min(end.0))),
            (Begin::End, Direction::Backward) => Some(end),
            (Begin::End, Direction::Forward) => None,
        };
        while let Some(from) = next.filter(|_| left > 0) {
            let limit = page.min(usize::try_from(left).unwrap_or(MOST));
            let read = log.read_some(&name, from, wish.direction, limit).await;
            let events = read.map_err(|error| status::unreadable(&error))?;
            left -= events.len() as u64;
            page = paced(&events);
            next = events.last().and_then(|event| match wish.direction {
                Direction::Forward => Some(Revision(event.revision.0 + 1)).filter(|at| *at <= end),
                Direction::Backward => event.revision.0.checked_sub(1).map(Revision),
            });
            for event in &events {
                yield resolved(&*log, event, &wish).await?;
            }
        }
        if wish.bounds && wish.direction == Direction::Forward && next.is_none() {
            yield ReadResp { content: Some(Content::LastStreamPosition(end.0)) };
        }
    }
}

/// Which events of the whole log, and as what.
pub(crate) enum View {
    /// As they are, if they pass.
    Events(Option<Filter>),
    /// As links of this name.
    Links(Box<str>, log::Filter),
}

/// The whole log, filtered.
pub(crate) fn all(
    log: Arc<dyn EventLog>,
    view: View,
    wish: Wish,
) -> impl Stream<Item = Result<ReadResp, Status>> + Send {
    try_stream! {
        let end = log.head().await.map_err(|error| status::unreadable(&error))?;
        let mut left = wish.count;
        let mut found = false;
        let mut window = Window::of(&view, &wish, end);
        while let Some((after, limit)) = window.next().filter(|_| left > 0) {
            let page = log.read_all(after, limit, &view.coarse()).await;
            let page = page.map_err(|error| status::unreadable(&error))?;
            window.read(&page, limit);
            let mut events = page.events;
            events.retain(|event| window.holds(event));
            if wish.direction == Direction::Backward {
                events.reverse();
            }
            for event in &events {
                // Expressions may take their time, and others have a turn, too.
                consume_budget().await;
                if left > 0 && view.admits(event)? {
                    found = true;
                    left -= 1;
                    yield view.show(&*log, event, &wish).await?;
                }
            }
        }
        if let View::Links(name, _) = &view && !found && wish.from == Begin::Start {
            yield not_found(name);
        }
    }
}

/// The part of the log that is still to be read: positions from `first` to `last`, both included.
struct Window {
    first: u64,
    last: u64,
    direction: Direction,
    page: usize,
    /// What the current page covers.
    covered: (u64, u64),
}

impl Window {
    fn of(view: &View, wish: &Wish, end: Position) -> Self {
        // Links are numbered by position, and streams are read backwards from a number on, the whole log from before it.
        let before = u64::from(matches!(view, View::Events(_)));
        let (first, last) = match (wish.from, wish.direction) {
            (Begin::Start, Direction::Forward) => (1, end.0),
            (Begin::At(at), Direction::Forward) => (at.max(1), end.0),
            (Begin::At(at), Direction::Backward) => (1, at.saturating_sub(before).min(end.0)),
            (Begin::End, Direction::Backward) => (1, end.0),
            (Begin::End, Direction::Forward) | (Begin::Start, Direction::Backward) => (1, 0),
        };
        let page = usize::try_from(wish.count).unwrap_or(MOST).clamp(1, FIRST);
        Self { first, last, direction: wish.direction, page, covered: (0, 0) }
    }

    /// After which position to read how many events.
    fn next(&self) -> Option<(Position, usize)> {
        let length = (self.last + 1).checked_sub(self.first).filter(|length| *length > 0)?;
        let limit = self.page.min(usize::try_from(length).unwrap_or(MOST));
        Some(match self.direction {
            Direction::Forward => (Position(self.first - 1), limit),
            Direction::Backward => (Position(self.last - limit as u64), limit),
        })
    }

    /// Takes a page in that was read with this limit.
    fn read(&mut self, page: &log::Page, limit: usize) {
        match self.direction {
            Direction::Forward => {
                self.covered = (self.first, page.scanned.0.min(self.last));
                // A page that scanned nothing is the end.
                self.first = match page.scanned.0 >= self.first {
                    true => page.scanned.0 + 1,
                    false => self.last + 1,
                };
            }
            Direction::Backward => {
                // Pages end early when they are heavy: then fewer at once, until the whole window comes.
                let begin = self.last - limit as u64 + 1;
                if page.scanned.0 >= self.last || limit == 1 {
                    self.covered = (begin, self.last);
                    self.last = begin - 1;
                } else {
                    self.covered = (1, 0);
                    self.page = (limit / 2).max(1);
                    return;
                }
            }
        }
        self.page = match page.events.is_empty() {
            true => MOST,
            false => paced(&page.events),
        };
    }

    fn holds(&self, event: &Recorded) -> bool {
        (self.covered.0..=self.covered.1).contains(&event.position.0)
    }
}

impl View {
    /// The view that a source is of the whole log.
    pub(crate) fn links(source: &Source) -> Option<Self> {
        match source {
            Source::Links { name, of } => Some(Self::Links(name.clone(), of.clone())),
            Source::Stream(_) | Source::Shelf(_) | Source::Nowhere => None,
        }
    }

    /// What the log can leave out.
    pub(crate) fn coarse(&self) -> log::Filter {
        match self {
            Self::Events(filter) => filter.as_ref().map_or_else(log::Filter::all, Filter::coarse),
            Self::Links(_, of) => of.clone(),
        }
    }

    /// Whether what the log left is wanted.
    pub(crate) fn admits(&self, event: &Recorded) -> Result<bool, TooHard> {
        match self {
            Self::Events(Some(filter)) => filter.admits(event),
            Self::Events(None) | Self::Links(..) => Ok(true),
        }
    }

    /// The message that shows this event.
    pub(crate) async fn show(
        &self,
        log: &dyn EventLog,
        event: &Recorded,
        wish: &Wish,
    ) -> Result<ReadResp, Status> {
        let Self::Links(name, _) = self else { return resolved(log, event, wish).await };
        let link = Shown::link(event, name, wish.ids);
        Ok(event_of(Some(event).filter(|_| wish.resolve), link, wish.ids))
    }
}

/// An event, or what it links to: clients append links, too.
pub(crate) async fn resolved(
    log: &dyn EventLog,
    event: &Recorded,
    wish: &Wish,
) -> Result<ReadResp, Status> {
    let link = Shown::event(event, wish.ids);
    let Some((stream, revision)) = link.target().filter(|_| wish.resolve) else {
        return Ok(event_of(None, link, wish.ids));
    };
    let linked = log.read(&stream, revision, Direction::Forward, 1).await;
    let linked = linked.map_err(|error| status::unreadable(&error))?.pop();
    let linked = linked.filter(|event| event.revision == revision);
    Ok(event_of(linked.as_deref(), link, wish.ids))
}

/// An event as it is; a link with what it links to, if that is wanted and there.
pub(crate) fn event_of(linked: Option<&Recorded>, link: Shown, ids: IdForm) -> ReadResp {
    let position = Some(read_event::Position::CommitPosition(link.position));
    let shown = match linked {
        Some(event) => {
            let event = Some(Shown::event(event, ids).into());
            ReadEvent { event, link: Some(link.into()), position }
        }
        None => ReadEvent { event: Some(link.into()), link: None, position },
    };
    ReadResp { content: Some(Content::Event(shown)) }
}

/// There is no such stream.
pub(crate) fn not_found(name: &str) -> ReadResp {
    let stream_identifier = Some(identifier(name));
    ReadResp { content: Some(Content::StreamNotFound(StreamNotFound { stream_identifier })) }
}

/// Events the next page should hold, judged by this one.
fn paced(events: &Batch) -> usize {
    let weight: usize = events.iter().map(|event| event.weight()).sum();
    (WEIGHT * events.len()).checked_div(weight).unwrap_or(MOST).clamp(1, MOST)
}
