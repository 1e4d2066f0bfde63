//! `POST /api/goose`: what administrators do, from a closed list. No shell, no files.

use super::{
    Fault, Result,
    auth::told,
    ids::{self, shown},
    queue,
    roles::Admin,
    usage::iso,
};
use crate::{
    app::App,
    core::{Error, Json},
};
use axum::{Router, extract::State, routing::post};
use chrono::{DateTime, Utc};
use commands::identity::Standing;
use domain::{
    Metadata,
    billing::{Period, Subscription, Tier},
    ids::UserId,
    user::{Command, Status, User},
};
use projections::users::{self, Person};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// Invitations made at once.
const INVITES: u64 = 100;

/// The table of contents.
pub fn routes() -> Router<App> {
    Router::new().route("/api/goose", post(operate))
}

#[derive(Deserialize)]
struct Body {
    #[serde(default, alias = "action")]
    operation: Option<String>,
    #[serde(default)]
    params: Map<String, Value>,
}

async fn operate(
    State(app): State<App>,
    Admin(caller): Admin,
    Json(body): Json<Body>,
) -> Result<Value> {
    let Some(operation) = body.operation.filter(|name| !name.is_empty()) else {
        return Err(Fault::invalid("operation is required"));
    };
    let (params, metadata) = (Params(body.params), caller.metadata());
    let result = match operation.as_str() {
        "status" => status(&app).await?,
        "users.list" => list(&app, &params).await?,
        "users.set_tier" => set_tier(&app, &params, &metadata).await?,
        "users.set_status" => set_status(&app, &params, &metadata).await?,
        "users.erase" => {
            let user = params.user()?;
            let deleted = app.identity.delete(&user, &metadata).await.map_err(told)?;
            app.caught_up("users", deleted).await;
            json!({ "userId": shown(&user), "erased": true })
        }
        "invites.create" => create_invites(&app, &params, &metadata).await?,
        other => return Err(Fault::invalid(format!("{other:.60} is no operation"))),
    };
    Ok(axum::Json(json!({
        "ok": true, "success": true, "operation": operation, "result": result,
    })))
}

async fn status(app: &App) -> std::result::Result<Value, Fault> {
    Ok(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "events": app.head().await?.0,
        "queues": queue::counters(app).await?,
        "skills": app.skill_book.graph.skills().len(),
        "runs": app.reply.performing(),
    }))
}

async fn list(app: &App, params: &Params) -> std::result::Result<Value, Fault> {
    let (offset, limit) = (params.number("offset", 0)?, params.number("limit", 50)?.min(200));
    let column = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let (people, total) = users::page(&app.db, column(offset), column(limit)).await?;
    let people: Vec<Value> = people.iter().map(person).collect();
    Ok(json!({ "users": people, "total_count": total }))
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

async fn set_tier(
    app: &App,
    params: &Params,
    metadata: &Metadata,
) -> std::result::Result<Value, Fault> {
    let user = params.user()?;
    let tier = Tier::named(params.text("tier")?);
    if !app.usage.limits().knows(&tier) {
        return Err(Fault::invalid(format!("{:.60} is no tier", tier.as_str())));
    }
    let command = match params.0.get("period").and_then(Value::as_str) {
        None => Command::ChangeTier(tier),
        Some(period) => {
            let bad = || Fault::invalid("period is monthly or annual");
            let period = Period::named(period).ok_or_else(bad)?;
            let start = match params.0.get("start").and_then(Value::as_str) {
                None => Utc::now(),
                Some(text) => text
                    .parse::<DateTime<Utc>>()
                    .map_err(|_| Fault::invalid("start is a time such as 2026-01-31T00:00:00Z"))?,
            };
            Command::ChangeSubscription(tier, Subscription { period, start })
        }
    };
    let changed = app.execute::<User>(&user, &command, metadata).await.map_err(Error::from)?;
    app.caught_up("users", changed.position).await;
    shown_user(app, &user).await
}

async fn set_status(
    app: &App,
    params: &Params,
    metadata: &Metadata,
) -> std::result::Result<Value, Fault> {
    let user = params.user()?;
    let status = match params.text("status")? {
        "active" => Status::Active,
        "suspended" => Status::Suspended,
        _ => return Err(Fault::invalid("status is active or suspended")),
    };
    let standing = Standing { role: None, status: Some(status) };
    let changed = app.identity.set_standing(std::slice::from_ref(&user), standing, metadata).await;
    app.caught_up("users", changed.map_err(told)?.1).await;
    shown_user(app, &user).await
}

async fn shown_user(app: &App, user: &UserId) -> std::result::Result<Value, Fault> {
    let found = users::by_id(&app.db, user).await?.ok_or(Error::NotFound)?;
    Ok(person(&found))
}

async fn create_invites(
    app: &App,
    params: &Params,
    metadata: &Metadata,
) -> std::result::Result<Value, Fault> {
    let count = params.number("count", 1)?;
    if !(1..=INVITES).contains(&count) {
        return Err(Fault::invalid(format!("count is 1 to {INVITES}")));
    }
    let mut codes = Vec::new();
    for _ in 0..count {
        let code = app.invites.create(None, metadata).await.map_err(super::register::told)?;
        codes.push(code.expose().to_owned());
    }
    Ok(json!({ "codes": codes }))
}

struct Params(Map<String, Value>);

impl Params {
    fn text(&self, name: &str) -> std::result::Result<&str, Fault> {
        let text = self.0.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        text.ok_or_else(|| Fault::invalid(format!("params.{name} is required")))
    }

    fn number(&self, name: &str, default: u64) -> std::result::Result<u64, Fault> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(default),
            Some(value) => value
                .as_u64()
                .ok_or_else(|| Fault::invalid(format!("params.{name} has to be a number"))),
        }
    }

    fn user(&self) -> std::result::Result<UserId, Fault> {
        let sent = self.0.get("userId").or_else(|| self.0.get("user_id"));
        let sent = sent.and_then(Value::as_str).filter(|text| !text.is_empty());
        let sent = sent.ok_or_else(|| Fault::invalid("params.userId is required"))?;
        Ok(ids::user(sent.into()))
    }
}
