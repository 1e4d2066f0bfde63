//! What a person's subscription allows, and what of it is used. For display: quotas are enforced on the log.

use crate::app::App;
use chrono::{DateTime, Utc};
use domain::{
    billing::{Cycle, Tier},
    ids::UserId,
    quota::{Action, Limit},
};
use projections::{usage::since, users::Person};

/// How things stand with somebody.
#[derive(Debug)]
pub struct Quotas {
    /// Their tier; that of newcomers when theirs is not configured.
    pub tier: Tier,
    /// The running billing cycle, if it can be determined.
    pub cycle: Option<Cycle>,
    /// What is allowed of each kind of work, and what has been used.
    pub actions: Vec<(Action, Limit, u64)>,
    /// Whether what has been used could be read; else it is shown as zero.
    pub known: bool,
}

/// How things stand with this person at `now`; `person` is what is known of them.
pub async fn of(app: &App, user: &UserId, person: Option<&Person>, now: DateTime<Utc>) -> Quotas {
    let limits = app.usage.limits();
    let tier = person.map(|person| &person.tier).filter(|tier| limits.knows(tier));
    let tier = tier.cloned().unwrap_or_else(Tier::starter);
    let cycle = Cycle::at(now, person.and_then(|person| person.subscription.as_ref()));
    let used = match &cycle {
        Some(cycle) => since(&app.db, user, cycle.start, now)
            .await
            .inspect_err(|error| tracing::warn!(%error, "usage is shown as zero"))
            .ok(),
        None => None,
    };
    // Only shown, not enforced: zeros are better than nothing here.
    let known = used.is_some();
    let used = used.unwrap_or_default();
    let action = |action| {
        let limit = limits.limit(&tier, action).unwrap_or(Limit::UpTo(0));
        (action, limit, used.get(&action).copied().unwrap_or(0))
    };
    let actions = Action::ALL.into_iter().map(action).collect();
    Quotas { tier, cycle, actions, known }
}
