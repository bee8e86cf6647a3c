//! The bytes of a checkpoint.
//!
//! ```text
//!  "WEIRCKPT" | version u32 = 2 | batch ...
//!  batch:  "\xb5WB2" | body length u32 | CRC-32 of length and body u32 | body
//!  body:   kind u8 | scanned at, ns u64 | count varint | count × change
//!  change: tag u8 | identity | (all but "removed":) sequence base - birth ± | indexed | pushed - indexed ±
//!          | check offset - pushed ± | check hash u64 | head length | (if any:) head hash u64 | size - pushed ±
//!          | changed - birth ± | (vanished:) at secs | (twin:) identity | path bytes shared with the change before
//!          | path bytes left | these
//!  identity: device | inode | birth ns u64 | generation
//! ```
//! Fixed numbers are little-endian, all others LEB128 varints, "±" in zigzag. A *base* is all entries, written whole
//! before the file gets its name: if its end is missing, the file is damaged. *Changes* are appended, each batch
//! synced before the next: one that is cut, with nothing after it, is what a crash leaves, and never counted.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use weir_record::FileIdentity;

use super::entry::{ContentCheck, Entry, EntryState, Head};

const MAGIC: &[u8; 8] = b"WEIRCKPT";
const VERSION: u32 = 2;
const BATCH_MARK: &[u8; 4] = b"\xb5WB2";

const KIND_BASE: u8 = 0;
const KIND_BASE_END: u8 = 1;
const KIND_CHANGES: u8 = 2;

const TAG_REMOVED: u8 = 0;
const TAG_LIVE: u8 = 1;
const TAG_VANISHED: u8 = 2;
const TAG_SKIPPED: u8 = 3;
const TAG_TWIN: u8 = 4;

/// Entries of one batch of a base: damage costs at most those behind it, and decoding needs few bytes at once.
const BASE_BATCH_ENTRIES: usize = 1024;

/// One change of the entries.
#[derive(Clone, Copy)]
pub enum Change<'a> {
    /// An entry is new, or another than before.
    Put(&'a Entry),
    /// An entry is gone.
    Removed(FileIdentity),
}

/// What a file holds, as far as it is valid.
#[derive(Debug, Default)]
pub struct Decoded {
    /// When the last scan began, nanoseconds since 1970.
    pub scanned_at: u64,
    /// All entries.
    pub entries: HashMap<FileIdentity, Entry>,
    /// Bytes of the base.
    pub base_bytes: u64,
    /// Bytes up to the end of the last valid batch.
    pub valid_bytes: u64,
    /// What is wrong with the rest.
    pub flaw: Option<Flaw>,
}

/// Why a file cannot be appended to as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// The last batch is cut, as a crash leaves it.
    TornTail,
    /// Something else is wrong: entries may be missing.
    Damaged,
    /// It is of a later version.
    OtherVersion(u32),
    /// It is whole, but of an earlier version.
    Earlier,
}

/// A whole file of these entries.
pub fn encode_base<'a>(scanned_at: u64, entries: impl Iterator<Item = &'a Entry>) -> Vec<u8> {
    let mut changes: Vec<Change<'_>> = entries.map(Change::Put).collect();
    sort(&mut changes);
    let mut out = Vec::with_capacity(64 + changes.len() * 100);
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    let mut left = changes.as_slice();
    while left.len() > BASE_BATCH_ENTRIES {
        let (batch, rest) = left.split_at(BASE_BATCH_ENTRIES);
        encode_batch(KIND_BASE, scanned_at, batch, &mut out);
        left = rest;
    }
    encode_batch(KIND_BASE_END, scanned_at, left, &mut out);
    out
}

/// One batch, to be appended.
pub fn encode_changes(scanned_at: u64, mut changes: Vec<Change<'_>>) -> Vec<u8> {
    sort(&mut changes);
    let mut out = Vec::with_capacity(64 + changes.len() * 100);
    encode_batch(KIND_CHANGES, scanned_at, &changes, &mut out);
    out
}

