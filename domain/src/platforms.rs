//! The platforms a creator is connected with. One stream per person, so that the check and the count are one decision:
//! parallel requests cannot pass a limit together.

use crate::{Decider, Kind, ids::UserId, quota::Limit};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What happened. Kept for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// There are credentials for this platform.
    PlatformConnected {
        /// Which.
        platform: String,
    },
    /// There are none any more.
    PlatformDisconnected {
        /// Which.
        platform: String,
    },
}

/// What somebody wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Be connected with a platform.
    Connect {
        /// Which.
        platform: String,
        /// With how many the person may be; those that are there stay, whatever the limit becomes.
        limit: Limit,
    },
    /// Be connected with it no more.
    Disconnect {
        /// Which.
        platform: String,
    },
}

/// The subscription allows no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the subscription allows {limit} connected platforms")]
pub struct LimitReached {
    /// How many it allows.
    pub limit: u64,
    /// How many there are.
    pub connected: u64,
}

impl crate::Refusal for LimitReached {
    fn kind(&self) -> Kind {
        Kind::Forbidden
    }
}

/// The platforms of one person.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Platforms(BTreeSet<String>);

impl Decider for Platforms {
    const CATEGORY: &'static str = "platforms";
    type Id = UserId;
    type Command = Command;
    type Event = Event;
    type Refusal = LimitReached;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, LimitReached> {
        match command {
            Command::Connect { platform, .. } if self.0.contains(platform) => Ok(vec![]),
            Command::Connect { platform, limit } => {
                let connected = self.0.len() as u64;
                match limit {
                    Limit::UpTo(limit) if connected >= *limit => {
                        Err(LimitReached { limit: *limit, connected })
                    }
                    _ => Ok(vec![Event::PlatformConnected { platform: platform.clone() }]),
                }
            }
            Command::Disconnect { platform } if self.0.contains(platform) => {
                Ok(vec![Event::PlatformDisconnected { platform: platform.clone() }])
            }
            Command::Disconnect { .. } => Ok(vec![]),
        }
    }

    fn evolve(mut self, event: &Event) -> Self {
        match event {
            Event::PlatformConnected { platform } => self.0.insert(platform.clone()),
            Event::PlatformDisconnected { platform } => self.0.remove(platform),
        };
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::given;

    fn connected(platform: &str) -> Event {
        Event::PlatformConnected { platform: platform.to_owned() }
    }

    fn connect(platform: &str, limit: Limit) -> Command {
        Command::Connect { platform: platform.to_owned(), limit }
    }

    #[test]
    fn a_limit_counts_platforms_and_those_that_are_there_stay() {
        let one = || given::<Platforms>([connected("x")]);
        one().when(connect("x", Limit::UpTo(0))).then_nothing();
        one().when(connect("reddit", Limit::UpTo(2))).then([connected("reddit")]);
        one().when(connect("reddit", Limit::Unlimited)).then([connected("reddit")]);
        one()
            .when(connect("reddit", Limit::UpTo(1)))
            .then_refused(LimitReached { limit: 1, connected: 1 });
    }

    #[test]
    fn who_disconnects_one_may_connect_another() {
        let gone = || Event::PlatformDisconnected { platform: "x".to_owned() };
        let disconnect = || Command::Disconnect { platform: "x".to_owned() };
        given::<Platforms>([connected("x")]).when(disconnect()).then([gone()]);
        given::<Platforms>([connected("x"), gone()]).when(disconnect()).then_nothing();
        given::<Platforms>([connected("x"), gone()])
            .when(connect("reddit", Limit::UpTo(1)))
            .then([connected("reddit")]);
    }
}
