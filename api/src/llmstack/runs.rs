//! `/api/apps/{app}/run`: whole answers, and streams of pieces.

mod wish;

use super::{Fault, Fields, Holder, apps, envelope::Detail, holder::Runner};
use crate::{
    app::App,
    core::{
        Path,
        app_runs::outcome,
        peer::Peer,
        run_stream::{self, Framing, RUN_ID, Reader},
        tie::Tie,
    },
    openapi::Documented,
};
use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
};
use domain::{app::plan::INPUT, ids::RunId, run::Origin};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;
pub(super) use wish::{Begun, Wanted, What, begin};

/// The routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(run))
        .routes(routes!(run_in_session))
        .routes(routes!(run_step))
        .tagged("Runs")
}

/// What an app is to answer.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = RunWish)]
struct Asked {
    /// Its keys are the names of the app's `input_fields`; files are data URLs.
    #[schema(value_type = Option<Object>)]
    input: Option<Map<String, Value>>,
    /// Whether the answer comes in pieces.
    #[schema(default = false)]
    stream: Option<bool>,
    /// The session that this belongs to; a new one unless it is named. One in the path counts more.
    #[schema(max_length = 512)]
    session_id: Option<String>,
}

/// A whole answer.
#[derive(Serialize, ToSchema)]
#[schema(as = RunAnswer)]
struct Answer {
    session: Session,
    /// A text if the app has a template; else what every step said, by its key. `{"errors": […]}` if something went wrong.
    output: Value,
    /// The run, as history knows it.
    #[serde(rename = "_id")]
    id: Uuid,
    /// What every step said, by its key; the input as `_inputs0`.
    #[schema(value_type = Object)]
    chunks: Map<String, Value>,
    /// What went wrong; only there if something did.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    errors: Vec<Value>,
}

/// A session.
#[derive(Serialize, ToSchema)]
#[schema(as = RunSession)]
struct Session {
    /// As the client chose it.
    id: String,
}

/// An answer in pieces, for those who ask for events.
const EVENTS: &str = r#"id: 0197f9c0-5a8e-7a7a-9c39-0d8f6cf2a7c1:0
data: {"session":{"id":"s1"},"csp":"frame-ancestors self","template":"{{ _inputs1.text }}"}

id: 0197f9c0-5a8e-7a7a-9c39-0d8f6cf2a7c1:1
data: {"_inputs1":{"text":"Thirty "}}

id: 0197f9c0-5a8e-7a7a-9c39-0d8f6cf2a7c1:2
data: {"_inputs1":{"text":"days"}}

"#;

/// Runs an app in a session of the body, or in a new one.
///
/// What runs is the newest version that is no draft; if there is none, its owner's draft. A step that fails is no failure of
/// the request: it is told in `errors`.
///
/// With `stream` the answer comes in pieces, one JSON object a line, still as `application/json`. The first names the session
/// and what to render in the end; all others have a step's key and a piece of what it says. Pieces of a step are put together:
/// texts are joined, objects and lists by their keys and places, of all else the later one counts. If something goes wrong,
/// the last line is `{"errors": […]}`. The end of the body is the end of the answer:
///
/// ```text
/// {"session":{"id":"s1"},"csp":"frame-ancestors self","template":"{{ _inputs1.text }}"}
/// {"_inputs1":{"text":"Thirty "}}
/// {"_inputs1":{"text":"days"}}
/// ```
///
/// An agent sends `templates` rather than `template`, and pieces such as
/// `{"agent":{"id":"…","from_id":"agent","type":"output","content":"…"}}`, with `step` and `step_error` as further types.
/// With `Accept: text/event-stream` each line is the data of an event, and signs of life begin with a colon. A client that goes
/// away stops the run.
#[utoipa::path(
    post,
    path = "/api/apps/{app}/run",
    params(("app" = Uuid, Path, description = "The app.")),
    request_body(content(
        (Asked = "application/json"),
        (Asked = "application/yaml"),
        (Asked = "application/x-www-form-urlencoded"),
        (Asked = "multipart/form-data"),
    )),
    responses(
        (status = 200, description = "The answer; lines or events with `stream`.", headers(
            ("X-Run-Id" = Uuid, description = "The run, as `/v1/runs/{id}` knows it."),
            ("Content-Security-Policy" = Option<String>, description = "Who may show the answer in a frame; of a whole answer."),
        ), content(
            (Answer = "application/json"),
            (String = "text/event-stream", example = json!(EVENTS)),
        )),
        (status = 403, description = "No valid token (`detail`), or none at all (no body)."),
        (status = 429, description = "The session is another run's for too long; see the header `Retry-After`.", body = Detail),
    ),
)]
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

/// Runs an app in this session.
///
/// A session that nobody knows is begun. See the operation without a session.
#[utoipa::path(
    post,
    path = "/api/apps/{app}/run/{session}",
    params(
        ("app" = Uuid, Path, description = "The app."),
        ("session" = String, Path, description = "Whatever the client likes to call it.", max_length = 512),
    ),
    request_body(content(
        (Asked = "application/json"),
        (Asked = "application/yaml"),
        (Asked = "application/x-www-form-urlencoded"),
        (Asked = "multipart/form-data"),
    )),
    responses(
        (status = 200, description = "The answer; lines or events with `stream`.", headers(
            ("X-Run-Id" = Uuid, description = "The run, as `/v1/runs/{id}` knows it."),
            ("Content-Security-Policy" = Option<String>, description = "Who may show the answer in a frame; of a whole answer."),
        ), content(
            (Answer = "application/json"),
            (String = "text/event-stream", example = json!(EVENTS)),
        )),
        (status = 403, description = "No valid token (`detail`), or none at all (no body)."),
        (status = 429, description = "The session is another run's for too long; see the header `Retry-After`.", body = Detail),
    ),
)]
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

/// Runs one step of an app's newest version alone, for those who may change the app.
#[utoipa::path(
    post,
    path = "/api/apps/{app}/processors/{step}/run",
    params(
        ("app" = Uuid, Path, description = "The app."),
        ("step" = String, Path, description = "Key of the step."),
    ),
    request_body(content(
        (Asked = "application/json"),
        (Asked = "application/yaml"),
        (Asked = "application/x-www-form-urlencoded"),
        (Asked = "multipart/form-data"),
    )),
    responses(
        (status = 200, description = "What the step says; lines or events with `stream`.", headers(
            ("X-Run-Id" = Uuid, description = "The run, as `/v1/runs/{id}` knows it."),
            ("Content-Security-Policy" = Option<String>, description = "Who may show the answer in a frame; of a whole answer."),
        ), content(
            (Answer = "application/json"),
            (String = "text/event-stream", example = json!(EVENTS)),
        )),
        (status = 403, description = "No valid token (`detail`), or the caller may run the app and not change it (no body)."),
        (status = 429, description = "The session is another run's for too long; see the header `Retry-After`.", body = Detail),
    ),
)]
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
    let (output, errors) = (finished.output, finished.errors);
    let body = Answer { session: Session { id: session }, output, id: run.0, chunks, errors };
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
