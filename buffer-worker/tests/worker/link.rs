//! Links that are slow, and servers that are: only the former are worth compressing for.

use std::sync::Arc;
use std::time::Duration;

use weir_buffer::MemoryBuffer;
use weir_indexer::{Elasticsearch, ElasticsearchSettings};
use weir_worker::{Worker, WorkerSettings};

use crate::bulk_server::{Behaviour, BulkServer};
use crate::outcomes::{ONCE, settings};
use crate::support::{DOCUMENTS, frames_of, push};

const FRAMES: u64 = 250;

/// Drains 5 MB, a few hundred kB at a time; for each bulk, whether it was compressed.
async fn drain(server: &BulkServer, gzip: Option<bool>) -> Vec<bool> {
    let index = ElasticsearchSettings { urls: vec![server.url.clone()], gzip, ..Default::default() };
    let index = Arc::new(Elasticsearch::connect(&index).unwrap());
    let buffer = Arc::new(MemoryBuffer::new(1 << 30));
    let text = |_| "a line of a service that has much to say ".repeat(7);
    push(&*buffer, &frames_of("test", 1, FRAMES, text)).await;
    let settings = WorkerSettings { bulk_bytes: 400_000, in_flight: 1, ..settings(ONCE) };
    let counts = Worker::new(buffer, index, settings).run(std::future::pending()).await.unwrap();
    assert_eq!((counts.documents, counts.rejected), (FRAMES * DOCUMENTS, 0));
    assert_eq!(server.stored_count() as u64, FRAMES * DOCUMENTS, "whole, compressed or not");
    server.compressed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bulks_are_compressed_where_the_link_turns_out_to_be_slow() {
    let server = BulkServer::start(|_| Behaviour::Good).await;
    server.set_width(1_000_000);
    let compressed = drain(&server, None).await;
    let plain = compressed.iter().position(|compressed| *compressed);
    assert!((4..=6).contains(&plain.unwrap()), "after a few bulks: {compressed:?}");
    assert!(*compressed.last().unwrap(), "and from then on: {compressed:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_server_is_not_given_the_work_of_unpacking_too() {
    let server = BulkServer::start(|_| Behaviour::Good).await;
    server.set_delay(Duration::from_millis(200));
    assert!(drain(&server, None).await.iter().all(|compressed| !compressed));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_configuration_says_is_done_whatever_the_link_is_like() {
    let server = BulkServer::start(|_| Behaviour::Good).await;
    server.set_width(1_000_000);
    assert!(drain(&server, Some(false)).await.iter().all(|compressed| !compressed));
    let server = BulkServer::start(|_| Behaviour::Good).await;
    assert!(drain(&server, Some(true)).await.iter().all(|compressed| *compressed));
}
