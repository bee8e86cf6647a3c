//! Names of the keys of one partition. The braces keep them in one slot of a cluster.

use weir_record::FileKey;

/// The keys of one partition of a buffer.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    /// Stream: one entry per frame, with the fields file, start, end, frame.
    pub(super) frames: String,
    /// Hash: file -> end of its last frame.
    pub(super) pushed: String,
    /// Hash: file -> every record before has a final outcome.
    pub(super) indexed: String,
    /// Hash: file -> ranges that were finished early.
    pub(super) done: String,
    /// Hash: file -> stream entry of its last frame.
    pub(super) newest: String,
    /// Encoded bytes in the stream.
    pub(super) bytes: String,
    /// How many holes were mended.
    pub(super) gaps: String,
    /// Followed by a consumer's name: there while it lives.
    pub(super) alive_prefix: String,
}

impl Keys {
    pub(super) fn new(buffer: &str, partition: u32) -> Keys {
        let key = |what| format!("weir:{{{buffer}:{partition}}}:{what}");
        Keys {
            frames: key("frames"),
            pushed: key("pushed"),
            indexed: key("indexed"),
            done: key("done"),
            newest: key("newest"),
            bytes: key("bytes"),
            gaps: key("gaps"),
            alive_prefix: key("alive:"),
        }
    }
}

/// The partition that holds a file. The file's key is a hash already.
pub(super) fn partition_of(file: &FileKey, partitions: u32) -> u32 {
    let [a, b, c, d, ..] = file.file;
    u32::from_le_bytes([a, b, c, d]) % partitions
}
