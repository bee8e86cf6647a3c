//! Who a file is, and who a record is: the `_id` that makes every replay idempotent.
//!
//! A wrong `_id` loses data silently, because a repeated one counts as stored. So it covers the source, the file's
//! identity (device, inode, birth time, truncation generation), the record's offset and its bytes; and it does not
//! depend on how frames are cut, nor on when or how often the file was read.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use crate::time::NANOS_PER_SECOND;

/// The machine (or configured name) whose files a shipper follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourceId(pub [u8; 16]);

impl SourceId {
    /// From a name that is unique among the shippers of one buffer, such as the machine id.
    pub fn from_name(name: &str) -> SourceId {
        SourceId(xxh3_128(name.as_bytes()).to_le_bytes())
    }
}

/// One file through all its names, until it is cut or its inode is used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileIdentity {
    /// Device that holds it.
    pub device: u64,
    /// Inode on that device.
    pub inode: u64,
    /// Birth time in nanoseconds since 1970, zero where the file system has none.
    pub birth_nanos: i64,
    /// How often it was truncated, or its inode found to be another file.
    pub generation: u32,
}

/// The key of one file in the buffer: the source, and a hash of the file's identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileKey {
    /// Whose file it is.
    pub source: SourceId,
    /// Hash of the [`FileIdentity`].
    pub file: [u8; 16],
}

impl FileKey {
    /// Length of [`FileKey::to_bytes`].
    pub const BYTES: usize = 32;

    /// The key of `file` on `source`.
    pub fn new(source: SourceId, file: &FileIdentity) -> FileKey {
        let mut bytes = [0; 28];
        bytes[0..8].copy_from_slice(&file.device.to_le_bytes());
        bytes[8..16].copy_from_slice(&file.inode.to_le_bytes());
        bytes[16..24].copy_from_slice(&file.birth_nanos.to_le_bytes());
        bytes[24..28].copy_from_slice(&file.generation.to_le_bytes());
        FileKey { source, file: xxh3_128(&bytes).to_le_bytes() }
    }

    /// Source, then file: the field name in the buffer's hashes.
    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..16].copy_from_slice(&self.source.0);
        bytes[16..].copy_from_slice(&self.file);
        bytes
    }

    /// Reads [`FileKey::to_bytes`].
    pub fn from_bytes(bytes: &[u8]) -> Option<FileKey> {
        let (source, file) = bytes.split_at_checked(16)?;
        Some(FileKey { source: SourceId(source.try_into().ok()?), file: file.try_into().ok()? })
    }
}

/// Hash of a record's bytes as they stand in the file, without the last newline. It travels in the frame, so that
/// the worker can make the [`RecordId`] without the line.
pub fn line_hash(line: &[u8]) -> u64 {
    xxh3_64(line)
}

/// The `_id` of a record: 24 bits of hour, then 128 bits of hash, as 26 characters of URL-safe base64, which
/// Elasticsearch stores as 19 bytes. The hour makes ids grow with time, so that looking one up touches few pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordId([u8; 19]);

impl RecordId {
    /// Length of the text form.
    pub const TEXT_BYTES: usize = 26;

    /// `time`: the event's own, nanoseconds since 1970, none where the line has none (the time of reading would
    /// change with every replay). `offset`: first byte of the record in the file. `hash`: [`line_hash`].
    pub fn new(file: &FileKey, time: Option<i64>, offset: u64, hash: u64) -> RecordId {
        let mut input = [0; FileKey::BYTES + 16];
        input[..32].copy_from_slice(&file.to_bytes());
        input[32..40].copy_from_slice(&offset.to_le_bytes());
        input[40..48].copy_from_slice(&hash.to_le_bytes());
        let hour = time.map_or(0, |nanos| nanos / NANOS_PER_SECOND / 3600);
        let mut id = [0; 19];
        id[0..3].copy_from_slice(&(hour as u32).to_be_bytes()[1..]);
        id[3..].copy_from_slice(&xxh3_128(&input).to_be_bytes());
        RecordId(id)
    }

    /// The text form.
    pub fn to_text(self) -> [u8; Self::TEXT_BYTES] {
        let mut text = [0; Self::TEXT_BYTES];
        URL_SAFE_NO_PAD.encode_slice(self.0, &mut text).expect("19 bytes are 26 characters");
        text
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const FILE: FileIdentity = FileIdentity { device: 1, inode: 2, birth_nanos: 3, generation: 0 };

    fn id(identity: FileIdentity, source: &str, time: Option<i64>, offset: u64, line: &str) -> String {
        let key = FileKey::new(SourceId::from_name(source), &identity);
        String::from_utf8(RecordId::new(&key, time, offset, line_hash(line.as_bytes())).to_text().to_vec())
            .expect("base64")
    }

    #[test]
    fn each_part_of_the_identity_changes_the_id() {
        let ids: HashSet<String> = [
            id(FILE, "a", None, 0, "x"),
            id(FILE, "b", None, 0, "x"),
            id(FILE, "a", None, 1, "x"),
            id(FILE, "a", None, 0, "y"),
            id(FileIdentity { device: 9, ..FILE }, "a", None, 0, "x"),
            id(FileIdentity { inode: 9, ..FILE }, "a", None, 0, "x"),
            id(FileIdentity { birth_nanos: 9, ..FILE }, "a", None, 0, "x"),
            id(FileIdentity { generation: 9, ..FILE }, "a", None, 0, "x"),
        ]
        .into();
        assert_eq!(ids.len(), 8);
    }

    #[test]
    fn the_id_is_the_same_for_ever() {
        // Changing this makes every replay after an update a visible duplicate.
        assert_eq!(
            id(FILE, "host", Some(1_795_212_000_000_000_000), 4096, "line"),
            "B5vuUjrlpecLsmMK7h8Y9r4qoQ"
        );
    }

    #[test]
    fn ids_of_later_hours_sort_later() {
        let hour = 3_600 * NANOS_PER_SECOND;
        let ids: Vec<RecordId> = (0..2000)
            .map(|hours| {
                RecordId::new(&FileKey::new(SourceId([0; 16]), &FILE), Some(hours * 300 * hour), 7, 7)
            })
            .collect();
        assert!(ids.is_sorted());
    }

    #[test]
    fn ten_thousand_identical_lines_have_ten_thousand_ids() {
        let ids: HashSet<String> = (0..10_000).map(|n| id(FILE, "a", None, n * 5, "same")).collect();
        assert_eq!(ids.len(), 10_000);
    }
}
