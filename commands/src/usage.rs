//! Counting billable work.

use crate::{
    execute::{self, Failure, Loaded},
    log::EventLog,
};
use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    Metadata, Position,
    billing::{Cycle, Subscription, Tier},
    ids::UserId,
    quota::{Action, Command, Limit, Quota, Refusal, TierLimits},
    user::User,
};
use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};
use tokio::sync::Mutex;

/// Locks that people share; more only make collisions rarer.
const LANES: usize = 64;

/// The use cases; cheap to clone.
#[derive(Clone)]
pub struct Usage {
    log: Arc<dyn EventLog>,
    limits: Arc<TierLimits>,
    lanes: Arc<[Mutex<()>]>,
}

/// Work to be counted.
#[derive(Debug, Clone)]
pub struct Charge {
    /// Whose.
    pub user: UserId,
    /// Which kind.
    pub action: Action,
    /// How much.
    pub amount: u64,
    /// The client's name for it: a repeat within 24 hours is not counted again.
    pub reference: Option<String>,
    /// The time of the request.
    pub now: DateTime<Utc>,
}

/// A piece of work that begins.
#[derive(Debug, Clone, Copy)]
pub struct Work<'a> {
    /// Whose.
    pub user: &'a UserId,
    /// Names it; once per person.
    pub reservation: &'a str,
    /// Which kind.
    pub action: Action,
    /// The time of the request.
    pub now: DateTime<Utc>,
    /// How long it can be going on; after that it counts no longer unless it is confirmed.
    pub hold: TimeDelta,
}

/// How things stand after a charge.
#[derive(Debug, Clone)]
pub struct Charged {
    /// What the tier allows per cycle.
    pub limit: Limit,
    /// What has been used in this one.
    pub usage: u64,
    /// The billing cycle.
    pub cycle: Cycle,
    /// Position of the new fact; `None` for a repeat.
    pub position: Option<Position>,
}

/// What a person's plan allows at the moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The tier.
    pub tier: Tier,
    /// The running billing cycle.
    pub cycle: Cycle,
}

