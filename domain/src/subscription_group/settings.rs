//! How a group delivers. Kept in events, so it only grows.

use serde::{Deserialize, Serialize};

/// How a group delivers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Whether links come with what they link to.
    pub resolve_links: bool,
    /// Whether consumers want to know how long things take.
    #[serde(default)]
    pub extra_statistics: bool,
    /// How often a message is delivered again before it is parked.
    pub max_retries: u32,
    /// Milliseconds after which a message that nobody has answered is delivered again; 0 for never.
    pub message_timeout: u32,
    /// Milliseconds after which progress is recorded, if it is enough.
    pub checkpoint_after: u32,
    /// Settled messages that are enough after that time.
    pub min_checkpoint: u32,
    /// Settled messages after which progress is recorded at once.
    pub max_checkpoint: u32,
    /// Consumers at a time; 0 for any number.
    pub max_consumers: u32,
    /// Messages held ready of what comes in.
    pub live_buffer: u32,
    /// Messages read at a time.
    pub read_batch: u32,
    /// Messages held ready of what had come before.
    pub history_buffer: u32,
    /// How consumers take turns.
    pub strategy: Strategy,
    /// What passes of the whole log; everything without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Filter>,
}

/// How consumers take turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Strategy {
    /// The first who has room, in the order in which they came.
    DispatchToSingle,
    /// One after the other.
    RoundRobin,
    /// Messages of one stream go to the same.
    Pinned,
    /// Messages that belong together, by their metadata, go to the same.
    PinnedByCorrelation,
}

impl Strategy {
    /// Its name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::DispatchToSingle => "DispatchToSingle",
            Self::RoundRobin => "RoundRobin",
            Self::Pinned => "Pinned",
            Self::PinnedByCorrelation => "PinnedByCorrelation",
        }
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::DispatchToSingle, Self::RoundRobin, Self::Pinned, Self::PinnedByCorrelation]
            .into_iter()
            .find(|strategy| strategy.name() == name)
    }
}

/// What passes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    /// Whether it looks at the type; else at the stream's name.
    pub on_type: bool,
    /// A regular expression; empty when there are prefixes.
    pub regex: String,
    /// Prefixes, any of which fits.
    pub prefixes: Vec<String>,
}

/// Where a group begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Start {
    /// With the first message.
    Beginning,
    /// With the message of this revision or position.
    At(u64),
    /// With the first message after this place, which was the last when the group was set up.
    After(u64),
}

impl Default for Settings {
    /// As most clients have it.
    fn default() -> Self {
        Self {
            resolve_links: false,
            extra_statistics: false,
            max_retries: 10,
            message_timeout: 30_000,
            checkpoint_after: 2_000,
            min_checkpoint: 10,
            max_checkpoint: 1_000,
            max_consumers: 0,
            live_buffer: 500,
            read_batch: 20,
            history_buffer: 500,
            strategy: Strategy::RoundRobin,
            filter: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strategies_are_known_by_name() {
        for strategy in [Strategy::DispatchToSingle, Strategy::Pinned, Strategy::RoundRobin] {
            assert_eq!(Strategy::named(strategy.name()), Some(strategy));
        }
        assert_eq!(Strategy::named("Whoever"), None);
    }
}
