//! What was learnt about which skills belong together: day by day, what was called for together draws nearer, and what was
//! not fades.

use crate::{Decider, Kind, admins::Everywhere};
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Part of the way to 1 that an edge goes on a day on which its skills were called for together.
const BOOST: f64 = 0.05;
/// What is left of an edge after a day on which they were not.
const DECAY: f64 = 0.99;
/// Weaker edges are forgotten.
const FORGOTTEN: f64 = 0.02;

/// Two skills, in the order of their names.
pub type Pair = (String, String);

/// What happened. Kept for ever.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// Two skills are nearer to each other than before.
    EdgeReinforced {
        /// The one whose name comes first.
        from: String,
        /// The other.
        to: String,
        /// How near, from 0 to 1.
        weight: f64,
    },
    /// All that is to be learnt from this day is learnt; what was not reinforced for it has faded.
    DayLearned {
        /// Which.
        day: NaiveDate,
    },
}

/// What somebody wants.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Learn from a day.
    Learn {
        /// Which.
        day: NaiveDate,
        /// What was called for together, with the weight that an author gave it, or 0.
        pairs: BTreeMap<Pair, f64>,
    },
}

/// Nothing is ever refused here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {}

impl crate::Refusal for Refusal {
    fn kind(&self) -> Kind {
        match *self {}
    }
}

/// The state.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SkillEdges {
    /// What was learnt.
    pub learned: BTreeMap<Pair, f64>,
    /// The last day it was learnt from.
    pub last: Option<NaiveDate>,
    fresh: BTreeSet<Pair>,
}

impl Decider for SkillEdges {
    const CATEGORY: &'static str = "skill_edges";
    type Id = Everywhere;
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Refusal> {
        let Command::Learn { day, pairs } = command;
        if self.last.is_some_and(|last| last >= *day) {
            return Ok(vec![]);
        }
        let reinforced = pairs.iter().map(|(pair, authored)| {
            let weight = self.learned.get(pair).copied().unwrap_or(0.0).max(*authored);
            let weight = weight + BOOST * (1.0 - weight);
            Event::EdgeReinforced { from: pair.0.clone(), to: pair.1.clone(), weight }
        });
        Ok(reinforced.chain([Event::DayLearned { day: *day }]).collect())
    }

    fn evolve(mut self, event: &Event) -> Self {
        match event {
            Event::EdgeReinforced { from, to, weight } => {
                let pair = (from.clone(), to.clone());
                self.learned.insert(pair.clone(), *weight);
                self.fresh.insert(pair);
            }
            Event::DayLearned { day } => {
                let fresh = std::mem::take(&mut self.fresh);
                self.learned.retain(|pair, weight| {
                    if !fresh.contains(pair) {
                        *weight *= DECAY;
                    }
                    *weight >= FORGOTTEN
                });
                self.last = Some(*day);
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::given;

    fn day(day: u32) -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 11, day).unwrap_or_default()
    }

    fn pair() -> Pair {
        ("a".to_owned(), "b".to_owned())
    }

    fn learn(on: u32, authored: &[f64]) -> Command {
        let pairs = authored.iter().map(|weight| (pair(), *weight)).collect();
        Command::Learn { day: day(on), pairs }
    }

    fn reinforced(weight: f64) -> Event {
        Event::EdgeReinforced { from: "a".to_owned(), to: "b".to_owned(), weight }
    }

    fn nearer(weight: f64) -> f64 {
        weight + BOOST * (1.0 - weight)
    }

    fn learned(on: u32) -> Event {
        Event::DayLearned { day: day(on) }
    }

    #[test]
    fn what_is_called_for_together_draws_nearer_once_a_day() {
        given::<SkillEdges>([]).when(learn(1, &[0.0])).then([reinforced(0.05), learned(1)]);
        given::<SkillEdges>([]).when(learn(1, &[0.8])).then([reinforced(nearer(0.8)), learned(1)]);
        let history = || [reinforced(0.05), learned(1)];
        given::<SkillEdges>(history()).when(learn(1, &[0.0])).then_nothing();
        let again = [reinforced(nearer(0.05)), learned(2)];
        given::<SkillEdges>(history()).when(learn(2, &[0.0])).then(again);
    }

    #[test]
    fn what_is_not_fades_and_is_forgotten() {
        let fold = |days: u32| {
            let faded = (2..=days).map(learned);
            let events = [reinforced(0.05), learned(1)].into_iter().chain(faded);
            events.fold(SkillEdges::default(), |state, event| state.evolve(&event))
        };
        assert_eq!(fold(1).learned.get(&pair()), Some(&0.05));
        assert_eq!(fold(2).learned.get(&pair()), Some(&(0.05 * DECAY)));
        let mut state = fold(2);
        for _ in 0..100 {
            state = state.evolve(&learned(3));
        }
        assert!(state.learned.is_empty(), "{state:?}");
    }
}
