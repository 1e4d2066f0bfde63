//! `POST /api/genie/stream-chat`: a message to the assistant; its answer as it comes.

use super::{Failed, Fault, ids, roles::Writer};
use crate::{
    app::App,
    core::{
        Caller, Error, Json,
        run_stream::{self, Framing, Reader},
        tie::Tie,
    },
    models::chosen,
    openapi::Documented,
};
use axum::{
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use commands::genie_chat::{ChatError, Wish};
use domain::{
    onboarding::{Onboarding, Station},
    run::{ChatTurn, Settings},
};
use projections::users;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// Bytes of a message.
const MESSAGE: usize = 32 << 10;
/// Characters of a session id.
const SESSION_ID: usize = 128;

/// The table of contents.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(stream_chat)).tagged("Assistant")
}

/// A message to the assistant.
#[derive(Deserialize, ToSchema)]
#[schema(as = ChatMessage)]
struct Body {
    #[serde(default)]
    #[schema(required, min_length = 1)]
    message: Option<String>,
    /// Which chat; one of the caller's own unless it is named. Also as `session_id`.
    #[serde(default, rename = "sessionId", alias = "session_id")]
    #[schema(min_length = 1, max_length = 128)]
    session_id: Option<String>,
}

/// An answer, and the end of it.
const TRANSCRIPT: &str = r#"data: {"centerMode":"chat","close":false,"error":false,"leftPanel":null,"missionLabel":"Thinking","mood":"thinking","rightPanel":null,"type":"stage_update"}

data: {"close":false,"error":false,"sources":[],"textResponse":"Good evening.","type":"textResponseChunk","uuid":"01a20076-db89-737a-a187-0d58fca0d017"}

data: {"centerMode":"chat","close":false,"error":false,"leftPanel":null,"missionLabel":"Ready","mood":"idle","rightPanel":null,"type":"stage_update"}

data: {"chatId":"01a20076-db89-737a-a187-0d58fca0d017","close":true,"error":false,"metrics":{"completion_tokens":3,"duration":0.04,"model":"offline","outputTps":75.0,"prompt_tokens":509,"total_tokens":512},"sources":[],"type":"finalizeResponseStream","uuid":"01a20076-db89-737a-a187-0d58fca0d017"}

"#;

/// Sends a message to the assistant, and streams the answer.
///
/// The answer is a stream of events with nothing but `data:`, each a JSON object whose `type` says what it is: `stage_update`
/// (what the assistant is at), `textResponseChunk` (a piece of the answer, to append), `textResponse` (the whole of it, while
/// onboarding is not complete), `abort` (it failed; `error` says why) and `finalizeResponseStream`, which ends every stream.
/// Signs of life are lines `: ping`. A client that goes away stops the answer.
#[utoipa::path(
    post,
    path = "/api/genie/stream-chat",
    request_body = Body,
    responses(
        (status = 200, description = "The answer.", content(("text/event-stream", example = json!(TRANSCRIPT)))),
        (status = 503, description = "There is no workspace for the account yet (`account_setup_incomplete`), or the server goes down.", body = Failed),
    ),
)]
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
