//! The members of the cluster. Every node takes appends, so to clients that look for a leader the node they have reached is one, and the
//! others that serve the same log are its followers.

use crate::{
    content::IdForm,
    wire::{
        gossip::{
            ClusterInfo, EndPoint, MemberInfo, gossip_server::Gossip, member_info::VNodeState,
        },
        shared::Empty,
    },
};
use chrono::Utc;
use std::{
    net::{IpAddr, SocketAddr},
    str::FromStr,
    sync::Arc,
};
use tonic::{Request, Response, Status, async_trait};
use uuid::Uuid;

/// Where clients reach a node: a host's name or IP address, and a port.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Address {
    /// The host; addresses of IPv6 without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// It is not an [`Address`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a host and a port such as log.example.org:2113")]
pub struct NotAnAddress;

impl FromStr for Address {
    type Err = NotAnAddress;

    fn from_str(text: &str) -> Result<Self, NotAnAddress> {
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Self::try_from(address);
        }
        let (host, port) = text.rsplit_once(':').ok_or(NotAnAddress)?;
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        let port = port.parse().ok().filter(|port| *port > 0).ok_or(NotAnAddress)?;
        if host.is_empty() || host.len() > 253 || !host.chars().all(fits) {
            return Err(NotAnAddress);
        }
        Ok(Self { host: host.to_owned(), port })
    }
}

/// Unless it stands for every address of a machine.
impl TryFrom<SocketAddr> for Address {
    type Error = NotAnAddress;

    fn try_from(address: SocketAddr) -> Result<Self, NotAnAddress> {
        match (address.ip(), address.port()) {
            (_, 0) => Err(NotAnAddress),
            (IpAddr::V4(ip), _) if ip.is_unspecified() => Err(NotAnAddress),
            (IpAddr::V6(ip), _) if ip.is_unspecified() => Err(NotAnAddress),
            (ip, port) => Ok(Self { host: ip.to_canonical().to_string(), port }),
        }
    }
}

/// A node that serves the same log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Which.
    pub node: Uuid,
    /// Where clients reach it.
    pub address: Address,
}

/// Knows who else serves the same log.
pub trait Peers: Send + Sync {
    /// The others that are alive, as far as is known. Asked by everybody, so it has to be at hand.
    fn others(&self) -> Vec<Peer>;
}

pub(crate) struct Members {
    /// This process.
    pub(crate) node: Uuid,
    /// Where it says that it is reached.
    pub(crate) advertised: Option<Address>,
    /// Where it listens.
    pub(crate) listening: SocketAddr,
    pub(crate) peers: Arc<dyn Peers>,
}

#[async_trait]
impl Gossip for Members {
    async fn read(&self, request: Request<Empty>) -> Result<Response<ClusterInfo>, Status> {
        Ok(Response::new(self.seen_from(request.local_addr())))
    }
}

impl Members {
    /// What somebody is told who has reached this node at this address.
    fn seen_from(&self, reached: Option<SocketAddr>) -> ClusterInfo {
        // As it was reached: what it listens on may be every address at once.
        let reached = reached.unwrap_or(self.listening);
        let found =
            || Address { host: reached.ip().to_canonical().to_string(), port: reached.port() };
        let address = self.advertised.clone().unwrap_or_else(found);
        let others = self.peers.others().into_iter().filter(|peer| peer.address != address);
        let mut members: Vec<_> =
            others.map(|peer| member(peer.node, peer.address, VNodeState::Follower)).collect();
        members.insert(0, member(self.node, address, VNodeState::Leader));
        ClusterInfo { members }
    }
}

fn member(node: Uuid, address: Address, state: VNodeState) -> MemberInfo {
    // Clients for Node take no UUID of a version that is younger than they are.
    let instance = uuid::Builder::from_random_bytes(node.into_bytes()).into_uuid();
    MemberInfo {
        instance_id: Some(IdForm::Structured.of(instance)),
        time_stamp: Utc::now().timestamp_micros().saturating_mul(10),
        state: state.into(),
        is_alive: true,
        http_end_point: Some(EndPoint { address: address.host, port: address.port.into() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Others(Vec<Peer>);

    impl Peers for Others {
        fn others(&self) -> Vec<Peer> {
            self.0.clone()
        }
    }

    fn address(host: &str, port: u16) -> Address {
        Address { host: host.to_owned(), port }
    }

    fn told(advertised: Option<Address>, others: &[Address]) -> Vec<(String, u32, bool)> {
        let others =
            others.iter().map(|address| Peer { node: Uuid::nil(), address: address.clone() });
        let listening = SocketAddr::from(([0, 0, 0, 0], 2113));
        let peers = Arc::new(Others(others.collect()));
        let members = Members { node: Uuid::max(), advertised, listening, peers };
        let reached = SocketAddr::from(([10, 0, 0, 1], 2113));
        let shown = |member: MemberInfo| {
            let end = member.http_end_point.unwrap_or_default();
            (end.address, end.port, member.state == i32::from(VNodeState::Leader))
        };
        members.seen_from(Some(reached)).members.into_iter().map(shown).collect()
    }

    #[test]
    fn the_node_asked_comes_first_where_it_was_reached_or_says_it_is() {
        assert_eq!(told(None, &[]), [("10.0.0.1".to_owned(), 2113, true)]);
        let outside = address("log.example.org", 443);
        let others = [address("b", 1), outside.clone()];
        assert_eq!(
            told(Some(outside), &others),
            [("log.example.org".to_owned(), 443, true), ("b".to_owned(), 1, false)],
            "one address is listed once"
        );
    }

    #[test]
    fn a_node_is_known_by_an_id_that_old_clients_can_read() {
        let seen = member(Uuid::now_v7(), address("a", 1), VNodeState::Leader).instance_id;
        let seen = seen.as_ref().and_then(|id| crate::content::parse_id(id).ok());
        assert_eq!(seen.map(|id| id.get_version_num()), Some(4));
    }

    #[test]
    fn an_address_is_a_host_and_a_port() {
        assert_eq!("db-1.local:2113".parse(), Ok(address("db-1.local", 2113)));
        assert_eq!("10.0.0.1:2113".parse(), Ok(address("10.0.0.1", 2113)));
        assert_eq!("[::1]:2113".parse(), Ok(address("::1", 2113)));
        for text in [
            "",
            "a",
            ":1",
            "a:",
            "a:0",
            "a:70000",
            "0.0.0.0:1",
            "[::]:1",
            "esdb://a:1",
            "a b:1",
            "a:1/",
        ] {
            assert_eq!(text.parse::<Address>(), Err(NotAnAddress), "{text}");
        }
    }
}
