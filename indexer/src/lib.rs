//! weir-indexer
