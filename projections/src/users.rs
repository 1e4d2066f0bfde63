//! People: who they are, what they may do, and the API tokens that stand for them.

use crate::{ApplyError, Projection, column};
use chrono::{DateTime, Utc};
use domain::{
    Decider, Recorded,
    admins::{self, Admins, effective_role},
    billing::{Period, Subscription, Tier},
    codec,
    ids::{LoginId, UserId},
    user::{Event, Role, Status, User},
};
use futures::future::BoxFuture;
use sqlx::{FromRow, PgConnection, PgExecutor, PgPool, Row, postgres::PgRow};

/// The read model.
#[derive(Debug, Clone, Copy)]
pub struct Users;

impl Projection for Users {
    fn name(&self) -> &'static str {
        "users"
    }

    fn tables(&self) -> &'static [&'static str] {
        &["users", "api_tokens"]
    }

    fn categories(&self) -> &'static [&'static str] {
        &[User::CATEGORY, Admins::CATEGORY]
    }

    fn apply<'a>(
        &'a self,
        db: &'a mut PgConnection,
        event: &'a Recorded,
    ) -> BoxFuture<'a, Result<(), ApplyError>> {
        Box::pin(async move {
            if event.stream.category() == Admins::CATEGORY {
                let change = codec::decode(&event.kind, &event.data)?;
                administer(db, &change).await?;
            } else {
                let fact = codec::decode(&event.kind, &event.data)?;
                person(db, event, &fact).await?;
            }
            Ok(())
        })
    }
}

async fn person(db: &mut PgConnection, at: &Recorded, event: &Event) -> sqlx::Result<()> {
    let user = at.stream.key();
    let revision = column(at.revision.0);
    let change = |set: &'static str| sqlx::query(set).bind(user).bind(revision);
    let statement = match event {
        Event::UserRegistered { username, email, phone, role } => change(
            "insert into users (id, username, email, phone, role, status, tier,
                                password_generation, created_at, revision)
             values ($1, $3, $4, $5, $6, $7, $8, 0, $9, $2)",
        )
        .bind(username.as_str())
        .bind(email.as_ref().map(|email| email.as_str()))
        .bind(phone.as_deref())
        .bind(role.as_str())
        .bind(Status::Active.as_str())
        .bind(String::from(Tier::starter()))
        .bind(at.recorded_at),
        Event::RegistrationAbandoned {} => return Ok(()),
        Event::UserDeleted {} => {
            sqlx::query("delete from api_tokens where user_id = $1")
                .bind(user)
                .execute(&mut *db)
                .await?;
            sqlx::query("delete from users where id = $1").bind(user)
        }
        Event::PasswordChanged { secret, kept_login } => change(
            "update users set revision = $2, password = $3, kept_login = $4,
               password_changed_at = $5, password_generation = password_generation + 1
             where id = $1",
        )
        .bind(secret.0)
        .bind(kept_login.map(|login| login.0))
        .bind(at.recorded_at),
        Event::RoleChanged { role } => {
            change("update users set revision = $2, role = $3 where id = $1").bind(role.as_str())
        }
        Event::StatusChanged { status } => {
            change("update users set revision = $2, status = $3 where id = $1")
                .bind(status.as_str())
        }
        Event::TierChanged { tier } => {
            change("update users set revision = $2, tier = $3 where id = $1").bind(tier.as_str())
        }
        Event::SubscriptionChanged { tier, subscription } => change(
            "update users set revision = $2, tier = $3, subscription_period = $4,
               subscription_start = $5
             where id = $1",
        )
        .bind(tier.as_str())
        .bind(subscription.period.as_str())
        .bind(subscription.start),
        Event::ApiTokenIssued { digest } => {
            sqlx::query("insert into api_tokens (digest, user_id, issued_at) values ($1, $2, $3)")
                .bind(digest)
                .bind(user)
                .bind(at.recorded_at)
        }
        Event::ApiTokenRevoked { digest } => {
            sqlx::query("delete from api_tokens where digest = $1").bind(digest)
        }
    };
    statement.execute(db).await.map(|_| ())
}

