//! Which of a person's model providers is used when nothing else is named. One stream per person, so that there is never
//! more than one.

use crate::{
    Decider, Kind,
    ids::{ProviderId, UserId},
};
use serde::{Deserialize, Serialize};

/// What happened. Kept for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// This provider is used from now on.
    DefaultProviderChosen {
        /// Which.
        provider: ProviderId,
    },
    /// No provider of the person's own is used by default any more.
    DefaultProviderDropped {},
}

/// What somebody wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Use this provider, which the caller has found to be the person's.
    Choose(ProviderId),
    /// Use this provider no longer, if it is the one.
    Drop(ProviderId),
}

/// Nothing is ever refused here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {}

impl crate::Refusal for Refusal {
    fn kind(&self) -> Kind {
        match *self {}
    }
}

/// The choice.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DefaultProvider(pub Option<ProviderId>);

impl Decider for DefaultProvider {
    const CATEGORY: &'static str = "llm_default";
    type Id = UserId;
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Refusal> {
        Ok(match command {
            Command::Choose(provider) if self.0.as_ref() == Some(provider) => vec![],
            Command::Choose(provider) => {
                vec![Event::DefaultProviderChosen { provider: provider.clone() }]
            }
            Command::Drop(provider) if self.0.as_ref() == Some(provider) => {
                vec![Event::DefaultProviderDropped {}]
            }
            Command::Drop(_) => vec![],
        })
    }

    fn evolve(self, event: &Event) -> Self {
        match event {
            Event::DefaultProviderChosen { provider } => Self(Some(provider.clone())),
            Event::DefaultProviderDropped {} => Self(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::given;

    fn chosen(provider: &str) -> Event {
        Event::DefaultProviderChosen { provider: provider.into() }
    }

    #[test]
    fn the_last_choice_counts() {
        given::<DefaultProvider>([]).when(Command::Choose("a".into())).then([chosen("a")]);
        given::<DefaultProvider>([chosen("a")]).when(Command::Choose("a".into())).then_nothing();
        given::<DefaultProvider>([chosen("a")])
            .when(Command::Choose("b".into()))
            .then([chosen("b")]);
    }

    #[test]
    fn only_the_chosen_one_is_dropped() {
        given::<DefaultProvider>([chosen("a")]).when(Command::Drop("b".into())).then_nothing();
        given::<DefaultProvider>([chosen("a")])
            .when(Command::Drop("a".into()))
            .then([Event::DefaultProviderDropped {}]);
    }
}
