//! What is asked about fans.

use chrono::{DateTime, Utc};
use domain::{
    fan::{Account, Details, Money, Stage},
    ids::{FanId, UserId},
};
use sqlx::{FromRow, PgPool, Postgres, QueryBuilder, types::Json};
use uuid::Uuid;

/// Memories of one fan that are listed at once, the latest.
const MEMORIES: i64 = 100;
/// What a row is made of.
const COLUMNS: &str = "select fan_id, details, created_at, updated_at,
    (select coalesce(jsonb_agg(account order by platform, platform_fan_id), '[]')
     from fan_accounts where fan_accounts.fan_id = fans.fan_id) as accounts from fans ";

/// A fan.
#[derive(Debug, Clone, FromRow)]
pub struct Row {
    /// Who.
    pub fan_id: Uuid,
    /// What is known of them.
    pub details: Json<Details>,
    /// Their accounts.
    pub accounts: Json<Vec<Account>>,
    /// Since when they are known.
    pub created_at: DateTime<Utc>,
    /// When something about them was last different.
    pub updated_at: DateTime<Utc>,
}

/// Which fans.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// With an account there.
    pub platform: Option<String>,
    /// Who stand so.
    pub stage: Option<Stage>,
    /// With this in a name, an alias or a handle, upper or lower case.
    pub search: Option<String>,
    /// Who have paid as much.
    pub min_spend: Option<Money>,
}

/// In which order; ties by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// By what they have paid, or the other way round.
    Spend {
        /// Most first.
        descending: bool,
    },
    /// By when somebody last wrote; those nobody wrote with last.
    Contact {
        /// Latest first.
        descending: bool,
    },
    /// By name.
    Name {
        /// From the end of the alphabet.
        descending: bool,
    },
}

impl Order {
    fn sql(self) -> &'static str {
        match self {
            Self::Spend { descending: true } => "total_spend desc, fan_id",
            Self::Spend { descending: false } => "total_spend, fan_id",
            Self::Contact { descending: true } => "last_contact_at desc nulls last, fan_id",
            Self::Contact { descending: false } => "last_contact_at nulls last, fan_id",
            Self::Name { descending: true } => "lower(display_name) desc, fan_id",
            Self::Name { descending: false } => "lower(display_name), fan_id",
        }
    }
}

/// One page of somebody's fans.
#[derive(Debug, Clone)]
pub struct Page {
    /// The fans.
    pub rows: Vec<Row>,
    /// How many fans there are.
    pub total: i64,
    /// How many of them fit the filter.
    pub fitting: i64,
}

/// One page of somebody's fans.
///
/// # Errors
/// When the database does not answer.
pub async fn page(
    db: &PgPool,
    owner: &UserId,
    filter: &Filter,
    order: Order,
    (offset, limit): (i64, i64),
) -> sqlx::Result<Page> {
    let mut query = QueryBuilder::<Postgres>::new(COLUMNS);
    narrow(&mut query, owner, filter);
    query.push(" order by ").push(order.sql());
    query.push(" offset ").push_bind(offset).push(" limit ").push_bind(limit);
    let rows = query.build_query_as().fetch_all(db).await?;
    let mut query = QueryBuilder::<Postgres>::new("select count(*) from fans ");
    narrow(&mut query, owner, filter);
    let fitting = query.build_query_scalar().fetch_one(db).await?;
    let total = sqlx::query_scalar("select count(*) from fans where owner = $1")
        .bind(owner.as_str())
        .fetch_one(db)
        .await?;
    Ok(Page { rows, total, fitting })
}

fn narrow(query: &mut QueryBuilder<Postgres>, owner: &UserId, filter: &Filter) {
    query.push("where owner = ").push_bind(owner.0.clone());
    if let Some(stage) = filter.stage {
        query.push(" and stage = ").push_bind(stage.as_str());
    }
    if let Some(Money(least)) = filter.min_spend {
        query.push(" and total_spend >= ").push_bind(crate::column(least));
    }
    if let Some(platform) = &filter.platform {
        query.push(" and exists (select from fan_accounts where fan_accounts.fan_id = fans.fan_id and platform = ");
        query.push_bind(platform.clone()).push(")");
    }
    if let Some(text) = &filter.search {
        let text = text.to_lowercase();
        query.push(" and (strpos(lower(display_name), ").push_bind(text.clone());
        query.push(") > 0 or strpos(lower(coalesce(details->>'aliases', '')), ");
        query.push_bind(text.clone());
        query.push(") > 0 or exists (select from fan_accounts where fan_accounts.fan_id = fans.fan_id and strpos(lower(coalesce(account->>'handle', '')), ");
        query.push_bind(text).push(") > 0))");
    }
}

/// One of somebody's fans.
///
/// # Errors
/// When the database does not answer.
pub async fn one(db: &PgPool, owner: &UserId, id: FanId) -> sqlx::Result<Option<Row>> {
    let mut query = QueryBuilder::<Postgres>::new(COLUMNS);
    query.push("where owner = ").push_bind(owner.0.clone());
    query.push(" and fan_id = ").push_bind(id.0);
    query.build_query_as().fetch_optional(db).await
}

/// Something that is remembered of a fan.
#[derive(Debug, Clone, FromRow)]
pub struct Memory {
    /// Of whom.
    pub fan_id: Uuid,
    /// What.
    pub text: String,
    /// When it was noted.
    pub noted_at: DateTime<Utc>,
}

/// The latest memories of each of these fans, the latest first.
///
/// # Errors
/// When the database does not answer.
pub async fn memories(db: &PgPool, fans: &[Uuid]) -> sqlx::Result<Vec<Memory>> {
    sqlx::query_as(
        "select memory.fan_id, memory.text, memory.noted_at from unnest($1::uuid[]) as fan(id),
           lateral (select * from fan_memories where fan_id = fan.id
                    order by revision desc limit $2) as memory
         order by memory.fan_id, memory.revision desc",
    )
    .bind(fans)
    .bind(MEMORIES)
    .fetch_all(db)
    .await
}