async fn administer(db: &mut PgConnection, event: &admins::Event) -> sqlx::Result<()> {
    let (user, status) = match event {
        admins::Event::AdminAppointed { user, status } => (user, Some(*status)),
        admins::Event::AdminDismissed { user } => (user, None),
        admins::Event::AdminSuspended { user } => (user, Some(Status::Suspended)),
        admins::Event::AdminReinstated { user } => (user, Some(Status::Active)),
    };
    sqlx::query("update users set admin_status = $2 where id = $1")
        .bind(user.as_str())
        .bind(status.map(Status::as_str))
        .execute(db)
        .await
        .map(|_| ())
}

/// What is known of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Who.
    pub id: UserId,
    /// The name to sign in with.
    pub username: String,
    /// Where to reach them.
    pub email: Option<String>,
    /// Where to call them.
    pub phone: Option<String>,
    /// What they may do, all told.
    pub role: Role,
    /// Whether the account works, all told.
    pub status: Status,
    /// What they pay for.
    pub tier: Tier,
    /// What their billing cycle hangs on.
    pub subscription: Option<Subscription>,
    /// How often the password was set.
    pub password_generation: i32,
    /// The one login that outlived the last change of the password.
    pub kept_login: Option<LoginId>,
    /// When they registered.
    pub created_at: DateTime<Utc>,
}

impl FromRow<'_, PgRow> for Person {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        let role: &str = row.try_get("role")?;
        let admin_status: Option<&str> = row.try_get("admin_status")?;
        let status = admin_status.map_or_else(|| row.try_get("status"), Ok)?;
        // What this version does not know may do the least.
        let role = Role::named(role).unwrap_or(Role::Viewer);
        let status =
            if status == Status::Active.as_str() { Status::Active } else { Status::Suspended };
        let period: Option<&str> = row.try_get("subscription_period")?;
        let start: Option<DateTime<Utc>> = row.try_get("subscription_start")?;
        let subscription = period
            .and_then(Period::named)
            .zip(start)
            .map(|(period, start)| Subscription { period, start });
        Ok(Self {
            id: UserId(row.try_get("id")?),
            username: row.try_get("username")?,
            email: row.try_get("email")?,
            phone: row.try_get("phone")?,
            role: effective_role(admin_status.is_some(), role),
            status,
            tier: Tier::named(row.try_get("tier")?),
            subscription,
            password_generation: row.try_get("password_generation")?,
            kept_login: row.try_get::<Option<_>, _>("kept_login")?.map(LoginId),
            created_at: row.try_get("created_at")?,
        })
    }
}

/// The person of this id.
///
/// # Errors
/// When the database does not answer.
pub async fn by_id(db: impl PgExecutor<'_>, id: &UserId) -> sqlx::Result<Option<Person>> {
    sqlx::query_as("select * from users where id = $1").bind(id.as_str()).fetch_optional(db).await
}

/// Names and ids of at most `limit` people, by name.
///
/// # Errors
/// When the database does not answer.
pub async fn names(db: impl PgExecutor<'_>, limit: i64) -> sqlx::Result<Vec<(String, String)>> {
    sqlx::query_as("select username, id from users order by lower(username), id limit $1")
        .bind(limit)
        .fetch_all(db)
        .await
}

/// One page of people, newest first, and how many there are in all.
///
/// # Errors
/// When the database does not answer.
pub async fn page(db: &PgPool, offset: i64, limit: i64) -> sqlx::Result<(Vec<Person>, i64)> {
    let people =
        sqlx::query_as("select * from users order by created_at desc, id offset $1 limit $2")
            .bind(offset)
            .bind(limit)
            .fetch_all(db)
            .await?;
    let total = sqlx::query_scalar("select count(*) from users").fetch_one(db).await?;
    Ok((people, total))
}

/// The person for whom the API token of this digest may act.
///
/// # Errors
/// When the database does not answer.
pub async fn by_api_token(db: impl PgExecutor<'_>, digest: &str) -> sqlx::Result<Option<Person>> {
    sqlx::query_as(
        "select users.* from api_tokens join users on users.id = api_tokens.user_id
         where api_tokens.digest = $1",
    )
    .bind(digest)
    .fetch_optional(db)
    .await
}
