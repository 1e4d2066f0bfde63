//! `/api/credentials`: keeping and showing what somebody logs in with at a platform.

use super::{
    Failed, Fault, Result,
    answers::{Done, Named, done},
    ids, roles,
    webhook::Either,
};
use crate::{
    app::App,
    core::{Caller, Context, Error, Json, Path},
    openapi::Documented,
};
use axum::{
    extract::State,
    http::{HeaderName, StatusCode, header},
};
use commands::{
    connections::{self, Account},
    effects::{Sensitive, vault::VaultError},
};
use domain::{
    Metadata,
    connection::{By, Refusal},
    ids::{ConnectionId, UserId},
    quota::Limit,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

/// Bytes of one set of credentials.
const LARGEST: usize = 64 << 10;
/// Characters of a platform's or an account's name.
const LONGEST_NAME: usize = 200;

/// The table of contents.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(store))
        .routes(routes!(reveal))
        .routes(routes!(create))
        .routes(routes!(shred))
        .also("/api/credentials/update-profile-creds", routes!(store))
        .tagged("Credentials")
}

/// What somebody logs in with at a platform.
#[derive(Deserialize, ToSchema)]
#[schema(as = Credentials)]
struct StoreBody {
    /// The connection; also as `profileId` or `id`. A new one has none.
    #[serde(default, alias = "creatorProfileId", alias = "profileId", alias = "id")]
    #[schema(value_type = Option<Uuid>)]
    creator_profile_id: Option<String>,
    /// Fields of any kind, at most 64 KiB.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    credentials: Option<Value>,
    /// Sealed by another server; only other servers send it.
    #[serde(default, alias = "encryptedCredentials")]
    #[schema(value_type = Option<String>)]
    encrypted_credentials: Option<Value>,
    #[serde(default)]
    #[schema(max_length = 200)]
    platform: Option<String>,
    /// Also as `username`.
    #[serde(default, alias = "platformUsername", alias = "username")]
    #[schema(max_length = 200)]
    platform_username: Option<String>,
    /// Whose they are; only other servers say so.
    #[serde(default, rename = "userId", alias = "user_id")]
    #[schema(value_type = Option<String>)]
    user: Option<UserId>,
}

/// Credentials that are kept.
#[derive(Serialize, ToSchema)]
#[schema(as = StoredCredentials)]
struct Stored {
    id: Uuid,
    /// As `id`.
    #[serde(rename = "creatorProfileId")]
    creator_profile_id: Uuid,
    /// Whether the connection was there before.
    updated: bool,
}

/// Keeps the credentials of a connection, sealed.
#[utoipa::path(
    post,
    path = "/api/credentials/store",
    request_body = StoreBody,
    responses(
        (status = 200, description = "They are kept.", body = Done<Stored>),
        (status = 403, description = "The subscription allows no more connections (`tier_limit_reached`), or somebody else acts as the caller.", body = Failed),
    ),
    security(("bearer" = []), ("session" = []), ("token" = []), ("secret" = [])),
)]
async fn store(
    State(app): State<App>,
    caller: Either,
    Json(body): Json<StoreBody>,
) -> Result<Done<Stored>> {
    let (by, metadata) = who(&caller)?;
    if let Either::Person(caller) = &caller {
        roles::in_person(caller)?;
    }
    let id = connection(body.creator_profile_id.as_deref())?;
    let credentials = match (&body.encrypted_credentials, &by) {
        // Whoever could have any blob opened would read what belongs to others.
        (Some(sealed), By::Server) => app.connections.unseal(sealed).map_err(told)?,
        (Some(_), _) => return Err(Error::Forbidden.into()),
        (None, _) => text(body.credentials.as_ref())?,
    };
    let username = name("platform_username", body.platform_username)?;
    if by == By::Server
        && let (Some(platform), Some(user)) = (platform(body.platform)?, body.user)
    {
        let owner = ids::user(user);
        app.identity.account(&owner).await.map_err(super::auth::told)?;
        let account = Account { owner, platform, username: username.clone() };
        app.connections.create(id, account, &metadata).await.map_err(told)?;
    }
    let limit = limit(&app, &caller).await?;
    let stored = app.connections.store(id, by, limit, &credentials, username, &metadata).await;
    stored.map_err(told)?;
    Ok(done(Stored { id: id.0, creator_profile_id: id.0, updated: true }))
}

