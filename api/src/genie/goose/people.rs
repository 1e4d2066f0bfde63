//! Operations on people and invitations.

use super::{
    super::{Fault, auth, ids::shown, register, usage::iso},
    params::Params,
};
use crate::{app::App, core::Error};
use chrono::{DateTime, Utc};
use commands::identity::Standing;
use domain::{
    Metadata,
    billing::{Period, Subscription, Tier},
    ids::UserId,
    invite::MOST_USES,
    user::{Command, Status, User},
};
use projections::users::{self, Person};
use serde_json::{Value, json};

/// Invitations made at once.
const INVITES: u64 = 100;
/// People in one answer.
const PEOPLE: u64 = 200;

/// What is wanted, read and judged as far as the wish alone allows.
pub(super) enum Wish {
    List { offset: u64, limit: u64 },
    SetTier { user: UserId, command: Command },
    SetStatus { user: UserId, status: Status },
    Erase { user: UserId },
    Invite { count: u64, max_uses: u32, expires_at: Option<DateTime<Utc>> },
}

impl Wish {
    /// `None` for names that are none of these.
    pub fn read(app: &App, operation: &str, params: &Params) -> Result<Option<Self>, Fault> {
        Ok(Some(match operation {
            "users.list" => Self::List {
                offset: params.number(&["offset"], 0)?,
                limit: params.number(&["limit"], 50)?.min(PEOPLE),
            },
            "users.set_tier" => tier(app, params)?,
            "users.set_status" => Self::SetStatus {
                user: params.user()?,
                status: match params.text("status")? {
                    "active" => Status::Active,
                    "suspended" => Status::Suspended,
                    _ => return Err(Fault::invalid("status is active or suspended")),
                },
            },
            "users.erase" => Self::Erase { user: params.user()? },
            "invites.create" => invite(params)?,
            _ => return Ok(None),
        }))
    }

    /// What came of it.
    pub async fn perform(self, app: &App, metadata: &Metadata) -> Result<Value, Fault> {
        match self {
            Self::List { offset, limit } => {
                let column = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
                let (people, total) = users::page(&app.db, column(offset), column(limit)).await?;
                let people: Vec<Value> = people.iter().map(person).collect();
                Ok(json!({ "users": people, "total_count": total }))
            }
            Self::SetTier { user, command } => {
                let changed = app.execute::<User>(&user, &command, metadata).await;
                app.caught_up("users", changed.map_err(Error::from)?.position).await;
                shown_user(app, &user).await
            }
            Self::SetStatus { user, status } => {
                let (standing, users) =
                    (Standing { role: None, status: Some(status) }, std::slice::from_ref(&user));
                let changed = app.identity.set_standing(users, standing, metadata).await;
                app.caught_up("users", changed.map_err(auth::told)?.1).await;
                shown_user(app, &user).await
            }
            Self::Erase { user } => {
                let deleted = app.identity.delete(&user, metadata).await.map_err(auth::told)?;
                app.caught_up("users", deleted).await;
                Ok(json!({ "userId": shown(&user), "erased": true }))
            }
            Self::Invite { count, max_uses, expires_at } => {
                let (mut codes, mut last) = (Vec::new(), None);
                for _ in 0..count {
                    let made = app.invites.create(expires_at, max_uses, metadata).await;
                    let made = made.map_err(register::told)?;
                    codes.push(made.code.expose().to_owned());
                    last = made.position.max(last);
                }
                app.caught_up("invites", last).await;
                Ok(json!({ "codes": codes }))
            }
        }
    }
}

fn tier(app: &App, params: &Params) -> Result<Wish, Fault> {
    let user = params.user()?;
    let tier = Tier::named(params.text("tier")?);
    if !app.usage.limits().knows(&tier) {
        return Err(Fault::invalid(format!("{:.60} is no tier", tier.as_str())));
    }
    let start = params.optional(&["start"])?.map(time).transpose()?;
    let command = match (params.optional(&["period"])?, start) {
        (None, None) => Command::ChangeTier(tier),
        (None, Some(_)) => return Err(Fault::invalid("start needs a period")),
        (Some(period), start) => {
            let bad = || Fault::invalid("period is monthly or annual");
            let period = Period::named(period).ok_or_else(bad)?;
            let start = start.unwrap_or_else(Utc::now);
            Command::ChangeSubscription(tier, Subscription { period, start })
        }
    };
    Ok(Wish::SetTier { user, command })
}

fn invite(params: &Params) -> Result<Wish, Fault> {
    let count = params.number(&["count"], 1)?;
    if !(1..=INVITES).contains(&count) {
        return Err(Fault::invalid(format!("count is 1 to {INVITES}")));
    }
    let max_uses = u32::try_from(params.number(&["maxUses", "max_uses"], 1)?).unwrap_or(u32::MAX);
    if !(1..=MOST_USES).contains(&max_uses) {
        return Err(Fault::invalid(format!("maxUses is 1 to {MOST_USES}")));
    }
    let expires_at = params.optional(&["expiresAt", "expires_at"])?.map(time).transpose()?;
    Ok(Wish::Invite { count, max_uses, expires_at })
}

fn time(text: &str) -> Result<DateTime<Utc>, Fault> {
    let bad = |_| Fault::invalid("a time is such as 2026-01-31T00:00:00Z");
    text.parse().map_err(bad)
}

fn person(person: &Person) -> Value {
    json!({
        "id": shown(&person.id),
        "username": person.username,
        "email": person.email,
        "role": person.role.as_str(),
        "tier": person.tier.as_str(),
        "status": person.status.as_str(),
        "date_created": iso(person.created_at),
    })
}

async fn shown_user(app: &App, user: &UserId) -> Result<Value, Fault> {
    let found = users::by_id(&app.db, user).await?.ok_or(Error::NotFound)?;
    Ok(person(&found))
}
