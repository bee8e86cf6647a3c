//! weir-buffer
