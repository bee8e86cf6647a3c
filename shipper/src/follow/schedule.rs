//! What is done next: which file is looked at, and when there is a scan or a save between two files.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::{Duration, Instant};

use weir_record::FileKey;

use crate::settings::{CHECKPOINT_INTERVAL, SCAN_INTERVAL};

/// Between two scans that events ask for lies this many times what the last one took: however fast files rotate, at
/// most a fifth of the time goes into looking for them.
const SCAN_PAUSE_FACTOR: u32 = 4;

/// When each file is looked at next. A file stands here once at most, and those that are due have their turn in the
/// order in which they became due: none can starve another.
#[derive(Default)]
pub struct Schedule {
    heap: BinaryHeap<Reverse<(Instant, u64, FileKey)>>,
    /// Each file's valid place in the heap; its others are skipped.
    valid: HashMap<FileKey, (u64, Instant)>,
    numbers: u64,
}

impl Schedule {
    /// Looks at a file at `when`, and not when it was to be looked at before.
    pub fn set(&mut self, file: FileKey, when: Instant) {
        self.numbers += 1;
        self.valid.insert(file, (self.numbers, when));
        self.heap.push(Reverse((when, self.numbers, file)));
    }

    /// Looks at a file at `when`, or before if it is due before.
    pub fn bring_forward(&mut self, file: FileKey, when: Instant) {
        if self.valid.get(&file).is_none_or(|(_, before)| *before > when) {
            self.set(file, when);
        }
    }

    /// Takes the file that is due for the longest time.
    pub fn pop_due(&mut self, now: Instant) -> Option<FileKey> {
        if self.next()? > now {
            return None;
        }
        let Reverse((_, _, file)) = self.heap.pop()?;
        self.valid.remove(&file);
        Some(file)
    }

    /// When the next file is due.
    pub fn next(&mut self) -> Option<Instant> {
        while let Some(&Reverse((when, number, file))) = self.heap.peek() {
            if self.valid.get(&file) == Some(&(number, when)) {
                return Some(when);
            }
            self.heap.pop();
        }
        None
    }

    /// Does not look at a file any more.
    pub fn remove(&mut self, file: &FileKey) {
        self.valid.remove(file);
    }
}

/// When to scan and when to save.
pub struct Chores {
    next_scan: Instant,
    /// No scan before, whatever changes.
    scan_pause: Instant,
    next_save: Instant,
}

impl Chores {
    /// A scan at once, a save later.
    pub fn new(now: Instant) -> Chores {
        Chores { next_scan: now, scan_pause: now, next_save: now + CHECKPOINT_INTERVAL }
    }

    /// A directory has changed: a scan soon.
    pub fn wake(&mut self, now: Instant) {
        self.next_scan = self.next_scan.min(now.max(self.scan_pause));
    }

    /// Whether a scan is due.
    pub fn is_scan_due(&self, now: Instant) -> bool {
        now >= self.next_scan
    }

    /// A scan is over. `waited`: how much of it was no work, but waiting for the buffer to say where new files stand. An
    /// outage must not be followed by another, several times as long, in which nobody looks for files.
    pub fn scanned(&mut self, began: Instant, waited: Duration, ended: Instant) {
        let took = ended.saturating_duration_since(began).saturating_sub(waited);
        self.scan_pause = ended + took * SCAN_PAUSE_FACTOR;
        self.next_scan = self.scan_pause.max(began + SCAN_INTERVAL);
    }

    /// Whether a save is due; the next one is then later.
    pub fn take_save(&mut self, now: Instant) -> bool {
        let is_due = now >= self.next_save;
        if is_due {
            self.next_save = now + CHECKPOINT_INTERVAL;
        }
        is_due
    }

    /// When the next of them is due.
    pub fn next(&self) -> Instant {
        self.next_scan.min(self.next_save)
    }
}

#[cfg(test)]
mod tests {
    use weir_record::{FileIdentity, SourceId};

    use super::*;

    fn file(inode: u64) -> FileKey {
        let identity = FileIdentity { device: 1, inode, birth_nanos: 0, generation: 0 };
        FileKey::new(SourceId([0; 16]), &identity)
    }

    #[test]
    fn a_file_that_is_due_again_at_once_comes_after_all_that_were_due_before() {
        let now = Instant::now();
        let mut schedule = Schedule::default();
        let (flood, quiet) = (file(1), file(2));
        schedule.set(flood, now);
        schedule.set(quiet, now);
        assert_eq!(schedule.pop_due(now), Some(flood));
        schedule.set(flood, now);
        assert_eq!(schedule.pop_due(now), Some(quiet));
        assert_eq!(schedule.pop_due(now), Some(flood));
        assert_eq!(schedule.pop_due(now), None);
    }

    #[test]
    fn the_last_word_on_a_file_counts() {
        let now = Instant::now();
        let later = now + Duration::from_secs(1);
        let mut schedule = Schedule::default();
        schedule.set(file(1), now);
        schedule.set(file(1), later);
        assert_eq!((schedule.pop_due(now), schedule.next()), (None, Some(later)));
        schedule.set(file(1), now);
        assert_eq!((schedule.pop_due(now), schedule.next()), (Some(file(1)), None));
        schedule.set(file(1), now);
        schedule.remove(&file(1));
        assert_eq!(schedule.pop_due(later), None);
    }

    #[test]
    fn events_bring_a_scan_forward_but_leave_a_pause() {
        let now = Instant::now();
        let mut chores = Chores::new(now);
        assert!(chores.is_scan_due(now));
        let ended = now + Duration::from_millis(10);
        chores.scanned(now, Duration::ZERO, ended);
        chores.wake(ended);
        assert!(!chores.is_scan_due(ended + Duration::from_millis(39)));
        assert!(chores.is_scan_due(ended + Duration::from_millis(40)));
        chores.scanned(ended, Duration::ZERO, ended);
        chores.wake(ended);
        assert!(chores.is_scan_due(ended));
    }

    #[test]
    fn a_scan_that_had_to_wait_for_the_buffer_does_not_put_off_the_next() {
        let now = Instant::now();
        let mut chores = Chores::new(now);
        let (outage, ended) = (Duration::from_secs(3600), now + Duration::from_secs(3601));
        chores.scanned(now, outage, ended);
        chores.wake(ended);
        assert!(!chores.is_scan_due(ended + Duration::from_millis(3999)));
        assert!(chores.is_scan_due(ended + Duration::from_secs(4)));
    }
}
