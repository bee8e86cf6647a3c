//! What was written, what was seen, and what the difference is.

use std::collections::HashSet;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::line::{Reading, micros_now, read_line};

/// Everything that a shipper has put out, of one scenario. Clones share it.
#[derive(Clone)]
pub struct Seen {
    shared: Arc<(Mutex<Records>, Condvar)>,
    run: Arc<str>,
    scenario: &'static str,
}

#[derive(Default)]
struct Records {
    ids: HashSet<String>,
    /// How often each line was seen.
    times: Vec<u32>,
    distinct: u64,
    /// Visible records beyond the first of their line.
    duplicated: u64,
    corrupted: u64,
    /// Records that came again under an id that was seen: invisible in an index.
    replayed: u64,
    delays: Vec<u64>,
}

/// How a scenario ended.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Verdict {
    /// Lines written.
    pub written: u64,
    /// Lines that are nowhere to be seen, though the disk had them for as long as the shipper needed.
    pub lost: u64,
    /// Lines that the rotation itself destroyed: they were in no file any more when the shipper could have read them.
    pub destroyed: u64,
    /// Visible records beyond the first of a line.
    pub duplicated: u64,
    /// Records that hold a line of ours, but not whole, or two.
    pub corrupted: u64,
    /// Records that came again with the same identity: an index shows them once.
    pub replayed: u64,
    /// From writing to being seen, milliseconds: half of the lines were faster.
    pub delay_ms_median: u64,
    /// The slowest line, milliseconds.
    pub delay_ms_max: u64,
    /// The first numbers that are lost.
    pub lost_examples: Vec<u64>,
}

impl Verdict {
    /// Whether nothing is wrong.
    pub fn is_good(&self) -> bool {
        self.lost == 0 && self.duplicated == 0 && self.corrupted == 0
    }
}

impl Seen {
    /// Nothing yet.
    pub fn new(run: &str, scenario: &'static str) -> Seen {
        Seen { shared: Arc::default(), run: run.into(), scenario }
    }

    /// One record of the shipper's output; `id` where it has one that a repeat would have again.
    pub fn record(&self, id: Option<&str>, text: &str) {
        let mut records = self.lock();
        if let Some(id) = id
            && !records.ids.insert(id.to_owned())
        {
            records.replayed += 1;
            return;
        }
        match read_line(text) {
            Reading::Foreign => {}
            Reading::Corrupted => records.corrupted += 1,
            Reading::Line(token) if token.run == &*self.run && token.scenario == self.scenario => {
                let delay = micros_now().saturating_sub(token.at);
                records.line(token.number as usize, delay);
            }
            Reading::Line(_) => {}
        }
        drop(records);
        self.shared.1.notify_all();
    }

    /// Waits until `lines` different lines were seen. False: none came for `patience`.
    pub fn wait_for(&self, lines: u64, patience: Duration) -> bool {
        let mut records = self.lock();
        let mut progress = (records.distinct, Instant::now());
        while records.distinct < lines {
            if records.distinct != progress.0 {
                progress = (records.distinct, Instant::now());
            }
            let left = patience.saturating_sub(progress.1.elapsed());
            if left.is_zero() {
                return false;
            }
            let (back, _) = self.shared.1.wait_timeout(records, left).unwrap_or_else(PoisonError::into_inner);
            records = back;
        }
        true
    }

    /// Compares with `written` lines. `destroyed` says of a missing line whether no file has held it at the end.
    pub fn verdict(&self, written: u64, destroyed: impl Fn(u64) -> bool) -> Verdict {
        let mut records = self.lock();
        let missing: Vec<u64> =
            (0..written).filter(|n| records.times.get(*n as usize).is_none_or(|times| *times == 0)).collect();
        let (gone, lost): (Vec<u64>, Vec<u64>) = missing.into_iter().partition(|number| destroyed(*number));
        records.delays.sort_unstable();
        let delay = |at: usize| records.delays.get(at).map_or(0, |micros| micros / 1000);
        Verdict {
            written,
            lost: lost.len() as u64,
            destroyed: gone.len() as u64,
            duplicated: records.duplicated,
            corrupted: records.corrupted,
            replayed: records.replayed,
            delay_ms_median: delay(records.delays.len() / 2),
            delay_ms_max: delay(records.delays.len().saturating_sub(1)),
            lost_examples: lost.into_iter().take(10).collect(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Records> {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Records {
    fn line(&mut self, number: usize, delay: u64) {
        if self.times.len() <= number {
            self.times.resize(number + 1, 0);
        }
        self.times[number] += 1;
        if self.times[number] == 1 {
            self.distinct += 1;
            self.delays.push(delay);
        } else {
            self.duplicated += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::line::write_line;
    use super::*;

    fn line(number: u64) -> String {
        let mut line = String::new();
        write_line(&mut line, "1f", "rename", number, 0);
        line
    }

    #[test]
    fn what_is_missing_repeated_or_broken_is_counted_as_what_it_is() {
        let seen = Seen::new("1f", "rename");
        seen.record(Some("a"), &line(0));
        seen.record(Some("a"), &line(0));
        seen.record(Some("b"), &line(1));
        seen.record(Some("c"), &line(1));
        seen.record(None, &line(4)[..70]);
        let verdict = seen.verdict(5, |number| number == 3);
        let counts =
            (verdict.lost, verdict.destroyed, verdict.duplicated, verdict.corrupted, verdict.replayed);
        assert_eq!(counts, (2, 1, 1, 1, 1));
        assert_eq!(verdict.lost_examples, [2, 4]);
        assert!(!verdict.is_good());
    }

    #[test]
    fn waiting_ends_when_everything_is_there_or_nothing_comes_any_more() {
        let seen = Seen::new("1f", "rename");
        assert!(!seen.wait_for(1, Duration::from_millis(5)));
        seen.record(None, &line(0));
        assert!(seen.wait_for(1, Duration::from_secs(60)));
    }
}
