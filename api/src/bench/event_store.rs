//! The log over the EventStoreDB protocol: endpoint and backend in this process, a loopback connection between them.

use super::scratch::Scratch;
use anyhow::Result;
use commands::{
    effects::Sensitive,
    log::{
        EventLog,
        bench::{self, Report},
        eventstore::EventStoreLog,
        postgres::{PostgresLog, Settings},
    },
};
use domain::ids::UserId;
use esdb::{Alone, Credentials, Denied, Door, Endpoint, Right};
use futures::{
    FutureExt,
    future::{BoxFuture, ready},
};
use std::{net::IpAddr, sync::Arc};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Lets everybody in: what is measured is the protocol.
struct Open;

impl Door for Open {
    fn admit(
        &self,
        _: Credentials,
        _: Option<IpAddr>,
        _: Right,
    ) -> BoxFuture<'_, Result<UserId, Denied>> {
        ready(Ok("bench".into())).boxed()
    }
}

/// Appends and reads by backend and endpoint, against the PostgreSQL backend that is behind them.
pub(super) async fn event_store(scratch: &Scratch, seconds: u64) -> Result<Report> {
    let near: Arc<dyn EventLog> =
        PostgresLog::open(scratch.pool.clone(), Settings::default()).await?;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let url = format!("esdb://bench:bench@{}?tls=false", listener.local_addr()?);
    let draining = CancellationToken::new();
    let endpoint = Endpoint {
        log: near.clone(),
        door: Arc::new(Open),
        owners: Arc::new(Alone),
        closed: &[],
        node: Uuid::now_v7(),
        advertised: None,
        peers: Arc::new(Alone),
        identity: None,
        draining: draining.clone(),
    };
    let served = tokio::spawn(esdb::serve(listener, endpoint));
    let far: Arc<dyn EventLog> = EventStoreLog::open(&Sensitive::from(url))?;
    let report = bench::elsewhere(&scratch.pool, &near, &far, seconds).await;
    draining.cancel();
    served.await??;
    Ok(report?)
}
