//! `/api/fans`: whom creators know, and what they know of them.

mod shapes;

use super::{
    Fault, Result,
    answers::{Counts, Data, Done, Named, Page, done},
    roles::Writer,
    usage::iso,
};
use crate::{
    app::App,
    core::{Caller, Error, Json, Path, Query},
    openapi::Documented,
};
use axum::{extract::State, http::StatusCode};
use chrono::Utc;
use commands::fans::{self, Record};
use domain::{
    fan::{Account, Money, Stage},
    ids::FanId,
};
use projections::fans::{self as read_model, Filter, Memory, Order, Row};
use shapes::{
    Known, ListQuery, MemoryBody, ShowQuery, Shown, ShownAccount, ShownMemory, ShownPurchase,
    ShownSubscription, Upserted,
};
use utoipa_axum::{router::OpenApiRouter, routes};

/// Fans listed at once, if nobody says.
const PAGE: i64 = 50;
/// Fans listed at once, at most.
const MOST: i64 = 200;
/// Characters of a filter.
const LONGEST: usize = 200;

/// The table of contents.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(list, upsert))
        .routes(routes!(show))
        .routes(routes!(remember))
        .tagged("Fans")
}

/// Lists the fans that the caller knows.
#[utoipa::path(
    get,
    path = "/api/fans",
    params(ListQuery),
    responses((status = 200, description = "The page.", body = Done<Page<Shown>>)),
)]
async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<ListQuery>,
) -> Result<Done<Page<Shown>>> {
    let order = order(query.sort.as_deref().unwrap_or("-total_spend"))?;
    let limit = query.limit.map_or(PAGE, i64::from).min(MOST);
    let offset = query.offset.map_or(0, i64::from);
    let seen = Seen::by(&app, &caller, query.include.as_deref())?;
    let filter = filter(query)?;
    let page = read_model::page(&app.db, &caller.user, &filter, order, (offset, limit)).await?;
    let meta = Counts { total_count: page.total, filter_count: page.fitting };
    Ok(done(Page { data: shown(&app, page.rows, seen).await?, meta }))
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
    fn by(app: &App, caller: &Caller, include: Option<&str>) -> std::result::Result<Self, Fault> {
        let tier = caller.person.as_ref().map(|person| &person.tier);
        let wide = tier.is_some_and(|tier| app.usage.limits().fan_details(tier));
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

async fn shown(app: &App, rows: Vec<Row>, seen: Seen) -> std::result::Result<Vec<Shown>, Fault> {
    let memories = match seen.memories {
        true => {
            let ids: Vec<_> = rows.iter().map(|row| row.fan_id).collect();
            Some(read_model::memories(&app.db, &ids).await?)
        }
        false => None,
    };
    Ok(rows.into_iter().map(|row| fan(row, seen, memories.as_deref())).collect())
}

fn fan(row: Row, seen: Seen, memories: Option<&[Memory]>) -> Shown {
    let (id, details) = (row.fan_id, row.details.0);
    let purchases = details.purchases.into_iter().map(|purchase| ShownPurchase {
        title: purchase.title,
        amount: decimal(purchase.amount),
        at: purchase.at.map(iso),
    });
    let memories = memories.map(|memories| {
        let own = memories.iter().filter(|memory| memory.fan_id == id);
        let told = |memory: &Memory| {
            let (text, date) = (memory.text.clone(), iso(memory.noted_at));
            ShownMemory { text, date }
        };
        own.map(told).collect()
    });
    Shown {
        id,
        display_name: details.display_name,
        aliases: details.aliases,
        lifecycle_stage: details.lifecycle_stage.as_str(),
        total_spend: decimal(details.total_spend),
        currency: details.currency,
        message_count: details.message_count,
        last_contact_at: details.last_contact_at.map(iso),
        notes: details.notes,
        platform_accounts: row.accounts.0.into_iter().map(account).collect(),
        date_created: iso(row.created_at),
        date_updated: iso(row.updated_at),
        sentiment: seen.sentiment.then_some(details.sentiment),
        purchases: seen.purchases.then(|| purchases.collect()),
        memories,
    }
}

fn account(account: Account) -> ShownAccount {
    ShownAccount {
        platform: account.platform,
        platform_fan_id: account.platform_fan_id,
        handle: account.handle,
        subscription: account.subscription.map(|subscription| ShownSubscription {
            status: subscription.status,
            renews_at: subscription.renews_at.map(iso),
        }),
    }
}

/// Hundredths as a decimal number, which the nearest float prints exactly up to many billions.
fn decimal(money: Money) -> f64 {
    money.to_string().parse().unwrap_or_default()
}

/// Gets a fan.
#[utoipa::path(
    get,
    path = "/api/fans/{id}",
    params(("id" = uuid::Uuid, Path, description = "The fan."), ShowQuery),
    responses((status = 200, description = "The fan.", body = Done<Data<Shown>>)),
)]
async fn show(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<FanId>,
    Query(query): Query<ShowQuery>,
) -> Result<Done<Data<Shown>>> {
    let seen = Seen::by(&app, &caller, query.include.as_deref())?;
    Ok(done(Data { data: one(&app, &caller, id, seen).await? }))
}

async fn one(
    app: &App,
    caller: &Caller,
    id: FanId,
    seen: Seen,
) -> std::result::Result<Shown, Fault> {
    let row = read_model::one(&app.db, &caller.user, id).await?.ok_or(Error::NotFound)?;
    Ok(shown(app, vec![row], seen).await?.pop().ok_or(Error::NotFound)?)
}

/// Writes down what is known of a fan.
///
/// A fan is known by `id` or by one of their accounts; what is not named stays as it is. Somebody new needs a name or an account.
#[utoipa::path(
    post,
    path = "/api/fans",
    request_body = Known,
    responses(
        (status = 200, description = "The fan was known.", body = Done<Upserted>),
        (status = 201, description = "The fan is new.", body = Done<Upserted>),
    ),
)]
async fn upsert(
    State(app): State<App>,
    Writer(caller): Writer,
    Json(record): Json<Record>,
) -> std::result::Result<(StatusCode, axum::Json<Done<Upserted>>), Fault> {
    let known = record.read().map_err(|unreadable| Fault::invalid(unreadable.to_string()))?;
    let upserted = app.fans.upsert(&caller.user, known, Utc::now(), &caller.metadata()).await;
    let upserted = upserted.map_err(told)?;
    app.caught_up("fans", upserted.position).await;
    let fan = one(&app, &caller, upserted.id, Seen::by(&app, &caller, None)?).await?;
    let status = if upserted.created { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, done(Upserted { created: upserted.created, data: fan })))
}

/// Notes something about a fan.
#[utoipa::path(
    post,
    path = "/api/fans/{id}/memories",
    params(("id" = uuid::Uuid, Path, description = "The fan.")),
    request_body = MemoryBody,
    responses((status = 200, description = "It is noted.", body = Done<Named>)),
)]
async fn remember(
    State(app): State<App>,
    Writer(caller): Writer,
    Path(id): Path<FanId>,
    Json(body): Json<MemoryBody>,
) -> Result<Done<Named>> {
    let (by, metadata) = (caller.user.clone(), caller.metadata());
    let remembered = app.fans.remember(id, by, body.text, Utc::now(), &metadata).await;
    app.caught_up("fans", remembered.map_err(told)?).await;
    Ok(done(Named { id: id.0 }))
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
