//! The time by which partitions grow old. A clock that jumps ahead by days must not make all of them old at once.
//!
//! What a commit calls its time is this time too, so that a restart does not believe a wrong clock either.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A clock that is further ahead than that of what it should be has jumped. What is removed an hour early is no loss.
const JUMP_MAX_SECONDS: i64 = 3600;

/// A jump is believed when it has lasted so long while the program ran: a clock that is wrong is set right within
/// minutes, and a machine that was off or asleep has jumped rightly. Meanwhile `max_bytes` bounds the disk.
const BELIEVED_AFTER: Duration = Duration::from_secs(3600);

/// The machine's clock, seconds since 1970; another one in tests.
#[derive(Clone)]
pub(super) struct WallClock(Arc<dyn Fn() -> i64 + Send + Sync>);

impl WallClock {
    /// The machine's.
    pub fn system() -> WallClock {
        WallClock(Arc::new(now_seconds))
    }

    #[cfg(test)]
    pub fn new(now: impl Fn() -> i64 + Send + Sync + 'static) -> WallClock {
        WallClock(Arc::new(now))
    }

    pub fn now(&self) -> i64 {
        (self.0)()
    }
}

impl fmt::Debug for WallClock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("WallClock")
    }
}

/// What time it is, as far as it is believed.
#[derive(Debug)]
pub(super) struct Clock {
    wall: WallClock,
    state: State,
    /// Of the newest commit.
    committed: i64,
}

#[derive(Clone, Copy, Debug)]
struct State {
    /// Seconds since 1970, as of `at`.
    believed: i64,
    at: Instant,
    /// Since when the wall clock is ahead of it.
    ahead_since: Option<Instant>,
}

impl Clock {
    /// `last`: the latest time of a commit in the last life, if there was one.
    pub fn new(wall: WallClock, last: Option<i64>) -> Clock {
        let believed = last.unwrap_or_else(|| wall.now());
        let state = State { believed, at: Instant::now(), ahead_since: None };
        let mut clock = Clock { wall, state, committed: last.unwrap_or(0) };
        clock.now();
        clock
    }

    /// The time of a commit, which is never before that of an earlier one: what is written while the clock is back is
    /// not old when it is right again.
    pub fn of_commit(&mut self) -> i64 {
        self.committed = self.committed.max(self.now());
        self.committed
    }

    /// Seconds since 1970.
    pub fn now(&mut self) -> i64 {
        let wall = self.wall.now();
        self.state.advance(wall, Instant::now())
    }
}

impl State {
    fn advance(&mut self, wall: i64, now: Instant) -> i64 {
        let elapsed = now.saturating_duration_since(self.at).as_secs();
        let expected = self.believed.saturating_add_unsigned(elapsed);
        let is_ahead = wall > expected.saturating_add(JUMP_MAX_SECONDS);
        let since = is_ahead.then(|| self.ahead_since.unwrap_or(now));
        let is_held = since.is_some_and(|since| now.saturating_duration_since(since) < BELIEVED_AFTER);
        if is_held && self.ahead_since.is_none() {
            let seconds = wall - expected;
            tracing::warn!(
                seconds,
                "the clock has jumped ahead; nothing is removed for its age until it has stayed so for an hour"
            );
        }
        if is_held {
            // Only whole seconds are moved on by: the rest is not lost.
            self.believed = expected;
            self.at += Duration::from_secs(elapsed);
            self.ahead_since = since;
        } else {
            *self = State { believed: wall, at: now, ahead_since: None };
        }
        self.believed
    }
}

/// Seconds since 1970.
pub(super) fn now_seconds() -> i64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(elapsed.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;
    const START: i64 = 20_000 * DAY;

    /// What is believed at the end of `(seconds that pass, what the wall clock says then)`.
    fn check(steps: &[(u64, i64)], expected: i64) {
        let mut now = Instant::now();
        let mut state = State { believed: START, at: now, ahead_since: None };
        for (seconds, wall) in steps {
            now += Duration::from_secs(*seconds);
            state.advance(*wall, now);
        }
        assert_eq!(state.believed, expected, "{steps:?}");
    }

    #[test]
    fn a_jump_ahead_is_believed_only_when_it_lasts() {
        check(&[(30, START + 30)], START + 30);
        check(&[(30, START + 30 * DAY)], START + 30);
        check(&[(30, START + 30 * DAY), (30, START + 60)], START + 60);
        let hour = BELIEVED_AFTER.as_secs();
        check(&[(30, START + 30 * DAY), (hour - 1, START + 30 * DAY)], START + 29 + hour as i64);
        check(&[(30, START + 30 * DAY), (hour, START + 31 * DAY)], START + 31 * DAY);
        // It was set right in between: a new jump begins anew.
        check(&[(30, START + DAY), (30, START + 60), (hour, START + DAY)], START + 60 + hour as i64);
    }

    #[test]
    fn a_clock_that_goes_back_or_a_little_ahead_is_followed_at_once() {
        check(&[(30, START - 10 * DAY)], START - 10 * DAY);
        check(&[(30, START + 3000)], START + 3000);
        check(&[(30, START - DAY), (30, START - DAY + 30)], START - DAY + 30);
        // Back, and then right again: that is a jump ahead too.
        check(&[(30, START - DAY), (30, START + 60)], START - DAY + 30);
    }

    #[test]
    fn what_is_said_is_the_same_however_often_it_is_asked() {
        let steps: Vec<(u64, i64)> = (1..=600).map(|second| (1, START + 30 * DAY + second)).collect();
        check(&steps, START + 600);
    }
}
