//! Reading frames.

use super::header::{Codec, Header};
use super::{FrameError, varint};
use crate::identity::RecordId;
use crate::limits::{FRAME_GROUPS_MAX, FRAME_RAW_BYTES_MAX};

/// Decodes frames; its buffers are used again for the next one.
pub struct Decoder {
    decompressor: zstd::bulk::Decompressor<'static>,
    raw: Vec<u8>,
    entries: Vec<Entry>,
}

/// A frame that was read and checked.
pub struct DecodedFrame<'a> {
    /// What it says about itself.
    pub header: Header,
    /// Dataset and shared fields, as [`super::Group`].
    pub groups: Vec<(&'a str, &'a str)>,
    entries: &'a [Entry],
    documents: &'a [u8],
}

/// One record of a decoded frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its fragment.
    pub document: &'a [u8],
    /// First byte in the file.
    pub offset: u64,
    /// The event's own time, nanoseconds since 1970.
    pub time: Option<i64>,
    /// Hash of the line's bytes.
    pub hash: u64,
    /// Index into [`DecodedFrame::groups`].
    pub group: usize,
}

#[derive(Clone, Copy)]
struct Entry {
    offset: u64,
    time: Option<i64>,
    hash: u64,
    group: usize,
    document_start: usize,
    document_end: usize,
}

impl Decoder {
    /// A decoder with empty buffers.
    pub fn new() -> std::io::Result<Decoder> {
        Ok(Decoder { decompressor: zstd::bulk::Decompressor::new()?, raw: Vec::new(), entries: Vec::new() })
    }

    /// Reads one whole frame.
    pub fn decode<'a>(&'a mut self, frame: &'a [u8]) -> Result<DecodedFrame<'a>, FrameError> {
        let header = Header::read(frame)?;
        let payload = frame.get(Header::BYTES..).unwrap_or_default();
        let (hashes, encoded) = payload.split_at(header.hashes_bytes());
        self.decompress(&header, encoded)?;
        let mut rest = &self.raw[..];
        let groups = take_groups(&mut rest)?;
        let documents = fill_entries(&mut self.entries, &header, hashes, &mut rest, groups.len())?;
        Ok(DecodedFrame { header, groups, entries: &self.entries, documents })
    }

    fn decompress(&mut self, header: &Header, encoded: &[u8]) -> Result<(), FrameError> {
        let raw_bytes = header.raw_bytes as usize;
        debug_assert!(raw_bytes <= FRAME_RAW_BYTES_MAX);
        self.raw.clear();
        match header.codec {
            Codec::Raw => self.raw.extend_from_slice(encoded),
            Codec::Zstd => {
                self.raw.resize(raw_bytes, 0);
                let length = self
                    .decompressor
                    .decompress_to_buffer(encoded, &mut self.raw[..])
                    .map_err(|_| FrameError::Malformed("its columns do not decompress"))?;
                self.raw.truncate(length);
            }
        }
        if self.raw.len() == raw_bytes {
            Ok(())
        } else {
            Err(FrameError::Malformed("its columns have another length"))
        }
    }
}

impl<'a> DecodedFrame<'a> {
    /// Number of records.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it only covers bytes that made no record.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The record at `index`.
    pub fn get(&self, index: usize) -> Option<Record<'a>> {
        self.entries.get(index).map(|entry| self.record(entry))
    }

    /// All records, in file order.
    pub fn records(&self) -> impl ExactSizeIterator<Item = Record<'a>> + '_ {
        self.entries.iter().map(|entry| self.record(entry))
    }

    /// The `_id` of one of its records.
    pub fn id(&self, record: &Record<'_>) -> RecordId {
        RecordId::new(&self.header.file, record.time, record.offset, record.hash)
    }

    fn record(&self, entry: &Entry) -> Record<'a> {
        let document = self.documents.get(entry.document_start..entry.document_end).unwrap_or_default();
        Record { document, offset: entry.offset, time: entry.time, hash: entry.hash, group: entry.group }
    }
}

fn take_groups<'a>(rest: &mut &'a [u8]) -> Result<Vec<(&'a str, &'a str)>, FrameError> {
    let count = take_number(rest)?;
    if count > FRAME_GROUPS_MAX {
        return Err(FrameError::Limit {
            what: "the number of groups",
            value: count,
            limit: FRAME_GROUPS_MAX,
        });
    }
    (0..count).map(|_| Ok((take_text(rest)?, take_text(rest)?))).collect()
}

/// Reads the per-record columns; returns the documents that follow them.
fn fill_entries<'a>(
    entries: &mut Vec<Entry>,
    header: &Header,
    hashes: &[u8],
    rest: &mut &'a [u8],
    groups: usize,
) -> Result<&'a [u8], FrameError> {
    let column_bytes = [take_number(rest)?, take_number(rest)?, take_number(rest)?, take_number(rest)?];
    let mut columns = [&[][..]; 4];
    for (column, bytes) in columns.iter_mut().zip(column_bytes) {
        *column = take_bytes(rest, bytes)?;
    }
    let [lengths, offsets, times, group_numbers] = &mut columns;
    let documents = *rest;

    entries.clear();
    let (mut document_end, mut offset, mut time) = (0usize, header.start, 0i64);
    for hash in hashes.as_chunks::<8>().0 {
        let length = take_number(lengths)?;
        let document_start = document_end;
        document_end = document_start.checked_add(length >> 1).ok_or(MALFORMED)?;
        offset = offset.checked_add(varint::take(offsets).ok_or(MALFORMED)?).ok_or(MALFORMED)?;
        let own_time = if length & 1 == 1 {
            time = time.wrapping_add(varint::unzigzag(varint::take(times).ok_or(MALFORMED)?));
            Some(time)
        } else {
            None
        };
        let group = if groups > 1 { take_number(group_numbers)? } else { 0 };
        if document_end > documents.len() || offset >= header.end || group >= groups {
            return Err(MALFORMED);
        }
        let hash = u64::from_le_bytes(*hash);
        entries.push(Entry { offset, time: own_time, hash, group, document_start, document_end });
    }
    let all_read = columns.iter().all(|column| column.is_empty()) && document_end == documents.len();
    if all_read { Ok(documents) } else { Err(MALFORMED) }
}

const MALFORMED: FrameError = FrameError::Malformed("its columns contradict each other");

fn take_number(rest: &mut &[u8]) -> Result<usize, FrameError> {
    varint::take(rest).and_then(|number| usize::try_from(number).ok()).ok_or(MALFORMED)
}

fn take_bytes<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8], FrameError> {
    let (taken, tail) = rest.split_at_checked(length).ok_or(MALFORMED)?;
    *rest = tail;
    Ok(taken)
}

fn take_text<'a>(rest: &mut &'a [u8]) -> Result<&'a str, FrameError> {
    let length = take_number(rest)?;
    std::str::from_utf8(take_bytes(rest, length)?).map_err(|_| MALFORMED)
}
