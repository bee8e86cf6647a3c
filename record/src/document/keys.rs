//! The keys of attributes: which can stand as they are, and how the others are mended.

use std::num::NonZeroU64;

use xxhash_rust::xxh3::xxh3_64;

use crate::limits::KEY_BYTES_MAX;
use crate::scan::{self, BLOCK_BYTES};

/// A key that an attribute can have as it is: a hash of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttributeKey(NonZeroU64);

impl AttributeKey {
    /// None where the key has to be mended: where it is empty, too long, has odd dots, or not only printable ASCII.
    #[inline]
    pub fn new(key: &[u8]) -> Option<AttributeKey> {
        let hash = match key.len() {
            0 => None,
            1..=BLOCK_BYTES => short_plain_key(key),
            _ => is_plain_key(key).then(|| xxh3_64(key)),
        };
        hash.and_then(NonZeroU64::new).map(AttributeKey)
    }

    /// Its hash.
    #[inline]
    pub(super) const fn hash(self) -> u64 {
        self.0.get()
    }
}

/// Whether a key needs neither mending nor escaping: printable ASCII, no empty part between dots.
fn is_plain_key(key: &[u8]) -> bool {
    let is_printable = scan::span(b'!', b'~', key) == key.len() && scan::clean_prefix(key) == key.len();
    is_printable && key.len() <= KEY_BYTES_MAX && !key.split(|byte| *byte == b'.').any(<[u8]>::is_empty)
}

/// The hash of a key that fits into a block, if it is plain.
#[inline]
fn short_plain_key(key: &[u8]) -> Option<u64> {
    let (low, high) = scan::words(key);
    let odd = scan::odd_or_dots(low, high, key.len());
    (odd == 0 || is_plain_key(key)).then(|| hash(low, high, key.len()))
}

/// A hash of a key: one multiplication for the usual short ones.
#[inline]
fn hash(low: u64, high: u64, length: usize) -> u64 {
    /// Of wyhash (Wang Yi, <https://github.com/wangyi-fudan/wyhash>).
    const SECRETS: [u64; 2] = [0xA076_1D64_78BD_642F, 0xE703_7ED1_A0B4_28DB];
    let product = u128::from(low ^ SECRETS[0] ^ length as u64) * u128::from(high ^ SECRETS[1]);
    (product as u64) ^ (product >> 64) as u64
}

/// The hash of any key.
pub(super) fn hash_of(key: &[u8]) -> u64 {
    match key.len() {
        0..=BLOCK_BYTES => {
            let (low, high) = scan::words(key);
            hash(low, high, key.len())
        }
        _ => xxh3_64(key),
    }
}

/// Appends `key` as Elasticsearch accepts it: no empty part between dots, not only blanks, at most
/// [`KEY_BYTES_MAX`] bytes.
pub(super) fn push_clean_key(out: &mut Vec<u8>, key: &str) {
    let key = &key[..key.floor_char_boundary(KEY_BYTES_MAX)];
    let usable = !key.is_empty()
        && !key.starts_with('.')
        && !key.ends_with('.')
        && !key.contains("..")
        && !key.split('.').any(|part| part.trim().is_empty());
    if usable {
        out.extend_from_slice(key.as_bytes());
        return;
    }
    for (at, part) in key.split('.').enumerate() {
        if at > 0 {
            out.push(b'.');
        }
        out.extend_from_slice(if part.trim().is_empty() { b"_" } else { part.as_bytes() });
    }
}
