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
    envelope::Detail,
    runs::{What, origin},
};
use crate::{
    app::App,
    core::{Error, Path, Query, peer::Peer},
    openapi::Documented,
};
use axum::{
    extract::{
        State,
        ws::{WebSocketUpgrade, rejection::WebSocketUpgradeRejection},
    },
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};
use conversation::Conversation;
use serde::Deserialize;
use tokio::sync::Semaphore;
use utoipa_axum::{router::OpenApiRouter, routes};

/// Bytes of a message at most, as of a request's body.
const LARGEST: usize = 25 << 20;
/// Connections of this process.
static CONNECTIONS: Semaphore = Semaphore::const_new(1_024);

/// The routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(released)).routes(routes!(preview)).tagged("Runs")
}

/// Browsers cannot send a header along.
#[derive(Debug, Deserialize)]
struct Key {
    token: Option<String>,
}

type Upgrade = Result<WebSocketUpgrade, WebSocketUpgradeRejection>;

/// Opens a WebSocket for runs of an app.
///
/// Messages are texts, a JSON object each, of 25 MiB at most. Runs of a connection go one after the other; eight may wait.
/// Which generation of clients calls shows in what it says.
///
/// Those that name an `event` say `{"event": "run", "id": …, "input": {…}, "session_id": "…"}` for a run, where `id` is their
/// own name for it, and `{"event": "stop"}` to stop what goes on. They hear, in this order,
///
/// ```text
/// {"id":"0197…","client_request_id":"r1","type":"output_stream_begin","data":{"session":{"id":"s1"},"csp":"…","template":"…"}}
/// {"id":"0197…","client_request_id":"r1","type":"output_stream_chunk","data":{"deltas":{"output":"+Thirty "},"chunk":{"_inputs1":{"text":"Thirty "}}}}
/// {"id":"0197…","client_request_id":"r1","type":"output_stream_chunk","data":{"deltas":{"output":"=7\t+days"},"chunk":{"_inputs1":{"text":"days"}}}}
/// {"event":"done","request_id":"r1"}
/// ```
///
/// A delta is what changes in the rendered output, as diff-match-patch writes it: `=N` keep, `-N` delete, `+text` insert, with
/// tabs in between; lengths in UTF-16 units, inserted text percent-encoded. What goes wrong is
/// `{"errors": […], "request_id": …}`, and then `done`.
///
/// Older clients say `{"input": {…}, "session_id": "…"}` and hear the lines of a stream over HTTP, then `{"event":"done"}`; what
/// goes wrong is `{"errors": […]}`.
///
/// Without a session, the connection has one of its own. A client that goes away stops the run. The server asks for signs of
/// life, closes after ten minutes without a run (1000), on what is no text (1003), and when it goes down (1012).
#[utoipa::path(
    get,
    path = "/ws/apps/{app}",
    params(("app" = Uuid, Path, description = "The app.")),
    responses(
        (status = 101, description = "The connection is a WebSocket now."),
        (status = 426, description = "That was no handshake.", body = Detail),
    ),
    security(("token" = []), ("key" = [])),
)]
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

/// Opens a WebSocket for runs of an app's newest version, draft or not, for those who may change the app.
///
/// It speaks as the one for everybody.
#[utoipa::path(
    get,
    path = "/ws/apps/{app}/preview",
    params(("app" = Uuid, Path, description = "The app.")),
    responses(
        (status = 101, description = "The connection is a WebSocket now."),
        (status = 403, description = "No valid token (`detail`), or the caller may run the app and not change it (no body)."),
        (status = 426, description = "That was no handshake.", body = Detail),
    ),
    security(("token" = []), ("key" = [])),
)]
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
