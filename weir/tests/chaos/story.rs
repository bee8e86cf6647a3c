//! What happened, when: printed as it happens, and counted.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// The story of one run.
pub struct Story {
    began: Instant,
    counts: Mutex<BTreeMap<&'static str, u64>>,
}

impl Story {
    /// Begins now.
    pub fn new() -> Story {
        Story { began: Instant::now(), counts: Mutex::default() }
    }

    /// Something happened to somebody.
    pub fn tell(&self, who: &str, what: impl AsRef<str>) {
        println!("{:9.3} {who}: {}", self.began.elapsed().as_secs_f64(), what.as_ref());
    }

    /// A fault of this kind begins.
    pub fn count(&self, fault: &'static str) {
        *self.counts().entry(fault).or_default() += 1;
    }

    /// How often each fault happened.
    pub fn counted(&self) -> BTreeMap<&'static str, u64> {
        self.counts().clone()
    }

    fn counts(&self) -> MutexGuard<'_, BTreeMap<&'static str, u64>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
