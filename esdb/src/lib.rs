//! The EventStoreDB gRPC protocol over the log, so that tooling made for that database reads annals, and so that one annals can
//! be the log of another.
//!
//! A call travels: [`Door`] finds out who calls and what they may do (`ServerFeatures` and `Gossip` are open, they say
//! nothing but the version) → a service translates it (`streams/`) → the [`EventLog`](commands::log::EventLog).
//!
//! What is like the original: commit and prepare positions ascend in the order of commits, expected revisions, links, filters, checkpoints,
//! errors with the trailers that clients look for. What differs: stream names are `category-id`; an event id counts once in the
//! whole log; nothing is deleted; `$ce-` and `$et-` streams number their links by position, ascending with gaps.

mod append;
mod batch;
mod content;
mod door;
mod features;
mod filter;
mod follow;
mod gossip;
mod groups;
mod names;
mod prompt;
mod read;
mod serve;
mod status;
mod streams;
mod wire;

pub use door::{Credentials, Denied, Door, Right};
pub use gossip::{Address, NotAnAddress, Peer, Peers};
pub use groups::{Alone, Claim, LEASE, Owners, Unknown};
pub use serve::{Endpoint, Failed, Identity, serve};
