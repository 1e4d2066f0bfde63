//! The listener.

use crate::{
    door::Door,
    features::Features,
    gossip::{Address, Members, Peers},
    groups::{LogGroups, Owners, Serving},
    prompt::Prompt,
    streams::LogStreams,
    wire::{
        gossip::gossip_server::GossipServer,
        persistent_subscriptions::persistent_subscriptions_server::PersistentSubscriptionsServer,
        server_features::server_features_server::ServerFeaturesServer,
        streams::streams_server::StreamsServer,
    },
};
use commands::log::EventLog;
use futures::StreamExt;
use std::{sync::Arc, time::Duration};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Server, ServerTlsConfig, server::TcpIncoming};
use uuid::Uuid;

/// Calls of one connection at a time: a process that follows many streams makes one for each.
const CALLS: u32 = 10_000;
/// Largest message taken: one event, or one chunk of a batch.
const MESSAGE: usize = 24 << 20;
/// Silence after which a connection is asked whether it lives, and how long its answer may take.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// How long calls may go on after the server was told to stop.
const GRACE: Duration = Duration::from_secs(5);

/// What is served.
pub struct Endpoint {
    /// The log.
    pub log: Arc<dyn EventLog>,
    /// Lets callers in.
    pub door: Arc<dyn Door>,
    /// Keeps nodes apart that serve the same log.
    pub owners: Arc<dyn Owners>,
    /// Categories that nobody appends to: those of the server's own aggregates, unless it only keeps the log for others.
    pub closed: &'static [&'static str],
    /// This process, as it shows in gossip.
    pub node: Uuid,
    /// Where clients reach it, where that is not the address they have reached it at: behind a proxy, in a container.
    pub advertised: Option<Address>,
    /// Knows the other nodes that show in gossip.
    pub peers: Arc<dyn Peers>,
    /// How it proves who it is; without, there is no TLS, and some clients send no credentials.
    pub identity: Option<Identity>,
    /// Ends everything when it is cancelled.
    pub draining: CancellationToken,
}

/// A certificate chain and its key, as PEM.
pub struct Identity {
    /// The chain.
    pub certificate: Vec<u8>,
    /// The key.
    pub key: Vec<u8>,
}

/// Why it cannot be served.
#[derive(Debug, thiserror::Error)]
#[error("the EventStoreDB endpoint failed: {0}")]
pub struct Failed(Box<str>);

/// Serves until the endpoint drains.
///
/// # Errors
/// When the listener fails.
pub async fn serve(listener: TcpListener, endpoint: Endpoint) -> Result<(), Failed> {
    let failed = |error: &dyn std::fmt::Display| Failed(error.to_string().into());
    let Endpoint { log, door, owners, closed, node, advertised, peers, identity, draining } =
        endpoint;
    let address = listener.local_addr().map_err(|error| failed(&error))?;
    let incoming = TcpIncoming::from_listener(listener, true, Some(KEEP_ALIVE))
        .map_err(|error| failed(&error))?
        .map(|connection| connection.map(Prompt));
    let serving = Arc::new(Serving::new(log.clone(), owners, draining.clone()));
    let groups = LogGroups {
        log: log.clone(),
        door: door.clone(),
        draining: draining.clone(),
        serving: serving.clone(),
        address,
    };
    let members = Members { node, advertised, listening: address, peers };
    let streams = LogStreams { log, door, closed, draining: draining.clone() };
    let mut server = Server::builder();
    if let Some(Identity { certificate, key }) = identity {
        let identity = tonic::transport::Identity::from_pem(certificate, key);
        let tls = ServerTlsConfig::new().identity(identity);
        server = server.tls_config(tls).map_err(|error| failed(&error))?;
    }
    let served = server
        .max_concurrent_streams(CALLS)
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(8 << 20)
        .http2_keepalive_interval(Some(KEEP_ALIVE))
        .http2_keepalive_timeout(Some(KEEP_ALIVE))
        .add_service(StreamsServer::new(streams).max_decoding_message_size(MESSAGE))
        .add_service(PersistentSubscriptionsServer::new(groups))
        .add_service(ServerFeaturesServer::new(Features))
        .add_service(GossipServer::new(members))
        .serve_with_incoming_shutdown(incoming, draining.cancelled());
    let late = async {
        draining.cancelled().await;
        tokio::time::sleep(GRACE).await;
    };
    let served = tokio::select! {
        served = served => served.map_err(|error| failed(&error)),
        () = late => Ok(()),
    };
    if draining.is_cancelled() && tokio::time::timeout(GRACE, serving.ended()).await.is_err() {
        tracing::warn!("persistent subscriptions did not record in time how far they are");
    }
    served
}
