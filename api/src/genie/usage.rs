//! `/api/usage`: what the subscription allows, and counting billable work.

use super::{Fault, Result, ids, webhook::Either};
use crate::{
    app::App,
    core::{Caller, Context, Error, Json, quotas},
};
use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::{get, post},
};
use chrono::{DateTime, SecondsFormat, Utc};
use commands::usage::{self, Charge, Plan};
use domain::{
    Metadata,
    ids::UserId,
    quota::{Action, Limit, MOST_PER_CHARGE, Refusal},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Longest name of a piece of work.
const LONGEST_REFERENCE: usize = 200;

/// The table of contents.
pub fn routes() -> Router<App> {
    Router::new().route("/api/usage", get(show)).route("/api/usage/increment", post(increment))
}

type ByAction<T> = BTreeMap<&'static str, T>;

#[derive(Serialize)]
struct Shown {
    tier: String,
    limits: ByAction<Limit>,
    usage: ByAction<u64>,
    remaining: ByAction<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    billing_cycle_start: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    billing_cycle_end: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    degraded: Option<bool>,
}

async fn show(State(app): State<App>, caller: Caller) -> Result<Shown> {
    let quotas = quotas::of(&app, &caller.user, caller.person.as_ref(), Utc::now()).await;
    let mut shown = Shown {
        tier: quotas.tier.to_string(),
        limits: BTreeMap::new(),
        usage: BTreeMap::new(),
        remaining: BTreeMap::new(),
        billing_cycle_start: quotas.cycle.map(|cycle| iso(cycle.start)),
        billing_cycle_end: quotas.cycle.map(|cycle| iso(cycle.end)),
        degraded: (!quotas.known).then_some(true),
    };
    for (action, limit, used) in quotas.actions {
        shown.limits.insert(action.as_str(), limit);
        shown.usage.insert(action.as_str(), used);
        shown.remaining.insert(action.as_str(), limit.remaining(used));
    }
    Ok(axum::Json(shown))
}

#[derive(Deserialize)]
struct Body {
    #[serde(alias = "action", default)]
    operation: Option<String>,
    #[serde(default)]
    amount: Option<Value>,
    #[serde(default, rename = "ref", alias = "reference")]
    reference: Option<String>,
    #[serde(default, rename = "userId", alias = "user_id")]
    user: Option<UserId>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Incremented {
    ok: bool,
    success: bool,
    action: &'static str,
    new_value: u64,
    limit: Limit,
    remaining: i64,
    limit_reached: bool,
}

async fn increment(
    State(app): State<App>,
    by: Either,
    headers: HeaderMap,
    Json(body): Json<Body>,
) -> Result<Incremented> {
    let (user, metadata) = whose(&by, body.user.clone().map(ids::user))?;
    let Some(name) = body.operation.as_deref().filter(|name| !name.is_empty()) else {
        return Err(Fault::invalid("operation (or action) is required"));
    };
    let Some(action) = Action::named(name) else {
        return Err(Fault::invalid(format!("{name:.60} is no billable action")));
    };
    let amount = amount(body.amount.as_ref())?;
    let reference = reference(body.reference, &headers)?;
    let charge = Charge { user, action, amount, reference, now: Utc::now() };
    let charged = match app.usage.charge(charge, &metadata).await {
        Ok(charged) => charged,
        Err(error) => return Err(told(action, error)),
    };
    app.caught_up("usage", charged.position).await;
    Ok(axum::Json(Incremented {
        ok: true,
        success: true,
        action: action.as_str(),
        new_value: charged.usage,
        limit: charged.limit,
        remaining: charged.limit.remaining(charged.usage),
        limit_reached: charged.limit.reached(charged.usage),
    }))
}

/// Whose work is counted: a person's own; another server says whose.
fn whose(by: &Either, named: Option<UserId>) -> std::result::Result<(UserId, Metadata), Fault> {
    match by {
        Either::Server => match named {
            Some(user) => Ok((user, Context::current().metadata(UserId::system()))),
            None => Err(Fault::invalid("userId is required")),
        },
        Either::Person(caller) => {
            let foreign = named.is_some_and(|user| user != caller.user);
            if foreign || !caller.role.may_write() {
                return Err(Error::Forbidden.into());
            }
            Ok((caller.user.clone(), caller.metadata()))
        }
    }
}

fn amount(sent: Option<&Value>) -> std::result::Result<u64, Fault> {
    match sent {
        None | Some(Value::Null) => Ok(1),
        Some(sent) => sent
            .as_u64()
            .filter(|amount| (1..=MOST_PER_CHARGE).contains(amount))
            .ok_or_else(|| Fault::invalid(Refusal::AmountOutOfRange.to_string())),
    }
}

fn reference(
    sent: Option<String>,
    headers: &HeaderMap,
) -> std::result::Result<Option<String>, Fault> {
    let header = headers.get("idempotency-key");
    let header = header.map(|value| value.to_str().map(str::to_owned)).transpose();
    let unreadable = |_| Fault::invalid("Idempotency-Key is not readable");
    let reference = sent.or(header.map_err(unreadable)?);
    match &reference {
        Some(text) if text.is_empty() || text.chars().count() > LONGEST_REFERENCE => {
            let message =
                format!("ref and Idempotency-Key have 1 to {LONGEST_REFERENCE} characters");
            Err(Fault::invalid(message))
        }
        _ => Ok(reference),
    }
}

fn denied(action: &str, refusal: &Refusal, plan: Option<Plan>) -> Fault {
    let Some(reason) = refusal.reason() else { return Fault::invalid(refusal.to_string()) };
    let mut extra = Map::new();
    extra.insert("reason".to_owned(), json!(reason));
    extra.insert("action".to_owned(), json!(action));
    if let Some(plan) = plan {
        extra.insert("tier".to_owned(), json!(plan.tier));
        extra.insert("resets_at".to_owned(), json!(iso(plan.cycle.end)));
    }
    match refusal {
        Refusal::LimitReached { limit, usage, .. } => {
            extra.insert("limit".to_owned(), json!(limit));
            extra.insert("usage".to_owned(), json!(usage));
        }
        Refusal::NotInTier => {
            extra.insert("limit".to_owned(), json!(0));
        }
        Refusal::QuotaCheckFailed | Refusal::AmountOutOfRange => {}
    }
    let message = format!("{action}: {refusal}");
    let (status, error) = (StatusCode::FORBIDDEN, "tier_limit_reached");
    Fault::Own { status, error, message: message.into(), extra }
}

/// Why work is not counted, in the dialect's words.
pub fn told(action: Action, error: usage::Error) -> Fault {
    told_of(action.as_str(), error)
}

/// The same for what is no billable action.
pub fn told_of(action: &str, error: usage::Error) -> Fault {
    match error {
        usage::Error::Refused { refusal, plan } => denied(action, &refusal, plan),
        usage::Error::Failed(failure) => failure.into(),
    }
}

/// As this dialect writes times: UTC, milliseconds, `Z`.
pub fn iso(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}
