//! The members of the cluster: to clients that look for a leader, the node they have reached is one.

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
use std::net::SocketAddr;
use tonic::{Request, Response, Status, async_trait};
use uuid::Uuid;

pub(crate) struct Members {
    /// This process.
    pub(crate) node: Uuid,
    /// Where it listens.
    pub(crate) address: SocketAddr,
}

#[async_trait]
impl Gossip for Members {
    async fn read(&self, request: Request<Empty>) -> Result<Response<ClusterInfo>, Status> {
        // As it was reached: what it listens on may be every address at once.
        let address = request.local_addr().unwrap_or(self.address);
        let end_point = EndPoint { address: address.ip().to_string(), port: address.port().into() };
        let member = MemberInfo {
            instance_id: Some(IdForm::Structured.of(self.node)),
            time_stamp: Utc::now().timestamp_micros().saturating_mul(10),
            state: VNodeState::Leader.into(),
            is_alive: true,
            http_end_point: Some(end_point),
        };
        Ok(Response::new(ClusterInfo { members: vec![member] }))
    }
}
