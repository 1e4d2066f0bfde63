//! `/api/onboarding`: how far somebody has come.

use super::{
    Fault, Result,
    ids::{self, shown},
    roles::Writer,
    user_proxy::not_taken,
    webhook::Either,
};
use crate::{
    app::App,
    core::{
        Caller, Context, Error, Json,
        upload::{self, File, Form, Incoming, Part, Rules},
    },
};
use axum::{
    Router,
    extract::State,
    http::StatusCode,
    routing::{get, post},
};
use chrono::Utc;
use commands::{
    execute, jobs,
    onboarding_import::{ARCHIVE, check},
};
use domain::{
    Decider,
    ids::{JobId, UploadId, UserId},
    job::{Operation, Request, Stage},
    onboarding::{Command, Onboarding, Refusal, Station},
    upload::{self as uploaded, Upload},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// One archive per upload.
const RULES: Rules = Rules { file_bytes: ARCHIVE, files: 1 };
/// Place of an import in its queue.
const PRIORITY: i32 = 10;

/// The table of contents.
pub fn routes() -> Router<App> {
    let both = || get(show).patch(go);
    Router::new()
        .route("/api/onboarding", both())
        .route("/api/onboarding/state", both())
        .route("/api/onboarding/zip-upload", post(take_in))
}

async fn show(State(app): State<App>, caller: Caller) -> Result<Value> {
    let state = app.load::<Onboarding>(&caller.user).await?.state().station.as_str();
    Ok(axum::Json(json!({ "state": state, "userId": shown(&caller.user) })))
}

#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    state: Option<String>,
    #[serde(default, rename = "userId", alias = "user_id")]
    user: Option<UserId>,
}

async fn go(State(app): State<App>, by: Either, Json(body): Json<Body>) -> Result<Value> {
    let Some(to) = body.state.as_deref().and_then(Station::named) else {
        let known = "EXTENSION_INSTALL, DATA_COLLECTION, PROCESSING or COMPLETE";
        return Err(Fault::invalid(format!("state has to be {known}")));
    };
    let named = body.user.map(ids::user);
    let (user, metadata, freely) = match &by {
        Either::Server => {
            let user = named.ok_or_else(|| Fault::invalid("userId is required"))?;
            app.identity.account(&user).await.map_err(super::auth::told)?;
            (user, Context::current().metadata(UserId::system()), true)
        }
        Either::Person(caller) if !caller.role.may_write() => return Err(Error::Forbidden.into()),
        Either::Person(caller) => {
            let user = named.unwrap_or_else(|| caller.user.clone());
            if user != caller.user && !caller.admin {
                return Err(Error::NotFound.into());
            }
            (user, caller.metadata(), caller.admin)
        }
    };
    let before = app.load::<Onboarding>(&user).await?.state().station;
    let command = Command::Move { to, freely };
    app.execute::<Onboarding>(&user, &command, &metadata).await.map_err(told)?;
    Ok(axum::Json(json!({
        "ok": true,
        "success": true,
        "state": to.as_str(),
        "onboarding_state": to.as_str(),
        "previousState": before.as_str(),
        "userId": shown(&user),
    })))
}

async fn take_in(
    State(app): State<App>,
    Writer(caller): Writer,
    incoming: Incoming,
) -> Result<Value> {
    let mut form = incoming.open(&app.library.blobs, RULES);
    let (file, wish) = match receive(&app, &caller, &mut form).await {
        Ok(received) => received,
        Err(fault) => {
            form.discard().await;
            return Err(fault);
        }
    };
    let (owner, metadata) = (&caller.user, caller.metadata());
    let keep = uploaded::Command::Keep {
        owner: owner.clone(),
        key: "onboarding/export.zip".to_owned(),
        blob: file.blob.hash,
        size: file.blob.size,
        media_type: "application/zip".to_owned(),
    };
    let kept = app.execute::<Upload>(&wish.file, &keep, &metadata).await.map_err(Error::from)?;
    app.caught_up("uploads", kept.position).await;
    if let Err(error) = app.execute::<Onboarding>(owner, &wish.command(), &metadata).await {
        // Somebody else was faster.
        let remove = uploaded::Command::Remove;
        app.execute::<Upload>(&wish.file, &remove, &metadata).await.map_err(Error::from)?;
        return Err(told(error));
    }
    let request = Request {
        owner: owner.clone(),
        operation: Operation::OnboardingImport,
        input_file: Some(wish.file.to_string()),
        input_url: None,
        params: Map::new(),
        profile: None,
        priority: PRIORITY,
    };
    // Should this fail, the export counts as one whose job never began: the next one takes its place.
    let queued = app.jobs.enqueue(wish.job, request, Utc::now(), &metadata).await;
    let queued = queued.map_err(not_queued)?;
    app.caught_up("jobs", queued.position).await;
    Ok(axum::Json(json!({
        "ok": true,
        "success": true,
        "jobId": wish.job,
        "filePath": format!("uploads/{}", wish.file),
        "fileId": wish.file,
        "state": Station::Processing.as_str(),
        "queue": Operation::OnboardingImport.queue().as_str(),
    })))
}

