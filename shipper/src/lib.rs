//! The shipper: follows log files, parses each line into a record, frames records and pushes them into the buffer.
//!
//! Reading and parsing are plain synchronous code on one thread ([`follow`]); async is for the buffer's socket alone
//! ([`push`]). Nothing waits in memory that could not be read again: the log file is the write-ahead log.

pub mod backfill;
mod bar;
pub mod cli;
mod disk;
pub mod drift;
pub mod follow;
pub mod geo;
pub mod input;
pub mod metadata;
pub mod parse;
pub mod progress;
pub mod push;
pub mod redact;
pub mod reread;
mod rules;
pub mod service;
pub mod settings;
pub mod shape;
mod ship;

pub use progress::{Counts, Progress, Vanished};
pub use settings::{Limits, LineHost, Mode, Origin, Settled, ShipSettings, SourceSettings, Start, Timing};
pub use ship::{ShipError, Shipper};
