//! How long to wait before the next attempt.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

/// Grows exponentially from one failure to the next, with jitter, so that those who failed together do not return
/// together.
#[derive(Debug)]
pub(crate) struct Backoff {
    failures: u32,
}

/// Before the second attempt.
const FIRST: Duration = Duration::from_millis(100);

/// Longest wait: a destination that is back is noticed within this.
const MAX: Duration = Duration::from_secs(10);

impl Backoff {
    pub(crate) fn new() -> Backoff {
        Backoff { failures: 0 }
    }

    /// Something went well.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    /// Something failed: the wait before the next attempt. `asked`: what the other side asks for.
    pub(crate) fn next(&mut self, asked: Option<Duration>) -> Duration {
        let random = RandomState::new().build_hasher().finish();
        let wait = wait_after(self.failures, random as f64 / u64::MAX as f64);
        self.failures = self.failures.saturating_add(1);
        wait.max(asked.unwrap_or_default().min(MAX))
    }
}

/// `random`: from 0 to 1. Between half of the full wait and all of it.
fn wait_after(failures: u32, random: f64) -> Duration {
    let full = FIRST.saturating_mul(1 << failures.min(16)).min(MAX);
    full.mul_f64(0.5 + random / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_their_limit_and_spread_over_half_of_it() {
        assert_eq!(wait_after(0, 1.0), FIRST);
        assert_eq!(wait_after(3, 1.0), FIRST * 8);
        assert_eq!(wait_after(3, 0.0), FIRST * 4);
        for failures in [10, 100, u32::MAX] {
            assert_eq!(wait_after(failures, 1.0), MAX);
            assert_eq!(wait_after(failures, 0.0), MAX / 2);
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
