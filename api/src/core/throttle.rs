//! How often something may be tried, counted in bounded memory on each node.

use super::Error;
use std::{
    collections::HashMap,
    hash::{BuildHasher, Hash, RandomState},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Counts attempts by key within fixed windows of time.
#[derive(Debug)]
pub struct Throttle {
    most: u32,
    window: Duration,
    capacity: usize,
    /// Keys are kept as hashes: whoever makes up long ones takes no more room.
    hasher: RandomState,
    seen: Mutex<HashMap<u64, Attempts>>,
}

#[derive(Debug, Clone, Copy)]
struct Attempts {
    count: u32,
    /// Those of `count` that are under way: they may turn out to be good ones.
    open: u32,
    ends: Instant,
}

/// How things stand for a key after an attempt.
#[derive(Debug, Clone, Copy)]
pub struct Told {
    /// Whether the attempt is within the limit.
    pub allowed: bool,
    /// Attempts left within the window.
    pub left: u32,
    /// How long the window still is.
    pub resets_in: Duration,
}

impl Throttle {
    /// At most `most` attempts per key and `window`. Of more than `capacity` keys those are forgotten first whose window
    /// ends first.
    pub fn new(most: u32, window: Duration, capacity: usize) -> Self {
        let seen = Mutex::new(HashMap::new());
        Self { most, window, capacity: capacity.max(1), hasher: RandomState::new(), seen }
    }

    /// Counts an attempt, before it is made: parallel attempts cannot pass the limit together.
    ///
    /// # Errors
    /// [`Error::Throttled`] when there were too many; such an attempt is not counted.
    pub fn attempt(&self, key: impl Hash) -> Result<(), Error> {
        self.attempt_at(key, Instant::now())
    }

    fn attempt_at(&self, key: impl Hash, now: Instant) -> Result<(), Error> {
        let told = self.count_at(key, now);
        if told.allowed { Ok(()) } else { Err(Error::Throttled { retry_after: told.resets_in }) }
    }

    /// As [`Throttle::attempt`], and tells how things stand.
    pub fn count(&self, key: impl Hash) -> Told {
        self.count_at(key, Instant::now())
    }

    fn count_at(&self, key: impl Hash, now: Instant) -> Told {
        self.of(key, now, |attempts| {
            let allowed = attempts.count < self.most;
            attempts.count += u32::from(allowed);
            Told { allowed, left: self.most - attempts.count, resets_in: attempts.ends - now }
        })
    }

    /// As [`Throttle::attempt`], for attempts whose outcome is told by [`Throttle::forgive`] or [`Throttle::uphold`].
    /// `false` when there is room only if some of those under way turn out to be good ones; it is not counted then.
    ///
    /// # Errors
    /// As there.
    pub fn begin(&self, key: impl Hash) -> Result<bool, Error> {
        let now = Instant::now();
        self.of(key, now, |attempts| {
            if attempts.count < self.most {
                attempts.count += 1;
                attempts.open += 1;
                return Ok(true);
            }
            if attempts.open > 0 {
                return Ok(false);
            }
            Err(Error::Throttled { retry_after: attempts.ends - now })
        })
    }

    /// Takes back an attempt that turned out to be a good one.
    pub fn forgive(&self, key: impl Hash) {
        self.settle(key, |attempts| attempts.count = attempts.count.saturating_sub(1));
    }

    /// Leaves an attempt counted that turned out to be a bad one.
    pub fn uphold(&self, key: impl Hash) {
        self.settle(key, |_| {});
    }

    fn of<T>(&self, key: impl Hash, now: Instant, then: impl FnOnce(&mut Attempts) -> T) -> T {
        let key = self.hasher.hash_one(key);
        let mut seen = self.seen();
        if !seen.contains_key(&key) && seen.len() >= self.capacity {
            make_room(&mut seen, now);
        }
        let fresh = Attempts { count: 0, open: 0, ends: now + self.window };
        let attempts = seen.entry(key).or_insert(fresh);
        if attempts.ends <= now {
            *attempts = Attempts { count: attempts.open, open: attempts.open, ..fresh };
        }
        then(attempts)
    }

    fn settle(&self, key: impl Hash, then: impl FnOnce(&mut Attempts)) {
        let key = self.hasher.hash_one(key);
        if let Some(attempts) = self.seen().get_mut(&key) {
            attempts.open = attempts.open.saturating_sub(1);
            then(attempts);
        }
    }

    fn seen(&self) -> MutexGuard<'_, HashMap<u64, Attempts>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn make_room(seen: &mut HashMap<u64, Attempts>, now: Instant) {
    let before = seen.len();
    seen.retain(|_, attempts| attempts.ends > now);
    if seen.len() == before {
        let oldest = seen.iter().min_by_key(|(_, attempts)| attempts.ends).map(|(key, _)| *key);
        oldest.map(|key| seen.remove(&key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn the_fourth_of_three_has_to_wait_for_the_window() {
        let (throttle, now) = (Throttle::new(3, MINUTE, 10), Instant::now());
        for _ in 0..3 {
            assert!(throttle.attempt_at("ann", now).is_ok());
        }
        let later = now + Duration::from_secs(20);
        let Err(Error::Throttled { retry_after }) = throttle.attempt_at("ann", later) else {
            panic!("not throttled")
        };
        assert_eq!(retry_after, Duration::from_secs(40));
        assert!(throttle.attempt_at("bob", later).is_ok());
        assert!(throttle.attempt_at("ann", now + MINUTE).is_ok());
    }

    #[test]
    fn a_forgiven_attempt_does_not_count() {
        let (throttle, now) = (Throttle::new(1, MINUTE, 10), Instant::now());
        for _ in 0..5 {
            assert!(throttle.attempt_at("ann", now).is_ok());
            throttle.forgive("ann");
        }
    }

    #[test]
    fn whoever_comes_while_others_are_looked_at_has_to_wait_and_see() {
        let throttle = Throttle::new(2, MINUTE, 10);
        let begin = || throttle.begin("ann").ok();
        assert_eq!([begin(), begin(), begin()], [Some(true), Some(true), Some(false)]);
        throttle.uphold("ann");
        assert_eq!(begin(), Some(false));
        throttle.forgive("ann");
        assert_eq!(begin(), Some(true));
        throttle.uphold("ann");
        assert_eq!(begin(), None);
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_goes_first() {
        let (throttle, now) = (Throttle::new(1, MINUTE, 100), Instant::now());
        for key in 0..1_000_u32 {
            let at = now + Duration::from_millis(u64::from(key));
            assert!(throttle.attempt_at(key, at).is_ok());
            assert!(throttle.seen().len() <= 100);
        }
        let at = now + Duration::from_secs(1);
        assert!(throttle.attempt_at(999_u32, at).is_err());
        assert!(throttle.attempt_at(0_u32, at).is_ok());
    }
}
