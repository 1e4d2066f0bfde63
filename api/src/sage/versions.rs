//! Versions of the desktop client: lists for people, answers for its updater.

use super::{
    Fault, Reply, Result, Text,
    admin::Admin,
    envelope::{Failed, Replied, Told},
    text,
};
use crate::{
    app::App,
    core::{Caller, Json, Path},
    openapi::Documented,
};
use axum::{Json as Plain, extract::State};
use chrono::{DateTime, Utc};
use commands::{
    execute,
    versions::{Error, Latest},
};
use domain::{
    Position,
    version::{self, Command, Offer, Refusal, Release, Version},
};
use projections::versions::{self as read_model, Row};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(list, create))
        .routes(routes!(latest))
        .routes(routes!(check))
        .routes(routes!(import))
        .routes(routes!(remove))
        .tagged("Versions")
}

/// A version of the desktop client.
#[derive(Serialize, ToSchema)]
#[schema(as = Version)]
struct Dto {
    version: String,
    /// What is new.
    release_notes: String,
    /// When it came out: UTC without zone.
    pub_date: String,
    artifacts: Vec<Artifact>,
}

/// What there is to download for one platform.
#[derive(Deserialize, Serialize, ToSchema)]
struct Artifact {
    /// For example `darwin-aarch64`, `windows-x86_64`.
    platform: String,
    /// What people download.
    #[serde(default)]
    installer_url: Option<String>,
    /// What installed clients update themselves from.
    #[serde(default)]
    updater_url: Option<String>,
    /// Signature of the latter.
    #[serde(default)]
    updater_signature: Option<String>,
}

impl From<version::Artifact> for Artifact {
    fn from(artifact: version::Artifact) -> Self {
        let version::Artifact { platform, installer_url, updater_url, updater_signature } =
            artifact;
        Self { platform, installer_url, updater_url, updater_signature }
    }
}

impl Dto {
    fn new(version: &Version, release: Release) -> Self {
        Self {
            version: version.to_string(),
            release_notes: release.notes,
            pub_date: utc(release.published_at),
            artifacts: release.artifacts.into_iter().map(Artifact::from).collect(),
        }
    }
}

impl From<Row> for Dto {
    fn from(row: Row) -> Self {
        Self {
            version: row.version,
            release_notes: row.notes,
            pub_date: utc(row.published_at),
            artifacts: row.artifacts.0.into_iter().map(Artifact::from).collect(),
        }
    }
}

/// Without zone, as the dialect writes times.
fn utc(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%dT%H:%M:%S%.6f").to_string()
}

/// Lists the versions, the newest first.
#[utoipa::path(
    get,
    path = "/api/system/version",
    responses((status = 200, description = "All of them.", body = Replied<Vec<Dto>>)),
)]
async fn list(State(app): State<App>, _: Caller) -> Result<Vec<Dto>> {
    let rows = read_model::newest_first(&app.db).await?;
    Ok(Reply(Text::default(), rows.into_iter().map(Dto::from).collect()))
}

/// Gets the newest version, or `null`.
#[utoipa::path(
    get,
    path = "/api/system/version/latest",
    responses((status = 200, description = "The version.", body = Replied<Option<Dto>>)),
    security(()),
)]
async fn latest(State(app): State<App>) -> Result<Option<Dto>> {
    Ok(Reply(Text::default(), read_model::newest(&app.db).await?.map(Dto::from)))
}

/// What the client's updater understands; so without envelope.
#[derive(Serialize, ToSchema)]
struct Update {
    version: String,
    /// What is new.
    notes: String,
    /// When it came out.
    #[schema(format = DateTime)]
    pub_date: String,
    /// By the name of the platform.
    platforms: BTreeMap<String, PlatformUpdate>,
}

/// What a platform updates itself from.
#[derive(Serialize, ToSchema)]
struct PlatformUpdate {
    url: String,
    /// Empty if there is none.
    signature: String,
}

/// Tells the client's updater of the newest version, without envelope.
#[utoipa::path(
    get,
    path = "/api/system/version/check",
    responses(
        (status = 200, description = "The version.", body = Update),
        (status = 404, description = "There is no version.", body = Failed),
    ),
    security(()),
)]
async fn check(State(app): State<App>) -> std::result::Result<Plain<Update>, Fault> {
    let found = read_model::newest(&app.db).await?;
    let row = found.ok_or_else(|| Fault::Raised(404, missing()))?;
    let platform = |artifact: version::Artifact| {
        let signature = artifact.updater_signature.unwrap_or_default();
        let update = |url| PlatformUpdate { url, signature };
        artifact.updater_url.map(|url| (artifact.platform, update(url)))
    };
    Ok(Plain(Update {
        version: row.version,
        notes: row.notes,
        pub_date: format!("{}Z", utc(row.published_at)),
        platforms: row.artifacts.0.into_iter().filter_map(platform).collect(),
    }))
}

