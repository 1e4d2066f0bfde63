//! Random moments that can be had again: a generator that is seeded.

use std::{env, time::UNIX_EPOCH};

/// A small generator (splitmix64).
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    /// Seeded by the variable `ANNALS_SEED`, else by the clock; says with what, so that a failure can be repeated.
    pub fn seeded() -> Self {
        let given = env::var("ANNALS_SEED").ok().and_then(|seed| seed.parse().ok());
        let clock = || UNIX_EPOCH.elapsed().map_or(0, |age| u64::from(age.subsec_nanos()));
        let seed = given.unwrap_or_else(clock);
        eprintln!("ANNALS_SEED={seed}");
        Self(seed)
    }

    /// Another generator that goes its own way.
    #[must_use]
    pub fn fork(&mut self) -> Self {
        Self(self.next())
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// True one time in `n`.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
