//! `/api/onboarding`: how far somebody has come.

use super::{
    Fault, Result,
    answers::{Done, done},
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
    openapi::Documented,
};
use axum::{extract::State, http::StatusCode};
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
use serde::{Deserialize, Serialize};
use serde_json::{Map, json};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

/// One archive per upload.
const RULES: Rules = Rules { file_bytes: ARCHIVE, files: 1 };
/// Place of an import in its queue.
const PRIORITY: i32 = 10;

/// The table of contents.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(show, go))
        .routes(routes!(take_in))
        .also("/api/onboarding/state", routes!(show, go))
        .tagged("Onboarding")
}

/// Where somebody is on the way in.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Onboarding)]
struct Shown {
    /// `EXTENSION_INSTALL`, `DATA_COLLECTION`, `PROCESSING` or `COMPLETE`.
    state: &'static str,
    user_id: String,
}

/// Tells where the caller is on the way in.
#[utoipa::path(
    get,
    path = "/api/onboarding",
    responses((status = 200, description = "Where they are.", body = Shown)),
)]
async fn show(State(app): State<App>, caller: Caller) -> Result<Shown> {
    let state = app.load::<Onboarding>(&caller.user).await?.state().station.as_str();
    Ok(axum::Json(Shown { state, user_id: shown(&caller.user) }))
}

/// Where somebody is to be.
#[derive(Deserialize, ToSchema)]
#[schema(as = OnboardingStep)]
struct Body {
    /// `EXTENSION_INSTALL`, `DATA_COLLECTION`, `PROCESSING` or `COMPLETE`.
    #[serde(default)]
    #[schema(required)]
    state: Option<String>,
    /// Who; the caller, unless it is another server or an administrator who says so.
    #[serde(default, rename = "userId", alias = "user_id")]
    #[schema(value_type = Option<String>)]
    user: Option<UserId>,
}

/// Somebody who has moved on.
#[derive(Serialize, ToSchema)]
#[schema(as = OnboardingMove)]
struct Moved {
    state: &'static str,
    /// As `state`.
    onboarding_state: &'static str,
    #[serde(rename = "previousState")]
    previous_state: &'static str,
    #[serde(rename = "userId")]
    user_id: String,
}

/// Moves somebody on; administrators and other servers also to places that are not next.
#[utoipa::path(
    patch,
    path = "/api/onboarding",
    request_body = Body,
    responses((status = 200, description = "They are there.", body = Done<Moved>)),
    security(("bearer" = []), ("session" = []), ("token" = []), ("secret" = [])),
)]
async fn go(State(app): State<App>, by: Either, Json(body): Json<Body>) -> Result<Done<Moved>> {
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
            (user, caller.metadata(), caller.admin || app.config.genie_onboarding_lenient)
        }
    };
    let before = app.load::<Onboarding>(&user).await?.state().station;
    let command = Command::Move { to, freely };
    app.execute::<Onboarding>(&user, &command, &metadata).await.map_err(told)?;
    Ok(done(Moved {
        state: to.as_str(),
        onboarding_state: to.as_str(),
        previous_state: before.as_str(),
        user_id: shown(&user),
    }))
}

/// An export of what somebody has elsewhere.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a shape for the document; the form is read part by part")]
struct Export {
    /// A ZIP archive.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
}

/// An export that is read.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Import {
    job_id: Uuid,
    file_path: String,
    file_id: Uuid,
    /// Always `PROCESSING`.
    state: &'static str,
    queue: &'static str,
}

/// Takes an export in, and begins to read it.
#[utoipa::path(
    post,
    path = "/api/onboarding/zip-upload",
    request_body(content = Export, content_type = "multipart/form-data"),
    responses((status = 200, description = "It is being read.", body = Done<Import>)),
)]
async fn take_in(
    State(app): State<App>,
    Writer(caller): Writer,
    incoming: Incoming,
) -> Result<Done<Import>> {
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
    Ok(done(Import {
        job_id: wish.job.0,
        file_path: format!("uploads/{}", wish.file),
        file_id: wish.file.0,
        state: Station::Processing.as_str(),
        queue: Operation::OnboardingImport.queue().as_str(),
    }))
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
