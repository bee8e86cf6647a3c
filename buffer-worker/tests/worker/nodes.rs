//! Several nodes of one cluster, of which one dies in the middle and comes back.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use weir_buffer::{Buffer, Depth, MemoryBuffer};
use weir_indexer::{Elasticsearch, ElasticsearchSettings};
use weir_worker::{BreakerState, Mode, Worker};

use crate::bulk_server::{Behaviour, BulkServer};
use crate::outcomes::settings;
use crate::support::{DOCUMENTS, end, frames, indexed, push, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_dies_is_left_alone_and_tried_again_and_nothing_is_lost() {
    let one = BulkServer::start(|_| Behaviour::Good).await;
    one.set_delay(Duration::from_millis(2));
    let other = one.another_node().await;
    let urls = [&one, &other].map(|node| node.url.clone()).to_vec();
    let index = Elasticsearch::connect(&ElasticsearchSettings { urls, ..Default::default() }).unwrap();
    let buffer = MemoryBuffer::new(1 << 30);
    let worker = Worker::new(Arc::new(buffer.clone()), Arc::new(index), settings(Mode::Forever));
    let counters = worker.counters();
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(worker.run(async { drop(stopped.await) }));

    push(&buffer, &frames(1, 500)).await;
    until("some is indexed", async || indexed(&buffer, 1).await > end(100)).await;
    let shares = [one.bulks_of_node(), other.bulks_of_node()];
    assert!(shares[0].abs_diff(shares[1]) <= 4, "both are used in turn: {shares:?}");

    // In the middle of it.
    other.set_up(false);
    push(&buffer, &frames(2, 500)).await;
    until("the rest is indexed by the one that is left", async || {
        indexed(&buffer, 1).await == end(500) && indexed(&buffer, 2).await == end(500)
    })
    .await;
    let (bulks, tries) = (one.bulks_of_node() - shares[0], other.turned_away());
    // Each time it rests for longer: as many as this would take minutes.
    assert!((1..=10).contains(&tries) && bulks > 5 * tries, "{tries} tries of the dead node, {bulks} bulks");
    assert_eq!(counters.delivering().index, BreakerState::Closed, "the index as a whole is there");

    other.set_up(true);
    let (mut file, before) = (3, other.bulks_of_node());
    until("the dead one is used again", async || {
        push(&buffer, &frames(file, 1)).await;
        file += 1;
        other.bulks_of_node() > before + 3
    })
    .await;
    for number in 3..file {
        until("all is indexed", async || indexed(&buffer, number).await == end(1)).await;
    }
    drop(stop);
    let counts = running.await.unwrap().unwrap();
    let documents = (1000 + (file - 3)) * DOCUMENTS;
    assert_eq!((counts.documents, one.stored_count() as u64), (documents, documents));
    assert_eq!(
        counts.duplicates,
        one.repeats() as u64,
        "what the dead one stored without a word, and no more"
    );
    assert_eq!(buffer.depth().await.unwrap(), Depth::default());
}