/// A version to publish.
#[derive(Deserialize, ToSchema)]
#[schema(as = CreateVersion)]
struct Body {
    /// For example `1.2.3`.
    version: String,
    /// What is new.
    #[serde(default)]
    release_notes: Option<String>,
    #[serde(default)]
    artifacts: Vec<Artifact>,
}

/// Publishes a version. For administrators.
#[utoipa::path(
    post,
    path = "/api/system/version",
    request_body = Body,
    responses((status = 200, description = "The version; or code 400 or 403.", body = Told<Dto>)),
)]
async fn create(
    State(app): State<App>,
    Admin(caller): Admin,
    Json(body): Json<Body>,
) -> Result<Dto> {
    let version = Version::parse(body.version.trim()).map_err(|refusal| worded(&refusal))?;
    let artifacts = body.artifacts.into_iter().map(blank_is_none).collect();
    let notes = body.release_notes.unwrap_or_default();
    let release = Release { notes, published_at: Utc::now(), artifacts };
    let command = Command::Publish(release.clone());
    let position = perform(&app, &caller, &version, &command).await?;
    app.caught_up("versions", position).await;
    Ok(Reply(text("版本创建成功", "Version created"), Dto::new(&version, release)))
}

/// Forms send what was left open as empty texts.
fn blank_is_none(artifact: Artifact) -> version::Artifact {
    let filled = |text: Option<String>| {
        text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
    };
    version::Artifact {
        platform: artifact.platform.trim().to_owned(),
        installer_url: filled(artifact.installer_url),
        updater_url: filled(artifact.updater_url),
        updater_signature: filled(artifact.updater_signature),
    }
}

/// Takes over the latest release from GitHub. For administrators.
#[utoipa::path(
    post,
    path = "/api/system/version/import_github",
    responses((
        status = 200,
        description = "The version; or code 403, or 500 when GitHub does not tell.",
        body = Told<Dto>,
    )),
)]
async fn import(State(app): State<App>, Admin(caller): Admin) -> Result<Dto> {
    let Latest { version, release } = app.releases.latest().await.map_err(not_imported)?;
    let command = Command::Import(release.clone());
    let position = perform(&app, &caller, &version, &command).await?;
    app.caught_up("versions", position).await;
    let message = text(format!("版本 {version} 导入成功"), format!("Version {version} imported"));
    Ok(Reply(message, Dto::new(&version, release)))
}

/// That it worked.
#[derive(Serialize, ToSchema)]
#[schema(as = VersionDeleted)]
struct Deleted {
    /// Always `true`.
    success: bool,
}

/// Withdraws a version. For administrators.
#[utoipa::path(
    delete,
    path = "/api/system/version/{version}",
    params(("version" = String, Path, description = "The version.")),
    responses((status = 200, description = "It is gone; or code 403 or 404.", body = Told<Deleted>)),
)]
async fn remove(
    State(app): State<App>,
    Admin(caller): Admin,
    Path(version): Path<String>,
) -> Result<Deleted> {
    // What cannot be a version's name names none.
    let version = Version::parse(&version).map_err(|_| Fault::Returned(404, missing()))?;
    let position = perform(&app, &caller, &version, &Command::Withdraw).await?;
    app.caught_up("versions", position).await;
    Ok(Reply(text("版本删除成功", "Version deleted"), Deleted { success: true }))
}

async fn perform(
    app: &App,
    caller: &Caller,
    version: &Version,
    command: &Command,
) -> std::result::Result<Option<Position>, Fault> {
    match app.execute::<Offer>(version, command, &caller.metadata()).await {
        Ok(decided) => Ok(decided.position),
        Err(execute::Error::Refused(refusal)) => Err(worded(&refusal)),
        Err(execute::Error::Failed(failure)) => Err(failure.into()),
    }
}

fn missing() -> Text {
    text("未找到版本", "Version not found")
}

fn worded(refusal: &Refusal) -> Fault {
    let message = match refusal {
        Refusal::Unknown => return Fault::Returned(404, missing()),
        Refusal::Exists => text("版本已存在", "The version already exists"),
        Refusal::BadVersion => text("版本号无效", refusal.to_string()),
        Refusal::LongNotes => text("版本说明过长", refusal.to_string()),
        Refusal::ManyArtifacts => text("安装包数量过多", refusal.to_string()),
        Refusal::BadPlatform => text("平台名称无效", refusal.to_string()),
        Refusal::BadUrl => text("下载地址无效，仅支持 http(s)", refusal.to_string()),
        Refusal::LongSignature => text("签名过长", refusal.to_string()),
    };
    Fault::Returned(400, message)
}

fn not_imported(error: Error) -> Fault {
    tracing::warn!(%error, "the latest release cannot be had");
    Fault::Returned(500, text("从 GitHub 获取版本失败", "Failed to fetch the release from GitHub"))
}
