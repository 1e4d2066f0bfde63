//! Accepts connections: HTTP/1.1, without Nagle's delay, with a deadline for headers, and an orderly end.

use axum::{Router, extract::Request};
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use std::{io, net::SocketAddr, pin::pin, time::Duration};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;

/// How long a client may take to send a request's head, and how long an idle connection is kept.
const HEAD: Duration = Duration::from_secs(75);
/// How long connections may take to finish after the end was called.
const GRACE: Duration = Duration::from_secs(10);
/// Pause after the machine could not accept, most likely for want of file descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves until `draining`; then lets requests in flight finish, for a while.
pub async fn until(draining: CancellationToken, listener: TcpListener, router: Router) {
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = draining.cancelled() => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                let connection = connect(stream, peer, router.clone(), draining.clone());
                connections.spawn(connection);
            }
            // The peer was gone again; nothing is wrong here.
            Err(error) if is_the_peers(&error) => {}
            Err(error) => {
                tracing::error!(%error, "cannot accept connections");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    drop(listener);
    connections.close();
    if tokio::time::timeout(GRACE, connections.wait()).await.is_err() {
        tracing::warn!("connections were cut");
    }
}

/// Serves a connection to its end; from `draining` on it takes no further request.
async fn connect(stream: TcpStream, peer: SocketAddr, router: Router, draining: CancellationToken) {
    // Lines are small and have to leave at once.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "connection keeps its delay");
    }
    let service = router.map_request(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(axum::extract::ConnectInfo(peer));
        request.map(axum::body::Body::new)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service))
        .with_upgrades();
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = draining.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended");
    }
}

fn is_the_peers(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
