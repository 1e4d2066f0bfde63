//! Logins, and the persons behind them.

use crate::{ApplyError, Projection, column, users::Person};
use chrono::{DateTime, Utc};
use domain::{
    Decider, Recorded, codec,
    ids::{LoginId, UserId},
    login::{Audience, Event, Login},
};
use futures::future::BoxFuture;
use serde::de::Error as _;
use sqlx::{FromRow, PgConnection, PgExecutor, Row, postgres::PgRow};

/// The read model.
#[derive(Debug, Clone, Copy)]
pub struct Logins;

impl Projection for Logins {
    fn name(&self) -> &'static str {
        "logins"
    }

    fn tables(&self) -> &'static [&'static str] {
        &["logins"]
    }

    fn categories(&self) -> &'static [&'static str] {
        &[Login::CATEGORY]
    }

    fn apply<'a>(
        &'a self,
        db: &'a mut PgConnection,
        event: &'a Recorded,
    ) -> BoxFuture<'a, Result<(), ApplyError>> {
        Box::pin(async move {
            let id: LoginId = event.stream.key().parse().map_err(serde_json::Error::custom)?;
            let revision = column(event.revision.0);
            let statement = match codec::decode(&event.kind, &event.data)? {
                Event::LoginOpened {
                    user,
                    audience,
                    digest,
                    generation,
                    expires_at,
                    impersonator,
                    reason: _,
                } => {
                    // What had ended by then is of no use to anybody; the log keeps it.
                    sqlx::query("delete from logins where user_id = $1 and expires_at <= $2")
                        .bind(user.as_str())
                        .bind(event.recorded_at)
                        .execute(&mut *db)
                        .await?;
                    sqlx::query(
                        "insert into logins (id, user_id, audience, digest, password_generation,
                                             opened_at, expires_at, impersonator, closed, revision)
                         values ($1, $3, $4, $5, $6, $7, $8, $9, false, $2)",
                    )
                    .bind(id.0)
                    .bind(revision)
                    .bind(user.0)
                    .bind(audience.as_str())
                    .bind(digest)
                    .bind(i32::try_from(generation).unwrap_or(i32::MAX))
                    .bind(event.recorded_at)
                    .bind(expires_at)
                    .bind(impersonator.map(|admin| admin.0))
                }
                Event::LoginRenewed { digest, expires_at } => sqlx::query(
                    "update logins set digest = $3, expires_at = $4, revision = $2 where id = $1",
                )
                .bind(id.0)
                .bind(revision)
                .bind(digest)
                .bind(expires_at),
                Event::LoginClosed { .. } => {
                    sqlx::query("update logins set closed = true, revision = $2 where id = $1")
                        .bind(id.0)
                        .bind(revision)
                }
            };
            statement.execute(db).await?;
            Ok(())
        })
    }
}

/// A login with the person behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Which login.
    pub login: LoginId,
    /// Who.
    pub person: Person,
    /// For which product it was opened.
    pub audience: Audience,
    /// SHA-256 of the secret that proves it, hexadecimal.
    pub digest: String,
    /// When it ends by itself.
    pub expires_at: DateTime<Utc>,
    /// The administrator who acts as the person.
    pub impersonator: Option<UserId>,
    /// Whether it still counts: not closed, and no later password has ended it.
    pub open: bool,
}

impl FromRow<'_, PgRow> for Session {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        let person = Person::from_row(row)?;
        let login = LoginId(row.try_get("login")?);
        let generation: i32 = row.try_get("login_generation")?;
        // A login may be ahead of the row of its person for a moment, never behind a password that counts.
        let current = generation >= person.password_generation || person.kept_login == Some(login);
        let audience: &str = row.try_get("audience")?;
        Ok(Self {
            login,
            person,
            audience: Audience::named(audience).unwrap_or(Audience::Sage),
            digest: row.try_get("digest")?,
            expires_at: row.try_get("expires_at")?,
            impersonator: row.try_get::<Option<_>, _>("impersonator")?.map(UserId),
            open: current && !row.try_get::<bool, _>("closed")?,
        })
    }
}

/// The login of this id and the person behind it.
///
/// # Errors
/// When the database does not answer.
pub async fn session(db: impl PgExecutor<'_>, login: LoginId) -> sqlx::Result<Option<Session>> {
    sqlx::query_as(
        "select users.*, logins.id as login, logins.audience, logins.digest, logins.expires_at,
                logins.impersonator, logins.closed, logins.password_generation as login_generation
         from logins join users on users.id = logins.user_id where logins.id = $1",
    )
    .bind(login.0)
    .fetch_optional(db)
    .await
}
