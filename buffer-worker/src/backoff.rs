//! How long to wait before the next attempt.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

/// Grows exponentially from one failure to the next, with jitter, so that those who failed together do not return
/// together.
#[derive(Debug)]
pub(crate) struct Backoff {
    failures: u32,
    first: Duration,
    max: Duration,
    random: Random,
}

/// Before the second attempt.
const FIRST: Duration = Duration::from_millis(100);

/// Longest wait: a destination that is back is noticed within this.
const MAX: Duration = Duration::from_secs(10);

impl Backoff {
    /// For attempts of one piece of work.
    pub(crate) fn new() -> Backoff {
        Backoff::between(FIRST, MAX)
    }

    /// Waits from about `first` to about `max`.
    pub(crate) fn between(first: Duration, max: Duration) -> Backoff {
        Backoff { failures: 0, first, max, random: Random::new() }
    }

    #[cfg(test)]
    pub(crate) fn seeded(mut self, seed: u64) -> Backoff {
        self.random = Random::seeded(seed);
        self
    }

    /// Something went well.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    /// Something failed: the wait before the next attempt. `asked`: what the other side asks for.
    pub(crate) fn next(&mut self, asked: Option<Duration>) -> Duration {
        let full = self.first.saturating_mul(1 << self.failures.min(16)).min(self.max);
        self.failures = self.failures.saturating_add(1);
        spread(full, self.random.next()).max(asked.unwrap_or_default().min(self.max))
    }
}

/// Between half of a wait and all of it, by chance.
pub(crate) fn jitter(wait: Duration) -> Duration {
    spread(wait, Random::new().next())
}

/// `random`: from 0 to 1.
fn spread(wait: Duration, random: f64) -> Duration {
    wait.mul_f64(0.5 + random / 2.0)
}

/// Chance, or what looks like it: SplitMix64 (Steele, Lea, Flood 2014).
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// Other numbers than those of any other.
    pub(crate) fn new() -> Random {
        Random(RandomState::new().build_hasher().finish())
    }

    #[cfg(test)]
    pub(crate) fn seeded(seed: u64) -> Random {
        Random(seed)
    }

    /// From 0 to 1.
    pub(crate) fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) as f64 / u64::MAX as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_their_limit_and_spread_over_half_of_it() {
        assert_eq!((spread(FIRST, 1.0), spread(FIRST, 0.0)), (FIRST, FIRST / 2));
        let mut backoff = Backoff::new();
        for full in [1, 2, 4, 8, 16, 32, 64, 100, 100].map(|times| FIRST * times) {
            let wait = backoff.next(None);
            assert!((full / 2..=full).contains(&wait), "{wait:?} is not about {full:?}");
        }
    }

    #[test]
    fn what_the_other_side_asks_for_is_kept_within_the_limit() {
        let mut backoff = Backoff::new();
        assert!(backoff.next(Some(Duration::from_secs(5))) >= Duration::from_secs(5));
        assert!(backoff.next(Some(Duration::from_secs(3600))) <= MAX);
        backoff.reset();
        assert!(backoff.next(None) <= FIRST);
    }
}
