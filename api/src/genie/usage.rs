//! `/api/usage`: what the subscription allows, and counting billable work.

use super::{
    Failed, Fault, Result,
    answers::{Done, done},
    ids,
    webhook::Either,
};
use crate::{
    app::App,
    core::{Caller, Context, Error, Json, quotas},
    openapi::Documented,
};
use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
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
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// Longest name of a piece of work.
const LONGEST_REFERENCE: usize = 200;

/// The table of contents.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(show)).routes(routes!(increment)).tagged("Usage")
}

/// What a subscription allows, and how much of it is used, by action.
#[derive(Serialize, ToSchema)]
#[schema(as = Usage)]
struct Shown {
    tier: String,
    /// -1 for as much as one likes.
    #[schema(value_type = BTreeMap<String, i64>)]
    limits: BTreeMap<&'static str, Limit>,
    usage: BTreeMap<&'static str, u64>,
    /// -1 for as much as one likes.
    remaining: BTreeMap<&'static str, i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    billing_cycle_start: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    billing_cycle_end: Option<String>,
    /// `true` when it is not known what is used.
    #[serde(skip_serializing_if = "Option::is_none")]
    degraded: Option<bool>,
}

/// Tells what the caller's subscription allows in this billing cycle.
#[utoipa::path(
    get,
    path = "/api/usage",
    responses((status = 200, description = "What it allows.", body = Shown)),
)]
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

/// Work to be counted.
#[derive(Deserialize, ToSchema)]
#[schema(as = Work)]
struct Body {
    /// What was done, such as `post_creations`; also as `action`.
    #[serde(alias = "action", default)]
    #[schema(required)]
    operation: Option<String>,
    /// How much of it; 1 unless it is named.
    #[serde(default)]
    #[schema(value_type = Option<u64>, minimum = 1)]
    amount: Option<Value>,
    /// A name for this work: under one name it counts once. Also as the header `Idempotency-Key`.
    #[serde(default, rename = "ref", alias = "reference")]
    #[schema(min_length = 1, max_length = 200)]
    reference: Option<String>,
    /// Whose work it is; only other servers say so.
    #[serde(default, rename = "userId", alias = "user_id")]
    #[schema(value_type = Option<String>)]
    user: Option<UserId>,
}

/// How an action stands in this billing cycle.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Incremented {
    action: &'static str,
    new_value: u64,
    /// -1 for as much as one likes.
    #[schema(value_type = i64)]
    limit: Limit,
    /// -1 for as much as one likes.
    remaining: i64,
    limit_reached: bool,
}

/// Counts billable work, if the subscription allows it.
#[utoipa::path(
    post,
    path = "/api/usage/increment",
    params(("Idempotency-Key" = Option<String>, Header, description = "As `ref`.")),
    request_body = Body,
    responses(
        (status = 200, description = "It is counted.", body = Done<Incremented>),
        (status = 403, description = "It is not allowed, or no longer (`tier_limit_reached`).", body = Failed),
    ),
    security(("bearer" = []), ("session" = []), ("token" = []), ("secret" = [])),
)]
async fn increment(
    State(app): State<App>,
    by: Either,
    headers: HeaderMap,
    Json(body): Json<Body>,
) -> Result<Done<Incremented>> {
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
    Ok(done(Incremented {
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
