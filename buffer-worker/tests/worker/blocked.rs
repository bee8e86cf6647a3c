//! Streams and servers that take nothing for a while: circuit breakers, parking, coming back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use weir_buffer::testing::TestRedis;
use weir_buffer::{Buffer, Depth, MemoryBuffer};
use weir_worker::{BreakerState, Counters, Counts, Mode, WorkError, Worker};

use crate::bulk_server::{Behaviour, BulkServer, REFUSED};
use crate::outcomes::{index, settings};
use crate::support::{DOCUMENTS, buffer, end, frames_of, indexed, push, until};

struct Running {
    counters: Arc<Counters>,
    stop: oneshot::Sender<()>,
    worker: JoinHandle<Result<Counts, WorkError>>,
}

impl Running {
    fn start(buffer: Arc<impl Buffer>, server: &BulkServer) -> Running {
        let worker = Worker::new(buffer, index(server), settings(Mode::Forever));
        let counters = worker.counters();
        let (stop, stopped) = oneshot::channel::<()>();
        let worker = tokio::spawn(worker.run(async { drop(stopped.await) }));
        Running { counters, stop, worker }
    }

    async fn stop(self) -> Counts {
        drop(self.stop);
        self.worker.await.unwrap().unwrap()
    }

    fn blocked(&self) -> Vec<String> {
        self.counters.delivering().blocked.into_iter().map(|stream| stream.name).collect()
    }
}

fn line(offset: u64) -> String {
    format!("line {offset}")
}

