//! What is remembered of one file.

use std::path::PathBuf;

use weir_record::FileIdentity;

/// What is remembered of one file, or of one generation of a file that was truncated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Who it is.
    pub identity: FileIdentity,
    /// `event.sequence` of its first byte.
    pub sequence_base: i64,
    /// Everything before this offset is indexed: the safe point.
    pub indexed: u64,
    /// Everything before this offset was in the buffer: a hint.
    pub pushed: u64,
    /// Proof that the file is still the one that was read.
    pub check: ContentCheck,
    /// Its first bytes, by which a copy or a compressed twin is recognised.
    pub head: Head,
    /// Bytes that it had when it was last looked at.
    pub size: u64,
    /// Its change time (`ctime`) when it was last looked at, nanoseconds since 1970; zero: unknown. With `size` it
    /// proves that the file was not touched since, without opening it.
    pub changed_nanos: i64,
    /// What is to be done with it.
    pub state: EntryState,
    /// The name it was written under.
    pub path: PathBuf,
}

impl Entry {
    /// The content that it is a copy or compressed twin of.
    pub fn twin_of(&self) -> Option<FileIdentity> {
        match self.state {
            EntryState::TwinOf(content) => Some(content),
            EntryState::Live | EntryState::Vanished { .. } | EntryState::Skipped => None,
        }
    }
}

/// Hash of the bytes before an offset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ContentCheck {
    /// End of the hashed bytes.
    pub offset: u64,
    /// Their hash.
    pub hash: u64,
}

/// Hash of a content's first bytes: as many as there are, up to a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// How many bytes; zero: nothing is known.
    pub length: u32,
    /// Their hash.
    pub hash: u64,
}

/// What is to be done with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryState {
    /// It is followed.
    Live,
    /// It is gone from the disk; remembered, so that a compressed twin or a copy of it is recognised.
    Vanished {
        /// When that was seen, seconds since 1970.
        at_secs: u64,
    },
    /// It was there before the first start, or is no text: not wanted.
    Skipped,
    /// It is a copy, or a compressed twin, of that content.
    TwinOf(FileIdentity),
}
