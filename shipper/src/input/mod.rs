//! Inputs that are not files: each writes what it receives to a journal under `state`, and the follower ships it from
//! there like any other log.

pub mod counters;
pub mod journal;
pub mod writer;