/// Whatever blocks a stream: only its own records wait, whatever else comes, and they come by themselves.
async fn check_block(buffer: &impl Buffer, handle: Arc<impl Buffer>, error: (u16, &'static str)) {
    let server = BulkServer::start(|_| Behaviour::Good).await;
    server.block("logs-shut-default", Some(error));
    push(buffer, &frames_of("shut", 1, 40, line)).await;
    push(buffer, &frames_of("open", 2, 40, line)).await;
    let running = Running::start(handle, &server);
    until("the others are indexed", async || indexed(buffer, 2).await == end(40)).await;
    until("the stream is known as blocked", async || running.blocked() == ["logs-shut-default"]).await;
    // What comes after the block flows too, again and again.
    for file in 3..8 {
        push(buffer, &frames_of("open", file, 20, line)).await;
        until("later ones are indexed", async || indexed(buffer, file).await == end(20)).await;
    }
    let delivering = running.counters.delivering();
    assert!(delivering.parked >= 40, "{delivering:?}");
    assert_eq!(delivering.index, BreakerState::Closed, "the index itself is well");
    assert_ne!(delivering.blocked[0].state, BreakerState::Closed);
    assert!(delivering.blocked[0].reason.contains(error.1), "{delivering:?}");
    assert_eq!((indexed(buffer, 1).await, buffer.depth().await.unwrap().frames), (0, 40));

    server.block("logs-shut-default", None);
    until("the blocked ones are indexed", async || indexed(buffer, 1).await == end(40)).await;
    assert!(running.blocked().is_empty());
    let counts = running.stop().await;
    assert_eq!(server.stored_count() as u64, (40 + 40 + 100) * DOCUMENTS);
    assert_eq!((counts.rejected, server.repeats()), (0, 0), "{counts:?}");
    assert_eq!(buffer.depth().await.unwrap(), Depth::default());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blocked_stream_waits_alone_and_comes_back_by_itself() {
    let Some(redis) = TestRedis::start() else { return };
    let buffer = buffer(&redis);
    check_block(&buffer, Arc::new(buffer.clone()), (404, "index_not_found_exception")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blocked_stream_waits_in_the_memory_buffer_too() {
    let buffer = MemoryBuffer::new(1 << 30);
    check_block(&buffer, Arc::new(buffer.clone()), (403, "cluster_block_exception")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_puts_off_everything_for_long_is_parked_like_a_blocked_one() {
    let Some(redis) = TestRedis::start() else { return };
    let buffer = buffer(&redis);
    check_block(&buffer, Arc::new(buffer.clone()), (429, "es_rejected_execution_exception")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parked_frames_survive_their_workers_and_are_never_taken_for_poison() {
    let Some(redis) = TestRedis::start() else { return };
    let server = BulkServer::start(|_| Behaviour::Good).await;
    server.block("logs-shut-default", Some((403, "cluster_block_exception")));
    let buffer = buffer(&redis);
    push(&buffer, &frames_of("shut", 1, 5, line)).await;
    // More lives than a frame has deliveries before it is condemned.
    for _ in 0..8 {
        let running = Running::start(Arc::new(buffer.clone()), &server);
        until("all are parked", async || running.counters.delivering().parked >= 5).await;
        running.stop().await;
    }
    server.block("logs-shut-default", None);
    let running = Running::start(Arc::new(buffer.clone()), &server);
    until("all are indexed", async || indexed(&buffer, 1).await == end(5)).await;
    let counts = running.stop().await;
    assert_eq!((counts.poison_frames, server.letters().len()), (0, 0));
    assert_eq!(server.stored_count() as u64, 5 * DOCUMENTS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refused_dead_letters_stop_their_own_stream_and_lose_nothing() {
    let Some(redis) = TestRedis::start() else { return };
    let server = BulkServer::start(|_| Behaviour::Good).await;
    server.block("logs-dead_letter-default", Some((400, "mapper_parsing_exception")));
    let buffer = buffer(&redis);
    let message = |offset| if offset == 510 { REFUSED.to_owned() } else { line(offset) };
    push(&buffer, &frames_of("bad", 1, 10, message)).await;
    push(&buffer, &frames_of("good", 2, 10, line)).await;
    let running = Running::start(Arc::new(buffer.clone()), &server);
    until("the others are indexed", async || indexed(&buffer, 2).await == end(10)).await;
    until("its stream is stopped", async || running.blocked() == ["logs-bad-default"]).await;
    let reason = running.counters.delivering().blocked[0].reason.clone();
    assert!(reason.contains("dead letters are refused"), "{reason}");
    assert!(indexed(&buffer, 1).await <= end(1), "the frame of the refused document is not done");

    server.block("logs-dead_letter-default", None);
    until("all is done", async || indexed(&buffer, 1).await == end(10)).await;
    running.stop().await;
    assert_eq!(server.letters().len(), 1);
    assert_eq!(server.stored_count() as u64, 20 * DOCUMENTS - 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_that_fails_is_left_alone_and_probed_by_one_bulk() {
    let Some(redis) = TestRedis::start() else { return };
    let is_well = Arc::new(AtomicBool::new(true));
    let asked = Arc::clone(&is_well);
    let behave =
        move |_| if asked.load(Ordering::Relaxed) { Behaviour::Good } else { Behaviour::Unavailable };
    let server = BulkServer::start(behave).await;
    let buffer = buffer(&redis);
    push(&buffer, &frames_of("test", 1, 20, line)).await;
    let running = Running::start(Arc::new(buffer.clone()), &server);
    until("the first are indexed", async || indexed(&buffer, 1).await == end(20)).await;
    is_well.store(false, Ordering::Relaxed);
    push(&buffer, &frames_of("test", 2, 300, line)).await;
    let state = || running.counters.delivering().index;
    until("the breaker opens", async || state() == BreakerState::Open).await;
    server.take_under_way_max();
    let (before, openings) = (server.bulks(), running.counters.delivering().index_openings);
    until("it was probed", async || running.counters.delivering().index_openings >= openings + 3).await;
    assert!(server.bulks() - before <= 4, "more than probes: {}", server.bulks() - before);
    assert_eq!(server.take_under_way_max(), 1, "one probe at a time");
    assert!(!running.counters.is_ready());

    is_well.store(true, Ordering::Relaxed);
    until("all is indexed", async || indexed(&buffer, 2).await == end(300)).await;
    assert_eq!(state(), BreakerState::Closed);
    running.stop().await;
    assert_eq!(server.repeats(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_claimed_while_a_stream_is_blocked_is_bounded() {
    let Some(redis) = TestRedis::start() else { return };
    let server = BulkServer::start(|_| Behaviour::Good).await;
    server.block("logs-shut-default", Some((403, "cluster_block_exception")));
    let buffer = buffer(&redis);
    push(&buffer, &frames_of("shut", 1, 2000, line)).await;
    let running = Running::start(Arc::new(buffer.clone()), &server);
    until("all were parked", async || running.counters.delivering().parked >= 2000).await;
    // Parked frames belong to nobody who has them in memory.
    let pending = redis.command(&["XPENDING", "weir:{logs:0}:frames", "weir", "-", "+", "5000", "test"]);
    let redis::Value::Array(held) = pending else { panic!("{pending:?}") };
    // What is being claimed, what waits to be decoded, and what is on its way back.
    assert!(held.len() <= 3 * 128, "{} of 2000 frames are held", held.len());
    running.stop().await;
    assert_eq!(buffer.depth().await.unwrap().frames, 2000);
}
