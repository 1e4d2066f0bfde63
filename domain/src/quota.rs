//! How much billable work a person may still do in the running billing cycle.
//!
//! One stream per person, so that the check and the count are one decision: parallel requests cannot pass a limit
//! together.

use crate::{
    Decider, Kind,
    billing::{Cycle, Tier},
    ids::UserId,
};
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
}

/// What a person has used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Quota {
    /// Counters by kind of work and beginning of the cycle.
    counters: BTreeMap<(Action, DateTime<Utc>), u64>,
    /// When each reference of the last 24 hours was charged.
    references: BTreeMap<String, DateTime<Utc>>,
}

impl Quota {
    /// Work counted in the cycle that began at `cycle_start`, or later.
    pub fn usage(&self, action: Action, cycle_start: DateTime<Utc>) -> u64 {
        self.counters
            .range((action, cycle_start)..)
            .take_while(|((of, _), _)| *of == action)
            .fold(0, |sum, (_, amount)| sum.saturating_add(*amount))
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
    ) -> Result<(), Refusal> {
        match limit {
            Limit::Unlimited => Ok(()),
            Limit::UpTo(0) => Err(Refusal::NotInTier),
            Limit::UpTo(limit) => {
                let usage = self.usage(action, cycle.start);
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
        let Command::Charge { action, amount, limit, cycle, reference, now } = command;
        if !(1..=MOST_PER_CHARGE).contains(amount) {
            return Err(Refusal::AmountOutOfRange);
        }
        let charged = reference.as_ref().and_then(|name| self.references.get(name));
        if charged.is_some_and(|at| *now - *at < REFERENCE_KEPT) {
            return Ok(vec![]);
        }
        self.can_perform(*action, *amount, *limit, cycle)?;
        Ok(vec![Event::UsageCharged {
            action: *action,
            amount: *amount,
            billing_cycle_start: cycle.start,
            charged_at: *now,
            reference: reference.clone(),
        }])
    }

    fn evolve(mut self, event: &Event) -> Self {
        let Event::UsageCharged { action, amount, billing_cycle_start, charged_at, reference } =
            event;
        let counter = self.counters.entry((*action, *billing_cycle_start)).or_default();
        *counter = counter.saturating_add(*amount);
        if let Some(reference) = reference {
            self.references.retain(|_, at| *charged_at - *at < REFERENCE_KEPT);
            self.references.insert(reference.clone(), *charged_at);
        }
        self
    }
}

/// The kinds of billable work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Generated captions and post drafts.
    PostCreations,
    /// Classification calls.
    TaxonomyTags,
    /// Clips, watermarks and the like.
    MediaModifications,
}

impl Action {
    /// All of them, in the order of the documentation.
    pub const ALL: [Self; 3] = [Self::PostCreations, Self::TaxonomyTags, Self::MediaModifications];

    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PostCreations => "post_creations",
            Self::TaxonomyTags => "taxonomy_tags",
            Self::MediaModifications => "media_modifications",
        }
    }

    /// The action of this name, or of one of the names it had in other places.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "post_creations" | "caption_generator" | "posts_ai_assisted" => {
                Some(Self::PostCreations)
            }
            "taxonomy_tags" | "taxonomy_ai_calls" => Some(Self::TaxonomyTags),
            "media_modifications" | "ai_clip_ops" | "watermark_ops" | "thumbnail_ops" => {
                Some(Self::MediaModifications)
            }
            _ => None,
        }
    }
}

/// How much of one kind of work a tier allows per billing cycle; −1 on the wire means without limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub enum Limit {
    /// Any amount.
    Unlimited,
    /// This much; 0 when the tier does not include it.
    UpTo(u64),
}

impl Limit {
    /// What is left after `usage`, on the wire's terms.
    pub fn remaining(self, usage: u64) -> i64 {
        match self {
            Self::Unlimited => -1,
            Self::UpTo(limit) => i64::try_from(limit.saturating_sub(usage)).unwrap_or(i64::MAX),
        }
    }

    /// Whether nothing is left after `usage`.
    pub fn reached(self, usage: u64) -> bool {
        matches!(self, Self::UpTo(limit) if usage >= limit)
    }
}

impl TryFrom<i64> for Limit {
    type Error = &'static str;
    fn try_from(limit: i64) -> Result<Self, Self::Error> {
        match limit {
            -1 => Ok(Self::Unlimited),
            _ => u64::try_from(limit).map(Self::UpTo).map_err(|_| "a limit is -1, 0 or positive"),
        }
    }
}

impl From<Limit> for i64 {
    fn from(limit: Limit) -> Self {
        match limit {
            Limit::Unlimited => -1,
            Limit::UpTo(limit) => Self::try_from(limit).unwrap_or(Self::MAX),
        }
    }
}

/// What each tier allows. Configuration; as JSON `{"starter": {"post_creations": 3, …}, …}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TierLimits(BTreeMap<Tier, BTreeMap<Action, Limit>>);

impl Default for TierLimits {
    fn default() -> Self {
        let tiers = [
            ("starter", [Limit::UpTo(3), Limit::UpTo(10), Limit::UpTo(5)]),
            ("creator", [Limit::UpTo(50), Limit::UpTo(100), Limit::UpTo(30)]),
            ("pro", [Limit::UpTo(200), Limit::UpTo(500), Limit::UpTo(150)]),
            ("studio", [Limit::Unlimited; 3]),
        ];
        let tiers = tiers.map(|(tier, limits)| {
            (Tier::named(tier), Action::ALL.into_iter().zip(limits).collect())
        });
        Self(tiers.into_iter().collect())
    }
}

impl TierLimits {
    /// What `tier` allows of `action`.
    ///
    /// # Errors
    /// [`Refusal::QuotaCheckFailed`] when the configuration does not say: what is not known to be allowed is not.
    pub fn limit(&self, tier: &Tier, action: Action) -> Result<Limit, Refusal> {
        let limit = self.0.get(tier).and_then(|limits| limits.get(&action));
        limit.copied().ok_or(Refusal::QuotaCheckFailed)
    }

    /// Whether the configuration knows this tier.
    pub fn knows(&self, tier: &Tier) -> bool {
        self.0.contains_key(tier)
    }
}

#[cfg(test)]
#[path = "quota_tests.rs"]
mod tests;
