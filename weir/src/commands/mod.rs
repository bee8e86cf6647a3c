//! The commands, one file each.

pub mod check;
pub mod dead;
pub mod demo;
pub mod lines;
pub mod parse;
pub mod search;
mod server;
pub mod setup;
pub mod tail;
pub mod torture;
pub mod torture_shipper;
pub mod up;
