//! Invitations and who came with them. Codes are nowhere: an invitation's id is the keyed hash of its code.

use crate::{ApplyError, Projection, column};
use chrono::{DateTime, Utc};
use domain::{
    Decider, Recorded, codec,
    invite::{Event, Invite},
};
use futures::future::BoxFuture;
use sqlx::{FromRow, PgConnection, PgPool};

/// The read model.
#[derive(Debug, Clone, Copy, Default)]
pub struct Invites;

impl Projection for Invites {
    fn name(&self) -> &'static str {
        "invites"
    }

    fn tables(&self) -> &'static [&'static str] {
        &["invites"]
    }

    fn categories(&self) -> &'static [&'static str] {
        &[Invite::CATEGORY]
    }

    fn apply<'a>(
        &'a self,
        db: &'a mut PgConnection,
        recorded: &'a Recorded,
    ) -> BoxFuture<'a, Result<(), ApplyError>> {
        Box::pin(async move {
            let change = |set: &'static str| {
                sqlx::query(set)
                    .bind(recorded.stream.key())
                    .bind(column(recorded.revision.0))
                    .bind(recorded.recorded_at)
            };
            let statement = match codec::decode::<Event>(&recorded.kind, &recorded.data)? {
                Event::InviteCreated { expires_at, max_uses } => change(
                    "insert into invites (invite_id, revision, created_at, updated_at, created_by,
                         expires_at, max_uses) values ($1, $2, $3, $3, $4, $5, $6)",
                )
                .bind(recorded.metadata()?.actor.0)
                .bind(expires_at)
                .bind(i32::try_from(max_uses).unwrap_or(i32::MAX)),
                Event::InviteClaimed { user } => change(
                    "update invites set revision = $2, updated_at = $3,
                       claimed_by = array_append(claimed_by, $4) where invite_id = $1",
                )
                .bind(user.0),
                Event::InviteReleased { user } => change(
                    "update invites set revision = $2, updated_at = $3,
                       claimed_by = array_remove(claimed_by, $4) where invite_id = $1",
                )
                .bind(user.0),
                Event::InviteDisabled {} => change(
                    "update invites set revision = $2, updated_at = $3, disabled = true
                     where invite_id = $1",
                ),
            };
            statement.execute(db).await?;
            Ok(())
        })
    }
}

/// An invitation.
#[derive(Debug, Clone, FromRow)]
pub struct Row {
    /// The keyed hash of its code.
    pub invite_id: String,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created_at: DateTime<Utc>,
    /// When it ends by itself.
    pub expires_at: Option<DateTime<Utc>>,
    /// How many people may register with it.
    pub max_uses: i32,
    /// Who did, or is about to.
    pub claimed_by: Vec<String>,
    /// Whether it counts no longer.
    pub disabled: bool,
}

impl Row {
    /// The name on the wire.
    pub fn status(&self) -> &'static str {
        let used = i32::try_from(self.claimed_by.len()).unwrap_or(i32::MAX);
        match (self.disabled, used >= self.max_uses) {
            (true, _) => "disabled",
            (false, true) => "claimed",
            (false, false) => "pending",
        }
    }
}

/// One page of invitations, newest first, and how many there are in all.
///
/// # Errors
/// When the database does not answer.
pub async fn page(db: &PgPool, offset: i64, limit: i64) -> sqlx::Result<(Vec<Row>, i64)> {
    let rows = sqlx::query_as(
        "select * from invites order by created_at desc, invite_id offset $1 limit $2",
    )
    .bind(offset)
    .bind(limit)
    .fetch_all(db)
    .await?;
    let all = sqlx::query_scalar("select count(*) from invites").fetch_one(db).await?;
    Ok((rows, all))
}
