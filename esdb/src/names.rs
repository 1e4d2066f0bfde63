//! What a stream's name means: one of ours, a view over many, or nothing that can be.

use crate::{groups::shelf_named, status, wire::shared::StreamIdentifier};
use commands::log::Filter;
use domain::{StreamId, subscription_group::Name};
use tonic::Status;

/// What somebody reads.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    /// One stream.
    Stream(StreamId),
    /// Links to the events of a category or of a type, in the order of the log.
    Links {
        /// The name asked for.
        name: Box<str>,
        /// Which events it links to.
        of: Filter,
    },
    /// What a persistent subscription has set aside.
    Shelf(Name),
    /// A possible name that no stream here can have.
    Nowhere,
}

impl Source {
    /// What this identifier means.
    pub(crate) fn of(identifier: Option<StreamIdentifier>) -> Result<Self, Status> {
        let name = text(identifier)?;
        let links = |of| Self::Links { name: name.as_str().into(), of };
        Ok(if let Some(category) = name.strip_prefix("$ce-") {
            links(Filter::categories(&[category]))
        } else if let Some(kind) = name.strip_prefix("$et-") {
            links(Filter::all().kinds(&[kind]))
        } else if let Some(group) = shelf_named(&name) {
            Self::Shelf(group)
        } else {
            name.parse().map_or(Self::Nowhere, Self::Stream)
        })
    }
}

/// Categories that nobody appends to over the protocol.
pub(crate) type Closed = &'static [&'static str];

/// The stream that somebody appends to.
pub(crate) fn target(
    identifier: Option<StreamIdentifier>,
    closed: Closed,
) -> Result<StreamId, Status> {
    let name = text(identifier)?;
    let stream: Result<StreamId, domain::NotAStream> = name.parse();
    match stream {
        Ok(stream) if name.starts_with('$') || closed.contains(&stream.category()) => {
            Err(status::access_denied())
        }
        Ok(stream) => Ok(stream),
        Err(_) if name.starts_with('$') => Err(status::access_denied()),
        Err(error) => Err(status::invalid(format!("{name:.80}: {error}"))),
    }
}

/// The name of a stream.
pub(crate) fn text(identifier: Option<StreamIdentifier>) -> Result<String, Status> {
    let name = identifier.ok_or_else(|| status::invalid("no stream is named"))?.stream_name;
    let name = String::from_utf8(name.into());
    name.ok()
        .filter(|name| !name.is_empty())
        .ok_or_else(|| status::invalid("a stream's name is UTF-8 text, and not empty"))
}

/// The wire form of a name.
pub(crate) fn identifier(name: &str) -> StreamIdentifier {
    StreamIdentifier { stream_name: name.to_owned().into_bytes().into() }
}
