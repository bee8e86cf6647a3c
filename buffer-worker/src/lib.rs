//! The worker: drains the buffer into the index, and loses nothing on the way.
//!
//! ```text
//!  claim ──▶ decode and splice ──▶ bulks, several at a time ──▶ outcomes ──▶ acknowledge
//!  (task)    (blocking thread)      retry what may yet succeed,             frames of which every
//!                                   dead letters for what never will        record has a final outcome
//! ```
//! Everything that was claimed is in memory at most once as a frame and once as a bulk, and both are bounded: when
//! the index takes nothing, nothing more is claimed, and the buffer absorbs what comes.

#![warn(missing_docs)]

mod backoff;
mod breaker;
mod claim;
pub mod cli;
mod counters;
mod deliver;
mod depth;
mod gate;
mod letters;
mod limits;
mod load;
mod poison;
mod shed;
mod streams;
mod watch;
mod worker;

pub use breaker::BreakerState;
pub use counters::{Counters, Counts, Delivering, Healed};
pub use depth::Waiting;
pub use shed::ShedSettings;
pub use streams::BlockedStream;
pub use worker::{Mode, WorkError, Worker, WorkerSettings};
