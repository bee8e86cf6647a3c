//! What others delete from Redis is found out by itself and pushed again; nothing grows for ever; who shares, shares fairly.

use std::collections::BTreeSet;

use redis::Value;

use super::*;
use crate::redis::Timing;
use crate::testing::TestRedis;
use crate::{BufferError, FileLedger, MemoryBuffer, Position, RedisBuffer, RedisSettings};

/// Short, so that tests need not wait.
pub(super) const QUICK: Timing = Timing {
    dead_after: Duration::from_millis(300),
    stalled_after: Duration::from_secs(60),
    reclaim_interval: Duration::from_millis(20),
    forget_consumer_after: Duration::from_secs(3600),
    forget_after: Duration::from_secs(30 * 24 * 3600),
};

const FRAMES: &str = "weir:{logs:0}:frames";

fn quick(server: &TestRedis) -> RedisBuffer {
    RedisBuffer::with_timing(&RedisSettings::new(server.url()), QUICK).unwrap()
}

/// Stops after `count` frames or `PATIENCE`, and acknowledges none.
async fn claim_until(
    consumer: &mut impl Consumer,
    mut enough: impl AsyncFnMut(&[Claim]) -> bool,
) -> Vec<Claim> {
    let deadline = std::time::Instant::now() + PATIENCE;
    let mut claims = Vec::new();
    while !enough(&claims).await {
        assert!(std::time::Instant::now() < deadline, "only {:?} came", starts(&claims));
        claims.extend(glance(consumer).await);
    }
    claims
}

async fn pushed(buffer: &impl Buffer, number: u64) -> Option<u64> {
    buffer.positions(&[file(number)]).await.unwrap()[0].pushed
}

/// Four frames of one file, one of another; the sabotage; then the shipper's rule until all is indexed.
async fn sabotaged(sabotage: impl FnOnce(&TestRedis, &[String]), lost: u64) {
    let Some(server) = TestRedis::start() else { return };
    let buffer = quick(&server);
    fill(&buffer, &[frame(1, 0, 10), frame(1, 10, 20), frame(2, 0, 10), frame(1, 20, 30), frame(1, 30, 40)])
        .await;
    sabotage(&server, &entry_ids(&server));
    let started = std::time::Instant::now();
    let mut consumer = buffer.consumer("a").await.unwrap();
    while indexed(&buffer, 1).await != Some(40) || indexed(&buffer, 2).await != Some(10) {
        assert!(started.elapsed() < PATIENCE, "{:?}", buffer.ledger().await);
        let claims = consumer.claim(100, usize::MAX, GLANCE).await.unwrap();
        acknowledge(&buffer, &claims).await;
        for (number, end) in [(1, 40), (2, 10)] {
            if let Some(at) = pushed(&buffer, number).await.filter(|&at| at < end) {
                fill(&buffer, &[frame(number, at, end)]).await;
            }
        }
    }
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "it was known at once, but took {:?}",
        started.elapsed()
    );
    assert_eq!(gaps(&buffer).await, lost);
    // Frames that were in the buffer twice are still to be freed.
    let rest = glance(&mut consumer).await;
    acknowledge(&buffer, &rest).await;
    assert_eq!(buffer.depth().await.unwrap(), crate::Depth::default());
    assert_eq!(server.command(&["ZCARD", "weir:{logs:0}:waiting"]), Value::Int(0));
    assert_eq!(server.command(&["EXISTS", "weir:{logs:0}:shares", "weir:{logs:0}:bytes"]), Value::Int(0));
}

