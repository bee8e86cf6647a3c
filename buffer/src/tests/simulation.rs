//! Shippers that follow files and workers that index them, at the mercy of a saboteur: whatever happens, every byte is
//! indexed, and `indexed` never runs ahead of the truth.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Instant;

use tokio::task::LocalSet;
use tokio::time::{sleep, timeout};

use super::repair::QUICK;
use super::*;
use crate::redis::Timing;
use crate::testing::TestRedis;
use crate::{MemoryBuffer, RedisBuffer, RedisSettings};

/// Files of each shipper, and their length.
const FILES: u64 = 2;
const LENGTH: u64 = 300;
const SHIPPERS: u64 = 2;
const WORKERS: u64 = 3;

/// Cases that are played side by side, each from its own seed.
const CASES: u64 = 100;

/// A case ends within this, unless something was lost for good.
const CASE_PATIENCE: Duration = Duration::from_secs(60);

/// How long a shipper watches an `indexed` that stands still before it asks for a rewind.
const STANDS_STILL: Duration = Duration::from_millis(500);

/// SplitMix64 (Steele, Lea, Flood 2014): the same numbers for the same seed, everywhere.
#[derive(Clone)]
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn one_in(&mut self, odds: u64) -> bool {
        self.below(odds) == 0
    }

    async fn pause(&mut self, longest_micros: u64) {
        sleep(Duration::from_micros(self.below(longest_micros))).await;
    }
}

/// Which bytes of which file were indexed. The index outlives everybody.
#[derive(Default)]
pub(super) struct Truth {
    indexed: RefCell<HashMap<FileKey, Vec<bool>>>,
}

impl Truth {
    fn index(&self, claim: &Claim) {
        let range = claim.id.range().expect("a shipper wrote it");
        let mut indexed = self.indexed.borrow_mut();
        let bytes = indexed.entry(range.file).or_insert_with(|| vec![false; LENGTH as usize]);
        bytes[range.start as usize..range.end as usize].fill(true);
    }

    /// The end of what is indexed without a hole.
    fn prefix(&self, file: &FileKey) -> u64 {
        let indexed = self.indexed.borrow();
        let hole = indexed.get(file).map(|bytes| bytes.iter().position(|&indexed| !indexed));
        hole.map_or(0, |hole| hole.map_or(LENGTH, |at| at as u64))
    }

    pub(super) fn is_whole(&self, files: u64) -> bool {
        (0..files).all(|number| self.prefix(&file(number)) == LENGTH)
    }
}

/// One followed file: what the shipper of `shipper/src/push.rs` knows of it.
struct Followed {
    number: u64,
    /// Where it reads on; lost in a crash.
    at: u64,
    /// The saved `indexed`.
    safe: u64,
    seen: u64,
    since: Instant,
}

impl Followed {
    fn new(number: u64, safe: u64) -> Followed {
        Followed { number, at: safe, safe, seen: safe, since: Instant::now() }
    }

    fn go_to(&mut self, place: Option<u64>) {
        self.at = place.unwrap_or(self.safe);
    }
}

/// Follows its files until all of them are indexed whole.
pub(super) async fn ship<B: Buffer>(buffer: B, truth: Rc<Truth>, files: Vec<u64>, mut random: Random) {
    let mut files: Vec<Followed> = files.into_iter().map(|number| Followed::new(number, 0)).collect();
    while files.iter().any(|file| file.safe < LENGTH) {
        random.pause(3000).await;
        push_some(&buffer, &mut files, &mut random).await;
        read_positions(&buffer, &truth, &mut files).await;
        if random.one_in(40) {
            // Killed, and started again with its checkpoint.
            files.iter_mut().for_each(|file| *file = Followed::new(file.number, file.safe));
        }
        if random.one_in(200) {
            // The checkpoint is lost too.
            files.iter_mut().for_each(|file| *file = Followed::new(file.number, 0));
        }
    }
}

async fn push_some<B: Buffer>(buffer: &B, files: &mut [Followed], random: &mut Random) {
    let mut frames = Vec::new();
    for (index, followed) in files.iter().enumerate() {
        let mut start = followed.at;
        for _ in 0..random.below(4) {
            let end = (start + 1 + random.below(30)).min(LENGTH);
            if start < end {
                let mut frame = frame(followed.number, start, end);
                frame.dataset = format!("service-{}", followed.number % 3);
                frames.push((index, frame, followed.safe));
            }
            start = end;
        }
    }
    let pushes: Vec<Push<'_>> = frames.iter().map(|(_, frame, safe)| Push { frame, safe: *safe }).collect();
    // Now and then the answer gets lost.
    let patience = Duration::from_micros(if random.one_in(8) { random.below(800) } else { 10_000_000 });
    let Ok(Ok(answers)) = timeout(patience, buffer.push(&pushes)).await else { return };
    for ((index, frame, _), answer) in frames.iter().zip(answers) {
        match answer {
            Pushed::Accepted => files[*index].at = frame.header.end,
            Pushed::Expected(place) => files[*index].go_to(place),
        }
    }
}

