//! The HTTP listener: all dialects on one address, until a signal.

use crate::{app::App, compose::Node, config::Config, core::context, genie, probes, sage};
use anyhow::{Context, Result};
use axum::{Router, extract::DefaultBodyLimit, middleware};
use std::{net::SocketAddr, time::Duration};
use tokio::{net::TcpListener, signal};

/// How long connections may take to finish after a signal.
const GRACE: Duration = Duration::from_secs(10);

/// Serves until SIGTERM or Ctrl-C, then goes down in order.
///
/// # Errors
/// When something needed cannot be had, with what to do about it.
pub async fn serve(config: Config) -> Result<()> {
    let listener = TcpListener::bind(config.listen)
        .await
        .with_context(|| format!("cannot listen on {} (ANNALS_LISTEN)", config.listen))?;
    let stopped = stop_signal()?;
    let node = Node::start(config).await?;
    eprintln!("annals is serving http://{}", listener.local_addr()?);
    run(listener, node, stopped).await
}

/// Serves a node on this listener until `stop` resolves, then goes down in order.
///
/// # Errors
/// When the listener fails, or the database does not stop.
pub async fn run(
    listener: TcpListener,
    node: Node,
    stop: impl Future<Output = ()> + Send,
) -> Result<()> {
    let app = node.app.clone();
    tracing::info!(address = %listener.local_addr()?, node = %app.node, "serving");
    let draining = app.draining.clone();
    let server =
        axum::serve(listener, router(app).into_make_service_with_connect_info::<SocketAddr>())
            .with_graceful_shutdown(draining.cancelled_owned());
    let server = tokio::spawn(async move { server.await });
    stop.await;
    tracing::info!("draining");
    node.drain().await;
    match tokio::time::timeout(GRACE, server).await {
        Ok(result) => result.context("the HTTP listener failed")??,
        Err(_) => tracing::warn!("connections were cut"),
    }
    node.stop().await?;
    tracing::info!("stopped");
    Ok(())
}

/// All routes: every dialect at the root and alone under its prefix.
pub fn router(app: App) -> Router {
    let sage = sage::routes(&app);
    let genie = genie::routes(&app);
    Router::new()
        .merge(probes::routes())
        .merge(sage.clone())
        .merge(genie.clone())
        .nest("/sage", sage.fallback_service(sage::fallback(&app)))
        .nest("/genie", genie.fallback_service(genie::fallback()))
        .fallback_service(sage::fallback(&app))
        // Extractors have limits of their own, which speak the dialect.
        .layer(DefaultBodyLimit::disable())
        .layer(middleware::from_fn(|request, next| {
            context::enter(sage::envelope::render, request, next)
        }))
        .with_state(app)
}

/// Resolves at the first SIGTERM or Ctrl-C.
pub(crate) fn stop_signal() -> Result<impl Future<Output = ()>> {
    let mut terminate = signal::unix::signal(signal::unix::SignalKind::terminate())?;
    let mut interrupt = signal::unix::signal(signal::unix::SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
