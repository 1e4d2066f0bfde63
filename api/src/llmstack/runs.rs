//! `/api/apps/{app}/run`: whole answers, and streams of pieces.

use super::{Fault, Fields, Holder, apps};
use crate::{
    app::App,
    core::{
        Error, Path,
        app_runs::{begin, outcome},
        peer::Peer,
        run_stream::{self, Framing, RUN_ID, Reader},
        tie::Tie,
    },
    models::chosen,
};
use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
    routing::post,
};
use chrono::TimeDelta;
use commands::app_runs::{RunError, Wish};
use domain::{
    app::{Definition, plan::INPUT},
    ids::{AppId, AppSessionId, RunId},
    run::{AppTurn, Origin},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::time::Duration;
use uuid::Uuid;

/// Characters of a session id.
const SESSION_ID: usize = 512;
/// How long a run that cannot begin yet is best left alone.
const BUSY: Duration = Duration::from_secs(5);

/// The routes.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/api/apps/{app}/run", post(run))
        .route("/api/apps/{app}/run/{session}", post(run_in_session))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    input: Option<Map<String, Value>>,
    stream: Option<bool>,
    session_id: Option<String>,
}

async fn run(
    State(app): State<App>,
    holder: Holder,
    peer: Peer,
    headers: HeaderMap,
    Path(id): Path<String>,
    body: Fields,
) -> Result<Response, Fault> {
    let asked = asked(&body)?;
    let session = asked.session_id.clone().filter(|session| !session.is_empty());
    let session = session.unwrap_or_else(|| Uuid::new_v4().to_string());
    answer(&app, &holder, &id, session, asked, From { peer, headers, body }).await
}

/// As [`run`]; the session in the path counts.
async fn run_in_session(
    State(app): State<App>,
    holder: Holder,
    peer: Peer,
    headers: HeaderMap,
    Path((id, session)): Path<(String, String)>,
    body: Fields,
) -> Result<Response, Fault> {
    let asked = asked(&body)?;
    answer(&app, &holder, &id, session, asked, From { peer, headers, body }).await
}

/// Where a request came from.
struct From {
    peer: Peer,
    headers: HeaderMap,
    body: Fields,
}

fn asked(body: &Fields) -> Result<Asked, Fault> {
    serde_path_to_error::deserialize(&Value::Object(body.fields.clone()))
        .map_err(|error| Fault::bad_body(format!("{}: {}", error.path(), error.inner())))
}

async fn answer(
    app: &App,
    holder: &Holder,
    id: &str,
    session: String,
    asked: Asked,
    from: From,
) -> Result<Response, Fault> {
    if session.chars().count() > SESSION_ID {
        let text = format!("A session id has at most {SESSION_ID} characters.");
        return Err(Fault::bad_body(text));
    }
    let id = apps::parse(id)?;
    let stream = asked.stream.unwrap_or_default();
    let wish = wish(app, holder, id, &session, asked, &from).await?;
    let (input, csp) = (wish.turn.input.clone(), wish.turn.csp.clone());
    let metadata = holder.metadata();
    let run = begin(app, wish, &metadata).await.map_err(refused)?;
    let tie = Tie::new(app.clone(), run, metadata);
    if stream {
        return streamed(app, run, tie, Framing::wanted(&from.headers)).await;
    }
    let finished = match outcome(app, run).await {
        Ok(finished) => finished,
        Err(error) => {
            tie.loosen();
            return Err(error.into());
        }
    };
    tie.loosen();
    let mut chunks = finished.steps;
    chunks.insert(INPUT.to_owned(), input.into());
    let mut body = json!({
        "session": {"id": session}, "output": finished.output, "_id": run, "chunks": chunks,
    });
    if !finished.errors.is_empty() {
        body["errors"] = finished.errors.into();
    }
    let mut response = Json(body).into_response();
    let headers = response.headers_mut();
    for (name, value) in [(RUN_ID.clone(), run.to_string()), (header::CONTENT_SECURITY_POLICY, csp)]
    {
        headers.extend(HeaderValue::from_str(&value).ok().map(|value| (name, value)));
    }
    Ok(response)
}

/// What is to be run: the newest release, or for want of one its owner's draft.
async fn wish(
    app: &App,
    holder: &Holder,
    id: AppId,
    session: &str,
    asked: Asked,
    from: &From,
) -> Result<Wish, Fault> {
    let standing = apps::readable(app, holder, id).await?;
    let version = standing.runnable(&holder.user);
    let version = version.ok_or_else(|| Fault::error("The app has no published version"))?;
    let definition = (*version.definition).clone();
    if definition.type_slug == "voice-agent" {
        return Err(Fault::error("Unsupported app type voice-agent"));
    }
    let provider = app.models.preferred(&standing.owner).await?.map(|row| chosen(&row));
    let user_agent = from.headers.get(header::USER_AGENT);
    let user_agent = user_agent.and_then(|value| value.to_str().ok()).map(str::to_owned);
    let turn = AppTurn {
        app: id,
        version: version.number,
        input: definition.filled(asked.input.unwrap_or_default()),
        session: AppSessionId::of(id, &holder.user, session),
        stream: asked.stream.unwrap_or_default(),
        csp: csp(&definition, standing.published.is_some()),
        origin: Origin {
            ip: from.peer.address.map(|address| address.to_string()),
            user_agent,
            content_type: Some(from.body.content_type.clone()),
        },
        app_owner: standing.owner,
        definition,
    };
    Ok(Wish {
        caller: holder.user.clone(),
        session_id: session.to_owned(),
        turn,
        provider,
        lifetime: TimeDelta::seconds(app.config.app_session_seconds),
    })
}

/// Who may show the answer in a frame.
fn csp(definition: &Definition, published: bool) -> String {
    let web = definition.integrations.get("web_config");
    let sites = web.and_then(|web| web["allowed_sites"].as_array());
    let sites = sites.or_else(|| definition.config.get("allowed_sites")?.as_array());
    let plain = |site: &&str| {
        !site.is_empty() && site.bytes().all(|b| b.is_ascii_graphic() && b != b';' && b != b',')
    };
    let sites: Vec<&str> =
        sites.into_iter().flatten().filter_map(Value::as_str).filter(plain).collect();
    match (sites.is_empty(), published) {
        (false, _) => format!("frame-ancestors {}", sites.join(" ")),
        (true, true) => "frame-ancestors *".to_owned(),
        (true, false) => "frame-ancestors self".to_owned(),
    }
}

/// One JSON object per line. The end of a run is the end of the body; only what went wrong is said.
async fn streamed(app: &App, run: RunId, tie: Tie, framing: Framing) -> Result<Response, Fault> {
    let reader = Reader { run, index: 0, framing, heartbeat: framing == Framing::Sse };
    let told = |end: &str| end.starts_with("{\"errors\":");
    let mut response = run_stream::tied_until(app, reader, tie, told).await?;
    if framing == Framing::Lines {
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
    }
    response.headers_mut().insert(
        HeaderName::from_static("x-content-type-options"),
        HeaderValue::from_static("nosniff"),
    );
    Ok(response)
}

fn refused(error: RunError) -> Fault {
    match error {
        RunError::Unsupported(slugs) => Fault::Errors(
            slugs.iter().map(|slug| format!("Unsupported processor {slug}")).collect(),
        ),
        RunError::Busy => Error::Throttled { retry_after: BUSY }.into(),
        RunError::Draining => Error::Unavailable(error.to_string()).into(),
        RunError::Failed(failure) => failure.into(),
    }
}
