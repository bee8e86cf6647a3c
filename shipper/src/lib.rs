//! weir-shipper

pub mod parse;
