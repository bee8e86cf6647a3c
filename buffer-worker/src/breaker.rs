//! Circuit breakers: whoever fails again and again is left alone for a while, then asked once.
//!
//! ```text
//!            failures                wait is over
//!  Closed ─────────────▶ Open ──────────────────────▶ HalfOpen
//!     ▲                   ▲      one probe goes          │
//!     │                   └──────── it fails ────────────┤
//!     └───────────────────────── it succeeds ────────────┘
//! ```
//! Pure: the time is passed in.

use std::time::{Duration, Instant};

use crate::backoff::Backoff;

/// A probe that nobody heard of for this long was lost: another may go. Longer than any request takes.
const PROBE_TIMEOUT: Duration = Duration::from_secs(90);

/// What a breaker does now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// All goes through.
    Closed,
    /// Nothing goes through.
    Open,
    /// One probe is under way; nothing else goes through.
    HalfOpen,
}

impl BreakerState {
    /// As metrics and people read it.
    pub fn name(self) -> &'static str {
        match self {
            BreakerState::Closed => "closed",
            BreakerState::Open => "open",
            BreakerState::HalfOpen => "half_open",
        }
    }
}

/// Whether something may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    Send,
    Wait(Duration),
}

#[derive(Debug)]
enum Phase {
    Closed { failures: u32 },
    Open { until: Instant },
    HalfOpen { since: Instant },
}

#[derive(Debug)]
pub(crate) struct Breaker {
    phase: Phase,
    /// Of the openings since it was closed.
    backoff: Backoff,
    failures_max: u32,
}

impl Breaker {
    /// Closed; opens at this many failures in a row, for times that `backoff` gives.
    pub(crate) fn new(failures_max: u32, backoff: Backoff) -> Breaker {
        Breaker { phase: Phase::Closed { failures: 0 }, backoff, failures_max }
    }

    pub(crate) fn state(&self) -> BreakerState {
        match self.phase {
            Phase::Closed { .. } => BreakerState::Closed,
            Phase::Open { .. } => BreakerState::Open,
            Phase::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }

    /// What [`admit`](Self::admit) would say, without taking the probe.
    pub(crate) fn peek(&self, now: Instant) -> Admission {
        let left = match self.phase {
            Phase::Closed { .. } => return Admission::Send,
            Phase::Open { until } => until.saturating_duration_since(now),
            Phase::HalfOpen { since } => (since + PROBE_TIMEOUT).saturating_duration_since(now),
        };
        if left.is_zero() { Admission::Send } else { Admission::Wait(left) }
    }

    /// Asks to send. Whoever may do so while it is not closed is the probe, and tells how it went.
    pub(crate) fn admit(&mut self, now: Instant) -> Admission {
        let admission = self.peek(now);
        if admission == Admission::Send && self.state() != BreakerState::Closed {
            self.phase = Phase::HalfOpen { since: now };
        }
        admission
    }

    /// Something went well. Answers whether it was closed by that.
    pub(crate) fn succeeded(&mut self) -> bool {
        let was_closed = self.state() == BreakerState::Closed;
        self.phase = Phase::Closed { failures: 0 };
        self.backoff.reset();
        !was_closed
    }

    /// Something failed. `asked`: how long the other side asks to wait. Answers whether it was opened by that.
    pub(crate) fn failed(&mut self, now: Instant, asked: Option<Duration>) -> bool {
        match &mut self.phase {
            // What was sent before it opened says nothing new.
            Phase::Open { .. } => return false,
            Phase::Closed { failures } if *failures + 1 < self.failures_max => {
                *failures += 1;
                return false;
            }
            Phase::Closed { .. } | Phase::HalfOpen { .. } => {}
        }
        self.phase = Phase::Open { until: now + self.backoff.next(asked) };
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn breaker(failures_max: u32) -> Breaker {
        Breaker::new(failures_max, Backoff::between(SECOND, 8 * SECOND))
    }

    /// How long it stays open from `now` on.
    fn open_for(breaker: &Breaker, now: Instant) -> Duration {
        match breaker.peek(now) {
            Admission::Wait(wait) => wait,
            Admission::Send => Duration::ZERO,
        }
    }

    #[test]
    fn it_opens_after_failures_in_a_row_only() {
        let (mut breaker, now) = (breaker(3), Instant::now());
        for _ in 0..5 {
            assert!(!breaker.failed(now, None) && !breaker.failed(now, None));
            assert!(!breaker.succeeded(), "it was never open");
        }
        assert!(!breaker.failed(now, None) && !breaker.failed(now, None) && breaker.failed(now, None));
        assert_eq!(breaker.state(), BreakerState::Open);
        assert!(!breaker.failed(now, None), "a straggler changes nothing");
    }

    #[test]
    fn one_probe_goes_when_the_wait_is_over_and_decides() {
        let (mut breaker, mut now) = (breaker(1), Instant::now());
        let mut before = Duration::ZERO;
        for _ in 0..3 {
            assert!(breaker.failed(now, None));
            let wait = open_for(&breaker, now);
            assert!(wait > before, "each wait is longer: {wait:?} after {before:?}");
            before = wait;
            assert_ne!(breaker.admit(now), Admission::Send);
            now += wait;
            assert_eq!(breaker.admit(now), Admission::Send, "the probe");
            assert_ne!(breaker.admit(now), Admission::Send, "one only");
            assert_eq!(breaker.state(), BreakerState::HalfOpen);
        }
        assert!(breaker.succeeded());
        assert_eq!((breaker.admit(now), breaker.state()), (Admission::Send, BreakerState::Closed));
        assert!(breaker.failed(now, None));
        assert!(open_for(&breaker, now) <= SECOND, "it begins anew");
    }

    #[test]
    fn a_probe_that_was_lost_is_replaced() {
        let (mut breaker, mut now) = (breaker(1), Instant::now());
        breaker.failed(now, None);
        now += 8 * SECOND;
        assert_eq!(breaker.admit(now), Admission::Send);
        assert_eq!(breaker.admit(now + PROBE_TIMEOUT), Admission::Send);
    }
}
