//! What becomes of documents, whatever the servers do.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::sync::oneshot;
use weir_buffer::testing::TestRedis;
use weir_buffer::{Buffer, Depth, MemoryBuffer, RedisBuffer};
use weir_indexer::embedded::{Embedded, EmbeddedSettings};
use weir_indexer::{Elasticsearch, ElasticsearchSettings, Search, SearchRequest};
use weir_record::query::Query;
use weir_worker::{Counts, Healed, Mode, Worker, WorkerSettings};

use crate::bulk_server::{
    Behaviour, BulkServer, CLASHING, DIVERTED, LITTLE_BYTES, MUCH_BYTES, POISON, REFUSED,
};
use crate::support::{self, DOCUMENTS, buffer, end, frames, frames_with, ids, indexed, push, until};

pub fn index(server: &BulkServer) -> Arc<Elasticsearch> {
    let settings =
        ElasticsearchSettings { urls: vec![server.url.clone()], ..ElasticsearchSettings::default() };
    Arc::new(Elasticsearch::connect(&settings).unwrap())
}

/// Small bulks, so that there are many.
pub fn settings(mode: Mode) -> WorkerSettings {
    WorkerSettings { bulk_bytes: 60_000, mode, ..WorkerSettings::new("test") }
}

pub const ONCE: Mode = Mode::UntilIdle(Duration::from_millis(200));

pub async fn drain(buffer: &RedisBuffer, server: &BulkServer) -> Counts {
    let worker = Worker::new(Arc::new(buffer.clone()), index(server), settings(ONCE));
    tokio::time::timeout(support::PATIENCE, worker.run(std::future::pending())).await.unwrap().unwrap()
}

fn stored_ids(server: &BulkServer) -> BTreeSet<String> {
    server.stored().into_keys().collect()
}

