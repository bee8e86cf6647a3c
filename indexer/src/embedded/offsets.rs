//! Which bytes of which files are in the index: part of every commit, so that index and position cannot disagree.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use weir_record::FileKey;

/// Files that nothing was indexed of for so long are forgotten, in seconds: their commits would grow for ever.
/// A shipper that still had such a file would find its place in its own checkpoint.
const FORGET_AFTER_SECONDS: i64 = 30 * 86_400;

/// Version of [`Commit`].
const FORMAT: u32 = 1;

/// Byte ranges of one file, in order, apart from each other.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ranges(Vec<(u64, u64)>);

impl Ranges {
    /// Adds `[start, end)`.
    pub fn insert(&mut self, start: u64, end: u64) {
        let first = self.0.partition_point(|range| range.1 < start);
        let after = self.0.partition_point(|range| range.0 <= end);
        let (mut start, mut end) = (start, end);
        if let Some(overlapping) = self.0.get(first..after)
            && let (Some(left), Some(right)) = (overlapping.first(), overlapping.last())
        {
            start = start.min(left.0);
            end = end.max(right.1);
        }
        self.0.splice(first..after, [(start, end)]);
    }

    /// Whether the byte at `offset` is in one of them.
    pub fn contains(&self, offset: u64) -> bool {
        let at = self.0.partition_point(|range| range.1 <= offset);
        self.0.get(at).is_some_and(|range| range.0 <= offset)
    }

    /// The end of what follows `base` without a hole; `base` where nothing does.
    pub fn contiguous_end(&self, base: u64) -> u64 {
        self.0.first().filter(|first| first.0 <= base).map_or(base, |first| first.1.max(base))
    }
}

/// One file's part of a commit.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct FileOffsets {
    /// The first byte that was ever handed over: what lies before it is not this index's business. Without it, a
    /// frame that was committed while an earlier one failed would look like the start of the file.
    pub base: u64,
    pub ranges: Ranges,
    /// When something was last indexed of it, seconds since 1970.
    pub updated: i64,
}

/// All files.
#[derive(Clone, Debug, Default)]
pub(super) struct Offsets(HashMap<FileKey, FileOffsets>);

impl Offsets {
    /// Notes that bytes from `start` on are being indexed, whatever comes of it. `now`: seconds since 1970.
    pub fn begin(&mut self, file: FileKey, start: u64, now: i64) {
        let offsets =
            self.0.entry(file).or_insert_with(|| FileOffsets { base: start, ..FileOffsets::default() });
        offsets.base = offsets.base.min(start);
        offsets.updated = now;
    }

    /// Adds `[start, end)` of a file that was begun.
    pub fn insert(&mut self, file: &FileKey, start: u64, end: u64) {
        if let Some(offsets) = self.0.get_mut(file) {
            offsets.ranges.insert(start, end);
        }
    }

    /// Whether the record that begins at `offset` is in the index.
    pub fn contains(&self, file: &FileKey, offset: u64) -> bool {
        self.0.get(file).is_some_and(|offsets| offsets.ranges.contains(offset))
    }

    /// Up to where each file is in the index without a hole.
    pub fn positions(&self) -> Vec<(FileKey, u64)> {
        self.0.iter().map(|(file, offsets)| (*file, offsets.ranges.contiguous_end(offsets.base))).collect()
    }

    fn to_rows(&self, now: i64) -> Vec<(String, FileOffsets)> {
        self.0
            .iter()
            .filter(|(_, offsets)| now - offsets.updated < FORGET_AFTER_SECONDS)
            .map(|(file, offsets)| (to_hex(&file.to_bytes()), offsets.clone()))
            .collect()
    }

    fn from_rows(rows: Vec<(String, FileOffsets)>) -> Option<Offsets> {
        let read =
            |(key, offsets): (String, FileOffsets)| Some((FileKey::from_bytes(&from_hex(&key)?)?, offsets));
        rows.into_iter().map(read).collect::<Option<HashMap<_, _>>>().map(Offsets)
    }
}

