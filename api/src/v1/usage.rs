//! `GET /v1/usage`: what runs cost, by day or by person, and what the subscription leaves.

use super::bad;
use crate::{
    app::App,
    core::{
        Caller, Error, Query,
        quotas::{self, Quotas},
    },
    openapi::Documented,
};
use axum::{Json, extract::State};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use domain::{ids::UserId, quota::Limit};
use projections::{
    usage_days::{self, Span, Sum},
    users,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// Days that are told, unless the client asks for others.
const DAYS: i64 = 30;
/// Most days of one answer.
const MOST_DAYS: i64 = 366;
/// Most people of one answer: those who used most.
const MOST_PEOPLE: usize = 200;

/// The route.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(usage)).tagged("Usage")
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// First day, such as `2026-01-31`, in UTC.
    from: Option<String>,
    /// Last day, at most 365 after the first.
    to: Option<String>,
    /// By what the rows are.
    #[serde(default)]
    #[param(inline)]
    group: Group,
    /// Whose; without it one's own, or everybody's to an administrator.
    user: Option<String>,
}

/// By what usage is grouped.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, ToSchema)]
#[schema(as = UsageGroup)]
#[serde(rename_all = "snake_case")]
enum Group {
    #[default]
    Day,
    Person,
}

/// What was used in a span of days.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Usage)]
struct Shown {
    from: NaiveDate,
    to: NaiveDate,
    group: Group,
    /// Whose; `null` for everybody's.
    #[schema(value_type = Option<String>)]
    user: Option<UserId>,
    /// Days in order, those without any usage left out; or people, most tokens first.
    rows: Vec<Row>,
    /// Whether there are more people than are told.
    more: bool,
    total: Numbers,
    /// Of the person named, else of the caller.
    quotas: Allowance,
}

/// What was used on a day, or by a person.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UsageRow)]
#[serde(untagged)]
enum Row {
    Day {
        day: NaiveDate,
        #[serde(flatten)]
        numbers: Numbers,
    },
    Person {
        user: String,
        username: Option<String>,
        #[serde(flatten)]
        numbers: Numbers,
    },
}

/// What was used.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UsageNumbers)]
struct Numbers {
    /// Runs that people asked for.
    runs: i64,
    /// What people said, and what agents answered them.
    messages: i64,
    /// What models read.
    prompt_tokens: i64,
    /// What models wrote.
    completion_tokens: i64,
    total_tokens: i64,
}

/// What a subscription allows.
#[derive(Debug, Serialize, ToSchema)]
struct Allowance {
    #[schema(value_type = String)]
    user: UserId,
    tier: String,
    /// `null` when it cannot be determined.
    cycle: Option<Cycle>,
    actions: Vec<Action>,
    /// Whether what was used could be read.
    known: bool,
}

/// A billing cycle.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BillingCycle)]
struct Cycle {
    start: DateTime<Utc>,
    end: DateTime<Utc>,
}

/// A kind of work with a quota.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AllowedAction)]
struct Action {
    action: &'static str,
    /// `null` without a limit.
    limit: Option<u64>,
    used: u64,
}

/// Tells what runs cost, by day or by person, and what the subscription leaves.
#[utoipa::path(
    get,
    path = "/usage",
    params(Wanted),
    responses((status = 200, description = "What was used, and what may be.", body = Shown)),
)]
async fn usage(
    State(app): State<App>,
    caller: Caller,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Shown>, Error> {
    let now = Utc::now();
    let (from, to) = wanted.days(now.date_naive())?;
    let named = wanted.user.filter(|user| !user.is_empty()).map(UserId);
    // Not every text can be an id; and somebody else is as good as nobody.
    if named.as_ref().is_some_and(|user| user.0.contains('\0') || !caller.may_access(user)) {
        return Err(Error::NotFound);
    }
    let owner = named.as_ref().or(caller.scope());
    let span = Span { owner, from, to };
    app.settled("usage_days").await?;
    let total = usage_days::total(&app.db, span).await?;
    let mut rows: Vec<Row> = match wanted.group {
        Group::Day => {
            let days = usage_days::by_day(&app.db, span).await?;
            let row = |day: usage_days::Day| Row::Day { day: day.day, numbers: day.sum.into() };
            days.into_iter().map(row).collect()
        }
        Group::Person => {
            let limit = i64::try_from(MOST_PEOPLE + 1).unwrap_or(i64::MAX);
            let people = usage_days::by_person(&app.db, span, limit).await?;
            let row = |person: usage_days::Person| Row::Person {
                user: person.owner,
                username: person.username,
                numbers: person.sum.into(),
            };
            people.into_iter().map(row).collect()
        }
    };
    let more = matches!(wanted.group, Group::Person) && rows.len() > MOST_PEOPLE;
    if more {
        rows.truncate(MOST_PEOPLE);
    }
    let of = named.clone().unwrap_or_else(|| caller.user.clone());
    let quotas = if of == caller.user {
        quotas::of(&app, &of, caller.person.as_ref(), now).await
    } else {
        let person = users::by_id(&app.db, &of).await?;
        quotas::of(&app, &of, person.as_ref(), now).await
    };
    let quotas = Allowance::new(of, quotas);
    let (group, user, total) = (wanted.group, owner.cloned(), total.into());
    Ok(Json(Shown { from, to, group, user, rows, more, total, quotas }))
}

impl Wanted {
    fn days(&self, today: NaiveDate) -> Result<(NaiveDate, NaiveDate), Error> {
        let to = day("to", self.to.as_deref())?;
        let from = day("from", self.from.as_deref())?;
        let days = TimeDelta::days(DAYS - 1);
        let to = match (to, from) {
            (Some(to), _) => to,
            (None, Some(from)) => today.max(from),
            (None, None) => today,
        };
        let from = from.or_else(|| to.checked_sub_signed(days)).unwrap_or(to);
        if from > to {
            return Err(bad("from", "has to be before to", json!(from)));
        }
        if (to - from).num_days() >= MOST_DAYS {
            let fits = format!("has to be less than {MOST_DAYS} days before to");
            return Err(bad("from", &fits, json!(from)));
        }
        Ok((from, to))
    }
}

/// An empty text is as good as none, as forms send it.
fn day(name: &str, text: Option<&str>) -> Result<Option<NaiveDate>, Error> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().filter(|_| text.len() == 10);
    let fits = "has to be a day such as 2026-01-31";
    day.map(Some).ok_or_else(|| bad(name, fits, Value::from(text)))
}

impl From<Sum> for Numbers {
    fn from(sum: Sum) -> Self {
        let Sum { runs, messages, prompt_tokens, completion_tokens } = sum;
        let total_tokens = prompt_tokens.saturating_add(completion_tokens);
        Self { runs, messages, prompt_tokens, completion_tokens, total_tokens }
    }
}

impl Allowance {
    fn new(user: UserId, quotas: Quotas) -> Self {
        let action = |(action, limit, used): (domain::quota::Action, Limit, u64)| Action {
            action: action.as_str(),
            limit: match limit {
                Limit::Unlimited => None,
                Limit::UpTo(limit) => Some(limit),
            },
            used,
        };
        Self {
            user,
            tier: quotas.tier.to_string(),
            cycle: quotas.cycle.map(|cycle| Cycle { start: cycle.start, end: cycle.end }),
            actions: quotas.actions.into_iter().map(action).collect(),
            known: quotas.known,
        }
    }
}
