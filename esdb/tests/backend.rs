//! The EventStoreDB backend of the log against this endpoint, over the log in memory: the two prove each other.

#![expect(clippy::unwrap_used, reason = "tests")]

use annals_esdb::{Alone, Credentials, Denied, Door, Endpoint, Right};
use commands::{
    effects::Sensitive,
    log::{
        EventLog,
        contract::{Backend, some, stream},
        eventstore::EventStoreLog,
        memory::MemoryLog,
    },
    log_contract,
};
use domain::{Expected, ids::UserId};
use futures::{
    FutureExt,
    future::{BoxFuture, ready},
};
use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

/// Lets in who knows the word.
struct Word;

impl Door for Word {
    fn admit(
        &self,
        credentials: Credentials,
        _: Option<IpAddr>,
        _: Right,
    ) -> BoxFuture<'_, Result<UserId, Denied>> {
        let known = matches!(credentials, Credentials::Basic(name, word) if word.expose() == name);
        ready(if known { Ok("op".into()) } else { Err(Denied::Unknown) }).boxed()
    }
}

struct Served {
    address: SocketAddr,
    _stop: DropGuard,
}

impl Served {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let draining = CancellationToken::new();
        let stop = draining.clone().drop_guard();
        let log = Arc::new(MemoryLog::new());
        let (node, identity, closed): (_, _, &[_]) = (Uuid::nil(), None, &[]);
        let (door, owners, peers) = (Arc::new(Word), Arc::new(Alone), Arc::new(Alone));
        let advertised = None;
        let endpoint =
            Endpoint { log, door, owners, closed, node, advertised, peers, identity, draining };
        tokio::spawn(annals_esdb::serve(listener, endpoint));
        Self { address, _stop: stop }
    }
}

impl Backend for Served {
    fn open(&self) -> BoxFuture<'_, Arc<dyn EventLog>> {
        let url = format!("esdb://op:op@{}?tls=false", self.address);
        let log: Arc<dyn EventLog> = EventStoreLog::open(&Sensitive::from(url)).unwrap();
        ready(log).boxed()
    }
}

log_contract!(Served::start().await);

/// The client leaves Nagle's algorithm on: without acknowledgements at once nearly all calls take more than 40 ms. A busy machine
/// slows many down, never nine of ten so much.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_does_not_wait_for_an_acknowledgement() {
    let served = Served::start().await;
    let (log, stream) = (served.open().await, stream("thing"));
    let mut taken = Vec::new();
    for _ in 0..101 {
        let begun = Instant::now();
        log.append(some(&stream, Expected::Any, 1)).await.unwrap();
        taken.push(begun.elapsed());
    }
    taken.sort_unstable();
    assert!(taken[10] < Duration::from_millis(30), "nine of ten calls take {:?}", taken[10]);
}
