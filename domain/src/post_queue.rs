//! The places that a person's scheduled posts take, one stream per person: parallel wishes cannot pass the limit together.

use crate::{
    Decider, Kind,
    ids::{PostId, UserId},
    quota::Limit,
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What happened. Kept for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// A post is about to be scheduled.
    PlaceTaken {
        /// Which.
        post: PostId,
        /// When.
        at: DateTime<Utc>,
    },
    /// It waits no longer.
    PlaceFreed {
        /// Which.
        post: PostId,
    },
}

/// What somebody wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// A place for this post.
    Take {
        /// Which.
        post: PostId,
        /// What the tier allows.
        limit: Limit,
        /// The time.
        now: DateTime<Utc>,
    },
    /// Its place for others.
    Free(PostId),
}

/// Why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// All places are taken.
    #[error("no more than {limit} posts may be scheduled at a time")]
    LimitReached {
        /// What the tier allows.
        limit: u64,
        /// How many are taken.
        usage: u64,
    },
    /// The tier includes none.
    #[error("the subscription does not include scheduled posts")]
    NotInTier,
}

impl crate::Refusal for Refusal {
    fn kind(&self) -> Kind {
        Kind::Forbidden
    }
}

/// The state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PostQueue {
    /// Who has a place, and since when.
    pub places: BTreeMap<PostId, DateTime<Utc>>,
}

impl PostQueue {
    /// How many places are taken.
    pub fn usage(&self) -> u64 {
        self.places.len() as u64
    }
}

impl Decider for PostQueue {
    const CATEGORY: &'static str = "post_queue";
    type Id = UserId;
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Refusal> {
        match command {
            Command::Take { post, .. } if self.places.contains_key(post) => Ok(vec![]),
            Command::Take { limit: Limit::UpTo(0), .. } => Err(Refusal::NotInTier),
            Command::Take { limit: Limit::UpTo(limit), .. } if self.usage() >= *limit => {
                Err(Refusal::LimitReached { limit: *limit, usage: self.usage() })
            }
            Command::Take { post, now, .. } => {
                Ok(vec![Event::PlaceTaken { post: *post, at: *now }])
            }
            Command::Free(post) => {
                let taken = self.places.contains_key(post);
                Ok(taken.then_some(Event::PlaceFreed { post: *post }).into_iter().collect())
            }
        }
    }

    fn evolve(mut self, event: &Event) -> Self {
        match event {
            Event::PlaceTaken { post, at } => self.places.insert(*post, *at),
            Event::PlaceFreed { post } => self.places.remove(post),
        };
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::given;
    use uuid::Uuid;

    fn post(number: u128) -> PostId {
        PostId(Uuid::from_u128(number))
    }

    fn take(number: u128, limit: Limit) -> Command {
        Command::Take { post: post(number), limit, now: DateTime::UNIX_EPOCH }
    }

    fn taken(number: u128) -> Event {
        Event::PlaceTaken { post: post(number), at: DateTime::UNIX_EPOCH }
    }

    #[test]
    fn a_place_is_taken_once_and_only_while_there_is_one() {
        let two = Limit::UpTo(2);
        given::<PostQueue>([taken(1)]).when(take(2, two)).then([taken(2)]);
        given::<PostQueue>([taken(1)]).when(take(1, two)).then_nothing();
        let full = Refusal::LimitReached { limit: 2, usage: 2 };
        given::<PostQueue>([taken(1), taken(2)]).when(take(3, two)).then_refused(full);
        given::<PostQueue>([taken(1), taken(2)]).when(take(2, two)).then_nothing();
        given::<PostQueue>([taken(1), taken(2)]).when(take(3, Limit::Unlimited)).then([taken(3)]);
        given::<PostQueue>([]).when(take(1, Limit::UpTo(0))).then_refused(Refusal::NotInTier);
    }

    #[test]
    fn a_place_is_freed_once() {
        let freed = || Event::PlaceFreed { post: post(1) };
        given::<PostQueue>([taken(1)]).when(Command::Free(post(1))).then([freed()]);
        given::<PostQueue>([taken(1), freed()]).when(Command::Free(post(1))).then_nothing();
    }
}