async fn read_positions<B: Buffer>(buffer: &B, truth: &Truth, files: &mut [Followed]) {
    let keys: Vec<FileKey> = files.iter().map(|followed| file(followed.number)).collect();
    let Ok(positions) = buffer.positions(&keys).await else { return };
    for ((followed, key), position) in files.iter_mut().zip(&keys).zip(positions) {
        if position.pushed.is_none_or(|pushed| pushed < followed.at) {
            followed.go_to(position.pushed);
        }
        let Some(indexed) = position.indexed else { continue };
        assert!(indexed <= truth.prefix(key), "indexed {indexed}, but only {} is true", truth.prefix(key));
        followed.safe = followed.safe.max(indexed);
        if indexed != followed.seen {
            (followed.seen, followed.since) = (indexed, Instant::now());
        }
        if let Some(pushed) = position.pushed.filter(|&pushed| indexed < pushed)
            && followed.since.elapsed() > STANDS_STILL
            && matches!(buffer.rewind(key, pushed, indexed).await, Ok(true))
        {
            followed.at = indexed;
        }
    }
}

/// Claims, indexes and acknowledges for ever; dies now and then, in the middle of anything.
pub(super) async fn work<B: Buffer + Clone>(buffer: B, truth: Rc<Truth>, name: String, mut random: Random) {
    for life in 0.. {
        let name = format!("{name}-{life}");
        let Ok(mut consumer) = buffer.consumer(&name).await else { continue };
        while !random.one_in(30) {
            let frames_max = 1 + random.below(6) as usize;
            let Ok(claims) = consumer.claim(frames_max, 4096, Duration::from_millis(30)).await else {
                continue;
            };
            random.pause(2000).await;
            claims.iter().for_each(|claim| truth.index(claim));
            if random.one_in(20) {
                break;
            }
            let ids: Vec<_> = claims.iter().map(|claim| claim.id.clone()).collect();
            if random.one_in(20) {
                drop(buffer.release(&name, &ids).await);
                continue;
            }
            let patience =
                Duration::from_micros(if random.one_in(8) { random.below(800) } else { 10_000_000 });
            while !matches!(timeout(patience, buffer.acknowledge(&ids)).await, Ok(Ok(())))
                && !random.one_in(3)
            {}
        }
    }
}

/// Plays one case to its end.
async fn play<B: Buffer + Clone>(seed: u64, make: impl Fn() -> B) {
    let truth = Rc::new(Truth::default());
    let mut random = Random(seed);
    let tasks = LocalSet::new();
    for number in 0..WORKERS {
        let random = Random(random.next());
        tasks.spawn_local(work(make(), truth.clone(), format!("worker-{number}"), random));
    }
    let shippers: Vec<_> = (0..SHIPPERS)
        .map(|shipper| {
            let files = (0..FILES).map(|number| shipper * FILES + number).collect();
            tasks.spawn_local(ship(make(), truth.clone(), files, Random(random.next())))
        })
        .collect();
    let all = tasks.run_until(async {
        for shipper in shippers {
            shipper.await.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        }
    });
    let ended = timeout(CASE_PATIENCE, all).await;
    assert!(ended.is_ok(), "seed {seed}: something was lost: {:?}", make().ledger().await);
    assert!(truth.is_whole(SHIPPERS * FILES), "seed {seed}: indexed ran ahead of the truth");
}

