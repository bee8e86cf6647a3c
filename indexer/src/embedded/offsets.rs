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

    /// What of it is not in `others`.
    fn without(&self, others: &Ranges) -> Ranges {
        let mut left = Vec::new();
        for &(mut start, end) in &self.0 {
            let after = others.0.partition_point(|other| other.1 <= start);
            for other in others.0.iter().skip(after).take_while(|other| other.0 < end) {
                if start < other.0 {
                    left.push((start, other.0));
                }
                start = other.1;
            }
            if start < end {
                left.push((start, end));
            }
        }
        Ranges(left)
    }

    fn bytes(&self) -> u64 {
        self.0.iter().map(|(start, end)| end - start).sum()
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
    /// Notes that bytes from `start` on are being indexed, whatever comes of it. `now`: seconds since 1970. Answers
    /// whether nothing before or at `start` was handed over yet.
    pub fn begin(&mut self, file: FileKey, start: u64, now: i64) -> bool {
        let new = FileOffsets { base: u64::MAX, ..FileOffsets::default() };
        let offsets = self.0.entry(file).or_insert(new);
        let is_new = start < offsets.base;
        offsets.base = offsets.base.min(start);
        offsets.updated = offsets.updated.max(now);
        is_new
    }

    /// The ranges that are not in `others`; files without one are left out.
    pub fn without(&self, others: &Offsets) -> Offsets {
        let left = |(file, offsets): (&FileKey, &FileOffsets)| {
            let others = others.0.get(file).map(|others| &others.ranges);
            let ranges =
                others.map_or_else(|| offsets.ranges.clone(), |others| offsets.ranges.without(others));
            (!ranges.0.is_empty()).then(|| (*file, FileOffsets { ranges, ..offsets.clone() }))
        };
        Offsets(self.0.iter().filter_map(left).collect())
    }

    /// Takes ranges out; their files stay, so that their positions go back.
    pub fn remove(&mut self, lost: &Offsets) {
        for (file, lost) in &lost.0 {
            if let Some(offsets) = self.0.get_mut(file) {
                offsets.ranges = offsets.ranges.without(&lost.ranges);
            }
        }
    }

    /// Adds where the files of `others` begin, but none of their ranges.
    pub fn begin_all(&mut self, others: &Offsets) {
        for (file, offsets) in &others.0 {
            self.begin(*file, offsets.base, offsets.updated);
        }
    }

    /// Number of files.
    pub fn files(&self) -> usize {
        self.0.len()
    }

    /// Bytes of all ranges.
    pub fn bytes(&self) -> u64 {
        self.0.values().map(|offsets| offsets.ranges.bytes()).sum()
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

    /// For [`from_rows`](Self::from_rows): without files that nothing was indexed of for long before `now`.
    pub fn to_rows(&self, now: i64) -> Vec<Row> {
        self.0
            .iter()
            .filter(|(_, offsets)| now - offsets.updated < FORGET_AFTER_SECONDS)
            .map(|(file, offsets)| (key_text(file), offsets.clone()))
            .collect()
    }

    /// None where a key is none.
    pub fn from_rows(rows: Vec<Row>) -> Option<Offsets> {
        let read = |(key, offsets): Row| Some((read_key(&key)?, offsets));
        rows.into_iter().map(read).collect::<Option<HashMap<_, _>>>().map(Offsets)
    }
}

/// A file and its offsets, as written.
pub(super) type Row = (String, FileOffsets);

/// A file's key as text.
pub(super) fn key_text(file: &FileKey) -> String {
    to_hex(&file.to_bytes())
}

/// Reads [`key_text`].
pub(super) fn read_key(text: &str) -> Option<FileKey> {
    FileKey::from_bytes(&from_hex(text)?)
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
    files: Vec<Row>,
}

/// A commit's text. A digit of an offset that changed on the disk would be a lost record: it has a checksum.
pub(super) fn write_commit(summary: &Summary, offsets: &Offsets) -> serde_json::Result<String> {
    let Summary { commit, documents, bytes, first, last, time } = *summary;
    let files = offsets.to_rows(time);
    let commit = Commit { format: FORMAT, commit, documents, bytes, first, last, time, files };
    serde_json::to_string(&commit).map(|text| with_checksum(&text))
}

/// Reads [`write_commit`]; none where it is damaged or of another version. The first version had no checksum.
pub(super) fn read_commit(text: &str) -> Option<(Summary, Offsets)> {
    let text = if text.starts_with('{') { text } else { checked(text)? };
    let read: Commit = serde_json::from_str(text).ok().filter(|commit: &Commit| commit.format == FORMAT)?;
    let Commit { commit, documents, bytes, first, last, time, files, .. } = read;
    Some((Summary { commit, documents, bytes, first, last, time }, Offsets::from_rows(files)?))
}

/// `text` behind its CRC-32, as eight digits and a blank.
pub(super) fn with_checksum(text: &str) -> String {
    format!("{:08x} {text}", crc32fast::hash(text.as_bytes()))
}

/// The text of [`with_checksum`]; none where it is not what was written.
pub(super) fn checked(text: &str) -> Option<&str> {
    let (checksum, text) = text.split_once(' ')?;
    let is_same = u32::from_str_radix(checksum, 16) == Ok(crc32fast::hash(text.as_bytes()));
    is_same.then_some(text)
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

    proptest! {
        #[test]
        fn what_is_taken_out_is_gone_and_all_else_stays(
            inserted in prop::collection::vec((0u64..60, 1u64..9), 0..12),
            removed in prop::collection::vec((0u64..60, 1u64..9), 0..12),
        ) {
            let (mut ranges, mut others) = (Ranges::default(), Ranges::default());
            inserted.iter().for_each(|(start, length)| ranges.insert(*start, start + length));
            removed.iter().for_each(|(start, length)| others.insert(*start, start + length));
            let left = ranges.without(&others);
            for offset in 0..80 {
                prop_assert_eq!(left.contains(offset), ranges.contains(offset) && !others.contains(offset));
            }
            prop_assert!(left.0.windows(2).all(|pair| pair[0].1 < pair[1].0), "{:?}", left);
            prop_assert!(left.0.iter().all(|range| range.0 < range.1), "{:?}", left);
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
        let (_, first_version) = text.split_once(' ').expect("a checksum");
        assert!(read_commit(first_version).is_some(), "of the first version, which had no checksum");
        assert!(read_commit(&first_version.replace("\"format\":1", "\"format\":2")).is_none());
        assert!(read_commit(&text.replace("200", "201")).is_none(), "another offset than was written");
    }
}
