//! After an outage: quickly, but not at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use weir_buffer::testing::TestRedis;
use weir_worker::{Mode, Worker, WorkerSettings};

use crate::bulk_server::{Behaviour, BulkServer};
use crate::outcomes::{ONCE, index, settings};
use crate::support::{DOCUMENTS, buffer, end, frames_of, indexed, push, until};

const BULK_BYTES: usize = 1024 * 1024;
const IN_FLIGHT: usize = 4;

/// About 16 kB a frame.
fn text(_: u64) -> String {
    "a line of a service that has much to say ".repeat(7)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backlog_drains_within_the_bounds_and_begins_with_little() {
    let Some(redis) = TestRedis::start() else { return };
    let server = BulkServer::start(|_| Behaviour::Good).await;
    server.set_delay(Duration::from_millis(20));
    let buffer = buffer(&redis);
    let settings = WorkerSettings { bulk_bytes: BULK_BYTES, in_flight: IN_FLIGHT, ..settings(Mode::Forever) };
    let worker = Worker::new(Arc::new(buffer.clone()), index(&server), settings);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(worker.run(async { drop(stopped.await) }));

    // Live: a frame every 20 ms.
    const LIVE_FRAMES: u64 = 50;
    let began = Instant::now();
    let mut tick = tokio::time::interval(Duration::from_millis(20));
    for frame in frames_of("test", 1, LIVE_FRAMES, text) {
        tick.tick().await;
        push(&buffer, &[frame]).await;
    }
    until("live is indexed", async || indexed(&buffer, 1).await == end(LIVE_FRAMES)).await;
    let live_rate = LIVE_FRAMES as f64 / began.elapsed().as_secs_f64();

    server.set_up(false);
    const BACKLOG_FRAMES: u64 = 3000;
    push(&buffer, &frames_of("test", 2, BACKLOG_FRAMES, text)).await;
    until("the outage was noticed", async || server.turned_away() >= 5).await;
    let (bulks, _) = (server.bulks(), server.take_under_way_max());
    server.set_up(true);
    until("it came back", async || server.bulks() > bulks).await;
    let began = Instant::now();
    until("the backlog is indexed", async || indexed(&buffer, 2).await == end(BACKLOG_FRAMES)).await;
    let rate = BACKLOG_FRAMES as f64 / began.elapsed().as_secs_f64();
    drop(stop);
    running.await.unwrap().unwrap();

    eprintln!("live {live_rate:.0} frames/s, drained at {rate:.0} frames/s");
    assert!(server.take_under_way_max() <= IN_FLIGHT);
    let bodies = &server.bodies()[bulks..];
    let largest = bodies.iter().max().copied().unwrap_or_default();
    assert!(bodies[0] <= BULK_BYTES / 2, "it began with {} bytes", bodies[0]);
    assert!(largest > BULK_BYTES / 2 && largest < BULK_BYTES * 3 / 2, "up to {largest} bytes in a bulk");
    assert_eq!(server.stored_count() as u64, (LIVE_FRAMES + BACKLOG_FRAMES) * DOCUMENTS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_overloaded_server_is_sent_less_until_it_takes_all_of_it() {
    let Some(redis) = TestRedis::start() else { return };
    // For a while, every second bulk is too much.
    let behave =
        |number: usize| if number < 40 && number % 2 == 1 { Behaviour::Overloaded } else { Behaviour::Good };
    let server = BulkServer::start(behave).await;
    let buffer = buffer(&redis);
    push(&buffer, &frames_of("test", 1, 2000, text)).await;
    let settings = WorkerSettings { bulk_bytes: BULK_BYTES, in_flight: IN_FLIGHT, ..settings(ONCE) };
    let worker = Worker::new(Arc::new(buffer.clone()), index(&server), settings);
    let counters = worker.counters();
    let counts = worker.run(std::future::pending()).await.unwrap();
    assert_eq!(counts.indexed, 2000 * DOCUMENTS);
    let bodies = server.bodies();
    let mean = |part: &[usize]| part.iter().sum::<usize>() / part.len().max(1);
    // Where the buffer gives less than there is room for, bulks are smaller than they may be: the largest counts.
    let later = bodies[40..].iter().max().copied().unwrap_or_default();
    let pressed = mean(&bodies[20..40]);
    assert!(pressed * 2 < later, "{pressed} bytes under pressure, {later} later");
    let now = counters.delivering();
    assert_eq!((now.in_flight, now.bulk_bytes), (Some(IN_FLIGHT), BULK_BYTES), "all is allowed again");
}
