//! Whether the link to the servers is slow: then bulks are compressed.
//!
//! What a bulk takes beyond the time that the server says it worked (`took`) was spent on the way. A slow server is no slow
//! link, and compressing would only give it more work.

use std::time::Duration;

/// Bodies below say nothing: there the round trip is what counts.
const BYTES_MIN: usize = 128 * 1024;

/// Bytes in a second, of one request among a few, below which a link is slow: a hundred megabits.
const SLOW_BELOW: f64 = 8e6;

/// What was faster than that is not worth compressing for, and may as well be a machine that is busy.
const WAY_MIN: Duration = Duration::from_millis(250);

/// Above that it is not any more. Compressed bodies are what is measured then.
const FAST_ABOVE: f64 = 2.0 * SLOW_BELOW;

/// Bulks in a row that have to say the same.
const SLOW_IN_A_ROW: u32 = 4;
const FAST_IN_A_ROW: u32 = 16;

/// What is known of the link.
#[derive(Debug, Default)]
pub(super) struct Link {
    is_slow: bool,
    /// Bulks in a row that say that it is not as it is taken to be.
    against: u32,
}

impl Link {
    pub(super) fn is_slow(&self) -> bool {
        self.is_slow
    }

    /// A body of so many bytes, as it was sent, had its answer after `elapsed`, of which the server worked `took`.
    pub(super) fn note(&mut self, bytes: usize, elapsed: Duration, took: Duration) {
        if bytes < BYTES_MIN {
            return;
        }
        let way = elapsed.saturating_sub(took);
        let rate = bytes as f64 / way.as_secs_f64();
        let (is_against, enough) = match self.is_slow {
            false => (rate < SLOW_BELOW && way >= WAY_MIN, SLOW_IN_A_ROW),
            true => (rate > FAST_ABOVE, FAST_IN_A_ROW),
        };
        self.against = if is_against { self.against + 1 } else { 0 };
        if self.against >= enough {
            *self = Link { is_slow: !self.is_slow, against: 0 };
            match self.is_slow {
                true => tracing::info!("the link to the index is slow: bulks are compressed"),
                false => tracing::info!("the link to the index is fast: bulks are not compressed"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: usize = 4_000_000;

    /// Notes bulks that take so many milliseconds on the way and at the server.
    fn note(link: &mut Link, bulks: u32, way: u64, took: u64) -> bool {
        let [elapsed, took] = [way + took, took].map(Duration::from_millis);
        (0..bulks).for_each(|_| link.note(BODY, elapsed, took));
        link.is_slow()
    }

    #[test]
    fn a_slow_link_is_told_from_a_slow_server() {
        let mut link = Link::default();
        assert!(!note(&mut link, 100, 100, 30_000), "the server takes half a minute");
        assert!(!note(&mut link, 3, 1000, 0) && note(&mut link, 1, 1000, 0), "four megabytes in a second");
        assert!(note(&mut link, 15, 100, 0) && !note(&mut link, 1, 100, 0), "a tenth of it");
        assert!(!note(&mut link, 1, 0, 100), "nothing that could be measured");
    }

    #[test]
    fn one_bulk_or_something_in_between_changes_nothing() {
        let mut link = Link::default();
        for _ in 0..10 {
            assert!(!note(&mut link, 3, 1000, 0) && !note(&mut link, 1, 100, 0));
        }
        note(&mut link, 4, 1000, 0);
        assert!(note(&mut link, 100, 350, 0), "faster than slow, slower than fast");
        let mut link = Link::default();
        (0..100).for_each(|_| link.note(1000, Duration::from_secs(1), Duration::ZERO));
        assert!(!link.is_slow(), "small bodies measure the round trip");
    }
}
