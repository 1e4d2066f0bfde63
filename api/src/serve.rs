//! The HTTP listener: all dialects on one address, until a signal.

use crate::{
    app::App,
    colliding,
    compose::Node,
    config::Config,
    core::{context, cors},
    drain_body,
    event_store::{self, People},
    genie, listen, llmstack,
    metrics::{self, Dialect},
    observe, probes, sage, v1,
};
use anyhow::{Context, Result, bail};
use axum::{Router, extract::DefaultBodyLimit, middleware};
use domain::categories::CATEGORIES;
use tokio::{net::TcpListener, signal};

/// Serves until SIGTERM or Ctrl-C, then goes down in order.
///
/// # Errors
/// When something needed cannot be had, with what to do about it.
pub async fn serve(config: Config) -> Result<()> {
    let listener = TcpListener::bind(config.listen)
        .await
        .with_context(|| format!("cannot listen on {} (ANNALS_LISTEN)", config.listen))?;
    let mut stopped = Box::pin(stop_signal()?);
    raise_file_limit();
    let node = tokio::select! {
        node = Node::start(config) => node?,
        () = &mut stopped => bail!("stopped before it was ready"),
    };
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
    let log = match &app.config.eventstore {
        Some(listener) => {
            let people = People::new(app.db.clone(), app.identity.clone());
            let (log, node, ours) = (app.log.clone(), app.node.0, CATEGORIES);
            let draining = draining.clone();
            Some(event_store::listen(listener, log, people, ours, node, draining).await?)
        }
        None => None,
    };
    let server = tokio::spawn(listen::until(draining, listener, router(app)));
    stop.await;
    tracing::info!("draining");
    node.drain().await;
    server.await.context("the HTTP listener failed")?;
    if let Some(log) = log {
        log.await.context("the EventStoreDB listener failed")?;
    }
    node.stop().await?;
    tracing::info!("stopped");
    Ok(())
}

/// All routes: every dialect at the root and alone under its prefix. Pages of other origins may call these, but not what is for
/// operators beside them.
pub fn router(app: App) -> Router {
    let sage = sage::routes()
        .layer(middleware::map_response(|response| observe::speaks(Dialect::Sage, response)));
    let genie = genie::routes()
        .layer(middleware::map_response(|response| observe::speaks(Dialect::Genie, response)));
    let llmstack = llmstack::routes()
        .layer(middleware::map_response(|response| observe::speaks(Dialect::LlmStack, response)));
    let speaks_genie =
        || middleware::map_response(|response| observe::speaks(Dialect::Genie, response));
    let (list, one) =
        (genie::skill_list().layer(speaks_genie()), genie::one_skill().layer(speaks_genie()));
    let theirs = list.clone().with_state(app.clone());
    let at_root = sage.clone().layer(middleware::from_fn(move |request, next| {
        colliding::list(theirs.clone(), request, next)
    }));
    let apis = Router::new()
        .merge(at_root)
        .merge(one.clone().layer(middleware::from_fn(colliding::one)))
        .merge(genie.clone())
        .merge(llmstack.clone())
        .merge(v1::routes())
        .nest("/sage", sage.fallback_service(sage::fallback(&app)))
        .nest("/genie", genie.merge(list).merge(one).fallback_service(genie::fallback()))
        .nest("/llmstack", llmstack.fallback_service(llmstack::fallback()))
        // A nested fallback takes what follows the prefix's slash, not the slash alone.
        .route_service("/genie/", genie::fallback())
        .route_service("/llmstack/", llmstack::fallback())
        .fallback_service(sage::fallback(&app))
        .layer(middleware::from_fn_with_state(app.clone(), cors::across));
    Router::new()
        .merge(probes::routes())
        .merge(metrics::routes())
        .merge(v1::beside())
        .merge(apis)
        // Extractors have limits of their own, which speak the dialect.
        .layer(DefaultBodyLimit::disable())
        .layer(middleware::from_fn_with_state(app.clone(), observe::request))
        .layer(middleware::from_fn(|request, next| {
            context::enter(sage::envelope::render, request, next)
        }))
        .layer(middleware::from_fn(drain_body::drain))
        .with_state(app)
}

/// Every stream is an open file, and the usual soft limit of 1,024 is for programs that still use `select`.
fn raise_file_limit() {
    use nix::sys::resource::{Resource::RLIMIT_NOFILE, getrlimit, setrlimit};
    let raised =
        getrlimit(RLIMIT_NOFILE).and_then(|(_, hard)| setrlimit(RLIMIT_NOFILE, hard, hard));
    if let Err(error) = raised {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
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
