//! A round: faults for a while, then calm, then judgement. What may happen together in one round is its weather.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::writers::Rotation;

/// Tells everybody when a round is over, and lets them wait for less.
pub struct Clock {
    end: Instant,
    broken_off: Mutex<bool>,
    changed: Condvar,
}

impl Clock {
    /// Runs for so long.
    pub fn new(length: Duration) -> Clock {
        Clock { end: Instant::now() + length, broken_off: Mutex::new(false), changed: Condvar::new() }
    }

    /// Waits, but not beyond the end of the round. The one wait of the suite that waits for nothing: how long a fault
    /// lasts is part of the fault.
    pub fn wait(&self, time: Duration) {
        let until = (Instant::now() + time).min(self.end);
        let mut broken_off = self.broken_off();
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if *broken_off || left.is_zero() {
                return;
            }
            broken_off =
                self.changed.wait_timeout(broken_off, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// What is left of it.
    pub fn left(&self) -> Duration {
        self.end.saturating_duration_since(Instant::now())
    }

    /// Whether everybody has to come to an end.
    pub fn is_over(&self) -> bool {
        *self.broken_off() || Instant::now() >= self.end
    }

    /// Ends it now: something went wrong that a later fault would only hide.
    pub fn break_off(&self) {
        *self.broken_off() = true;
        self.changed.notify_all();
    }

    fn broken_off(&self) -> MutexGuard<'_, bool> {
        self.broken_off.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What comes together in one round. Never together are (`Mix` of the shipper's model test says why, and
/// docs/following.md what it costs: a copy or a twin that is shown twice):
///
/// - a file that is copied and cut, and a shipper that is killed,
/// - a file that is copied and cut or compressed, and a buffer that is emptied, or a shipper that lost its state,
/// - a buffer that is emptied, and a shipper that lost its state: then nobody knows what was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    /// Files are copied and cut.
    Cut,
    /// Files are compressed.
    Compress,
    /// The buffer is emptied.
    EmptyBuffer,
    /// A shipper loses its state.
    LoseState,
}

impl Weather {
    /// Every weather.
    pub const ALL: [Weather; 4] = [Weather::EmptyBuffer, Weather::Compress, Weather::LoseState, Weather::Cut];

    /// How services may rotate, beside renaming.
    pub fn rotations(self) -> &'static [Rotation] {
        match self {
            Weather::Cut => &[Rotation::CopyTruncate],
            Weather::Compress => &[Rotation::Compress],
            Weather::EmptyBuffer | Weather::LoseState => &[],
        }
    }
}
