//! `/api/fans`: whom creators know, and what they know of them.

use super::{Fault, Result, roles::Writer, usage::iso};
use crate::{
    app::App,
    core::{Caller, Error, Json, Path, Query},
};
use axum::{
    Router,
    extract::State,
    http::StatusCode,
    routing::{get, post},
};
use chrono::Utc;
use commands::fans::{self, Record};
use domain::{
    fan::{Account, Money, Stage},
    ids::FanId,
};
use projections::fans::{self as read_model, Filter, Memory, Order, Row};
use serde::Deserialize;
use serde_json::{Value, json};

/// Fans listed at once, if nobody says.
const PAGE: i64 = 50;
/// Fans listed at once, at most.
const MOST: i64 = 200;
/// Characters of a filter.
const LONGEST: usize = 200;

/// The table of contents.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/api/fans", get(list).post(upsert))
        .route("/api/fans/{id}", get(show))
        .route("/api/fans/{id}/memories", post(remember))
}

#[derive(Deserialize)]
struct ListQuery {
    #[serde(default)]
    limit: Option<u32>,
    #[serde(default)]
    offset: Option<u32>,
    #[serde(default)]
    sort: Option<String>,
    #[serde(default)]
    platform: Option<String>,
    #[serde(default, alias = "lifecycle_stage", alias = "lifecycleStage")]
    stage: Option<String>,
    #[serde(default, alias = "q")]
    search: Option<String>,
    #[serde(default, alias = "minSpend")]
    min_spend: Option<String>,
    #[serde(default)]
    include: Option<String>,
}

async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<ListQuery>,
) -> Result<Value> {
    let order = order(query.sort.as_deref().unwrap_or("-total_spend"))?;
    let limit = query.limit.map_or(PAGE, i64::from).min(MOST);
    let offset = query.offset.map_or(0, i64::from);
    let seen = Seen::by(&caller, query.include.as_deref())?;
    let filter = filter(query)?;
    let page = read_model::page(&app.db, &caller.user, &filter, order, (offset, limit)).await?;
    Ok(axum::Json(json!({
        "ok": true,
        "success": true,
        "data": shown(&app, page.rows, seen).await?,
        "meta": { "total_count": page.total, "filter_count": page.fitting },
    })))
}

fn order(sort: &str) -> std::result::Result<Order, Fault> {
    let (field, descending) = sort.strip_prefix('-').map_or((sort, false), |field| (field, true));
    match field {
        "total_spend" | "totalSpend" => Ok(Order::Spend { descending }),
        "last_contact_at" | "lastContactAt" => Ok(Order::Contact { descending }),
        "display_name" | "displayName" => Ok(Order::Name { descending }),
        _ => Err(Fault::invalid("sort has to be total_spend, last_contact_at or display_name")),
    }
}

fn filter(query: ListQuery) -> std::result::Result<Filter, Fault> {
    let text = |name: &str, text: Option<String>| match text.filter(|text| !text.trim().is_empty())
    {
        Some(text) if text.chars().count() > LONGEST || text.contains('\0') => {
            Err(Fault::invalid(format!("{name} has at most {LONGEST} characters")))
        }
        text => Ok(text.map(|text| text.trim().to_owned())),
    };
    let stage = text("stage", query.stage)?.map(|stage| {
        let unknown = || Fault::invalid("stage has to be active, trial, churned or win_back");
        Stage::named(&stage).ok_or_else(unknown)
    });
    let spend = text("min_spend", query.min_spend)?.map(|spend| {
        Money::parse(&spend).ok_or_else(|| Fault::invalid("min_spend has to be a number from 0"))
    });
    Ok(Filter {
        platform: text("platform", query.platform)?.map(|platform| platform.to_lowercase()),
        stage: stage.transpose()?,
        search: text("search", query.search)?,
        min_spend: spend.transpose()?,
    })
}

/// How much of a fan somebody is shown: the larger tiers see more, when they ask for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Seen {
    sentiment: bool,
    purchases: bool,
    memories: bool,
}

impl Seen {
    fn by(caller: &Caller, include: Option<&str>) -> std::result::Result<Self, Fault> {
        let tier = caller.person.as_ref().map(|person| &person.tier);
        let wide = tier.is_some_and(|tier| matches!(tier.as_str(), "pro" | "studio"));
        let mut seen = Self { sentiment: wide, ..Self::default() };
        let names = include.unwrap_or_default().split(',').map(str::trim);
        for name in names.filter(|name| !name.is_empty()) {
            match name {
                "memories" => seen.memories = wide,
                "purchases" => seen.purchases = wide,
                "sentiment" => {}
                _ => return Err(Fault::invalid("include takes memories and purchases")),
            }
        }
        Ok(seen)
    }
}

