//! The way to the index as a whole: one circuit breaker, which all deliveries pass.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use weir_indexer::IndexError;

use crate::backoff::Backoff;
use crate::breaker::{Admission, Breaker, BreakerState};
use crate::counters::Counter;
use crate::watch::Watch;

/// Failures in a row that open it: one or two may be a node that restarts, while others answer.
const FAILURES_MAX: u32 = 3;

/// How long it is open at first, and at most: an index that is back is noticed within that.
const WAIT_FIRST: Duration = Duration::from_millis(200);
const WAIT_MAX: Duration = Duration::from_secs(10);

pub(crate) struct Gate {
    breaker: Mutex<Breaker>,
    watch: Watch,
    /// It was closed, or one more try is possible.
    changed: Notify,
    openings: Counter,
}

impl Gate {
    pub(crate) fn new(is_up: &Arc<AtomicBool>) -> Gate {
        let backoff = Backoff::between(WAIT_FIRST, WAIT_MAX);
        Gate {
            breaker: Mutex::new(Breaker::new(FAILURES_MAX, backoff)),
            watch: Watch::new("the index", is_up),
            changed: Notify::new(),
            openings: Counter::default(),
        }
    }

    /// Waits until something may be sent. Tell [`works`](Self::works) or [`fails`](Self::fails) how it went.
    pub(crate) async fn pass(&self) {
        loop {
            let changed = self.changed.notified();
            let admission = self.breaker().admit(Instant::now());
            match admission {
                Admission::Send => return,
                Admission::Wait(wait) => tokio::select! {
                    () = changed => {}
                    () = tokio::time::sleep(wait) => {}
                },
            }
        }
    }

    /// The index answered. Says whether the gate was closed to traffic before.
    pub(crate) fn works(&self) {
        self.watch.works();
        if self.breaker().succeeded() {
            self.changed.notify_waiters();
        }
    }

    /// It did not, or nothing of use. Answers whether that was one failure too many.
    pub(crate) fn fails(&self, error: &IndexError) -> bool {
        self.watch.fails(error);
        let opened = self.breaker().failed(Instant::now(), error.retry_after());
        if opened {
            self.openings.add(1);
        }
        opened
    }

    /// Waits, or until the index is back.
    pub(crate) async fn wait(&self, wait: Duration) {
        self.watch.wait(wait).await;
    }

    pub(crate) fn state(&self) -> BreakerState {
        self.breaker().state()
    }

    /// How often it opened.
    pub(crate) fn openings(&self) -> u64 {
        self.openings.get()
    }

    pub(crate) fn is_up(&self) -> bool {
        self.watch.is_up().load(Ordering::Relaxed)
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
