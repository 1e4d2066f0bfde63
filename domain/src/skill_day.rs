//! Which skills tasks called for together on one day.

use crate::{Decider, Kind};
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Skills of one answer that are learnt from: the best of it.
pub const TOGETHER: usize = 5;
/// Pairs of a day that are learnt from.
const MOST: usize = 10_000;

/// What happened. Kept for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// A task called for these; what the task was is nobody's business.
    SkillsActivated {
        /// Their names, best first.
        skills: Vec<String>,
    },
}

/// What somebody wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Remember that a task called for these.
    Activate(Vec<String>),
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
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SkillDay {
    /// Which skills were called for together, each pair once, in the order of their names.
    pub pairs: BTreeSet<(String, String)>,
}

impl Decider for SkillDay {
    const CATEGORY: &'static str = "skill_day";
    type Id = NaiveDate;
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Refusal> {
        let Command::Activate(skills) = command;
        let skills: Vec<String> = skills.iter().take(TOGETHER).cloned().collect();
        // What teaches nothing new is not written down.
        let news = pairs(&skills).any(|pair| !self.pairs.contains(&pair));
        let room = self.pairs.len() < MOST;
        Ok((news && room).then_some(Event::SkillsActivated { skills }).into_iter().collect())
    }

    fn evolve(mut self, event: &Event) -> Self {
        let Event::SkillsActivated { skills } = event;
        self.pairs.extend(pairs(skills));
        self
    }
}

fn pairs(skills: &[String]) -> impl Iterator<Item = (String, String)> + '_ {
    let ordered = |a: &String, b: &String| {
        if a < b { (a.clone(), b.clone()) } else { (b.clone(), a.clone()) }
    };
    skills.iter().enumerate().flat_map(move |(at, a)| {
        skills[at + 1..].iter().filter(move |b| *b != a).map(move |b| ordered(a, b))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::given;

    fn named(skills: &[&str]) -> Vec<String> {
        skills.iter().map(|skill| (*skill).to_owned()).collect()
    }

    fn activate(skills: &[&str]) -> Command {
        Command::Activate(named(skills))
    }

    fn activated(skills: &[&str]) -> Event {
        Event::SkillsActivated { skills: named(skills) }
    }

    #[test]
    fn a_pair_is_noted_once_a_day() {
        given::<SkillDay>([]).when(activate(&["b", "a"])).then([activated(&["b", "a"])]);
        given::<SkillDay>([activated(&["b", "a"])]).when(activate(&["a", "b"])).then_nothing();
        given::<SkillDay>([activated(&["b", "a"])])
            .when(activate(&["a", "b", "c"]))
            .then([activated(&["a", "b", "c"])]);
        given::<SkillDay>([]).when(activate(&["a"])).then_nothing();
        let six = ["a", "b", "c", "d", "e", "f"];
        given::<SkillDay>([]).when(activate(&six)).then([activated(&six[..TOGETHER])]);
    }
}
