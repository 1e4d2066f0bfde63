//! What each tier allows: configuration, read from JSON.

use super::{Action, Limit, Refusal};
use crate::billing::Tier;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Posts that wait for their time, at any moment.
const QUEUE: &str = "scheduled_queue_size";
/// Platforms somebody is connected with, at any moment.
const PLATFORMS: &str = "connected_platforms";
/// Whether more is shown of fans.
const FANS: &str = "fan_details";

/// What each tier allows. As JSON `{"starter": {"post_creations": 3, "taxonomy_tags": 10, "media_modifications": 5,
/// "scheduled_queue_size": 3, "connected_platforms": 1, "fan_details": false}, …}`; −1 is without limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TierLimits(BTreeMap<Tier, Allowance>);

/// What one tier allows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Allowance {
    /// Work per billing cycle.
    per_cycle: BTreeMap<Action, Limit>,
    /// Posts that wait for their time at any moment; nobody knows without it.
    scheduled_queue_size: Option<Limit>,
    /// Platforms at any moment; without it as many as the tier of this name has that comes with the program.
    connected_platforms: Option<Limit>,
    /// Whether more is shown of fans; without it as with the tier of this name that comes with the program.
    fan_details: Option<bool>,
}

/// Why a configuration of tiers cannot be used: where, and what would fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// Another kind of value is needed there.
    #[error("{path} has to be {wanted}")]
    Value {
        /// Keys from the outermost on, with dots between them.
        path: String,
        /// What would fit.
        wanted: &'static str,
    },
    /// Nobody reads this key: a slip, most likely.
    #[error(
        "{path} is no key; there are post_creations, taxonomy_tags, media_modifications, {QUEUE}, {PLATFORMS}, {FANS}"
    )]
    Unknown {
        /// As above.
        path: String,
    },
    /// The same is said before under another of its names.
    #[error("{path} says again what another key says")]
    Twice {
        /// As above.
        path: String,
    },
    /// There are no tiers at all.
    #[error("there is no tier in it")]
    Empty,
}

impl Default for TierLimits {
    fn default() -> Self {
        use Limit::{Unlimited, UpTo};
        let tiers = [
            ("starter", [UpTo(3), UpTo(10), UpTo(5)], UpTo(3), 1),
            ("creator", [UpTo(50), UpTo(100), UpTo(30)], Unlimited, 3),
            ("pro", [UpTo(200), UpTo(500), UpTo(150)], Unlimited, 6),
            ("studio", [Unlimited; 3], Unlimited, 9),
        ];
        let tiers = tiers.map(|(tier, limits, posts, platforms)| {
            let allowance = Allowance {
                per_cycle: Action::ALL.into_iter().zip(limits).collect(),
                scheduled_queue_size: Some(posts),
                connected_platforms: Some(UpTo(platforms)),
                fan_details: Some(matches!(tier, "pro" | "studio")),
            };
            (Tier::named(tier), allowance)
        });
        Self(tiers.into_iter().collect())
    }
}

impl TryFrom<&Value> for TierLimits {
    type Error = Misfit;

    /// Tiers that are not named do not exist, and what is not said of a tier is not allowed, apart from what
    /// configurations did not say formerly: platforms and fans.
    fn try_from(json: &Value) -> Result<Self, Misfit> {
        let wanted = "an object of tiers such as {\"starter\": {\"post_creations\": 3}}";
        let misfit = || Misfit::Value { path: "the whole".to_owned(), wanted };
        let mut tiers = BTreeMap::new();
        for (name, said) in json.as_object().ok_or_else(misfit)? {
            let wanted = "an object such as {\"post_creations\": 3}";
            let misfit = || Misfit::Value { path: name.clone(), wanted };
            let allowance = Allowance::read(name, said.as_object().ok_or_else(misfit)?)?;
            if tiers.insert(Tier::named(name), allowance).is_some() {
                return Err(Misfit::Twice { path: name.clone() });
            }
        }
        if tiers.is_empty() { Err(Misfit::Empty) } else { Ok(Self(tiers)) }
    }
}

impl Allowance {
    fn read(tier: &str, said: &Map<String, Value>) -> Result<Self, Misfit> {
        let mut allowance = Self::default();
        for (key, value) in said {
            let path = || format!("{tier}.{key}");
            let limit = || {
                let limit = value.as_i64().and_then(|limit| Limit::try_from(limit).ok());
                let wanted = "a whole number: -1 (without limit), 0 (not in the tier) or more";
                limit.ok_or_else(|| Misfit::Value { path: path(), wanted })
            };
            let again = match key.as_str() {
                QUEUE => allowance.scheduled_queue_size.replace(limit()?).is_some(),
                PLATFORMS => allowance.connected_platforms.replace(limit()?).is_some(),
                FANS => {
                    let wanted = "true or false";
                    let shown =
                        value.as_bool().ok_or_else(|| Misfit::Value { path: path(), wanted })?;
                    allowance.fan_details.replace(shown).is_some()
                }
                key => {
                    let action =
                        Action::named(key).ok_or_else(|| Misfit::Unknown { path: path() })?;
                    allowance.per_cycle.insert(action, limit()?).is_some()
                }
            };
            if again {
                return Err(Misfit::Twice { path: path() });
            }
        }
        Ok(allowance)
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
        self.said(tier, |limits| limits.connected_platforms).ok_or(Refusal::QuotaCheckFailed)
    }

    /// Whether somebody is shown sentiment, purchases and memories of fans; where nobody says so they are not.
    pub fn fan_details(&self, tier: &Tier) -> bool {
        self.said(tier, |limits| limits.fan_details).unwrap_or(false)
    }

    fn said<T>(&self, tier: &Tier, what: impl Fn(&Allowance) -> Option<T>) -> Option<T> {
        let said = self.0.get(tier)?;
        what(said).or_else(|| what(Self::default().0.get(tier)?))
    }

    /// Whether the configuration knows this tier.
    pub fn knows(&self, tier: &Tier) -> bool {
        self.0.contains_key(tier)
    }

    /// The tiers in the order of their names, each with the keys that are not said of it and without which what they
    /// stand for is refused.
    pub fn gaps(&self) -> impl Iterator<Item = (&Tier, Vec<&'static str>)> {
        self.0.iter().map(|(tier, said)| {
            let missing = |action: &Action| !said.per_cycle.contains_key(action);
            let actions = Action::ALL.into_iter().filter(missing).map(Action::as_str);
            let queue = said.scheduled_queue_size.is_none().then_some(QUEUE);
            let platforms = self.connected_platforms(tier).is_err().then_some(PLATFORMS);
            (tier, actions.chain(queue).chain(platforms).collect())
        })
    }
}
