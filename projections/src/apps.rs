//! Read model: apps with all their versions.

use crate::{ApplyError, Projection, column};
use chrono::{DateTime, Utc};
use domain::{
    Recorded,
    app::{Audience, Definition, Event, Visibility},
    codec,
    ids::{AppId, UserId},
};
use futures::future::BoxFuture;
use sqlx::{FromRow, PgConnection, PgPool, types::Json};
use uuid::Uuid;

/// Apps listed at most.
const LISTED: i64 = 1_000;

/// The read model.
pub struct Apps;

impl Projection for Apps {
    fn name(&self) -> &'static str {
        "apps"
    }

    fn tables(&self) -> &'static [&'static str] {
        &["apps", "app_versions"]
    }

    fn categories(&self) -> &'static [&'static str] {
        &["app"]
    }

    fn apply<'a>(
        &'a self,
        db: &'a mut PgConnection,
        recorded: &'a Recorded,
    ) -> BoxFuture<'a, Result<(), ApplyError>> {
        Box::pin(async move {
            let Ok(id) = recorded.stream.key().parse::<Uuid>() else { return Ok(()) };
            match codec::decode::<Event>(&recorded.kind, &recorded.data)? {
                Event::AppCreated { owner, definition, draft, comment } => {
                    sqlx::query(
                        "insert into apps (app_id, owner, modified_by, visibility, readers, writers,
                             created_at, updated_at, position, revision)
                         values ($1, $2, $2, $3, '{}', '{}', $4, $4, $5, $6)",
                    )
                    .bind(id)
                    .bind(owner.0)
                    .bind(visibility_name(Visibility::default()))
                    .bind(recorded.recorded_at)
                    .bind(column(recorded.position.0))
                    .bind(column(recorded.revision.0))
                    .execute(&mut *db)
                    .await?;
                    save(db, recorded, id, Saved { version: 0, definition, draft, comment }).await
                }
                Event::AppVersionSaved { version, definition, draft, comment } => {
                    touch(db, recorded, id).await?;
                    save(db, recorded, id, Saved { version, definition, draft, comment }).await
                }
                Event::AppPublished { published, audience } => {
                    touch(db, recorded, id).await?;
                    publish(db, id, published, audience).await
                }
                Event::AppUnpublished {} => {
                    touch(db, recorded, id).await?;
                    let update = sqlx::query("update apps set published = null where app_id = $1");
                    update.bind(id).execute(db).await?;
                    Ok(())
                }
                Event::AppDeleted {} => {
                    let delete = "with gone as (delete from app_versions where app_id = $1)
                                  delete from apps where app_id = $1";
                    sqlx::query(delete).bind(id).execute(db).await?;
                    Ok(())
                }
            }
        })
    }
}

struct Saved {
    version: u32,
    definition: Box<Definition>,
    draft: bool,
    comment: String,
}

async fn save(
    db: &mut PgConnection,
    at: &Recorded,
    id: Uuid,
    saved: Saved,
) -> Result<(), ApplyError> {
    sqlx::query(
        "insert into app_versions (app_id, version, draft, comment, definition, created_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $6)
         on conflict (app_id, version) do update
         set draft = excluded.draft, comment = excluded.comment, definition = excluded.definition,
             updated_at = excluded.updated_at",
    )
    .bind(id)
    .bind(i64::from(saved.version))
    .bind(saved.draft)
    .bind(saved.comment)
    .bind(Json(saved.definition))
    .bind(at.recorded_at)
    .execute(db)
    .await?;
    Ok(())
}

async fn touch(db: &mut PgConnection, at: &Recorded, id: Uuid) -> Result<(), ApplyError> {
    sqlx::query(
        "update apps set updated_at = $2, revision = $3, modified_by = $4 where app_id = $1",
    )
    .bind(id)
    .bind(at.recorded_at)
    .bind(column(at.revision.0))
    .bind(at.metadata()?.actor.0)
    .execute(db)
    .await?;
    Ok(())
}

async fn publish(
    db: &mut PgConnection,
    id: Uuid,
    published: Uuid,
    audience: Audience,
) -> Result<(), ApplyError> {
    sqlx::query(
        "update apps set published = $2, visibility = $3, readers = $4, writers = $5
         where app_id = $1",
    )
    .bind(id)
    .bind(published)
    .bind(visibility_name(audience.visibility))
    .bind(audience.readers)
    .bind(audience.writers)
    .execute(db)
    .await?;
    Ok(())
}

fn visibility_name(visibility: Visibility) -> &'static str {
    match visibility {
        Visibility::Private => "private",
        Visibility::Organization => "organization",
        Visibility::Unlisted => "unlisted",
        Visibility::Public => "public",
    }
}

