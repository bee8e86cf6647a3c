//! Tests of every index on real data, real files and real servers.

mod damage;
mod elasticsearch;
mod embedded;
mod outcomes;
mod proxy;
mod search;
mod support;
