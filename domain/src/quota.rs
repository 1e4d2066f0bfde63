//! How much billable work a person may still do in the running billing cycle.
//!
//! One stream per person, so that the check and the count are one decision: parallel requests cannot pass a limit
//! together.

mod limits;
mod tiers;

pub use limits::{Action, Limit};
pub use tiers::{Misfit, TierLimits};

use crate::{Decider, Kind, billing::Cycle, ids::UserId};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How long a reference makes repeats of a charge no-ops.
const REFERENCE_KEPT: TimeDelta = TimeDelta::hours(24);
/// The most one charge may count.
pub const MOST_PER_CHARGE: u64 = 1_000;

/// What happened. Kept for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// Billable work was done and counted.
    UsageCharged {
        /// Which kind of work.
        action: Action,
        /// How much of it.
        amount: u64,
        /// The billing cycle it counts in.
        billing_cycle_start: DateTime<Utc>,
        /// When it was charged.
        charged_at: DateTime<Utc>,
        /// The client's name for this work; a repeat within 24 hours is not counted again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reference: Option<String>,
    },
    /// Billable work begins: it counts until it is confirmed or given up, or until it cannot be going on any more.
    UsageReserved {
        /// Names the work; once per person.
        reservation: String,
        /// Which kind of work.
        action: Action,
        /// How much of it.
        amount: u64,
        /// The billing cycle it counts in.
        billing_cycle_start: DateTime<Utc>,
        /// When it counts no longer unless it is confirmed.
        expires_at: DateTime<Utc>,
    },
    /// The work counts for good.
    UsageConfirmed {
        /// Which.
        reservation: String,
    },
    /// The work came to nothing and does not count.
    UsageReleased {
        /// Which.
        reservation: String,
    },
}

/// What somebody wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Count work, unless the limit does not allow all of it.
    Charge {
        /// Which kind of work.
        action: Action,
        /// How much of it: 1 to [`MOST_PER_CHARGE`].
        amount: u64,
        /// What the tier allows, from [`TierLimits::limit`].
        limit: Limit,
        /// The running billing cycle.
        cycle: Cycle,
        /// The client's name for this work.
        reference: Option<String>,
        /// The time of the request.
        now: DateTime<Utc>,
    },
    /// Count work that begins now, unless the limit does not allow it. One that is reserved already is not counted again.
    Reserve {
        /// Names the work.
        reservation: String,
        /// Which kind of work.
        action: Action,
        /// What the tier allows.
        limit: Limit,
        /// The running billing cycle.
        cycle: Cycle,
        /// The time of the request.
        now: DateTime<Utc>,
        /// When it counts no longer unless it is confirmed.
        expires_at: DateTime<Utc>,
    },
    /// Let it count for good; also one that has expired, because the work was done.
    Confirm(String),
    /// Let it not count.
    Release(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Reservation {
    action: Action,
    amount: u64,
    cycle_start: DateTime<Utc>,
    /// `None` once it is confirmed.
    expires_at: Option<DateTime<Utc>>,
}

impl Reservation {
    fn counts(&self, now: DateTime<Utc>) -> bool {
        self.expires_at.is_none_or(|ends| ends > now)
    }
}

/// What a person has used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Quota {
    /// Counters by kind of work and beginning of the cycle.
    counters: BTreeMap<(Action, DateTime<Utc>), u64>,
    /// When each reference of the last 24 hours was charged.
    references: BTreeMap<String, DateTime<Utc>>,
    /// Work that was begun and not given up, by its name.
    reservations: BTreeMap<String, Reservation>,
}

impl Quota {
    /// Work counted at `now` in the cycle that began at `cycle_start`, or later.
    pub fn usage(&self, action: Action, cycle_start: DateTime<Utc>, now: DateTime<Utc>) -> u64 {
        let counted = self
            .counters
            .range((action, cycle_start)..)
            .take_while(|((of, _), _)| *of == action)
            .fold(0, |sum: u64, (_, amount)| sum.saturating_add(*amount));
        let reserved = self.reservations.values().filter(|reserved| {
            reserved.action == action && reserved.cycle_start >= cycle_start && reserved.counts(now)
        });
        reserved.fold(counted, |sum, reserved| sum.saturating_add(reserved.amount))
    }

    /// Whether `amount` more may be done.
    ///
    /// # Errors
    /// The reason why not.
    pub fn can_perform(
        &self,
        action: Action,
        amount: u64,
        limit: Limit,
        cycle: &Cycle,
        now: DateTime<Utc>,
    ) -> Result<(), Refusal> {
        match limit {
            Limit::Unlimited => Ok(()),
            Limit::UpTo(0) => Err(Refusal::NotInTier),
            Limit::UpTo(limit) => {
                let usage = self.usage(action, cycle.start, now);
                if usage.saturating_add(amount) > limit {
                    return Err(Refusal::LimitReached { limit, usage, resets_at: cycle.end });
                }
                Ok(())
            }
        }
    }
}

