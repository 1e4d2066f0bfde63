//! How far a new person has come before the assistant talks to them.

use crate::{Decider, Kind, ids::UserId};
use serde::{Deserialize, Serialize};

/// A station on the way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Station {
    /// The browser extension is to be installed.
    #[default]
    ExtensionInstall,
    /// Data is being gathered.
    DataCollection,
    /// What was gathered is being read.
    Processing,
    /// Done.
    Complete,
}

impl Station {
    const ALL: [Self; 4] =
        [Self::ExtensionInstall, Self::DataCollection, Self::Processing, Self::Complete];

    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ExtensionInstall => "EXTENSION_INSTALL",
            Self::DataCollection => "DATA_COLLECTION",
            Self::Processing => "PROCESSING",
            Self::Complete => "COMPLETE",
        }
    }

    /// The station of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|station| station.as_str() == name)
    }

    /// Where the person may go from here.
    pub fn next(self) -> &'static [Self] {
        match self {
            Self::ExtensionInstall => &[Self::DataCollection],
            Self::DataCollection => &[Self::Processing],
            Self::Processing => &[Self::Complete, Self::DataCollection],
            Self::Complete => &[],
        }
    }
}

/// What happened. Kept for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// The person has come to another station.
    OnboardingStateChanged {
        /// Which.
        state: Station,
    },
}

/// What somebody wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Where to.
    pub to: Station,
    /// Whether the order of stations does not matter: for administrators and servers.
    pub freely: bool,
}

/// One cannot go there from here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{} does not follow {}", .to.as_str(), .from.as_str())]
pub struct NotNext {
    /// From.
    pub from: Station,
    /// To.
    pub to: Station,
}

impl crate::Refusal for NotNext {
    fn kind(&self) -> Kind {
        Kind::Invalid
    }
}

/// The state: where somebody is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Onboarding {
    /// Where.
    pub station: Station,
}

impl Decider for Onboarding {
    const CATEGORY: &'static str = "onboarding";
    type Id = UserId;
    type Command = Command;
    type Event = Event;
    type Refusal = NotNext;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, NotNext> {
        let (from, to) = (self.station, command.to);
        if from == to {
            return Ok(vec![]);
        }
        if command.freely || from.next().contains(&to) {
            return Ok(vec![Event::OnboardingStateChanged { state: to }]);
        }
        Err(NotNext { from, to })
    }

    fn evolve(self, event: &Event) -> Self {
        let Event::OnboardingStateChanged { state } = event;
        Self { station: *state }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::given;
    use Station as S;

    #[test]
    fn the_way_is_the_same_for_everybody_but_those_who_may_jump() {
        let mut allowed = 0;
        for (from, to) in S::ALL.into_iter().flat_map(|a| S::ALL.map(|b| (a, b))) {
            let at = || given::<Onboarding>([Event::OnboardingStateChanged { state: from }]);
            let moved = || Event::OnboardingStateChanged { state: to };
            let step = |freely| Command { to, freely };
            if from == to {
                at().when(step(false)).then_nothing();
                continue;
            }
            at().when(step(true)).then([moved()]);
            if from.next().contains(&to) {
                allowed += 1;
                at().when(step(false)).then([moved()]);
            } else {
                at().when(step(false)).then_refused(NotNext { from, to });
            }
        }
        assert_eq!(allowed, 4);
    }
}
