//! Names of the keys of one partition. The braces keep them in one slot of a cluster.

use weir_record::FileKey;

/// The keys of one partition of a buffer.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    /// Streams, the lanes: one entry per frame, with the fields file, start, end, frame, service.
    pub(super) frames: [String; LANES as usize],
    /// Hash: file -> end of its last frame.
    pub(super) pushed: String,
    /// Hash: file -> every record before has a final outcome.
    pub(super) indexed: String,
    /// Hash: file -> ranges that were finished early.
    pub(super) done: String,
    /// Sorted set: what waits, by file and start; see entry.lua.
    pub(super) waiting: String,
    /// Encoded bytes of what waits.
    pub(super) bytes: String,
    /// Hash: source -> its part of the bytes.
    pub(super) shares: String,
    /// Sorted set: file -> when it was last indexed whole, in seconds of the server's clock.
    pub(super) settled: String,
    /// Hash: service -> its lane, and its last frame's member of `waiting`.
    pub(super) lanes: String,
    /// Hash: source -> how many frames were found missing.
    pub(super) gaps: String,
    /// Followed by a consumer's name: there while it lives.
    pub(super) alive_prefix: String,
}

/// Lanes of a partition; the same number stands in entry.lua.
pub(crate) const LANES: u32 = 16;

impl Keys {
    pub(super) fn of_push(&self) -> [&str; 8] {
        let [frames, pushed, indexed, bytes, waiting, shares, settled, ..] = self.all();
        [frames, pushed, indexed, bytes, waiting, shares, settled, &self.lanes]
    }

    /// The key that tells where the partition is, and from which scripts derive those of the other lanes.
    pub(super) fn frames(&self) -> &str {
        &self.frames[0]
    }

    /// In the order in which the larger scripts have them.
    pub(super) fn all(&self) -> [&str; 9] {
        let Keys { pushed, indexed, bytes, waiting, shares, settled, done, gaps, .. } = self;
        [self.frames(), pushed, indexed, bytes, waiting, shares, settled, done, gaps]
    }

    pub(super) fn new(buffer: &str, partition: u32) -> Keys {
        let key = |what: &str| format!("weir:{{{buffer}:{partition}}}:{what}");
        Keys {
            frames: std::array::from_fn(|lane| match lane {
                0 => key("frames"),
                _ => key(&format!("frames:{lane}")),
            }),
            pushed: key("pushed"),
            indexed: key("indexed"),
            done: key("done"),
            waiting: key("waiting"),
            bytes: key("bytes"),
            shares: key("shares"),
            settled: key("settled"),
            lanes: key("lanes"),
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
