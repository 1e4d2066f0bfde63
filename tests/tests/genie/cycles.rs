use crate::world::{World, good};
use anyhow::{Context, Result};
use chrono::{DateTime, Datelike, Days, TimeDelta, Utc};
use commands::usage::{Charge, Error};
use domain::{
    Metadata,
    ids::UserId,
    quota::{Action, Refusal},
};
use serde_json::json;
use uuid::Uuid;

/// When somebody subscribed, and the moments at which the cycles after that begin.
const SINCE: &str = "2026-12-31T10:30:00Z";
const BEGINNINGS: [&str; 6] = [
    "2027-01-31T10:30:00Z",
    "2027-02-28T10:30:00Z",
    "2027-03-31T10:30:00Z",
    "2027-04-30T10:30:00Z",
    "2027-05-31T10:30:00Z",
    "2028-02-29T10:30:00Z",
];

async fn charged(world: &World, user: &UserId, now: DateTime<Utc>) -> Result<Option<u64>> {
    let action = Action::PostCreations;
    let charge = Charge { user: user.clone(), action, amount: 1, reference: None, now };
    match world.app.app.usage.charge(charge, &Metadata::system(Uuid::nil())).await {
        Ok(charged) => Ok(Some(charged.usage)),
        Err(Error::Refused { refusal: Refusal::LimitReached { .. }, .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

async fn subscribed(world: &World, user: &UserId, since: &str) -> Result<()> {
    let params = json!({"userId": user, "tier": "starter", "period": "monthly", "start": since});
    let body = json!({"operation": "users.set_tier", "params": params});
    good(world.admin().await?.post("/api/goose").json(&body)).await?;
    Ok(())
}

/// §16.5
#[tokio::test]
async fn a_cycle_of_the_31st_ends_with_the_month_and_its_last_second_is_the_old_ones() -> Result<()>
{
    let world = World::start().await?;
    let ann = world.creator("ann").await?;
    subscribed(&world, &ann.user, SINCE).await?;
    for begins in BEGINNINGS {
        let begins: DateTime<Utc> = begins.parse()?;
        let before = begins - TimeDelta::seconds(1);
        let mut used = Vec::new();
        for _ in 0..4 {
            used.push(charged(&world, &ann.user, before).await?);
        }
        // One is left over from the boundary before, where the cycles meet.
        assert_eq!(used.last(), Some(&None), "{begins}: three in the old cycle");
        assert_eq!(charged(&world, &ann.user, begins).await?, Some(1), "{begins}: a new cycle");
    }
    world.app.stop().await
}

/// §16.5
#[tokio::test]
async fn the_cycle_that_is_shown_hangs_on_the_day_of_the_subscription() -> Result<()> {
    let world = World::start().await?;
    let ann = world.creator("ann").await?;
    subscribed(&world, &ann.user, "2020-01-31T00:00:00Z").await?;
    let usage = good(ann.get("/api/usage")).await?;
    let shown = |field: &str| -> Result<DateTime<Utc>> {
        Ok(usage[field].as_str().context("a time")?.parse()?)
    };
    let (start, end) = (shown("billing_cycle_start")?, shown("billing_cycle_end")?);
    assert!(start <= Utc::now() && Utc::now() < end, "{usage}");
    for edge in [start, end] {
        // The 31st, or the last day of a month that has none.
        let next = edge.date_naive() + Days::new(1);
        assert!(edge.day() == 31 || next.day() == 1, "{edge}");
    }
    world.app.stop().await
}
