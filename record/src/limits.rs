//! The limits that every part shares: each with its unit, and what it protects.

/// Longest line that is kept, in bytes of UTF-8; the rest is cut and counted in `log.truncated_bytes`.
pub const LINE_BYTES_MAX: usize = 1024 * 1024;

/// Most fields of one document; beyond it a structured line is kept as text, so that one service cannot
/// fill the index's mapping.
pub const FIELDS_MAX: usize = 500;

/// Deepest nesting of a structured line. Elasticsearch refuses 21 levels.
pub const DEPTH_MAX: usize = 20;

/// Longest key of an attribute, in bytes.
pub const KEY_BYTES_MAX: usize = 256;

/// A frame is cut at this many encoded bytes: beyond 65,536 the allocator of Redis rounds up by a quarter.
pub const FRAME_ENCODED_BYTES_TARGET: usize = 65_300;

/// Largest encoded frame that is accepted: one record of the longest line, incompressible, fits many times.
pub const FRAME_ENCODED_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Largest decoded frame that is accepted: bounds what a decompression may allocate. One record of the
/// longest line, every byte escaped as `\u00XX`, still fits.
pub const FRAME_RAW_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Most records of one frame: bounds the index tables of a decoder.
pub const FRAME_RECORDS_MAX: usize = 65_536;

/// Most groups (sets of shared fields) of one frame.
pub const FRAME_GROUPS_MAX: usize = 256;
