//! Reading answers: `Value`s are taken apart by hand, so that the bytes of a frame are moved, never copied.

use std::ops::Range;

use bytes::Bytes;
use redis::Value;
use weir_record::{FileKey, SourceId};

use crate::{FileLedger, FileRange, Position};

/// One entry of the stream.
pub(super) struct StreamEntry {
    pub(super) id: (u64, u64),
    /// None where the entry was not written by our push.
    pub(super) range: Option<FileRange>,
    pub(super) frame: Bytes,
    /// Whose it is; empty where the entry does not say.
    pub(super) service: Vec<u8>,
}

/// What the push script answered.
#[derive(Clone, Debug)]
pub(super) enum PushAnswer {
    /// Taken; this much waits now.
    Accepted {
        bytes: u64,
    },
    Expected(Option<u64>),
    Full {
        bytes: u64,
    },
}

pub(super) fn push_answer(value: Value) -> Option<PushAnswer> {
    match value {
        Value::Int(bytes) => Some(PushAnswer::Accepted { bytes: u64::try_from(bytes).ok()? }),
        Value::Nil => Some(PushAnswer::Expected(None)),
        Value::Array(parts) => Some(PushAnswer::Full { bytes: number(parts.first()?)? }),
        other => Some(PushAnswer::Expected(Some(number(&other)?))),
    }
}

/// The answer to HGETALL of a hash of counters by source.
pub(super) fn counts(value: Value) -> Option<Vec<(SourceId, u64)>> {
    let Value::Array(values) = value else { return None };
    let pairs = values.chunks_exact(2);
    pairs
        .map(|pair| match &pair[0] {
            Value::BulkString(source) => {
                Some((SourceId(source.as_slice().try_into().ok()?), number(&pair[1])?))
            }
            _ => None,
        })
        .collect()
}

/// One page of the ledger, and the cursor of the next.
pub(super) fn ledger(value: Value) -> Option<(Vec<u8>, Vec<FileLedger>)> {
    let Value::Array(parts) = value else { return None };
    let mut parts = parts.into_iter();
    let cursor = bulk(parts.next()?)?;
    let files = parts.map(|part| {
        let [file, pushed, indexed, done, waiting] = array_of(part)?;
        Some(FileLedger {
            file: FileKey::from_bytes(&bulk(file)?)?,
            position: Position { pushed: number(&pushed), indexed: number(&indexed) },
            done: ranges(&bulk(done)?)?,
            waiting: ranges(&bulk(waiting)?)?,
        })
    });
    Some((cursor, files.collect::<Option<_>>()?))
}

/// One page of a search for deleted frames.
pub(super) struct Mended {
    pub(super) cursor: Vec<u8>,
    pub(super) lost: u64,
    /// False: there was no need to.
    pub(super) looked: bool,
}

pub(super) fn mended(value: Value) -> Option<Mended> {
    let [cursor, lost] = array_of(value)?;
    Some(Mended { cursor: bulk(cursor)?, looked: lost != Value::Int(-1), lost: number(&lost).unwrap_or(0) })
}

/// `30-40 50-60`.
fn ranges(text: &[u8]) -> Option<Vec<Range<u64>>> {
    let range = |word: &str| {
        let (start, end) = word.split_once('-')?;
        Some(start.parse().ok()?..end.parse().ok()?)
    };
    std::str::from_utf8(text).ok()?.split_ascii_whitespace().map(range).collect()
}

/// A number, sent as such or as text.
pub(super) fn number(value: &Value) -> Option<u64> {
    match value {
        Value::Int(number) => u64::try_from(*number).ok(),
        Value::BulkString(text) => std::str::from_utf8(text).ok()?.parse().ok(),
        _ => None,
    }
}

/// Numbers or nils, in order.
pub(super) fn optional_numbers(value: &Value) -> Option<Vec<Option<u64>>> {
    let Value::Array(values) = value else { return None };
    values
        .iter()
        .map(|value| if *value == Value::Nil { Some(None) } else { number(value).map(Some) })
        .collect()
}

/// The answer to XREADGROUP: streams by name, each with its entries. Nil, when there was nothing, is no stream.
pub(super) fn streams(value: Value) -> Option<Vec<(Vec<u8>, Vec<StreamEntry>)>> {
    let streams = match value {
        Value::Nil => return Some(Vec::new()),
        Value::Array(streams) => streams,
        _ => return None,
    };
    let stream = |stream| {
        let [name, list] = array_of(stream)?;
        Some((bulk(name)?, entries(list)?))
    };
    streams.into_iter().map(stream).collect()
}

/// A list of entries, as of XREADGROUP and XCLAIM. Those that were deleted meanwhile are nil, and left out.
pub(super) fn entries(value: Value) -> Option<Vec<StreamEntry>> {
    let Value::Array(list) = value else { return None };
    list.into_iter().filter(|entry| *entry != Value::Nil).map(entry).collect()
}

/// What a consumer holds: the lane and id of each entry.
pub(super) fn pending(value: Value) -> Option<Vec<(u32, (u64, u64))>> {
    let Value::Array(lanes) = value else { return None };
    let mut entries = Vec::new();
    for part in lanes {
        let [lane, list] = array_of(part)?;
        let (lane, Value::Array(list)) = (u32::try_from(number(&lane)?).ok()?, list) else { return None };
        for entry in list {
            let [id, _consumer, _idle, _deliveries] = array_of(entry)?;
            entries.push((lane, entry_id(&bulk(id)?)?));
        }
    }
    Some(entries)
}

/// Takes an array of `N` values apart.
pub(super) fn array_of<const N: usize>(value: Value) -> Option<[Value; N]> {
    let Value::Array(values) = value else { return None };
    values.try_into().ok()
}

fn entry(value: Value) -> Option<StreamEntry> {
    let [id, fields] = array_of(value)?;
    let id = entry_id(&bulk(id)?)?;
    let (mut file, mut start, mut end, mut frame) = (None, None, None, Bytes::new());
    let mut service = Vec::new();
    // Nil fields: deleted, but still pending.
    if let Value::Array(fields) = fields {
        let mut fields = fields.into_iter();
        while let (Some(name), Some(value)) = (fields.next(), fields.next()) {
            match &bulk(name)?[..] {
                b"file" => file = FileKey::from_bytes(&bulk(value)?),
                b"start" => start = number(&value),
                b"end" => end = number(&value),
                b"service" => service = bulk(value)?,
                b"frame" => frame = Bytes::from(bulk(value)?),
                _ => {}
            }
        }
    }
    let range = file.zip(start).zip(end).map(|((file, start), end)| FileRange { file, start, end });
    Some(StreamEntry { id, range, frame, service })
}

/// `1795212000000-0`.
fn entry_id(text: &[u8]) -> Option<(u64, u64)> {
    let (time, number) = std::str::from_utf8(text).ok()?.split_once('-')?;
    Some((time.parse().ok()?, number.parse().ok()?))
}

fn bulk(value: Value) -> Option<Vec<u8>> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        _ => None,
    }
}
