//! Which node delivers a group: one at a time. What a group records is fenced by revisions, so two at once would only send messages twice.

use crate::gossip::{Peer, Peers};
use domain::subscription_group::GroupId;
use futures::{FutureExt, future::BoxFuture};
use std::{net::SocketAddr, time::Duration};

/// How long a claim holds unless it is made again.
pub const LEASE: Duration = Duration::from_secs(10);

/// Whose a group is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// This node's, for [`LEASE`] from now on.
    Ours,
    /// Another's, which can be reached there: a host and a port.
    Theirs(String, u16),
}

/// It cannot be found out now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it cannot be found out which node delivers")]
pub struct Unknown;

/// Keeps nodes apart.
pub trait Owners: Send + Sync {
    /// Makes a group this node's, or prolongs that, unless it is another's. `reached_at`: where clients find this node.
    fn claim(
        &self,
        group: GroupId,
        reached_at: SocketAddr,
    ) -> BoxFuture<'_, Result<Claim, Unknown>>;

    /// Lets others have it.
    fn release(&self, group: GroupId) -> BoxFuture<'_, ()>;
}

/// There are no other nodes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Alone;

impl Owners for Alone {
    fn claim(&self, _: GroupId, _: SocketAddr) -> BoxFuture<'_, Result<Claim, Unknown>> {
        std::future::ready(Ok(Claim::Ours)).boxed()
    }

    fn release(&self, _: GroupId) -> BoxFuture<'_, ()> {
        std::future::ready(()).boxed()
    }
}

impl Peers for Alone {
    fn others(&self) -> Vec<Peer> {
        Vec::new()
    }
}