/// Neighbours share most of their paths.
fn sort(changes: &mut [Change<'_>]) {
    changes.sort_unstable_by_key(|change| match change {
        Change::Removed(identity) => (None, *identity),
        Change::Put(entry) => (Some(entry.path.as_os_str()), entry.identity),
    });
}

fn encode_batch(kind: u8, scanned_at: u64, changes: &[Change<'_>], out: &mut Vec<u8>) {
    out.extend_from_slice(BATCH_MARK);
    let head = out.len();
    out.extend_from_slice(&[0; 8]);
    out.push(kind);
    out.extend_from_slice(&scanned_at.to_le_bytes());
    put_varint(out, changes.len() as u64);
    let mut before: &[u8] = b"";
    for change in changes {
        match change {
            Change::Removed(identity) => {
                out.push(TAG_REMOVED);
                put_identity(out, identity);
            }
            Change::Put(entry) => {
                put_entry(out, entry, before);
                before = entry.path.as_os_str().as_bytes();
            }
        }
    }
    let length = ((out.len() - head - 8) as u32).to_le_bytes();
    let sum = checksum(length, &out[head + 8..]);
    out[head..head + 4].copy_from_slice(&length);
    out[head + 4..head + 8].copy_from_slice(&sum.to_le_bytes());
}

fn checksum(length: [u8; 4], body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&length);
    hasher.update(body);
    hasher.finalize()
}

fn put_entry(out: &mut Vec<u8>, entry: &Entry, before: &[u8]) {
    out.push(match entry.state {
        EntryState::Live => TAG_LIVE,
        EntryState::Vanished { .. } => TAG_VANISHED,
        EntryState::Skipped => TAG_SKIPPED,
        EntryState::TwinOf(_) => TAG_TWIN,
    });
    put_identity(out, &entry.identity);
    let birth = entry.identity.birth_nanos;
    put_difference(out, entry.sequence_base, birth);
    put_varint(out, entry.indexed);
    put_difference(out, entry.pushed as i64, entry.indexed as i64);
    put_difference(out, entry.check.offset as i64, entry.pushed as i64);
    out.extend_from_slice(&entry.check.hash.to_le_bytes());
    put_varint(out, u64::from(entry.head.length));
    if entry.head.length > 0 {
        out.extend_from_slice(&entry.head.hash.to_le_bytes());
    }
    put_difference(out, entry.size as i64, entry.pushed as i64);
    put_difference(out, entry.changed_nanos, birth);
    match &entry.state {
        EntryState::Vanished { at_secs } => put_varint(out, *at_secs),
        EntryState::TwinOf(identity) => put_identity(out, identity),
        EntryState::Live | EntryState::Skipped => {}
    }
    let path = entry.path.as_os_str().as_bytes();
    let shared = path.iter().zip(before).take_while(|(one, other)| one == other).count();
    put_varint(out, shared as u64);
    put_varint(out, (path.len() - shared) as u64);
    out.extend_from_slice(&path[shared..]);
}

fn put_identity(out: &mut Vec<u8>, identity: &FileIdentity) {
    put_varint(out, identity.device);
    put_varint(out, identity.inode);
    out.extend_from_slice(&identity.birth_nanos.to_le_bytes());
    put_varint(out, u64::from(identity.generation));
}

fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn put_difference(out: &mut Vec<u8>, number: i64, from: i64) {
    let difference = number.wrapping_sub(from);
    put_varint(out, ((difference << 1) ^ (difference >> 63)) as u64);
}

/// Reads a file of any version. Never fails: what is valid counts, and the flaw is named.
pub fn decode(bytes: &[u8]) -> Decoded {
    let flawed = |flaw| Decoded { flaw: Some(flaw), ..Decoded::default() };
    let mut reader = Reader(bytes);
    if reader.take(MAGIC.len()) != Some(MAGIC) {
        return flawed(Flaw::Damaged);
    }
    match reader.u32() {
        Some(1) => super::version_1::decode(bytes).unwrap_or_else(|| flawed(Flaw::Damaged)),
        Some(VERSION) => decode_batches(bytes, MAGIC.len() + 4),
        Some(version) => flawed(Flaw::OtherVersion(version)),
        None => flawed(Flaw::Damaged),
    }
}

fn decode_batches(bytes: &[u8], start: usize) -> Decoded {
    let mut decoded = Decoded { valid_bytes: start as u64, ..Decoded::default() };
    let mut rest = &bytes[start..];
    let mut base_ended = false;
    while let Some((body, after)) = next_batch(rest) {
        let Some(kind) = apply(body, &mut decoded) else { break };
        rest = after;
        decoded.valid_bytes = (bytes.len() - rest.len()) as u64;
        if kind == KIND_BASE_END {
            base_ended = true;
            decoded.base_bytes = decoded.valid_bytes;
        }
    }
    decoded.flaw = match (base_ended, rest.is_empty()) {
        (true, true) => None,
        (true, false) if !holds_batch(rest) => Some(Flaw::TornTail),
        _ => Some(Flaw::Damaged),
    };
    decoded
}

/// The body of the batch that begins here, and what follows it.
fn next_batch(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut reader = Reader(bytes.strip_prefix(BATCH_MARK)?);
    let length = reader.u32()?;
    let sum = reader.u32()?;
    let body = reader.take(length as usize)?;
    (checksum(length.to_le_bytes(), body) == sum).then_some((body, reader.0))
}

/// Whether a whole batch stands anywhere behind the first byte: then what is before it is no torn tail.
fn holds_batch(bytes: &[u8]) -> bool {
    memchr::memmem::find_iter(bytes, BATCH_MARK)
        .skip_while(|&at| at == 0)
        .any(|at| next_batch(&bytes[at..]).is_some())
}

/// Applies a batch as a whole, or not at all. Returns its kind.
fn apply(body: &[u8], decoded: &mut Decoded) -> Option<u8> {
    let mut reader = Reader(body);
    let kind = reader.u8().filter(|kind| *kind <= KIND_CHANGES)?;
    let scanned_at = reader.u64()?;
    let count = reader.varint()?;
    let mut path = Vec::new();
    let mut changes = Vec::new();
    for _ in 0..count {
        changes.push(reader.change(&mut path)?);
    }
    decoded.scanned_at = scanned_at;
    for change in changes {
        match change {
            Ok(entry) => decoded.entries.insert(entry.identity, entry),
            Err(identity) => decoded.entries.remove(&identity),
        };
    }
    Some(kind)
}

/// Takes numbers off the front of some bytes; none where they end.
pub struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    /// The next bytes.
    pub fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// A little-endian number.
    pub fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    /// A little-endian number.
    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    /// A little-endian number.
    pub fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    fn difference(&mut self, from: i64) -> Option<i64> {
        let zigzag = self.varint()?;
        Some(from.wrapping_add((zigzag >> 1) as i64 ^ -((zigzag & 1) as i64)))
    }

    fn identity(&mut self) -> Option<FileIdentity> {
        Some(FileIdentity {
            device: self.varint()?,
            inode: self.varint()?,
            birth_nanos: self.u64()? as i64,
            generation: u32::try_from(self.varint()?).ok()?,
        })
    }

    /// An entry, or who was removed. `path`: of the entry before.
    fn change(&mut self, path: &mut Vec<u8>) -> Option<Result<Entry, FileIdentity>> {
        let tag = self.u8()?;
        let identity = self.identity()?;
        if tag == TAG_REMOVED {
            return Some(Err(identity));
        }
        let birth = identity.birth_nanos;
        let sequence_base = self.difference(birth)?;
        let indexed = self.varint()?;
        let pushed = self.difference(indexed as i64)?;
        let check = ContentCheck { offset: self.difference(pushed)? as u64, hash: self.u64()? };
        let length = u32::try_from(self.varint()?).ok()?;
        let head = Head { length, hash: if length > 0 { self.u64()? } else { 0 } };
        let size = self.difference(pushed)? as u64;
        let changed_nanos = self.difference(birth)?;
        let state = match tag {
            TAG_LIVE => EntryState::Live,
            TAG_VANISHED => EntryState::Vanished { at_secs: self.varint()? },
            TAG_SKIPPED => EntryState::Skipped,
            TAG_TWIN => EntryState::TwinOf(self.identity()?),
            _ => return None,
        };
        let shared = usize::try_from(self.varint()?).ok().filter(|shared| *shared <= path.len())?;
        path.truncate(shared);
        let left = usize::try_from(self.varint()?).ok()?;
        path.extend_from_slice(self.take(left)?);
        let pushed = pushed as u64;
        let path = to_path(path);
        Some(Ok(Entry {
            identity,
            sequence_base,
            indexed,
            pushed,
            check,
            head,
            size,
            changed_nanos,
            state,
            path,
        }))
    }
}

/// A path of these bytes.
pub fn to_path(bytes: &[u8]) -> PathBuf {
    Path::new(OsStr::from_bytes(bytes)).to_path_buf()
}