/// Watches that `indexed` never runs ahead of what is stored, until it has come to `end`.
async fn watch_acknowledgements(buffer: &RedisBuffer, server: &BulkServer, file: u64, end: u64) {
    loop {
        let indexed = indexed(buffer, file).await;
        let stored = stored_ids(server);
        let early: Vec<String> = ids(file, indexed).difference(&stored).cloned().collect();
        assert!(early.is_empty(), "acknowledged up to {indexed}, but not stored: {early:?}");
        if indexed == end {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_document_is_stored_once_and_acknowledged_late_whatever_the_server_does() {
    let Some(redis) = TestRedis::start() else { return };
    let bad_days = [
        Behaviour::CutAfterwards,
        Behaviour::Good,
        Behaviour::SomeLater,
        Behaviour::Unavailable,
        Behaviour::Good,
        Behaviour::Garbled,
        Behaviour::Slow,
        Behaviour::Cut,
        Behaviour::Good,
        Behaviour::Short,
        Behaviour::Good,
        Behaviour::Overloaded,
        Behaviour::Truncated,
        Behaviour::SomeBroken,
        Behaviour::Unauthorized,
    ];
    let server = BulkServer::start(move |number| bad_days[number % bad_days.len()]).await;
    let buffer = buffer(&redis);
    for file in [1, 2] {
        push(&buffer, &frames(file, 30)).await;
    }
    let (counts, (), ()) = tokio::join!(
        drain(&buffer, &server),
        watch_acknowledgements(&buffer, &server, 1, end(30)),
        watch_acknowledgements(&buffer, &server, 2, end(30)),
    );
    let expected: BTreeSet<String> = ids(1, end(30)).union(&ids(2, end(30))).cloned().collect();
    assert_eq!(stored_ids(&server), expected);
    assert_eq!(buffer.depth().await.unwrap(), Depth::default());
    assert_eq!((counts.documents, counts.frames), (60 * DOCUMENTS, 60));
    assert_eq!(counts.indexed + counts.duplicates, counts.documents);
    assert!(counts.retried > 0 && counts.duplicates > 0 && server.repeats() > 0, "{counts:?}");
    let document = server.stored().into_values().next().unwrap();
    assert_eq!(document["service.name"], "test");
    assert_eq!(document["event.dataset"], "test");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frame_waits_for_its_last_document_and_its_neighbours_do_not() {
    let Some(redis) = TestRedis::start() else { return };
    let is_well = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&is_well);
    // The first document of each bulk is put off: in the end the very first is left.
    let behave = move |_| if asked.load(Ordering::Relaxed) { Behaviour::Good } else { Behaviour::SomeLater };
    let server = BulkServer::start(behave).await;
    let buffer = buffer(&redis);
    push(&buffer, &frames(1, 2)).await;
    let watching = async {
        until("one document is left", async || server.stored_count() as u64 == 2 * DOCUMENTS - 1).await;
        until("the other frame is acknowledged", async || buffer.depth().await.unwrap().frames == 1).await;
        let attempts = server.bulks();
        until("the last one is tried again", async || server.bulks() >= attempts + 2).await;
        assert_eq!(buffer.depth().await.unwrap().frames, 1);
        assert_eq!(indexed(&buffer, 1).await, 0);
        is_well.store(true, Ordering::Relaxed);
    };
    let (counts, ()) = tokio::join!(drain(&buffer, &server), watching);
    assert_eq!((counts.indexed, counts.frames), (2 * DOCUMENTS, 2));
    assert_eq!(indexed(&buffer, 1).await, end(2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bulk_that_alone_is_too_much_for_the_server_is_sent_in_parts() {
    let Some(redis) = TestRedis::start() else { return };
    let says_so = [Behaviour::OverloadedByMuch, Behaviour::TooLarge, Behaviour::TooLargeCut];
    for (file, behaviour) in (1..).zip(says_so) {
        let server = BulkServer::start(move |_| behaviour).await;
        let buffer = buffer(&redis);
        push(&buffer, &frames_with(file, 4, |_| "long ".repeat(8_000))).await;
        // One bulk from the first on: as much as it begins with is more than the server takes.
        let settings = WorkerSettings { bulk_bytes: 64 * 1024 * 1024, ..settings(ONCE) };
        let worker = Worker::new(Arc::new(buffer.clone()), index(&server), settings);
        let counts = worker.run(std::future::pending()).await.unwrap();
        assert_eq!((counts.indexed, counts.frames), (4 * DOCUMENTS, 4), "{behaviour:?}");
        assert!(server.bodies().iter().any(|bytes| *bytes > MUCH_BYTES), "{:?}", server.bodies());
        assert_eq!(server.repeats(), 0, "{behaviour:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_never_takes_the_smallest_bulk_gets_it_in_parts_in_the_end() {
    let Some(redis) = TestRedis::start() else { return };
    let server = BulkServer::start(|_| Behaviour::OverloadedByLittle).await;
    let buffer = buffer(&redis);
    push(&buffer, &frames_with(1, 1, |_| "long ".repeat(2_000))).await;
    let settings = WorkerSettings { bulk_bytes: 1024 * 1024, ..settings(ONCE) };
    let worker = Worker::new(Arc::new(buffer.clone()), index(&server), settings);
    let counts = tokio::time::timeout(support::PATIENCE, worker.run(std::future::pending())).await;
    let counts = counts.unwrap().unwrap();
    assert_eq!((counts.indexed, counts.frames), (DOCUMENTS, 1));
    assert!(server.bodies().iter().any(|bytes| *bytes > LITTLE_BYTES), "{:?}", server.bodies());
    assert_eq!(server.repeats(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bulk_that_is_refused_for_one_document_is_bisected_to_it() {
    let Some(redis) = TestRedis::start() else { return };
    for (file, behaviour) in [(1, Behaviour::PoisonRefusesAll), (2, Behaviour::PoisonBlamesAll)] {
        let server = BulkServer::start(move |_| behaviour).await;
        if behaviour == Behaviour::PoisonBlamesAll {
            server.be_opensearch();
        }
        let buffer = buffer(&redis);
        let message = |offset| if offset == 730 { POISON.to_owned() } else { format!("line {offset}") };
        push(&buffer, &frames_with(file, 4, message)).await;
        let counts = drain(&buffer, &server).await;
        assert_eq!(
            (counts.indexed, counts.rejected, counts.frames),
            (4 * DOCUMENTS - 1, 1, 4),
            "{behaviour:?}"
        );
        let letters = server.letters();
        assert!(letters[0]["event.original"].as_str().unwrap().contains(POISON));
        assert_eq!(indexed(&buffer, file).await, end(4));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_healed_or_diverted_is_stored_and_counted_by_stream_and_field() {
    let Some(redis) = TestRedis::start() else { return };
    let server = BulkServer::start(|_| Behaviour::Good).await;
    let buffer = buffer(&redis);
    let message = |offset| match offset {
        40 => DIVERTED.to_owned(),
        70 | 90 => format!(r#"{CLASHING}","attributes.user":"ada"#),
        _ => "all is well".to_owned(),
    };
    push(&buffer, &frames_with(1, 1, message)).await;
    let worker = Worker::new(Arc::new(buffer.clone()), index(&server), settings(ONCE));
    let counters = worker.counters();
    let counts = worker.run(std::future::pending()).await.unwrap();
    assert_eq!((counts.indexed, counts.rejected), (DOCUMENTS, 0));
    let stream = "logs-test-default".to_owned();
    let healed = Healed { stream: stream.clone(), field: "attributes.user".to_owned(), documents: 2 };
    assert_eq!(counters.healed(), [healed]);
    assert_eq!(counters.diverted(), [(stream, 1)]);
    let unmapped = server.stored().into_values().filter(|document| document["unmapped"]["user"] == "ada");
    assert_eq!(unmapped.count(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_document_goes_to_the_dead_letters_and_hinders_no_other() {
    let Some(redis) = TestRedis::start() else { return };
    // The letters too meet a bad day.
    let server = BulkServer::start(|number| [Behaviour::Good, Behaviour::Unavailable][number % 2]).await;
    let buffer = buffer(&redis);
    let message =
        |offset: u64| if offset.is_multiple_of(70) { REFUSED.to_owned() } else { "fine".to_owned() };
    push(&buffer, &frames_with(1, 10, message)).await;
    let counts = drain(&buffer, &server).await;
    let refused = (0..end(10)).step_by(10).filter(|offset| offset % 70 == 0).count();
    assert_eq!((counts.rejected as usize, counts.documents), (refused, 10 * DOCUMENTS));
    assert_eq!(server.letters().len(), refused);
    assert_eq!(server.stored_count() + refused, ids(1, end(10)).len());
    let letter = &server.letters()[0];
    assert!(letter["event.original"].as_str().unwrap().contains(REFUSED), "{letter}");
    assert!(letter["error.message"].as_str().unwrap().contains("document_parsing_exception"), "{letter}");
    assert_eq!(
        (letter["error.code"].as_str(), letter["labels.target"].as_str()),
        (Some("400"), Some("logs-test-default"))
    );
    assert_eq!(indexed(&buffer, 1).await, end(10));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poison_frame_is_kept_bytes_intact_and_the_others_flow() {
    let Some(redis) = TestRedis::start() else { return };
    let server = BulkServer::start(|_| Behaviour::Good).await;
    let buffer = buffer(&redis);
    let mut all = frames(1, 5);
    let middle = all[2].bytes.len() / 2;
    all[2].bytes[middle] ^= 1;
    push(&buffer, &all).await;
    redis.command(&["XADD", "weir:{logs:0}:frames", "*", "frame", "what is this"]);
    let counts = drain(&buffer, &server).await;
    assert_eq!((counts.poison_frames, counts.documents), (2, 4 * DOCUMENTS));
    let kept: BTreeSet<Vec<u8>> = server
        .letters()
        .iter()
        .map(|letter| STANDARD.decode(letter["event.original"].as_str().unwrap()).unwrap())
        .collect();
    assert_eq!(kept, [all[2].bytes.clone(), b"what is this".to_vec()].into());
    let attempts: Vec<_> = server.letters().iter().map(|letter| letter["labels.attempts"].clone()).collect();
    assert_eq!(attempts, ["3", "3"], "it was given back before it was condemned");
    assert_eq!(indexed(&buffer, 1).await, end(5), "the file goes on behind it");
    assert_eq!(buffer.depth().await.unwrap(), Depth::default());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_destination_that_is_down_is_waited_for_and_little_is_claimed_meanwhile() {
    let Some(redis) = TestRedis::start() else { return };
    let server = BulkServer::start(|_| Behaviour::Good).await;
    let buffer = buffer(&redis);
    push(&buffer, &frames(1, 20)).await;
    let worker = Worker::new(Arc::new(buffer.clone()), index(&server), settings(Mode::Forever));
    let counters = worker.counters();
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(worker.run(async { drop(stopped.await) }));
    until("the first frames are indexed", async || indexed(&buffer, 1).await == end(20)).await;
    assert!(counters.is_ready());

    server.set_up(false);
    push(&buffer, &frames(2, 1000)).await;
    until("some attempts failed", async || server.turned_away() >= 4).await;
    assert!(!counters.is_ready());
    let pending = redis.command(&["XPENDING", "weir:{logs:0}:frames", "weir"]);
    let redis::Value::Array(pending) = pending else { panic!("{pending:?}") };
    let redis::Value::Int(claimed) = pending[0] else { panic!("{pending:?}") };
    // What is in a bulk, what waits to be decoded, and what has just been claimed.
    assert!((1..=3 * 128).contains(&claimed), "{claimed} of 1000 frames are claimed");

    server.set_up(true);
    until("all is indexed", async || indexed(&buffer, 2).await == end(1000)).await;
    assert!(counters.is_ready());
    drop(stop);
    running.await.unwrap().unwrap();
    assert_eq!(server.stored_count() as u64, 1020 * DOCUMENTS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_buffer_is_waited_for_too() {
    let Some(mut redis) = TestRedis::start() else { return };
    let server = BulkServer::start(|_| Behaviour::Good).await;
    let buffer = buffer(&redis);
    push(&buffer, &frames(1, 3)).await;
    let worker = Worker::new(Arc::new(buffer.clone()), index(&server), settings(Mode::Forever));
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(worker.run(async { drop(stopped.await) }));
    until("the first frames are indexed", async || indexed(&buffer, 1).await == end(3)).await;
    redis.kill();
    redis.restart();
    until("redis is back", async || buffer.depth().await.is_ok()).await;
    push(&buffer, &frames(2, 3)).await;
    until("what came later is indexed", async || indexed(&buffer, 2).await == end(3)).await;
    drop(stop);
    running.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_indexed_before_and_what_is_empty_is_acknowledged_without_being_sent() {
    let Some(redis) = TestRedis::start() else { return };
    let server = BulkServer::start(|_| Behaviour::Good).await;
    let buffer = buffer(&redis);
    push(&buffer, &frames(1, 5)).await;
    drain(&buffer, &server).await;
    let bulks = server.bulks();
    assert!(buffer.rewind(&support::file(1), end(5), 0).await.unwrap());
    push(&buffer, &frames(1, 5)).await;
    let mut empty = Vec::new();
    weir_record::FrameBuilder::new(support::file(2), 0, 0).unwrap().finish(100, 1, &mut empty);
    push(&buffer, &empty).await;
    let counts = drain(&buffer, &server).await;
    assert_eq!((counts.covered_frames, counts.documents, counts.frames), (5, 0, 1));
    assert_eq!(server.bulks(), bulks);
    assert_eq!(indexed(&buffer, 2).await, 100);
    assert_eq!(buffer.depth().await.unwrap(), Depth::default());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_buffer_in_memory_and_the_embedded_index_work_together() {
    let directory = tempfile::tempdir().unwrap();
    let settings_of_index = EmbeddedSettings {
        data: directory.path().to_owned(),
        retention: Duration::from_secs(3600 * 24 * 365 * 100),
        max_bytes: u64::MAX,
        namespace: "default".to_owned(),
    };
    let index = Arc::new(Embedded::open(&settings_of_index).unwrap());
    let buffer = Arc::new(MemoryBuffer::with_positions(1 << 30, index.positions()));
    push(&*buffer, &frames(1, 20)).await;
    let worker = Worker::new(Arc::clone(&buffer), Arc::clone(&index), settings(ONCE));
    let counts = worker.run(std::future::pending()).await.unwrap();
    assert_eq!(counts.indexed, 20 * DOCUMENTS);
    let found = index.search(&SearchRequest::new(Query::parse("").unwrap())).await.unwrap();
    assert_eq!(found.total, 20 * DOCUMENTS);
    assert_eq!(index.positions().into_iter().collect::<Vec<_>>(), [(support::file(1), end(20))]);
}
