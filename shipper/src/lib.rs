//! weir-shipper
