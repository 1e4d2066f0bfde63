//! `/api/apps/{app}/run`: whole answers, and streams of pieces.

mod wish;

use super::{Fault, Fields, Holder, apps, holder::Runner};
use crate::{
    app::App,
    core::{
        Path,
        app_runs::outcome,
        peer::Peer,
        run_stream::{self, Framing, RUN_ID, Reader},
        tie::Tie,
    },
};
use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
    routing::post,
};
use domain::{app::plan::INPUT, ids::RunId, run::Origin};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;
pub(super) use wish::{Begun, Wanted, What, begin};

/// The routes.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/api/apps/{app}/run", post(run))
        .route("/api/apps/{app}/run/{session}", post(run_in_session))
        .route("/api/apps/{app}/processors/{step}/run", post(run_step))
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
    Runner(holder): Runner,
    peer: Peer,
    headers: HeaderMap,
    Path(id): Path<String>,
    body: Fields,
) -> Result<Response, Fault> {
    let asked = asked(&body)?;
    let session = asked.session();
    let from = From { peer, headers, body };
    answer(&app, &holder, (&id, What::Released), session, asked, from).await
}

/// As [`run`]; the session in the path counts.
async fn run_in_session(
    State(app): State<App>,
    Runner(holder): Runner,
    peer: Peer,
    headers: HeaderMap,
    Path((id, session)): Path<(String, String)>,
    body: Fields,
) -> Result<Response, Fault> {
    let asked = asked(&body)?;
    let from = From { peer, headers, body };
    answer(&app, &holder, (&id, What::Released), session, asked, from).await
}

/// One step of the newest version alone, for those who may change the app.
async fn run_step(
    State(app): State<App>,
    holder: Holder,
    peer: Peer,
    headers: HeaderMap,
    Path((id, step)): Path<(String, String)>,
    body: Fields,
) -> Result<Response, Fault> {
    let asked = asked(&body)?;
    let session = asked.session();
    let from = From { peer, headers, body };
    answer(&app, &holder, (&id, What::Step(step)), session, asked, from).await
}

impl Asked {
    /// The session of the body, or a new one.
    fn session(&self) -> String {
        let session = self.session_id.clone().filter(|session| !session.is_empty());
        session.unwrap_or_else(|| Uuid::new_v4().to_string())
    }
}

/// Where a request came from.
struct From {
    peer: Peer,
    headers: HeaderMap,
    body: Fields,
}

impl From {
    fn origin(&self) -> Origin {
        let content_type = Some(self.body.content_type.clone());
        Origin { content_type, ..origin(&self.peer, &self.headers) }
    }
}

/// Where a request came from.
pub(super) fn origin(peer: &Peer, headers: &HeaderMap) -> Origin {
    let user_agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
    Origin {
        ip: peer.address.map(|address| address.to_string()),
        user_agent: user_agent.map(str::to_owned),
        content_type: None,
    }
}

fn asked(body: &Fields) -> Result<Asked, Fault> {
    serde_path_to_error::deserialize(&Value::Object(body.fields.clone()))
        .map_err(|error| Fault::bad_body(format!("{}: {}", error.path(), error.inner())))
}

async fn answer(
    app: &App,
    holder: &Holder,
    (id, what): (&str, What),
    session: String,
    asked: Asked,
    from: From,
) -> Result<Response, Fault> {
    let id = apps::parse(id)?;
    let stream = asked.stream.unwrap_or_default();
    let input = asked.input.unwrap_or_default();
    let wanted = Wanted { what, session: session.clone(), input, stream, origin: from.origin() };
    let metadata = holder.metadata();
    let Begun { run, shown, csp } = begin(app, holder, id, wanted, &metadata).await?;
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
    chunks.insert(INPUT.to_owned(), shown.into());
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
