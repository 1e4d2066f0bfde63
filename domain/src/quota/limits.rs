//! What kinds of billable work there are, and how much of each a tier allows.

use super::Refusal;
use crate::billing::Tier;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

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

/// What each tier allows. Configuration; as JSON `{"starter": {"post_creations": 3, …, "scheduled_queue_size": 3}, …}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TierLimits(BTreeMap<Tier, Allowance>);

/// What one tier allows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Allowance {
    /// Posts that wait for their time at any moment; nobody knows without it.
    #[serde(default)]
    scheduled_queue_size: Option<Limit>,
    /// Work per billing cycle.
    #[serde(flatten)]
    per_cycle: BTreeMap<Action, Limit>,
}

impl Default for TierLimits {
    fn default() -> Self {
        let tiers = [
            ("starter", [Limit::UpTo(3), Limit::UpTo(10), Limit::UpTo(5)]),
            ("creator", [Limit::UpTo(50), Limit::UpTo(100), Limit::UpTo(30)]),
            ("pro", [Limit::UpTo(200), Limit::UpTo(500), Limit::UpTo(150)]),
            ("studio", [Limit::Unlimited; 3]),
        ];
        let tiers = tiers.map(|(tier, limits)| {
            let posts = if tier == "starter" { Limit::UpTo(3) } else { Limit::Unlimited };
            let per_cycle = Action::ALL.into_iter().zip(limits).collect();
            (Tier::named(tier), Allowance { scheduled_queue_size: Some(posts), per_cycle })
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
        let limit = self.0.get(tier).and_then(|limits| limits.per_cycle.get(&action));
        limit.copied().ok_or(Refusal::QuotaCheckFailed)
    }

    /// How many posts may be scheduled at any moment.
    ///
    /// # Errors
    /// As [`TierLimits::limit`].
    pub fn scheduled_posts(&self, tier: &Tier) -> Result<Limit, Refusal> {
        let limit = self.0.get(tier).and_then(|limits| limits.scheduled_queue_size);
        limit.ok_or(Refusal::QuotaCheckFailed)
    }

    /// With how many platforms somebody may be connected at any moment.
    ///
    /// # Errors
    /// As [`TierLimits::limit`].
    pub fn connected_platforms(&self, tier: &Tier) -> Result<Limit, Refusal> {
        match tier.as_str() {
            "starter" => Ok(Limit::UpTo(1)),
            "creator" => Ok(Limit::UpTo(3)),
            "pro" => Ok(Limit::UpTo(6)),
            "studio" => Ok(Limit::UpTo(9)),
            _ => Err(Refusal::QuotaCheckFailed),
        }
    }

    /// Whether the configuration knows this tier.
    pub fn knows(&self, tier: &Tier) -> bool {
        self.0.contains_key(tier)
    }
}