/// What a commit says beside the documents, as JSON in tantivy's `meta.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Summary {
    /// Number of this commit over all partitions: the highest holds the truth about the offsets.
    pub commit: u64,
    /// Documents of the partition.
    pub documents: u64,
    /// Their bytes as JSON.
    pub bytes: u64,
    /// Smallest event time, nanoseconds since 1970.
    pub first: i64,
    /// Largest event time.
    pub last: i64,
    /// When the commit was made, seconds since 1970.
    pub time: i64,
}

#[derive(Serialize, Deserialize)]
struct Commit {
    format: u32,
    commit: u64,
    documents: u64,
    bytes: u64,
    first: i64,
    last: i64,
    time: i64,
    files: Vec<(String, FileOffsets)>,
}

/// A commit's text.
pub(super) fn write_commit(summary: &Summary, offsets: &Offsets) -> serde_json::Result<String> {
    let Summary { commit, documents, bytes, first, last, time } = *summary;
    let files = offsets.to_rows(time);
    serde_json::to_string(&Commit { format: FORMAT, commit, documents, bytes, first, last, time, files })
}

/// Reads [`write_commit`]; none where it is damaged or of another version.
pub(super) fn read_commit(text: &str) -> Option<(Summary, Offsets)> {
    let read: Commit = serde_json::from_str(text).ok().filter(|commit: &Commit| commit.format == FORMAT)?;
    let Commit { commit, documents, bytes, first, last, time, files, .. } = read;
    Some((Summary { commit, documents, bytes, first, last, time }, Offsets::from_rows(files)?))
}

fn to_hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes everything");
        text
    })
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    text.as_bytes()
        .chunks(2)
        .map(|pair| match *pair {
            [high, low] => u8::try_from(digit(high)? * 16 + digit(low)?).ok(),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use weir_record::SourceId;

    use super::*;

    proptest! {
        #[test]
        fn ranges_hold_exactly_what_was_inserted(inserted in prop::collection::vec((0u64..60, 1u64..9), 0..20)) {
            let mut ranges = Ranges::default();
            let mut bytes = [false; 80];
            for (start, length) in inserted {
                ranges.insert(start, start + length);
                bytes[start as usize..(start + length) as usize].fill(true);
            }
            for (offset, present) in bytes.iter().enumerate() {
                prop_assert_eq!(ranges.contains(offset as u64), *present, "{} in {:?}", offset, ranges);
            }
            let apart = ranges.0.windows(2).all(|pair| pair[0].1 < pair[1].0);
            prop_assert!(apart, "{:?}", ranges);
        }
    }

    #[test]
    fn a_later_frame_that_is_committed_first_does_not_move_the_position() {
        let key = FileKey { source: SourceId::from_name("a"), file: [7; 16] };
        let mut offsets = Offsets::default();
        offsets.begin(key, 0, 1);
        offsets.begin(key, 100, 1);
        offsets.insert(&key, 100, 200);
        assert_eq!(offsets.positions(), [(key, 0)]);
        offsets.insert(&key, 0, 100);
        assert_eq!(offsets.positions(), [(key, 200)]);
    }

    #[test]
    fn a_commit_reads_back_and_forgets_files_of_long_ago() {
        let key = |name| FileKey { source: SourceId::from_name(name), file: [7; 16] };
        let mut offsets = Offsets::default();
        offsets.begin(key("new"), 100, FORGET_AFTER_SECONDS);
        offsets.insert(&key("new"), 100, 200);
        offsets.insert(&key("new"), 300, 400);
        offsets.begin(key("old"), 0, 0);
        offsets.insert(&key("old"), 0, 9);
        let summary =
            Summary { commit: 3, documents: 2, bytes: 10, first: 1, last: 2, time: FORGET_AFTER_SECONDS };
        let text = write_commit(&summary, &offsets).expect("numbers and text");
        let (read, offsets) = read_commit(&text).expect("as written");
        assert_eq!(read, summary);
        assert_eq!(offsets.positions(), [(key("new"), 200)]);
        assert!(offsets.contains(&key("new"), 300));
        assert!(read_commit(&text.replace("\"format\":1", "\"format\":2")).is_none());
    }
}