/// Whose credentials are wanted.
#[derive(Deserialize, ToSchema)]
#[schema(as = CredentialsWish)]
struct RevealBody {
    /// The connection; also as `profileId` or `id`.
    #[serde(default, alias = "creatorProfileId", alias = "profileId", alias = "id")]
    #[schema(required, value_type = Uuid)]
    creator_profile_id: Option<String>,
}

/// Credentials, opened.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = RevealedCredentials)]
struct Revealed {
    creator_profile_id: Uuid,
    #[schema(value_type = Object)]
    credentials: Map<String, Value>,
}

type Uncached<T> = ([(HeaderName, &'static str); 1], axum::Json<Done<T>>);

/// Shows the credentials of a connection, and records that it did.
#[utoipa::path(
    post,
    path = "/api/credentials/reveal",
    request_body = RevealBody,
    responses(
        (status = 200, description = "The credentials.", body = Done<Revealed>),
        (status = 500, description = "They cannot be opened (`decrypt_failed`).", body = Failed),
    ),
    security(("bearer" = []), ("session" = []), ("token" = []), ("secret" = [])),
)]
async fn reveal(
    State(app): State<App>,
    caller: Either,
    Json(body): Json<RevealBody>,
) -> std::result::Result<Uncached<Revealed>, Fault> {
    let (by, metadata) = who(&caller)?;
    let id = connection(body.creator_profile_id.as_deref())?;
    let found = app.connections.reveal(id, by, &metadata).await.map_err(told)?;
    let credentials: Map<String, Value> =
        serde_json::from_str(found.expose()).map_err(|_| undecryptable())?;
    let revealed = Revealed { creator_profile_id: id.0, credentials };
    Ok(([(header::CACHE_CONTROL, "no-store")], done(revealed)))
}

/// Connects the caller with a platform.
#[utoipa::path(
    post,
    path = "/api/credentials/create-profile",
    request_body = StoreBody,
    responses(
        (status = 200, description = "They are connected.", body = Done<Stored>),
        (status = 403, description = "The subscription allows no more connections (`tier_limit_reached`), or somebody else acts as the caller.", body = Failed),
    ),
)]
async fn create(
    State(app): State<App>,
    caller: Caller,
    Json(body): Json<StoreBody>,
) -> Result<Done<Stored>> {
    writer(&caller)?;
    roles::in_person(&caller)?;
    let Some(platform) = platform(body.platform)? else {
        return Err(Fault::invalid("platform is required"));
    };
    let credentials = text(body.credentials.as_ref())?;
    let username = name("platform_username", body.platform_username)?;
    let account = Account { owner: caller.user.clone(), platform, username };
    let (limit, metadata) = (limit_of(&app, &caller.user).await?, caller.metadata());
    let connected = app.connections.connect(account, limit, &credentials, &metadata).await;
    let (id, updated) = connected.map_err(told)?;
    Ok(done(Stored { id: id.0, creator_profile_id: id.0, updated }))
}

/// Destroys the credentials of a connection, for good.
#[utoipa::path(
    delete,
    path = "/api/credentials/{id}",
    params(("id" = Uuid, Path, description = "The connection.")),
    responses((status = 200, description = "Nobody can open them any more.", body = Done<Named>)),
    security(("bearer" = []), ("session" = []), ("token" = []), ("secret" = [])),
)]
async fn shred(
    State(app): State<App>,
    caller: Either,
    Path(id): Path<ConnectionId>,
) -> Result<Done<Named>> {
    let (by, metadata) = who(&caller)?;
    app.connections.shred(id, by, &metadata).await.map_err(told)?;
    Ok(done(Named { id: id.0 }))
}

fn who(caller: &Either) -> std::result::Result<(By, Metadata), Fault> {
    match caller {
        Either::Server => Ok((By::Server, Context::current().metadata(UserId::system()))),
        Either::Person(caller) => {
            writer(caller)?;
            let user = caller.user.clone();
            let by = match caller.impersonator {
                None => By::Person(user),
                Some(_) => By::Impersonator(user),
            };
            Ok((by, caller.metadata()))
        }
    }
}