async fn shown(app: &App, rows: Vec<Row>, seen: Seen) -> std::result::Result<Vec<Value>, Fault> {
    let memories = match seen.memories {
        true => {
            let ids: Vec<_> = rows.iter().map(|row| row.fan_id).collect();
            Some(read_model::memories(&app.db, &ids).await?)
        }
        false => None,
    };
    Ok(rows.into_iter().map(|row| fan(row, seen, memories.as_deref())).collect())
}

fn fan(row: Row, seen: Seen, memories: Option<&[Memory]>) -> Value {
    let (id, details) = (row.fan_id, row.details.0);
    let mut fan = json!({
        "id": id,
        "display_name": details.display_name,
        "aliases": details.aliases,
        "lifecycle_stage": details.lifecycle_stage,
        "total_spend": decimal(details.total_spend),
        "currency": details.currency,
        "message_count": details.message_count,
        "last_contact_at": details.last_contact_at.map(iso),
        "notes": details.notes,
        "platform_accounts": row.accounts.0.iter().map(account).collect::<Vec<_>>(),
        "date_created": iso(row.created_at),
        "date_updated": iso(row.updated_at),
    });
    if seen.sentiment {
        fan["sentiment"] = json!(details.sentiment);
    }
    if seen.purchases {
        let purchases = details.purchases.iter().map(|purchase| {
            let (amount, at) = (decimal(purchase.amount), purchase.at.map(iso));
            json!({ "title": purchase.title, "amount": amount, "at": at })
        });
        fan["purchases"] = purchases.collect();
    }
    if let Some(memories) = memories {
        let own = memories.iter().filter(|memory| memory.fan_id == id);
        fan["memories"] = own
            .map(|memory| json!({ "text": memory.text, "date": iso(memory.noted_at) }))
            .collect();
    }
    fan
}

fn account(account: &Account) -> Value {
    let subscription = account.subscription.as_ref().map(|subscription| {
        json!({ "status": subscription.status, "renews_at": subscription.renews_at.map(iso) })
    });
    json!({
        "platform": account.platform,
        "platform_fan_id": account.platform_fan_id,
        "handle": account.handle,
        "subscription": subscription,
    })
}

/// Hundredths as a decimal number, which the nearest float prints exactly up to many billions.
fn decimal(money: Money) -> Value {
    json!(money.to_string().parse::<f64>().unwrap_or_default())
}

#[derive(Deserialize)]
struct ShowQuery {
    #[serde(default)]
    include: Option<String>,
}

async fn show(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<FanId>,
    Query(query): Query<ShowQuery>,
) -> Result<Value> {
    let seen = Seen::by(&caller, query.include.as_deref())?;
    Ok(axum::Json(
        json!({ "ok": true, "success": true, "data": one(&app, &caller, id, seen).await? }),
    ))
}

async fn one(
    app: &App,
    caller: &Caller,
    id: FanId,
    seen: Seen,
) -> std::result::Result<Value, Fault> {
    let row = read_model::one(&app.db, &caller.user, id).await?.ok_or(Error::NotFound)?;
    Ok(shown(app, vec![row], seen).await?.pop().unwrap_or_default())
}

async fn upsert(
    State(app): State<App>,
    Writer(caller): Writer,
    Json(record): Json<Record>,
) -> std::result::Result<(StatusCode, axum::Json<Value>), Fault> {
    let known = record.read().map_err(|unreadable| Fault::invalid(unreadable.to_string()))?;
    let upserted = app.fans.upsert(&caller.user, known, Utc::now(), &caller.metadata()).await;
    let upserted = upserted.map_err(told)?;
    app.caught_up("fans", upserted.position).await;
    let fan = one(&app, &caller, upserted.id, Seen::by(&caller, None)?).await?;
    let status = if upserted.created { StatusCode::CREATED } else { StatusCode::OK };
    let answer = json!({ "ok": true, "success": true, "created": upserted.created, "data": fan });
    Ok((status, axum::Json(answer)))
}

#[derive(Deserialize)]
struct MemoryBody {
    #[serde(default, alias = "memory", alias = "content")]
    text: String,
}

async fn remember(
    State(app): State<App>,
    Writer(caller): Writer,
    Path(id): Path<FanId>,
    Json(body): Json<MemoryBody>,
) -> Result<Value> {
    let (by, metadata) = (caller.user.clone(), caller.metadata());
    let remembered = app.fans.remember(id, by, body.text, Utc::now(), &metadata).await;
    app.caught_up("fans", remembered.map_err(told)?).await;
    Ok(axum::Json(json!({ "ok": true, "success": true, "id": id })))
}

fn told(error: fans::Error) -> Fault {
    match error {
        fans::Error::Refused(refusal) => {
            let kind = domain::Refusal::kind(&refusal);
            Error::Refused { kind, message: refusal.to_string() }.into()
        }
        nobody @ fans::Error::Nobody => Fault::invalid(nobody.to_string()),
        taken @ fans::Error::Taken(_) => {
            Fault::new(StatusCode::BAD_REQUEST, "account_taken", taken.to_string())
        }
        fans::Error::Failed(failure) => failure.into(),
    }
}
