//! `/api/user-proxy`: people see and change their own profile, and nothing else of their account.

mod shapes;

use super::{
    Failed, Fault, Result,
    answers::{Data, Done, done},
    ids::shown,
    usage::iso,
};
use crate::{
    app::App,
    core::{
        Caller, Error, Json, Path,
        stored_file::{self, NotSent, Readers},
        upload::{File, Form, Incoming, Part, Refused, Rules},
    },
    openapi::Documented,
};
use axum::{
    extract::{FromRequest, Request, State},
    http::{HeaderMap, Method, StatusCode, header},
    response::Response,
};
use commands::{
    effects::media::{PictureType, picture_type},
    profiles,
};
use domain::{
    ids::UploadId,
    onboarding::Onboarding,
    profile::{Command, Field, Profile, Wish},
};
use projections::{profiles as read_model, uploads};
use serde_json::{Map, Value, json};
use shapes::{Change, Changed, Persona, Picture, Shown};
use utoipa_axum::{router::OpenApiRouter, routes};

/// A picture of a person.
const PICTURE: Rules = Rules { file_bytes: 5 << 20, files: 1 };
/// What people read of their account and others decide.
const PROTECTED: &[&str] = &[
    "id",
    "user_id",
    "email",
    "password",
    "role",
    "status",
    "tier",
    "token",
    "provider",
    "external_identifier",
    "admin_access",
    "app_access",
    "anythingllm_user_id",
    "date_created",
    "onboarding_state",
    "policies",
    "avatar_url",
    "impersonated_by",
];

/// The table of contents.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(show, change)).routes(routes!(file)).tagged("Profile")
}

/// Gets the caller's profile.
#[utoipa::path(
    get,
    path = "/api/user-proxy",
    responses((status = 200, description = "The profile.", body = Done<Data<Shown>>)),
)]
async fn show(State(app): State<App>, caller: Caller) -> Result<Done<Data<Shown>>> {
    Ok(done(Data { data: data(&app, &caller).await? }))
}

async fn data(app: &App, caller: &Caller) -> std::result::Result<Shown, Fault> {
    let Profile { details, avatar } = read_model::of(&app.db, &caller.user).await?;
    let state = app.load::<Onboarding>(&caller.user).await?.state().station.as_str();
    let person = caller.person.as_ref();
    let subscription = person.and_then(|person| person.subscription);
    Ok(Shown {
        id: shown(&caller.user),
        email: person.and_then(|person| person.email.clone()),
        first_name: details.first_name.unwrap_or_else(|| caller.username.clone()),
        last_name: details.last_name,
        avatar: avatar.map(|file| file.0),
        avatar_url: avatar.map(|file| format!("/api/user-proxy/files/{file}")),
        role: caller.role.as_str(),
        status: person.map_or("active", |person| person.status.as_str()),
        subscription_tier: person.map(|person| person.tier.to_string()),
        subscription_start: subscription.map(|subscription| iso(subscription.start)),
        subscription_period: subscription.map(|subscription| subscription.period.as_str()),
        onboarding_state: state,
        persona: Persona {
            bio: details.bio,
            tone: details.tone,
            brand_colors: details.brand_colors,
        },
        language: details.language,
        timezone: details.timezone,
        date_created: person.map(|person| iso(person.created_at)),
    })
}

/// Changes the caller's profile, as JSON or as a form with a picture.
#[utoipa::path(
    patch,
    path = "/api/user-proxy",
    request_body(content((Change = "application/json"), (Change = "multipart/form-data"))),
    responses(
        (status = 200, description = "The profile, as it is now.", body = Done<Changed>),
        (status = 403, description = "Others decide about a field (`field_not_writable`); nothing is changed.", body = Failed),
    ),
)]
async fn change(State(app): State<App>, caller: Caller, request: Request) -> Result<Done<Changed>> {
    let sent = request.headers().get(header::CONTENT_TYPE);
    let sent = sent.and_then(|value| value.to_str().ok()).unwrap_or_default();
    let form = sent.trim_start().to_ascii_lowercase().starts_with("multipart/form-data");
    let (wishes, picture) = if form {
        let incoming = Incoming::from_request(request, &app).await?;
        let mut form = incoming.open(&app.library.blobs, PICTURE);
        match receive(&app, &mut form).await {
            Ok(received) => received,
            Err(fault) => {
                form.discard().await;
                return Err(fault);
            }
        }
    } else {
        let Json(fields) = Json::<Map<String, Value>>::from_request(request, &app).await?;
        (wishes(fields)?, None)
    };
    if wishes.is_empty() && picture.is_none() {
        return Err(Fault::invalid("There is nothing to change"));
    }
    let metadata = caller.metadata();
    let changed = app.execute::<Profile>(&caller.user, &Command::Change(wishes), &metadata).await;
    let mut position = changed.map_err(Error::from)?.position;
    let mut stored = None;
    if let Some((file, kind)) = picture {
        let (user, size) = (&caller.user, file.blob.size);
        let avatar = app.set_avatar(user, &file.blob, kind, &metadata).await.map_err(not_set)?;
        position = position.max(avatar.position);
        app.caught_up("uploads", avatar.position).await;
        let (id, media_type) = (avatar.file.0, kind.media_type);
        stored = Some(Picture { id, filename: file.name, media_type, size });
    }
    app.caught_up("profiles", position).await;
    Ok(done(Changed { file: stored, data: data(&app, &caller).await? }))
}

type Received = (Vec<Wish>, Option<(File, PictureType)>);

