//! Whether another program does its part: says so once when it stops, and once when it is back.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// What is known of the buffer, or of the index.
pub(crate) struct Watch {
    what: &'static str,
    /// For those who look from outside. False until it did its part for the first time.
    is_up: Arc<AtomicBool>,
    down_since: Mutex<Option<Instant>>,
    /// It is back: those who wait need not wait longer.
    back: Notify,
}

impl Watch {
    pub(crate) fn new(what: &'static str, is_up: &Arc<AtomicBool>) -> Watch {
        Watch { what, is_up: Arc::clone(is_up), down_since: Mutex::default(), back: Notify::new() }
    }

    /// It did what it was asked.
    pub(crate) fn works(&self) {
        if self.is_up.swap(true, Ordering::Relaxed) {
            return;
        }
        let since = self.down_since.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(since) = since {
            let seconds = since.elapsed().as_secs_f64();
            tracing::info!(seconds, "{} is back", self.what);
            self.back.notify_waiters();
        }
    }

    /// It did not, for now.
    pub(crate) fn fails(&self, error: &dyn std::error::Error) {
        let mut since = self.down_since.lock().unwrap_or_else(PoisonError::into_inner);
        self.is_up.store(false, Ordering::Relaxed);
        if since.is_none() {
            *since = Some(Instant::now());
            tracing::warn!("{} is not usable, waiting for it: {}", self.what, chain(error));
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
fn chain(error: &dyn std::error::Error) -> String {
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
