//! The commands, one file each.

pub mod audit;
pub mod check;
pub mod dead;
pub mod demo;
pub mod lines;
pub mod parse;
mod running;
pub mod search;
mod server;
pub mod setup;
pub mod tail;
pub mod top;
pub mod torture;
pub mod torture_shipper;
pub mod up;
