//! How `indexed` moves: over contiguous ranges only, whatever the order in which they are finished.

use std::collections::BTreeMap;
use std::ops::Range;

/// Ranges `[start, end)` of a file that are finished, though something before them is not. They neither touch nor
/// overlap.
#[derive(Debug, Default)]
pub(crate) struct DoneRanges(BTreeMap<u64, u64>);

impl DoneRanges {
    /// Takes the finished range `[start, end)`; returns the new `indexed`.
    pub(crate) fn finish(&mut self, indexed: u64, start: u64, end: u64) -> u64 {
        if end <= indexed {
            return indexed;
        }
        let (start, end) = self.merge(start, end);
        if start <= indexed {
            return end;
        }
        self.0.insert(start, end);
        indexed
    }

    /// Adds `[start, end)`.
    pub(crate) fn insert(&mut self, start: u64, end: u64) {
        let (start, end) = self.merge(start, end);
        self.0.insert(start, end);
    }

    /// In order.
    pub(crate) fn ranges(&self) -> Vec<Range<u64>> {
        self.0.iter().map(|(&start, &end)| start..end).collect()
    }

    /// Removes the ranges that touch `[start, end)`; returns their union with it.
    fn merge(&mut self, mut start: u64, mut end: u64) -> (u64, u64) {
        while let Some((&other_start, &other_end)) = self.0.range(..=end).next_back() {
            if other_end < start {
                break;
            }
            self.0.remove(&other_start);
            start = start.min(other_start);
            end = end.max(other_end);
        }
        (start, end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(indexed: u64, finished: &[(u64, u64)], expected: u64) {
        let mut done = DoneRanges::default();
        let indexed =
            finished.iter().fold(indexed, |indexed, &(start, end)| done.finish(indexed, start, end));
        assert_eq!(indexed, expected, "after {finished:?}, waiting: {done:?}");
    }

    #[test]
    fn ranges_in_order_advance_at_once() {
        check(0, &[(0, 10), (10, 20)], 20);
    }

    #[test]
    fn a_hole_stops_the_advance_until_it_is_filled() {
        check(0, &[(10, 20), (30, 40)], 0);
        check(0, &[(10, 20), (30, 40), (0, 10)], 20);
        check(0, &[(10, 20), (30, 40), (20, 30), (0, 10)], 40);
    }

    #[test]
    fn repeats_and_overlaps_change_nothing_more() {
        check(0, &[(0, 10), (0, 10), (5, 15), (12, 20), (3, 4)], 20);
        check(100, &[(0, 10)], 100);
        check(0, &[(10, 20), (5, 25), (25, 30), (0, 7)], 30);
    }
}
