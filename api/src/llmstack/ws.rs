//! `/ws/apps/{app}`: runs over a WebSocket, one after the other. Two generations of clients speak it; which one calls shows in
//! the first thing it says.
//!
//! A run is recorded before it is sent, as everywhere, and it is stopped when its client goes away. Nobody is let in by a
//! cookie, so pages of other sites get nowhere, whatever origin they name.

mod conversation;
mod delta;
mod frames;

use super::{
    Fault, Holder, apps,
    runs::{What, origin},
};
use crate::{
    app::App,
    core::{Error, Path, peer::Peer},
};
use axum::{
    Router,
    extract::{
        Query, State,
        ws::{WebSocketUpgrade, rejection::WebSocketUpgradeRejection},
    },
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
    routing::get,
};
use conversation::Conversation;
use serde::Deserialize;
use tokio::sync::Semaphore;

/// Bytes of a message at most, as of a request's body.
const LARGEST: usize = 25 << 20;
/// Connections of this process.
static CONNECTIONS: Semaphore = Semaphore::const_new(1_024);

/// The routes.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/ws/apps/{app}", get(released))
        .route("/ws/apps/{app}/preview", get(preview))
}

/// Browsers cannot send a header along.
#[derive(Debug, Deserialize)]
struct Key {
    token: Option<String>,
}

type Upgrade = Result<WebSocketUpgrade, WebSocketUpgradeRejection>;

async fn released(
    State(app): State<App>,
    peer: Peer,
    headers: HeaderMap,
    Path(id): Path<String>,
    Query(key): Query<Key>,
    upgrade: Upgrade,
) -> Result<Response, Fault> {
    open(app, (peer, headers), &id, key, upgrade, What::Released).await
}

/// As [`released`], with the draft, for those who may change the app.
async fn preview(
    State(app): State<App>,
    peer: Peer,
    headers: HeaderMap,
    Path(id): Path<String>,
    Query(key): Query<Key>,
    upgrade: Upgrade,
) -> Result<Response, Fault> {
    open(app, (peer, headers), &id, key, upgrade, What::Newest).await
}

async fn open(
    app: App,
    (peer, mut headers): (Peer, HeaderMap),
    id: &str,
    key: Key,
    upgrade: Upgrade,
    what: What,
) -> Result<Response, Fault> {
    if let (Some(token), false) = (key.token, headers.contains_key(header::AUTHORIZATION))
        && let Ok(mut value) = HeaderValue::from_str(&format!("Token {token}"))
    {
        value.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, value);
    }
    let holder = Holder::of(&app, &headers).await?;
    let id = apps::parse(id)?;
    match what {
        What::Released => apps::readable(&app, &holder, id).await?,
        What::Newest | What::Step(_) => apps::writable(&app, &holder, id).await?,
    };
    let upgrade = upgrade.map_err(|rejection| {
        Fault::Detail(StatusCode::UPGRADE_REQUIRED, rejection.body_text().into())
    })?;
    let seat = CONNECTIONS.try_acquire();
    let seat = seat.map_err(|_| Error::Unavailable("too many connections".to_owned()))?;
    let origin = origin(&peer, &headers);
    let conversation = Conversation::new(app, headers, id, what, origin);
    let upgrade = upgrade.max_message_size(LARGEST).max_frame_size(LARGEST);
    Ok(upgrade.on_upgrade(async move |socket| {
        conversation.hold(socket).await;
        drop(seat);
    }))
}
