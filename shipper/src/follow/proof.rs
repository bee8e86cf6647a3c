//! Proofs that two files hold the same content, from a few of its bytes.

use std::io;

use weir_record::identity::line_hash;

use super::checkpoint::{ContentCheck, Head};
use super::medium::{HEAD_BYTES, Medium};

/// Bytes that a content check covers.
pub const CHECK_BYTES: u64 = 256;

/// Bytes before an offset that are compared, or searched for repetition.
const COMPARED_BYTES: u64 = 4096;

/// Hashes the bytes before `offset`.
pub fn check_before(medium: &mut Medium, offset: u64) -> io::Result<ContentCheck> {
    let mut bytes = [0; CHECK_BYTES as usize];
    let length = offset.min(CHECK_BYTES);
    let window = bytes.get_mut(..length as usize).unwrap_or_default();
    let read = medium.read(window, offset - length)?;
    Ok(ContentCheck { offset, hash: line_hash(window.get(..read).unwrap_or_default()) })
}

/// Whether the bytes before the check's offset are still, or here too, the ones that were checked.
pub fn holds(medium: &mut Medium, check: &ContentCheck) -> io::Result<bool> {
    Ok(check.offset == 0 || check_before(medium, check.offset)? == *check)
}

/// The head of a content that begins with these bytes.
pub fn head_of(bytes: &[u8]) -> Head {
    let head = bytes.get(..HEAD_BYTES).unwrap_or(bytes);
    if head.is_empty() {
        return Head::default();
    }
    Head { length: head.len() as u32, hash: line_hash(head) }
}

/// Whether a content that begins with `bytes` may be the one of this head.
pub fn begins_with(bytes: &[u8], head: &Head) -> bool {
    head.length > 0 && bytes.get(..head.length as usize).is_some_and(|same| line_hash(same) == head.hash)
}

/// Whether two contents are equal up to `end`, as far as their first bytes and those before `end` tell.
pub fn equal_until(one: &mut Medium, other: &mut Medium, end: u64) -> io::Result<bool> {
    for (from, to) in [(0, end.min(HEAD_BYTES as u64)), (end.saturating_sub(COMPARED_BYTES), end)] {
        if range(one, from, to)? != range(other, from, to)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether the last two whole lines before `end` are the same: then equal bytes prove little.
pub fn repeats(medium: &mut Medium, end: u64) -> io::Result<bool> {
    let bytes = range(medium, end.saturating_sub(COMPARED_BYTES), end)?;
    let mut lines = bytes.split_inclusive(|&byte| byte == b'\n').rev().filter(|line| line.ends_with(b"\n"));
    Ok(lines.next().is_some_and(|last| lines.next() == Some(last)))
}

fn range(medium: &mut Medium, from: u64, to: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; (to - from) as usize];
    let read = medium.read(&mut bytes, from)?;
    bytes.truncate(read);
    Ok(bytes)
}
