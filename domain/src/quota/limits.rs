//! What kinds of billable work there are, and how much of one may be allowed.

use serde::{Deserialize, Serialize};

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