/// Why not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The cycle's allowance is used up, or too little of it is left.
    #[error("the limit of {limit} for this billing cycle is reached")]
    LimitReached {
        /// What the tier allows per cycle.
        limit: u64,
        /// What has been used of it.
        usage: u64,
        /// When the next cycle begins.
        resets_at: DateTime<Utc>,
    },
    /// The tier does not include this kind of work.
    #[error("the subscription does not include this")]
    NotInTier,
    /// The allowance cannot be determined; nothing is let through then.
    #[error("the allowance cannot be determined")]
    QuotaCheckFailed,
    /// Not 1 to [`MOST_PER_CHARGE`].
    #[error("amount has to be an integer from 1 to {MOST_PER_CHARGE}")]
    AmountOutOfRange,
}

impl Refusal {
    /// The reason's name on the wire; `None` when it is not a matter of quota.
    pub fn reason(&self) -> Option<&'static str> {
        match self {
            Self::LimitReached { .. } => Some("limit_reached"),
            Self::NotInTier => Some("not_in_tier"),
            Self::QuotaCheckFailed => Some("quota_check_failed"),
            Self::AmountOutOfRange => None,
        }
    }
}

impl crate::Refusal for Refusal {
    fn kind(&self) -> Kind {
        match self {
            Self::LimitReached { .. } | Self::NotInTier | Self::QuotaCheckFailed => Kind::Forbidden,
            Self::AmountOutOfRange => Kind::Invalid,
        }
    }
}

impl Decider for Quota {
    const CATEGORY: &'static str = "quota";
    type Id = UserId;
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Refusal> {
        let (action, amount, limit, cycle, reference, now) = match command {
            Command::Charge { action, amount, limit, cycle, reference, now } => {
                (action, amount, limit, cycle, reference, now)
            }
            Command::Reserve { reservation, action, limit, cycle, now, expires_at } => {
                if self.reservations.get(reservation).is_some_and(|known| known.counts(*now)) {
                    return Ok(vec![]);
                }
                self.can_perform(*action, 1, *limit, cycle, *now)?;
                return Ok(vec![Event::UsageReserved {
                    reservation: reservation.clone(),
                    action: *action,
                    amount: 1,
                    billing_cycle_start: cycle.start,
                    expires_at: *expires_at,
                }]);
            }
            Command::Confirm(reservation) => {
                let open = self.reservations.get(reservation).and_then(|known| known.expires_at);
                let confirmed = Event::UsageConfirmed { reservation: reservation.clone() };
                return Ok(open.map(|_| confirmed).into_iter().collect());
            }
            Command::Release(reservation) => {
                let known = self.reservations.contains_key(reservation);
                let released = Event::UsageReleased { reservation: reservation.clone() };
                return Ok(known.then_some(released).into_iter().collect());
            }
        };
        if !(1..=MOST_PER_CHARGE).contains(amount) {
            return Err(Refusal::AmountOutOfRange);
        }
        let charged = reference.as_ref().and_then(|name| self.references.get(name));
        let reserved = reference.as_ref().and_then(|name| self.reservations.get(name));
        if charged.is_some_and(|at| *now - *at < REFERENCE_KEPT)
            || reserved.is_some_and(|reserved| reserved.counts(*now))
        {
            return Ok(vec![]);
        }
        self.can_perform(*action, *amount, *limit, cycle, *now)?;
        Ok(vec![Event::UsageCharged {
            action: *action,
            amount: *amount,
            billing_cycle_start: cycle.start,
            charged_at: *now,
            reference: reference.clone(),
        }])
    }

    fn evolve(mut self, event: &Event) -> Self {
        match event {
            Event::UsageCharged { action, amount, billing_cycle_start, charged_at, reference } => {
                let counter = self.counters.entry((*action, *billing_cycle_start)).or_default();
                *counter = counter.saturating_add(*amount);
                if let Some(reference) = reference {
                    self.references.retain(|_, at| *charged_at - *at < REFERENCE_KEPT);
                    self.references.insert(reference.clone(), *charged_at);
                }
            }
            Event::UsageReserved {
                reservation,
                action,
                amount,
                billing_cycle_start,
                expires_at,
            } => {
                let reserved = Reservation {
                    action: *action,
                    amount: *amount,
                    cycle_start: *billing_cycle_start,
                    expires_at: Some(*expires_at),
                };
                self.reservations.insert(reservation.clone(), reserved);
            }
            Event::UsageConfirmed { reservation } => {
                if let Some(reserved) = self.reservations.get_mut(reservation) {
                    reserved.expires_at = None;
                }
            }
            Event::UsageReleased { reservation } => {
                self.reservations.remove(reservation);
            }
        }
        self
    }
}

#[cfg(test)]
#[path = "quota_tests.rs"]
mod tests;