fn entry_ids(server: &TestRedis) -> Vec<String> {
    let Value::Array(entries) = server.command(&["XRANGE", FRAMES, "-", "+"]) else { panic!("no stream") };
    let id = |entry: &Value| match entry {
        Value::Array(parts) => match &parts[0] {
            Value::BulkString(id) => String::from_utf8(id.clone()).unwrap(),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    };
    entries.iter().map(id).collect()
}

#[tokio::test]
async fn a_frame_deleted_in_the_middle_is_pushed_again_while_others_wait() {
    sabotaged(|server, ids| drop(server.command(&["XDEL", FRAMES, &ids[1]])), 1).await;
}

#[tokio::test]
async fn the_first_and_the_last_frame_of_a_file_may_be_deleted_too() {
    sabotaged(|server, ids| drop(server.command(&["XDEL", FRAMES, &ids[0], &ids[4]])), 2).await;
}

#[tokio::test]
async fn a_foreign_trim_is_mended() {
    sabotaged(|server, _| drop(server.command(&["XTRIM", FRAMES, "MAXLEN", "1"])), 4).await;
}

#[tokio::test]
async fn a_deleted_stream_is_mended_though_the_offsets_are_still_there() {
    sabotaged(|server, _| drop(server.command(&["DEL", FRAMES])), 5).await;
}

#[tokio::test]
async fn a_foreign_offset_that_hides_bytes_is_a_gap_found_at_claim() {
    let Some(server) = TestRedis::start() else { return };
    let buffer = quick(&server);
    fill(&buffer, &[frame(1, 0, 10)]).await;
    server.command(&[
        "EVAL",
        "local f = redis.call('HKEYS', KEYS[1])[1]; redis.call('HSET', KEYS[1], f, '500')",
        "1",
        "weir:{logs:0}:pushed",
    ]);
    // The shipper is told that everything up to 500 is there.
    fill(&buffer, &[frame(1, 500, 510)]).await;
    let mut consumer = buffer.consumer("a").await.unwrap();
    let claims = claim(&mut consumer, 2).await;
    assert_eq!(
        (pushed(&buffer, 1).await, gaps(&buffer).await),
        (Some(10), 1),
        "it goes on where the gap begins"
    );
    acknowledge(&buffer, &claims).await;
    assert_eq!(indexed(&buffer, 1).await, Some(10));
    fill(&buffer, &[frame(1, 10, 510)]).await;
    let claims = claim(&mut consumer, 1).await;
    acknowledge(&buffer, &claims).await;
    assert_eq!((indexed(&buffer, 1).await, gaps(&buffer).await), (Some(510), 1), "and is counted once");
}

#[tokio::test]
async fn pending_frames_that_were_deleted_are_found_when_their_holder_is_dead() {
    let Some(server) = TestRedis::start() else { return };
    let buffer = quick(&server);
    fill(&buffer, &[frame(1, 0, 10), frame(1, 10, 20)]).await;
    let mut dies = buffer.consumer("dies").await.unwrap();
    let held = claim(&mut dies, 2).await;
    server.command(&["XTRIM", FRAMES, "MAXLEN", "0"]);
    let mut other = buffer.consumer("other").await.unwrap();
    assert!(glance(&mut other).await.is_empty());
    assert_eq!(pushed(&buffer, 1).await, Some(20), "as long as its holder lives, it may acknowledge them");
    acknowledge(&buffer, &held[..1]).await;
    assert_eq!(indexed(&buffer, 1).await, Some(10));
    drop(dies);
    claim_until(&mut other, async |_| pushed(&buffer, 1).await == Some(10)).await;
    assert_eq!(gaps(&buffer).await, 1);
    fill(&buffer, &[frame(1, 10, 20)]).await;
    let again = claim(&mut other, 1).await;
    acknowledge(&buffer, &again).await;
    assert_eq!(indexed(&buffer, 1).await, Some(20));
}

#[tokio::test]
async fn what_others_do_in_order_is_no_gap() {
    let Some(server) = TestRedis::start() else { return };
    let buffer = quick(&server);
    let frames: Vec<Frame> = (0..40).map(|n| frame(1, n * 10, n * 10 + 10)).collect();
    fill(&buffer, &frames).await;
    let mut a = buffer.consumer("a").await.unwrap();
    let mut b = buffer.consumer("b").await.unwrap();
    let mut held = Vec::new();
    for _ in 0..10 {
        // The later ones are finished first.
        held.extend(a.claim(2, usize::MAX, PATIENCE).await.unwrap());
        let later = b.claim(2, usize::MAX, PATIENCE).await.unwrap();
        acknowledge(&buffer, &later).await;
    }
    acknowledge(&buffer, &held).await;
    assert_eq!((indexed(&buffer, 1).await, gaps(&buffer).await), (Some(400), 0));
}

#[tokio::test]
async fn mending_goes_on_while_redis_is_out_of_memory_and_before_a_group_was_made() {
    let Some(server) = TestRedis::start() else { return };
    let buffer = quick(&server);
    fill(&buffer, &[frame(1, 0, 10), frame(1, 10, 20)]).await;
    let mut consumer = buffer.consumer("a").await.unwrap();
    server.command(&["XTRIM", FRAMES, "MAXLEN", "0"]);
    server.command(&["CONFIG", "SET", "maxmemory", "1"]);
    claim_until(&mut consumer, async |_| pushed(&buffer, 1).await == Some(0)).await;
}

#[tokio::test]
async fn files_that_were_indexed_whole_long_ago_are_forgotten_and_no_others() {
    let Some(server) = TestRedis::start() else { return };
    let timing = Timing { forget_after: Duration::ZERO, ..QUICK };
    let buffer = RedisBuffer::with_timing(&RedisSettings::new(server.url()), timing).unwrap();
    fill(&buffer, &[frame(1, 0, 10), frame(2, 0, 10), frame(2, 10, 20)]).await;
    let mut first = quick(&server).consumer("first").await.unwrap();
    let claims = claim(&mut first, 3).await;
    acknowledge(&buffer, &claims[..2]).await;
    let mut consumer = buffer.consumer("a").await.unwrap();
    claim_until(&mut consumer, async |_| pushed(&buffer, 1).await.is_none()).await;
    let position = |pushed, indexed| Position { pushed: Some(pushed), indexed: Some(indexed) };
    let positions = buffer.positions(&[file(1), file(2)]).await.unwrap();
    assert_eq!(positions, [Position::default(), position(20, 10)]);
    // The shipper still knows its safe offset, and goes on as with a file that is new.
    assert_eq!(push(&buffer, &[frame(1, 10, 20)]).await, [Pushed::Expected(None)]);
    let next = frame(1, 10, 20);
    assert_eq!(buffer.push(&[Push { frame: &next, safe: 10 }]).await.unwrap(), [Pushed::Accepted]);
    assert_eq!(buffer.positions(&[file(1)]).await.unwrap(), [position(20, 10)]);
    // An acknowledgement that comes late moves nothing of the new life.
    acknowledge(&buffer, &claims[..1]).await;
    assert_eq!(indexed(&buffer, 1).await, Some(10));
}

#[tokio::test]
async fn nothing_is_left_of_a_file_that_was_forgotten() {
    let Some(server) = TestRedis::start() else { return };
    let timing = Timing { forget_after: Duration::ZERO, ..QUICK };
    let buffer = RedisBuffer::with_timing(&RedisSettings::new(server.url()), timing).unwrap();
    let frames: Vec<Frame> = (0..50).map(|number| frame(number, 0, 10)).collect();
    fill(&buffer, &frames).await;
    let claims = claim(&mut buffer.consumer("a").await.unwrap(), 50).await;
    acknowledge(&buffer, &claims).await;
    let mut consumer = buffer.consumer("b").await.unwrap();
    claim_until(&mut consumer, async |_| pushed(&buffer, 49).await.is_none()).await;
    for key in ["pushed", "indexed", "done", "settled", "waiting", "shares", "bytes"] {
        assert_eq!(server.command(&["EXISTS", &format!("weir:{{logs:0}}:{key}")]), Value::Int(0), "{key}");
    }
}

/// A file of another machine.
fn frame_of(source: &str, number: u64, start: u64, end: u64) -> Frame {
    let identity = FileIdentity { device: 1, inode: number, birth_nanos: 0, generation: 0 };
    let key = FileKey::new(SourceId::from_name(source), &identity);
    let mut builder = FrameBuilder::new(key, start, 0).unwrap();
    let group = builder.group(&Group::default());
    builder.document().extend_from_slice(br#""message":"of some length, so that the bound is met""#);
    builder.commit(start, None, start, group);
    let mut frames = Vec::new();
    builder.finish(end, 1, &mut frames);
    frames.remove(0)
}

/// A shipper that pushes frames of one byte; where the buffer is full it tries the same one again.
struct Pusher {
    buffer: RedisBuffer,
    source: &'static str,
    /// How far each of its files got.
    files: Vec<u64>,
    accepted: u64,
    refused: u64,
}

impl Pusher {
    fn new(buffer: RedisBuffer, source: &'static str, files: usize) -> Self {
        Self { buffer, source, files: vec![0; files], accepted: 0, refused: 0 }
    }

    async fn ask(&mut self, number: usize) {
        let start = self.files[number];
        let frame = frame_of(self.source, number as u64, start, start + 1);
        match self.buffer.push(&[Push { frame: &frame, safe: 0 }]).await {
            Ok(answers) => {
                assert_eq!(answers, [Pushed::Accepted]);
                self.files[number] += 1;
                self.accepted += 1;
            }
            Err(BufferError::Full { .. }) => self.refused += 1,
            Err(error) => panic!("{error:?}"),
        }
    }
}

/// Whose turn it is comes from a seed, not from the clock: a busy machine changes nothing.
#[tokio::test]
async fn at_the_bound_a_shipper_that_asks_seldom_finds_room_beside_one_that_asks_always() {
    let Some(server) = TestRedis::start() else { return };
    let settings = RedisSettings { bytes_max: 64 * 1024, ..RedisSettings::new(server.url()) };
    let buffer = || RedisBuffer::with_timing(&settings, QUICK).unwrap();
    let mut greedy = Pusher::new(buffer(), "greedy", 16);
    let mut modest = Pusher::new(buffer(), "modest", 1);
    let mut consumer = buffer().consumer("a").await.unwrap();
    let seed = simulation::first_seed();
    println!("seed {seed}");
    let mut random = simulation::Random(seed);
    while greedy.refused == 0 {
        greedy.ask(random.below(16) as usize).await;
    }
    // Of twenty turns one is the modest one's and three are the worker's, who frees one frame.
    while modest.accepted < 100 {
        assert!(modest.refused < 100, "starved: {} accepted", modest.accepted);
        match random.below(20) {
            0 => modest.ask(0).await,
            1..=3 => {
                let claims = consumer.claim(1, usize::MAX, GLANCE).await.unwrap();
                acknowledge(&buffer(), &claims).await;
            }
            _ => greedy.ask(random.below(16) as usize).await,
        }
        assert!(buffer().depth().await.unwrap().bytes <= settings.bytes_max);
    }
    let (accepted, refused) = (modest.accepted, modest.refused);
    // Until the greedy one is down to its share, there is only what the worker frees.
    assert!(refused < accepted / 4, "{refused} refused, {accepted} accepted");
    assert!(greedy.accepted > accepted, "and the greedy one has the rest");
}

#[tokio::test]
async fn many_small_frames_do_not_exceed_the_bound_with_what_redis_needs_beside_them() {
    let Some(server) = TestRedis::start() else { return };
    let bytes_max = 2 * 1024 * 1024;
    let settings = RedisSettings { bytes_max, ..RedisSettings::new(server.url()) };
    let buffer = RedisBuffer::new(&settings).unwrap();
    let memory = |server: &TestRedis| -> u64 {
        let count = |key: &str| match server.command(&[
            "MEMORY",
            "USAGE",
            &format!("weir:{{logs:0}}:{key}"),
            "SAMPLES",
            "0",
        ]) {
            Value::Int(bytes) => bytes as u64,
            other => panic!("{other:?}"),
        };
        count("frames") + count("waiting")
    };
    let mut start = 0;
    loop {
        let frames: Vec<Frame> = (start..start + 32).map(|n| frame(1, n, n + 1)).collect();
        let pushes: Vec<Push<'_>> = frames.iter().map(|frame| Push { frame, safe: 0 }).collect();
        match buffer.push(&pushes).await {
            Ok(_) => start += 32,
            Err(error) => break assert!(matches!(error, BufferError::Full { .. }), "{error:?}"),
        }
    }
    let used = memory(&server);
    assert!(used < bytes_max, "{used} bytes for {start} frames");
    assert!(used > bytes_max / 3, "the bound is not far from the truth: {used}");
}

async fn the_ledger_tells_everything(buffer: impl Buffer) {
    fill(&buffer, &[frame(1, 0, 10), frame(1, 10, 20), frame(1, 20, 30), frame(1, 30, 40), frame(2, 0, 5)])
        .await;
    let mut consumer = buffer.consumer("a").await.unwrap();
    let claims = claim(&mut consumer, 5).await;
    acknowledge(&buffer, &[claims[0].clone(), claims[2].clone(), claims[4].clone()]).await;
    let mut ledger = buffer.ledger().await.unwrap();
    ledger.sort_by_key(|entry| entry.position.pushed);
    let position = |pushed, indexed| Position { pushed: Some(pushed), indexed: Some(indexed) };
    let ranges = |ranges: &[(u64, u64)]| ranges.iter().map(|&(start, end)| start..end).collect::<Vec<_>>();
    let expected = [
        FileLedger { file: file(2), position: position(5, 5), done: Vec::new(), waiting: Vec::new() },
        FileLedger {
            file: file(1),
            position: position(40, 10),
            done: ranges(&[(20, 30)]),
            waiting: ranges(&[(10, 20), (30, 40)]),
        },
    ];
    assert_eq!(ledger, expected);
    assert!(ledger.iter().all(|entry| entry.missing().is_empty()));
}

#[tokio::test]
async fn the_ledger_of_both_buffers_tells_everything() {
    the_ledger_tells_everything(MemoryBuffer::new(BYTES_MAX)).await;
    let Some(server) = TestRedis::start() else { return };
    the_ledger_tells_everything(quick(&server)).await;
}

#[tokio::test]
async fn the_ledger_of_many_files_is_read_in_pages_and_names_what_is_missing() {
    let Some(server) = TestRedis::start() else { return };
    let settings = RedisSettings { partitions: 3, ..RedisSettings::new(server.url()) };
    let buffer = RedisBuffer::new(&settings).unwrap();
    let numbers: BTreeSet<u64> = (0..1500).collect();
    for number in &numbers {
        fill(&buffer, &[frame(*number, 0, 10), frame(*number, 10, 30)]).await;
    }
    let ledger = buffer.ledger().await.unwrap();
    let found: BTreeSet<FileKey> = ledger.iter().map(|entry| entry.file).collect();
    assert_eq!(found, numbers.iter().copied().map(file).collect());
    assert!(ledger.iter().all(|entry| entry.missing().is_empty() && entry.waiting.len() == 1));
    for partition in 0..3 {
        server.command(&["DEL", &format!("weir:{{logs:{partition}}}:waiting")]);
    }
    let ledger = buffer.ledger().await.unwrap();
    assert!(ledger.iter().all(|entry| entry.missing().iter().eq(std::iter::once(&(0..30)))));
}
