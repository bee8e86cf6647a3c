//! Samples of what was read of a content: by them a copy is recognised that was made before all of it was written.
//!
//! The check before an offset is not in a copy that ends before that offset. So checks are kept at offsets that lie the
//! further apart the larger they are, eight for each power of two: of any copy, all but an eighth is sampled.

use std::io;

use weir_record::identity::line_hash;

use super::checkpoint::ContentCheck;
use super::medium::Medium;
use super::proof::{CHECK_BYTES, check_before, holds};

/// The first rung; what is shorter is compared byte by byte.
const FIRST_RUNG: u64 = 64;

/// Rungs of one power of two, as the power of two that their number is.
const RUNGS_LOG2: u32 = 3;

/// Checks of a content, of ever larger offsets.
#[derive(Clone, Debug, Default)]
pub struct Ladder {
    /// The first bytes, up to [`FIRST_RUNG`] of them.
    first: Vec<u8>,
    rungs: Vec<ContentCheck>,
}

impl Ladder {
    /// Takes the samples of what was read from `from` to `to`.
    ///
    /// # Errors
    /// The content cannot be read.
    pub fn climb(&mut self, medium: &mut Medium, from: u64, to: u64) -> io::Result<()> {
        if (self.first.len() as u64) < to.min(FIRST_RUNG) {
            self.first.resize(to.min(FIRST_RUNG) as usize, 0);
            let read = medium.read(&mut self.first, 0)?;
            self.first.truncate(read);
        }
        let top = self.rungs.last().map_or(0, |rung| rung.offset);
        let mut rung = rung_after(top.max(from));
        while rung <= to {
            self.rungs.push(check_before(medium, rung)?);
            rung = rung_after(rung);
        }
        Ok(())
    }

    /// Lets go what was not there before `offset` was reached.
    pub fn step_back(&mut self, offset: u64) {
        self.first.truncate(usize::try_from(offset).unwrap_or(usize::MAX));
        self.rungs.retain(|rung| rung.offset <= offset);
    }

    /// Whether the content begins with `head`, the first bytes of a file, as far as there are samples of it.
    pub fn begins_with(&self, head: &[u8]) -> bool {
        let fits = |rung: &ContentCheck| {
            let from = rung.offset.saturating_sub(CHECK_BYTES) as usize;
            head.get(from..rung.offset as usize).is_some_and(|bytes| line_hash(bytes) == rung.hash)
        };
        let known = head.len().min(self.first.len());
        known > 0
            && head.get(..known) == self.first.get(..known)
            && self.up_to(head.len() as u64).iter().all(fits)
    }

    /// Whether a file of `bytes` bytes is the beginning of the content, as far as all samples of it tell. False too,
    /// where there are none of its last part.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn reaches(&self, medium: &mut Medium, bytes: u64) -> io::Result<bool> {
        let rungs = self.up_to(bytes);
        let is_sampled = match rungs.last() {
            Some(top) => rung_after(top.offset) > bytes,
            None => bytes <= self.first.len() as u64,
        };
        if !is_sampled || !self.begins_with(&medium.head()?) {
            return Ok(false);
        }
        for rung in rungs {
            if !holds(medium, rung)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn up_to(&self, bytes: u64) -> &[ContentCheck] {
        let count = self.rungs.partition_point(|rung| rung.offset <= bytes);
        self.rungs.get(..count).unwrap_or_default()
    }
}

/// The first rung above an offset.
fn rung_after(offset: u64) -> u64 {
    if offset < FIRST_RUNG {
        return FIRST_RUNG;
    }
    let step = 1 << (offset.ilog2() - RUNGS_LOG2);
    (offset / step + 1) * step
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn medium(directory: &tempfile::TempDir, bytes: &[u8]) -> Medium {
        let path = directory.path().join("file");
        fs::write(&path, bytes).expect("written");
        Medium::open(&path).expect("opened")
    }

    #[test]
    fn rungs_are_eight_of_each_power_of_two() {
        let mut rungs = vec![rung_after(0)];
        while let Some(last) = rungs.last().copied().filter(|last| *last < 1 << 30) {
            rungs.push(rung_after(last));
        }
        assert_eq!(rungs[..10], [64, 72, 80, 88, 96, 104, 112, 120, 128, 144]);
        assert_eq!(rungs.len(), 8 * 24 + 1);
    }

    #[test]
    fn a_copy_of_any_length_is_recognised_and_one_that_differs_before_the_last_eighth_is_not() {
        let directory = tempfile::tempdir().expect("a directory");
        let content: Vec<u8> = (0..20_000).flat_map(|n: u32| format!("line {n}\n").into_bytes()).collect();
        let end = content.len() as u64;
        let mut ladder = Ladder::default();
        let mut whole = medium(&directory, &content);
        ladder.climb(&mut whole, 0, end / 3).expect("climbed");
        ladder.climb(&mut whole, end / 3, end).expect("climbed");
        for length in [1, 30, 63, 64, 65, 100, 1000, 5000, 77_777, content.len()] {
            let copy = &content[..length];
            assert!(ladder.begins_with(&copy[..length.min(1024)]), "{length}");
            assert!(ladder.reaches(&mut medium(&directory, copy), length as u64).expect("read"), "{length}");
            let mut other = copy.to_vec();
            other[length * 7 / 9] ^= 1;
            // Samples of 256 bytes do not touch each other in a large file.
            if length <= 2000 {
                let reaches = ladder.reaches(&mut medium(&directory, &other), length as u64).expect("read");
                assert!(!reaches, "{length}");
            }
        }
        ladder.step_back(1000);
        assert!(!ladder.reaches(&mut medium(&directory, &content[..5000]), 5000).expect("read"));
        assert!(ladder.reaches(&mut medium(&directory, &content[..900]), 900).expect("read"));
    }
}
