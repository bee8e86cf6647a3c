//! Frames: many records of one file, the unit of compression, buffering, claiming and acknowledging.
//!
//! A frame covers the bytes `[start, end)` of its file without a hole: bytes that made no record are covered too, and
//! the next frame of that file starts at `end`.
//!
//! ```text
//!  offset size
//!       0    4  magic "WEIR"
//!       4    1  version, 1
//!       5    1  codec of the columns: 0 as they are, 1 zstd
//!       6    2  zero
//!       8   16  source            whose file
//!      24   16  file              hash of the file's identity
//!      40    8  start             first byte of the file that is covered
//!      48    8  end               first byte that is not
//!      56    8  first time        smallest event time, nanoseconds since 1970; i64::MAX where no record has one
//!      64    8  last time         largest; i64::MIN where no record has one
//!      72    8  read time         when the last record was read
//!      80    8  sequence base     `event.sequence` of the file's byte 0
//!      88    4  count             of records
//!      92    4  raw length        of the columns, decoded
//!      96    4  payload length    all that follows the header
//!     100    4  CRC-32 of the bytes 0..100 and the payload
//!     104       payload: hashes (8 bytes each: they do not compress), then the columns
//! ```
//! All numbers are little-endian. The columns, each a run of LEB128 varints: the groups; the byte lengths of the four
//! columns that follow; per record the document's length, doubled, plus one where the event has a time of its own;
//! the offset's distance to the one before (the first: to `start`); the time's distance to the one before (zigzag;
//! left out where there is none); the group's number (left out where there is one group). Then the documents.
//!
//! Decoding checks the lengths, then the CRC, then decompresses with a bound, before anything of that size is
//! allocated: a frame may come from anybody who can write to the buffer.

mod build;
mod decode;
mod header;
mod varint;

pub use build::{Frame, FrameBuilder, Group};
pub use decode::{DecodedFrame, Decoder, Record};
pub use header::Header;

/// Why bytes are not a frame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Fewer bytes than the frame has.
    #[error("the frame is cut: {have} of {need} bytes")]
    Incomplete {
        /// Bytes that are there.
        have: usize,
        /// Bytes that the frame has, as far as it says.
        need: usize,
    },
    /// The bytes begin with something else.
    #[error("not a Weir frame")]
    Magic,
    /// Written by a version that this one does not know.
    #[error("frame version {0} is not known here: update this worker before its shippers")]
    Version(u8),
    /// The columns are compressed in a way that is not known.
    #[error("frame codec {0} is not known here")]
    Codec(u8),
    /// A length or count is over its limit.
    #[error("the frame says {what} is {value}, over the limit of {limit}")]
    Limit {
        /// Which number.
        what: &'static str,
        /// What the frame says.
        value: usize,
        /// What is allowed.
        limit: usize,
    },
    /// The checksum does not match.
    #[error("the frame is damaged: its checksum does not match")]
    Checksum,
    /// The checksum matches, the content makes no sense.
    #[error("the frame is malformed: {0}")]
    Malformed(&'static str),
}

#[cfg(test)]
mod tests;
