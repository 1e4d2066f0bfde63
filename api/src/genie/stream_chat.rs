//! `POST /api/genie/stream-chat`: a message to the assistant; its answer as it comes.

use super::{Fault, ids, roles::Writer};
use crate::{
    app::App,
    core::{
        Caller, Error, Json,
        run_stream::{self, Framing, Reader},
        tie::Tie,
    },
    models::chosen,
};
use axum::{
    Router,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::Response,
    routing::post,
};
use commands::genie_chat::{ChatError, Wish};
use domain::{
    onboarding::{Onboarding, Station},
    run::{ChatTurn, Settings},
};
use projections::users;
use serde::Deserialize;

/// Bytes of a message.
const MESSAGE: usize = 32 << 10;
/// Characters of a session id.
const SESSION_ID: usize = 128;

/// The table of contents.
pub fn routes() -> Router<App> {
    Router::new().route("/api/genie/stream-chat", post(stream_chat))
}

#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    message: Option<String>,
    #[serde(default, rename = "sessionId", alias = "session_id")]
    session_id: Option<String>,
}

async fn stream_chat(
    State(app): State<App>,
    Writer(caller): Writer,
    Json(body): Json<Body>,
) -> Result<Response, Fault> {
    let wish = wish(&app, &caller, body).await?;
    let metadata = caller.metadata();
    let run = app.chat(wish, &metadata).await.map_err(refused)?;
    let tie = Tie::new(app.clone(), run, metadata);
    let reader = Reader { run, index: 0, framing: Framing::Data, heartbeat: true };
    let mut response = run_stream::tied(&app, reader, tie).await?;
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("keep-alive"));
    Ok(response)
}

async fn wish(app: &App, caller: &Caller, body: Body) -> Result<Wish, Fault> {
    let message = body.message.unwrap_or_default();
    if message.trim().is_empty() {
        return Err(Fault::invalid("Message is empty."));
    }
    if message.len() > MESSAGE {
        return Err(Fault::invalid(format!("message has at most {MESSAGE} bytes")));
    }
    let session_id = match body.session_id {
        None => format!("genie-{}", ids::shown(&caller.user)),
        Some(id) if (1..=SESSION_ID).contains(&id.chars().count()) => id,
        Some(_) => {
            return Err(Fault::invalid(format!("sessionId has 1 to {SESSION_ID} characters")));
        }
    };
    // Those whom a proxy vouches for need not have an account here.
    if caller.person.is_none() && users::by_id(&app.db, &caller.user).await?.is_none() {
        let (status, error) = (StatusCode::SERVICE_UNAVAILABLE, "account_setup_incomplete");
        return Err(Fault::new(status, error, "There is no workspace for this account yet"));
    }
    let turn = turn(app, caller).await?;
    let mut settings = Settings::default();
    if let Some(row) = app.models.preferred(&caller.user).await? {
        settings.parameters = row.config.parameters();
        settings.provider = Some(chosen(&row));
    }
    Ok(Wish { owner: caller.user.clone(), session_id, message, turn, settings })
}

/// Where the caller is on the way in, and whose model answers.
async fn turn(app: &App, caller: &Caller) -> Result<ChatTurn, Fault> {
    if caller.admin {
        return Ok(ChatTurn { gate: None, hosted: true });
    }
    let station = app.load::<Onboarding>(&caller.user).await?.state().station;
    Ok(ChatTurn { gate: (station != Station::Complete).then_some(station), hosted: false })
}

fn refused(error: ChatError) -> Fault {
    match error {
        ChatError::Busy => {
            // The dialect's table has no 409 for this.
            Fault::new(StatusCode::BAD_REQUEST, "session_busy", error.to_string())
        }
        ChatError::Draining => Error::Unavailable(error.to_string()).into(),
        ChatError::Failed(failure) => failure.into(),
    }
}