/// What is asked of the onboarding.
struct Wish {
    job: JobId,
    file: UploadId,
    instead_of: Option<JobId>,
}

impl Wish {
    fn command(&self) -> Command {
        Command::Upload { job: self.job, file: self.file, instead_of: self.instead_of }
    }
}

/// The archive, looked at, and what is asked, judged: what is refused leaves nothing behind.
async fn receive(
    app: &App,
    caller: &Caller,
    form: &mut Form<'_>,
) -> std::result::Result<(File, Wish), Fault> {
    let onboarding = app.load::<Onboarding>(&caller.user).await?;
    let instead_of = match onboarding.state().export {
        Some(job) => {
            let stage = app.jobs.find(job).await?.map(|job| job.stage);
            matches!(stage, None | Some(Stage::Completed | Stage::Failed)).then_some(job)
        }
        None => None,
    };
    let (job, file) = (JobId(Uuid::new_v4()), UploadId(Uuid::new_v4()));
    let wish = Wish { job, file, instead_of };
    let judged = onboarding.state().decide(&wish.command());
    judged.map_err(|refusal| told(execute::Error::Refused(refusal)))?;
    let mut found = None;
    while let Some(part) = form.next().await.map_err(not_taken)? {
        match part {
            Part::File { field, file } if field == "file" => found = Some(file),
            Part::File { field, .. } => {
                return Err(Fault::invalid(format!("{field:.60} is no field for a file")));
            }
            Part::Text { .. } => {}
        }
    }
    let found = found.ok_or_else(|| upload::missing("file"))?;
    let bytes = app.library.blobs.read(&found.blob.hash, ARCHIVE).await;
    let bytes = bytes.map_err(|error| Error::Unavailable(error.to_string()))?;
    let checked = tokio::task::spawn_blocking(move || check(&bytes)).await;
    let checked = checked.map_err(|error| Error::Internal(error.to_string()))?;
    let bad = |why: String| Fault::new(StatusCode::BAD_REQUEST, "invalid_archive", why);
    checked.map_err(|unusable| bad(unusable.to_string()))?;
    Ok((found, wish))
}

/// Why nobody moved on, in the dialect's words.
fn told(error: execute::Error<Refusal>) -> Fault {
    let refusal = match error {
        execute::Error::Refused(refusal) => refusal,
        execute::Error::Failed(failure) => return failure.into(),
    };
    let (error, extra) = match refusal {
        Refusal::NotNext { from, to } => {
            let allowed: Vec<_> = from.next().iter().map(|station| station.as_str()).collect();
            let places = [
                ("from".to_owned(), json!(from.as_str())),
                ("to".to_owned(), json!(to.as_str())),
                ("allowed".to_owned(), json!(allowed)),
            ];
            ("invalid_transition", Map::from_iter(places))
        }
        Refusal::Importing(job) => {
            ("import_running", Map::from_iter([("jobId".to_owned(), json!(job))]))
        }
    };
    Fault::Own {
        status: StatusCode::BAD_REQUEST,
        error,
        message: refusal.to_string().into(),
        extra,
    }
}

fn not_queued(error: jobs::Error) -> Fault {
    match error {
        jobs::Error::Failed(failure) => failure.into(),
        // A new id of an operation that costs nothing.
        refused => Error::Internal(refused.to_string()).into(),
    }
}