/// The whole form, and what kind of picture is in it.
async fn receive(app: &App, form: &mut Form<'_>) -> std::result::Result<Received, Fault> {
    let (mut fields, mut found) = (Map::new(), None);
    while let Some(part) = form.next().await.map_err(not_taken)? {
        match part {
            Part::File { field, file } if matches!(field.as_str(), "file" | "avatar") => {
                found = Some(file);
            }
            Part::File { field, .. } => {
                return Err(Fault::invalid(format!("{field:.60} is no field for a file")));
            }
            Part::Text { name, value } => {
                let colors = snake(&name) == "brand_colors";
                let value =
                    if colors { json!(value.split(',').collect::<Vec<_>>()) } else { json!(value) };
                fields.insert(name, value);
            }
        }
    }
    let wishes = wishes(fields)?;
    let Some(file) = found else { return Ok((wishes, None)) };
    let bytes = app.library.blobs.read(&file.blob.hash, PICTURE.file_bytes).await;
    let bytes = bytes.map_err(|error| Error::Unavailable(error.to_string()))?;
    let kind = picture_type(&bytes);
    let kind = kind.ok_or_else(|| Fault::invalid("file has to be a PNG, JPEG or WebP picture"))?;
    Ok((wishes, Some((file, kind))))
}

/// What the fields ask for. What others decide comes before what is merely unknown.
fn wishes(fields: Map<String, Value>) -> std::result::Result<Vec<Wish>, Fault> {
    let protected = fields.keys().find(|key| {
        let name = snake(key);
        PROTECTED.contains(&name.as_str()) || name.starts_with("subscription")
    });
    if let Some(field) = protected {
        let extra = Map::from_iter([("field".to_owned(), json!(field))]);
        let message = format!("{field:.60} cannot be changed here").into();
        let (status, error) = (StatusCode::FORBIDDEN, "field_not_writable");
        return Err(Fault::Own { status, error, message, extra });
    }
    let mut all = Vec::new();
    for (key, value) in fields {
        match (snake(&key).as_str(), value) {
            ("persona", Value::Object(below)) => all.extend(wishes(below)?),
            ("brand_colors", value) => all.push(Wish::Colors(colors(value)?)),
            (name, value) => {
                let unknown = || Fault::invalid(format!("{key:.60} is no field of a profile"));
                let field = Field::named(name).ok_or_else(unknown)?;
                all.push(Wish::Text(field, text(field, value)?));
            }
        }
    }
    Ok(all)
}

fn text(field: Field, value: Value) -> std::result::Result<Option<String>, Fault> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text)),
        _ => Err(Fault::invalid(format!("{} has to be a text", field.as_str()))),
    }
}

fn colors(value: Value) -> std::result::Result<Vec<String>, Fault> {
    match value {
        Value::Null => Ok(vec![]),
        value => serde_json::from_value(value)
            .map_err(|_| Fault::invalid("brand_colors has to be a list of texts")),
    }
}

/// `brandColors` is `brand_colors`.
fn snake(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    for c in name.trim().chars() {
        if c.is_ascii_uppercase() && !snake.is_empty() && !snake.ends_with('_') {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    snake
}

/// Gets a picture of the caller.
#[utoipa::path(
    get,
    path = "/api/user-proxy/files/{id}",
    params(
        ("id" = uuid::Uuid, Path, description = "The file."),
        ("Range" = Option<String>, Header, description = "Which bytes."),
        ("If-None-Match" = Option<String>, Header, description = "What the client has."),
    ),
    responses(
        (status = 200, description = "The picture.", content((String = "image/png"), (String = "image/jpeg"), (String = "image/webp"))),
        (status = 206, description = "A part of it.", content((String = "image/png"), (String = "image/jpeg"), (String = "image/webp"))),
        (status = 304, description = "The client has it."),
        (status = 412, description = "It is another one than the client means.", body = Failed),
        (status = 416, description = "It has no such bytes.", body = Failed),
    ),
)]
async fn file(
    State(app): State<App>,
    caller: Caller,
    method: Method,
    Path(id): Path<UploadId>,
    headers: HeaderMap,
) -> std::result::Result<Response, Fault> {
    let row = uploads::get(&app.db, id).await?;
    let row = row.filter(|row| row.owner == caller.user.as_str()).ok_or(Error::NotFound)?;
    let blobs = &app.library.blobs;
    match stored_file::answer(blobs, &row, Readers::Owner, &method, &headers).await {
        Ok(response) => Ok(response),
        Err(NotSent::Core(error)) => Err(error.into()),
        Err(NotSent::Another) => {
            let (status, message) = (StatusCode::PRECONDITION_FAILED, "The file is another one");
            Err(Fault::new(status, "precondition_failed", message))
        }
        Err(NotSent::Unsatisfiable(size)) => {
            let message = format!("The file has {size} bytes");
            Err(Fault::new(StatusCode::RANGE_NOT_SATISFIABLE, "range_not_satisfiable", message))
        }
    }
}

/// Why a form was not taken, in the dialect's words.
pub fn not_taken(refused: Refused) -> Fault {
    match refused {
        Refused::TooLarge { limit, .. } => {
            Error::TooLarge { limit: usize::try_from(limit).unwrap_or(usize::MAX) }.into()
        }
        many @ Refused::TooMany(_) => Fault::invalid(many.to_string()),
        Refused::Other(error) => error.into(),
    }
}

fn not_set(error: profiles::Error) -> Fault {
    match error {
        profiles::Error::Failed(failure) => failure.into(),
        refused => Error::Internal(refused.to_string()).into(),
    }
}