/// What others do to Redis.
fn sabotage(server: &TestRedis, random: &mut Random, name: &str) {
    let key = |what: &str| format!("weir:{{{name}:0}}:{what}");
    let lanes: Vec<String> =
        (0..16).map(|lane| if lane == 0 { key("frames") } else { key(&format!("frames:{lane}")) }).collect();
    // The services here seldom need more.
    let lane = &lanes[random.below(4) as usize];
    let command = |words: &[&str]| drop(server.try_command(words));
    match random.below(12) {
        0 | 1 => command(&["CLIENT", "KILL", "TYPE", "normal"]),
        2 => command(&["XTRIM", lane, "MAXLEN", &random.below(5).to_string()]),
        3 | 4 => {
            let delete = "local e = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', ARGV[1]); \
                          if #e > 0 then redis.call('XDEL', KEYS[1], e[#e][1]) end";
            command(&["EVAL", delete, "1", lane, &(1 + random.below(8)).to_string()]);
        }
        5 => command(&["DEL", lane]),
        6 => command(&["XGROUP", "DESTROY", lane, "weir"]),
        7 => command(&["SCRIPT", "FLUSH"]),
        8 => command(&["DEL", &key("waiting")]),
        9 => command(&["DEL", &key("pushed"), &key("lanes")]),
        10 => command(&["DEL", &key("bytes"), &key("shares")]),
        _ => {
            // What FLUSHALL does, to this case alone.
            let all = ["pushed", "indexed", "bytes", "waiting", "shares", "settled", "done", "gaps", "lanes"];
            let keys = all.map(key);
            let keys = keys.iter().chain(&lanes).map(String::as_str);
            let words: Vec<&str> = std::iter::once("DEL").chain(keys).collect();
            command(&words);
        }
    }
}

pub(super) fn first_seed() -> u64 {
    let given = std::env::var("WEIR_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    given.unwrap_or_else(|| u64::from(std::process::id()) * 1000)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// Runs cases side by side, each with its own buffer, while `disturb` is called for one after the other.
fn run_cases(cases: u64, make: impl Fn(u64) -> RedisBuffer, mut disturb: impl FnMut(&mut Random, u64)) {
    let first = first_seed();
    println!("seeds {first}..{}", first + cases);
    runtime().block_on(async {
        let mut random = Random(first);
        let all = futures_util::future::join_all((first..first + cases).map(|seed| {
            let make = &make;
            play(seed, move || make(seed))
        }));
        let disturbing = async {
            loop {
                random.pause(5_000).await;
                let case = first + random.below(cases);
                disturb(&mut random, case);
            }
        };
        tokio::select! {
            _ = all => {}
            () = disturbing => {}
        }
    });
}

fn buffer_of(server: &TestRedis, seed: u64) -> RedisBuffer {
    let settings = RedisSettings { name: format!("case-{seed}"), ..RedisSettings::new(server.unix_url()) };
    RedisBuffer::with_timing(&settings, QUICK).unwrap()
}

#[test]
fn in_memory_shippers_and_workers_that_die_and_forget_lose_nothing() {
    let first = first_seed();
    println!("seeds {first}..{}", first + 50);
    runtime().block_on(async {
        for seed in first..first + 50 {
            let buffer = MemoryBuffer::new(BYTES_MAX);
            play(seed, || buffer.clone()).await;
        }
    });
}

#[test]
fn in_redis_shippers_and_workers_that_die_and_forget_lose_nothing() {
    let Some(server) = TestRedis::start() else { return };
    run_cases(CASES, |seed| buffer_of(&server, seed), |_, _| {});
}

#[test]
fn in_redis_no_sabotage_loses_anything_for_good() {
    let Some(server) = TestRedis::start() else { return };
    // Each case gets its share while it goes on, and peace at last: without it nobody could come to an end.
    let mut left = 5 * CASES;
    let disturb = |random: &mut Random, case| {
        if left > 0 {
            left -= 1;
            sabotage(&server, random, &format!("case-{case}"));
        }
    };
    run_cases(CASES, |seed| buffer_of(&server, seed), disturb);
    assert!(left < 4 * CASES, "it was disturbed");
}

/// Kills Redis again and again under load; it comes back with what its disk holds.
fn kills(arguments: &[&str]) {
    let Some(mut server) = TestRedis::start_with(arguments) else { return };
    let url = server.unix_url();
    let make = |seed| {
        let settings = RedisSettings { name: format!("case-{seed}"), ..RedisSettings::new(url.clone()) };
        RedisBuffer::with_timing(&settings, Timing { dead_after: Duration::from_secs(1), ..QUICK }).unwrap()
    };
    let mut countdown = 5;
    run_cases(12, make, |random, _| {
        if countdown > 0 && random.one_in(8) {
            countdown -= 1;
            server.restart();
        }
    });
    assert!(countdown < 5, "it was never killed");
}

#[test]
fn kills_of_a_redis_that_syncs_always_lose_nothing() {
    kills(&["--appendonly", "yes", "--appendfsync", "always"]);
}

#[test]
fn kills_of_a_redis_that_syncs_every_second_lose_nothing() {
    kills(&["--appendonly", "yes", "--appendfsync", "everysec"]);
}

#[test]
fn kills_of_a_redis_without_disk_lose_nothing() {
    kills(&["--appendonly", "no"]);
}