/// An app with its newest version.
#[derive(Debug, Clone, FromRow)]
pub struct Row {
    /// Which.
    pub app_id: Uuid,
    /// Whose.
    pub owner: String,
    /// How its owner is reached.
    pub owner_email: Option<String>,
    /// How whoever changed it last is reached.
    pub modifier_email: Option<String>,
    /// Its name among published apps; `None` while only its owner runs it.
    pub published: Option<Uuid>,
    visibility: String,
    /// E-mail addresses of those who may run it.
    pub readers: Vec<String>,
    /// E-mail addresses of those who may change it.
    pub writers: Vec<String>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
    /// Number of the newest version.
    pub version: i64,
    /// Whether that one is the draft.
    pub draft: bool,
    /// What that one says.
    pub definition: Json<Definition>,
    /// Whether there is a version that is no draft.
    pub has_release: bool,
}

impl Row {
    /// The number of its visibility, from 0 (private) to 3 (public).
    pub fn visibility(&self) -> u8 {
        match self.visibility.as_str() {
            "private" => 0,
            "organization" => 1,
            "unlisted" => 2,
            _ => 3,
        }
    }
}

const ROW: &str =
    "select a.app_id, a.owner, a.published, a.visibility, a.readers, a.writers, a.created_at,
        a.updated_at, v.version, v.draft, v.definition,
        (select email from users where id = a.owner) as owner_email,
        (select email from users where id = a.modified_by) as modifier_email,
        exists (select from app_versions r where r.app_id = a.app_id and not r.draft) as has_release
    from apps a join lateral (
        select version, draft, definition from app_versions where app_id = a.app_id
        order by version desc limit 1
    ) v on true";

/// An app.
///
/// # Errors
/// When the database does not answer.
pub async fn app(db: &PgPool, id: AppId) -> sqlx::Result<Option<Row>> {
    let query = format!("{ROW} where a.app_id = $1");
    sqlx::query_as(sqlx::AssertSqlSafe(query)).bind(id.0).fetch_optional(db).await
}

/// The app of this name among published ones.
///
/// # Errors
/// When the database does not answer.
pub async fn published(db: &PgPool, name: Uuid) -> sqlx::Result<Option<Row>> {
    let query = format!("{ROW} where a.published = $1");
    sqlx::query_as(sqlx::AssertSqlSafe(query)).bind(name).fetch_optional(db).await
}

/// Somebody's apps, newest first.
///
/// # Errors
/// When the database does not answer.
pub async fn owned_by(db: &PgPool, owner: &UserId) -> sqlx::Result<Vec<Row>> {
    let query = format!("{ROW} where a.owner = $1 order by a.position desc limit $2");
    sqlx::query_as(sqlx::AssertSqlSafe(query)).bind(owner.as_str()).bind(LISTED).fetch_all(db).await
}

/// Published apps that name this e-mail address, newest first.
///
/// # Errors
/// When the database does not answer.
pub async fn shared_with(db: &PgPool, email: &str) -> sqlx::Result<Vec<Row>> {
    let query = format!(
        "{ROW} where a.published is not null
             and lower($1) in (select lower(named) from unnest(a.readers || a.writers) named)
         order by a.position desc limit $2"
    );
    sqlx::query_as(sqlx::AssertSqlSafe(query)).bind(email).bind(LISTED).fetch_all(db).await
}

/// A version of an app.
#[derive(Debug, Clone, FromRow)]
pub struct VersionRow {
    /// From 0.
    pub version: i64,
    /// Whether it is the draft.
    pub draft: bool,
    /// For people.
    pub comment: String,
    /// What it says.
    pub definition: Json<Definition>,
    /// When it came to be.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

/// An app's versions, newest first.
///
/// # Errors
/// When the database does not answer.
pub async fn versions(db: &PgPool, id: AppId) -> sqlx::Result<Vec<VersionRow>> {
    sqlx::query_as(
        "select version, draft, comment, definition, created_at, updated_at from app_versions
         where app_id = $1 order by version desc limit $2",
    )
    .bind(id.0)
    .bind(LISTED)
    .fetch_all(db)
    .await
}

/// One version.
///
/// # Errors
/// When the database does not answer.
pub async fn version(db: &PgPool, id: AppId, number: u32) -> sqlx::Result<Option<VersionRow>> {
    sqlx::query_as(
        "select version, draft, comment, definition, created_at, updated_at from app_versions
         where app_id = $1 and version = $2",
    )
    .bind(id.0)
    .bind(i64::from(number))
    .fetch_optional(db)
    .await
}
