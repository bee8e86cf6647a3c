//! Reads the checkpoint that Weir 0.1 wrote before there was a second version.
//!
//! ```text
//!  "WEIRCKPT" | version u32 = 1 | scanned at, ns u64 | count u32 | count × entry | CRC-32 of all before u32
//!  entry: device u64 | inode u64 | birth ns i64 | generation u32 | sequence base i64 | indexed u64 | pushed u64
//!       | check offset u64 | check hash u64 | path length u16 | path
//! ```

use weir_record::FileIdentity;

use super::entry::{ContentCheck, Entry, EntryState, Head};
use super::format::{Decoded, Flaw, Reader, to_path};

/// Bytes of magic and version.
const HEADER_BYTES: usize = 12;

/// None: damaged.
pub fn decode(bytes: &[u8]) -> Option<Decoded> {
    let (body, sum) = bytes.split_last_chunk::<4>()?;
    if crc32fast::hash(body) != u32::from_le_bytes(*sum) {
        return None;
    }
    let mut reader = Reader(body.get(HEADER_BYTES..)?);
    let scanned_at = reader.u64()?;
    let count = reader.u32()?;
    let mut decoded = Decoded { scanned_at, flaw: Some(Flaw::Earlier), ..Decoded::default() };
    for _ in 0..count {
        let entry = entry(&mut reader)?;
        decoded.entries.insert(entry.identity, entry);
    }
    Some(decoded)
}

fn entry(reader: &mut Reader<'_>) -> Option<Entry> {
    let identity = FileIdentity {
        device: reader.u64()?,
        inode: reader.u64()?,
        birth_nanos: reader.u64()? as i64,
        generation: reader.u32()?,
    };
    let sequence_base = reader.u64()? as i64;
    let (indexed, pushed) = (reader.u64()?, reader.u64()?);
    let check = ContentCheck { offset: reader.u64()?, hash: reader.u64()? };
    let length = reader.u16()?;
    let path = to_path(reader.take(usize::from(length))?);
    let (head, state) = (Head::default(), EntryState::Live);
    Some(Entry {
        identity,
        sequence_base,
        indexed,
        pushed,
        check,
        head,
        size: 0,
        changed_nanos: 0,
        state,
        path,
    })
}