/// With how many platforms somebody may be connected; another server of the same operator decides that itself.
async fn limit(app: &App, caller: &Either) -> std::result::Result<Limit, Fault> {
    match caller {
        Either::Server => Ok(Limit::Unlimited),
        Either::Person(caller) => limit_of(app, &caller.user).await,
    }
}

/// Fails closed: who has no tier that is known has no platforms.
async fn limit_of(app: &App, user: &UserId) -> std::result::Result<Limit, Fault> {
    let denied =
        || tier_limit("quota_check_failed", "The subscription could not be checked", Map::new());
    let account = app.identity.account(user).await.map_err(|_| denied())?;
    app.usage.limits().connected_platforms(&account.tier).map_err(|_| denied())
}

fn tier_limit(reason: &str, message: &str, mut extra: Map<String, Value>) -> Fault {
    extra.insert("reason".to_owned(), json!(reason));
    extra.insert("action".to_owned(), json!("connected_platforms"));
    let (status, error) = (StatusCode::FORBIDDEN, "tier_limit_reached");
    Fault::Own { status, error, message: message.to_owned().into(), extra }
}

fn writer(caller: &Caller) -> std::result::Result<(), Fault> {
    if caller.role.may_write() { Ok(()) } else { Err(Error::Forbidden.into()) }
}

fn connection(sent: Option<&str>) -> std::result::Result<ConnectionId, Fault> {
    let Some(text) = sent.filter(|text| !text.is_empty()) else {
        return Err(Fault::invalid("creatorProfileId is required"));
    };
    text.parse().map_err(|_| Fault::invalid("creatorProfileId has to be a UUID"))
}

fn text(sent: Option<&Value>) -> std::result::Result<Sensitive, Fault> {
    let Some(Value::Object(fields)) = sent.filter(|sent| !sent.is_null()) else {
        return Err(Fault::invalid("credentials has to be an object"));
    };
    let text = serde_json::to_string(fields).map_err(|error| Error::Internal(error.to_string()))?;
    if fields.is_empty() || text.len() > LARGEST {
        return Err(Fault::invalid(format!("credentials holds 1 field to {LARGEST} bytes")));
    }
    Ok(Sensitive::from(text))
}

fn name(field: &str, sent: Option<String>) -> std::result::Result<Option<String>, Fault> {
    let sent = sent.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    match &sent {
        Some(text) if text.chars().count() > LONGEST_NAME || text.chars().any(char::is_control) => {
            Err(Fault::invalid(format!("{field} has at most {LONGEST_NAME} characters")))
        }
        _ => Ok(sent),
    }
}

/// A platform has one name, however it is written.
fn platform(sent: Option<String>) -> std::result::Result<Option<String>, Fault> {
    Ok(name("platform", sent)?.map(|platform| platform.to_lowercase()))
}

fn undecryptable() -> Fault {
    let message = "The credentials cannot be decrypted";
    Fault::new(StatusCode::INTERNAL_SERVER_ERROR, "decrypt_failed", message)
}

fn told(error: connections::Error) -> Fault {
    use connections::Error as E;
    let own = |status, code, message: String| Fault::new(status, code, message);
    match error {
        E::Refused(refusal @ Refusal::NoCredentials) => {
            own(StatusCode::NOT_FOUND, "credentials_not_found", refusal.to_string())
        }
        E::Refused(Refusal::Unknown | Refusal::Settled) => Error::NotFound.into(),
        E::Refused(refusal @ Refusal::Impersonation) => {
            own(StatusCode::FORBIDDEN, "impersonation_forbidden", refusal.to_string())
        }
        E::Limit(reached) => {
            let (limit, usage) = (reached.limit, reached.connected);
            let extra = [("limit".to_owned(), json!(limit)), ("usage".to_owned(), json!(usage))];
            let reason = if limit == 0 { "not_in_tier" } else { "limit_reached" };
            tier_limit(reason, &reached.to_string(), Map::from_iter(extra))
        }
        E::Vault(VaultError::Database(error)) => error.into(),
        E::Vault(VaultError::Damaged) => undecryptable(),
        E::Vault(VaultError::Destroyed) => Error::NotFound.into(),
        E::Unopened(unopened) => Fault::invalid(unopened.to_string()),
        E::NoImportKey => {
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            own(status, "server_misconfigured", E::NoImportKey.to_string())
        }
        E::Failed(failure) => failure.into(),
    }
}