/// A refusal with what is known of the plan.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The quota says no.
    #[error("{refusal}")]
    Refused {
        /// Why.
        refusal: Refusal,
        /// The person's plan, when it could be read.
        plan: Option<Plan>,
    },
    /// The log does not take the charge. Nothing was counted, as far as is known.
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl Usage {
    /// The use cases on this log, with these limits.
    pub fn new(log: Arc<dyn EventLog>, limits: TierLimits) -> Self {
        let lanes = (0..LANES).map(|_| Mutex::new(())).collect();
        Self { log, limits: Arc::new(limits), lanes }
    }

    /// What each tier allows.
    pub fn limits(&self) -> &TierLimits {
        &self.limits
    }

    /// Counts work, if all of it is allowed. Fails closed: whatever cannot be determined is not allowed.
    ///
    /// # Errors
    /// [`Error::Refused`] with the reason; [`Error::Failed`] when it was allowed but could not be recorded.
    pub async fn charge(&self, charge: Charge, metadata: &Metadata) -> Result<Charged, Error> {
        let Charge { user, action, amount, reference, now } = charge;
        let (plan, limit) = self.allowance(&user, action, now).await?;
        let cycle = plan.cycle;
        let command = Command::Charge { action, amount, limit, cycle, reference, now };
        self.count(&user, (action, now), (plan, limit), command, metadata).await
    }

    /// Counts a piece of work that begins, if it is allowed, until it is confirmed or released, for `hold` at most.
    ///
    /// # Errors
    /// As [`Usage::charge`].
    pub async fn reserve(&self, work: Work<'_>, metadata: &Metadata) -> Result<Charged, Error> {
        let Work { user, reservation, action, now, hold } = work;
        let (plan, limit) = self.allowance(user, action, now).await?;
        let (cycle, expires_at) = (plan.cycle, now + hold);
        let reservation = reservation.to_owned();
        let command = Command::Reserve { reservation, action, limit, cycle, now, expires_at };
        self.count(user, (action, now), (plan, limit), command, metadata).await
    }

    /// How many posts may be scheduled at any moment. Fails closed.
    ///
    /// # Errors
    /// [`Error::Refused`] with `quota_check_failed`.
    pub async fn scheduled_posts(
        &self,
        user: &UserId,
        now: DateTime<Utc>,
    ) -> Result<(Plan, Limit), Error> {
        let plan = self.known_plan(user, now).await?;
        match self.limits.scheduled_posts(&plan.tier) {
            Ok(limit) => Ok((plan, limit)),
            Err(refusal) => Err(Error::Refused { refusal, plan: Some(plan) }),
        }
    }

    /// Lets a piece of work count for good.
    ///
    /// # Errors
    /// When the log does not answer.
    pub async fn confirm(
        &self,
        user: &UserId,
        reservation: &str,
        metadata: &Metadata,
    ) -> Result<Option<Position>, Failure> {
        self.settle(user, Command::Confirm(reservation.to_owned()), metadata).await
    }

    /// Lets a piece of work that came to nothing not count, also one that was confirmed.
    ///
    /// # Errors
    /// When the log does not answer.
    pub async fn release(
        &self,
        user: &UserId,
        reservation: &str,
        metadata: &Metadata,
    ) -> Result<Option<Position>, Failure> {
        self.settle(user, Command::Release(reservation.to_owned()), metadata).await
    }

    async fn settle(
        &self,
        user: &UserId,
        command: Command,
        metadata: &Metadata,
    ) -> Result<Option<Position>, Failure> {
        let _lane = self.lane(user).lock().await;
        match execute::execute::<Quota>(&*self.log, user, &command, metadata).await {
            Ok(decided) => Ok(decided.position),
            // Neither is ever refused.
            Err(execute::Error::Refused(_)) => Ok(None),
            Err(execute::Error::Failed(failure)) => Err(failure),
        }
    }

    async fn allowance(
        &self,
        user: &UserId,
        action: Action,
        now: DateTime<Utc>,
    ) -> Result<(Plan, Limit), Error> {
        let plan = self.known_plan(user, now).await?;
        match self.limits.limit(&plan.tier, action) {
            Ok(limit) => Ok((plan, limit)),
            Err(refusal) => Err(Error::Refused { refusal, plan: Some(plan) }),
        }
    }

    async fn known_plan(&self, user: &UserId, now: DateTime<Utc>) -> Result<Plan, Error> {
        match self.plan(user, now).await {
            Ok(Some(plan)) => Ok(plan),
            Ok(None) => Err(unknown(None)),
            Err(failure) => {
                tracing::warn!(%failure, "a quota could not be checked");
                Err(unknown(None))
            }
        }
    }

    async fn count(
        &self,
        user: &UserId,
        (action, now): (Action, DateTime<Utc>),
        (plan, limit): (Plan, Limit),
        command: Command,
        metadata: &Metadata,
    ) -> Result<Charged, Error> {
        let cycle = plan.cycle;
        // Only for speed: without it, parallel charges of one person would conflict and be decided again and again.
        let _lane = self.lane(user).lock().await;
        match execute::execute::<Quota>(&*self.log, user, &command, metadata).await {
            Ok(decided) => {
                let usage = decided.state.usage(action, cycle.start, now);
                Ok(Charged { limit, usage, cycle, position: decided.position })
            }
            Err(execute::Error::Refused(refusal)) => {
                Err(Error::Refused { refusal, plan: Some(plan) })
            }
            Err(execute::Error::Failed(failure)) => match failure {
                Failure::Read(_) | Failure::Undecodable { .. } => {
                    tracing::warn!(%failure, "a quota could not be checked");
                    Err(unknown(Some(plan)))
                }
                failure => Err(failure.into()),
            },
        }
    }

    /// The person's plan; `None` when there is no such person or their cycle cannot be determined.
    async fn plan(&self, user: &UserId, now: DateTime<Utc>) -> Result<Option<Plan>, Failure> {
        let loaded = Loaded::<User>::load(&*self.log, user).await?;
        let plan = loaded.state().account().and_then(|account| {
            let subscription: Option<&Subscription> = account.subscription.as_ref();
            let cycle = Cycle::at(now, subscription)?;
            Some(Plan { tier: account.tier.clone(), cycle })
        });
        Ok(plan)
    }

    fn lane(&self, user: &UserId) -> &Mutex<()> {
        let mut hasher = DefaultHasher::new();
        user.hash(&mut hasher);
        let lanes = self.lanes.len() as u64;
        &self.lanes[usize::try_from(hasher.finish() % lanes).unwrap_or_default()]
    }
}

fn unknown(plan: Option<Plan>) -> Error {
    Error::Refused { refusal: Refusal::QuotaCheckFailed, plan }
}
