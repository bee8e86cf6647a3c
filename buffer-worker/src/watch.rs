//! Whether another program does its part: says so once for each reason when it stops, and once when it is back.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// Reasons that are said of one spell of trouble: one whose reason changes (refused, then a wrong password) is worth
/// another line, one whose reason always changes is not.
const REASONS_MAX: usize = 8;

/// What is known of the buffer, or of the index.
pub(crate) struct Watch {
    what: &'static str,
    /// For those who look from outside. False until it did its part for the first time.
    is_up: Arc<AtomicBool>,
    down: Mutex<Option<Down>>,
    /// It is back: those who wait need not wait longer.
    back: Notify,
}

/// A spell of trouble.
struct Down {
    since: Instant,
    /// The reasons that were told.
    said: Vec<String>,
}

impl Watch {
    pub(crate) fn new(what: &'static str, is_up: &Arc<AtomicBool>) -> Watch {
        Watch { what, is_up: Arc::clone(is_up), down: Mutex::default(), back: Notify::new() }
    }

    /// For those who look from outside.
    pub(crate) fn is_up(&self) -> &AtomicBool {
        &self.is_up
    }

    /// It did what it was asked.
    pub(crate) fn works(&self) {
        if self.is_up.swap(true, Ordering::Relaxed) {
            return;
        }
        let down = self.down.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(down) = down {
            let seconds = down.since.elapsed().as_secs_f64();
            tracing::info!(seconds, "{} is back", self.what);
            self.back.notify_waiters();
        }
    }

    /// It did not, for now.
    pub(crate) fn fails(&self, error: &dyn std::error::Error) {
        let mut down = self.down.lock().unwrap_or_else(PoisonError::into_inner);
        self.is_up.store(false, Ordering::Relaxed);
        let down = down.get_or_insert_with(|| Down { since: Instant::now(), said: Vec::new() });
        let reason = chain(error);
        if down.said.len() < REASONS_MAX && !down.said.contains(&reason) {
            tracing::warn!("{} is not usable, waiting for it: {reason}", self.what);
            down.said.push(reason);
        }
    }

    /// Waits, or until it is back.
    pub(crate) async fn wait(&self, wait: Duration) {
        tokio::select! {
            () = self.back.notified() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// An error and its causes on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = error.source();
    }
    text
}
