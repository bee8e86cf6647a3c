//! Tests of every index on real data, real files and real servers.

mod search;
mod support;
