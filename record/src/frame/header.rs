//! The fixed part of a frame: layout in the module above.

use super::FrameError;
use crate::identity::{FileKey, SourceId};
use crate::limits::{FRAME_ENCODED_BYTES_MAX, FRAME_RAW_BYTES_MAX, FRAME_RECORDS_MAX};

const MAGIC: [u8; 4] = *b"WEIR";
const VERSION: u8 = 1;
const CHECKSUM_AT: usize = 100;

/// What a frame says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Whose file, and which.
    pub file: FileKey,
    /// First byte of the file that is covered.
    pub start: u64,
    /// First byte that is not.
    pub end: u64,
    /// Smallest event time in nanoseconds since 1970; `i64::MAX` where no record has one.
    pub first_time: i64,
    /// Largest event time; `i64::MIN` where no record has one.
    pub last_time: i64,
    /// When the frame's last record was read, nanoseconds since 1970.
    pub read_time: i64,
    /// `event.sequence` of the file's byte 0.
    pub sequence_base: i64,
    /// Number of records.
    pub count: u32,
    pub(super) codec: Codec,
    pub(super) raw_bytes: u32,
    pub(super) payload_bytes: u32,
}

/// How the columns are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Codec {
    Raw = 0,
    Zstd = 1,
}

impl Header {
    /// Length of the header.
    pub const BYTES: usize = 104;

    /// Reads and checks a whole frame's header: magic, version, limits, lengths, then the CRC over everything.
    pub fn read(frame: &[u8]) -> Result<Header, FrameError> {
        let need = Self::BYTES;
        let (bytes, payload) = frame
            .split_first_chunk::<{ Self::BYTES }>()
            .ok_or(FrameError::Incomplete { have: frame.len(), need })?;
        let header = Self::parse(bytes)?;
        let need = Self::BYTES + header.payload_bytes as usize;
        if frame.len() < need {
            return Err(FrameError::Incomplete { have: frame.len(), need });
        }
        if frame.len() > need {
            return Err(FrameError::Malformed("bytes follow the frame"));
        }
        if u32_at(bytes, CHECKSUM_AT) != checksum(bytes, payload) {
            return Err(FrameError::Checksum);
        }
        Ok(header)
    }

    fn parse(bytes: &[u8; Self::BYTES]) -> Result<Header, FrameError> {
        if bytes[0..4] != MAGIC {
            return Err(FrameError::Magic);
        }
        if bytes[4] != VERSION {
            return Err(FrameError::Version(bytes[4]));
        }
        let codec = match bytes[5] {
            0 => Codec::Raw,
            1 => Codec::Zstd,
            other => return Err(FrameError::Codec(other)),
        };
        let mut source = [0; 16];
        source.copy_from_slice(&bytes[8..24]);
        let mut file = [0; 16];
        file.copy_from_slice(&bytes[24..40]);
        let header = Header {
            file: FileKey { source: SourceId(source), file },
            start: u64_at(bytes, 40),
            end: u64_at(bytes, 48),
            first_time: u64_at(bytes, 56) as i64,
            last_time: u64_at(bytes, 64) as i64,
            read_time: u64_at(bytes, 72) as i64,
            sequence_base: u64_at(bytes, 80) as i64,
            count: u32_at(bytes, 88),
            codec,
            raw_bytes: u32_at(bytes, 92),
            payload_bytes: u32_at(bytes, 96),
        };
        header.check_limits()?;
        Ok(header)
    }

    fn check_limits(&self) -> Result<(), FrameError> {
        let within = |what, value: u32, limit: usize| {
            let value = value as usize;
            if value > limit { Err(FrameError::Limit { what, value, limit }) } else { Ok(()) }
        };
        within("the number of records", self.count, FRAME_RECORDS_MAX)?;
        within("the decoded length", self.raw_bytes, FRAME_RAW_BYTES_MAX)?;
        within("the encoded length", self.payload_bytes, FRAME_ENCODED_BYTES_MAX)?;
        if (self.payload_bytes as usize) < self.hashes_bytes() {
            return Err(FrameError::Malformed("shorter than its hashes"));
        }
        if self.start > self.end {
            return Err(FrameError::Malformed("it ends before it starts"));
        }
        Ok(())
    }

    /// Length of the payload's first part.
    pub(super) fn hashes_bytes(&self) -> usize {
        self.count as usize * size_of::<u64>()
    }

    /// Fills in the first [`Header::BYTES`] of `frame`, whose payload is in place.
    pub(super) fn write(&self, frame: &mut [u8]) {
        let (bytes, payload) =
            frame.split_first_chunk_mut::<{ Self::BYTES }>().expect("the builder left room");
        bytes[0..4].copy_from_slice(&MAGIC);
        bytes[4] = VERSION;
        bytes[5] = self.codec as u8;
        bytes[6..8].fill(0);
        bytes[8..40].copy_from_slice(&self.file.to_bytes());
        let words = [
            self.start,
            self.end,
            self.first_time as u64,
            self.last_time as u64,
            self.read_time as u64,
            self.sequence_base as u64,
        ];
        for (place, word) in bytes[40..88].chunks_exact_mut(8).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        for (place, word) in
            bytes[88..100].chunks_exact_mut(4).zip([self.count, self.raw_bytes, self.payload_bytes])
        {
            place.copy_from_slice(&word.to_le_bytes());
        }
        let sum = checksum(bytes, payload);
        bytes[CHECKSUM_AT..].copy_from_slice(&sum.to_le_bytes());
    }
}

fn checksum(header: &[u8; Header::BYTES], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&header[..CHECKSUM_AT]);
    hasher.update(payload);
    hasher.finalize()
}

fn u64_at(bytes: &[u8; Header::BYTES], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}

fn u32_at(bytes: &[u8; Header::BYTES], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(word)
}
