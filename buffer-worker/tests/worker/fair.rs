//! Who gets how much: services that flood, services that invent fields, records that may be missing.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use weir_buffer::testing::TestRedis;
use weir_buffer::{Buffer, Depth, MemoryBuffer, RedisBuffer, RedisSettings};
use weir_worker::{Mode, ShedSettings, Worker, WorkerSettings};

use crate::bulk_server::{Behaviour, BulkServer};
use crate::outcomes::{ONCE, index, settings};
use crate::support::{DOCUMENTS, end, frames_of, frames_with, indexed, push, until};

fn level_of(offset: u64) -> &'static str {
    ["error", "debug", "info", "trace", "debug"][(offset / 10 % 5) as usize]
}

/// Everything that waits while the index is away, with `shed`; the levels that are stored, and what was shed.
async fn drain_after_an_outage(shed: Option<ShedSettings>) -> (Vec<String>, u64) {
    let server = BulkServer::start(|_| Behaviour::Good).await;
    let buffer = MemoryBuffer::new(1 << 30);
    let is_shedding = shed.is_some();
    let settings = WorkerSettings { shed, ..settings(Mode::Forever) };
    let worker = Worker::new(Arc::new(buffer.clone()), index(&server), settings);
    let counters = worker.counters();
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(worker.run(async { drop(stopped.await) }));
    until("it began", async || counters.is_ready()).await;
    server.set_up(false);
    let message = |offset| format!(r#"line {offset}","log.level":"{}"#, level_of(offset));
    push(&buffer, &frames_with(1, 200, message)).await;
    if is_shedding {
        until("it sheds", async || counters.delivering().is_shedding).await;
    }
    until("the outage was noticed", async || server.turned_away() >= 3).await;
    server.set_up(true);
    until("all is settled", async || indexed(&buffer, 1).await == end(200)).await;
    drop(stop);
    running.await.unwrap().unwrap();
    assert_eq!(buffer.depth().await.unwrap(), Depth::default());
    let shed: u64 = counters.shed().iter().map(|(_, records)| records).sum();
    let reasons: BTreeSet<_> = counters.shed().into_iter().map(|(name, _)| name).collect();
    let name = |level: &str| ("test".to_owned(), level.to_owned());
    assert!(reasons.is_subset(&[name("debug"), name("trace")].into()), "{reasons:?}");
    let levels = server.stored().into_values();
    (levels.map(|document| document["log.level"].as_str().unwrap().to_owned()).collect(), shed)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_levels_that_are_named_are_shed_and_every_one_is_counted() {
    let levels = vec!["debug".to_owned(), "trace".to_owned()];
    let (stored, shed) = drain_after_an_outage(Some(ShedSettings { levels, above_bytes: 10_000 })).await;
    let documents = 200 * DOCUMENTS;
    assert_eq!(stored.len() as u64 + shed, documents);
    assert!(shed > 0);
    let kept = stored.iter().filter(|level| matches!(&***level, "error" | "info")).count() as u64;
    assert_eq!(kept, documents / 5 * 2, "no other is missing");
    let (stored, shed) = drain_after_an_outage(None).await;
    assert_eq!((stored.len() as u64, shed), (documents, 0), "nothing where nothing is configured");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_invents_keys_stops_at_its_budget_and_loses_nothing() {
    let server = BulkServer::start(|_| Behaviour::Good).await;
    let buffer = MemoryBuffer::new(1 << 30);
    let invented = |offset| format!(r#"m","attributes.user":"ada","attributes.k{offset}":"v{offset}"#);
    push(&buffer, &frames_of("inventor", 1, 20, invented)).await;
    push(&buffer, &frames_of("plain", 2, 1, |_| r#"m","attributes.user":"bob"#.to_owned())).await;
    let settings = WorkerSettings { field_budget: 30, ..settings(ONCE) };
    let worker = Worker::new(Arc::new(buffer.clone()), index(&server), settings);
    let counters = worker.counters();
    worker.run(std::future::pending()).await.unwrap();
    let stored = server.stored();
    assert_eq!(stored.len() as u64, 21 * DOCUMENTS);
    let mut mapped = BTreeSet::new();
    let mut values = BTreeSet::new();
    for document in stored.values().filter(|document| document["service.name"] == "inventor") {
        assert_eq!(document["attributes.user"], "ada");
        let members = document.as_object().unwrap();
        mapped.extend(members.keys().filter(|key| key.starts_with("attributes.")).cloned());
        let invented = members.iter().filter(|(key, _)| key.starts_with("attributes.k"));
        values.extend(invented.map(|(_, value)| value.as_str().unwrap().to_owned()));
        let unmapped = document["unmapped"].as_object().into_iter().flatten();
        values.extend(unmapped.map(|(_, value)| value.as_str().unwrap().to_owned()));
    }
    assert_eq!(mapped.len(), 30);
    assert_eq!(values.len() as u64, 20 * DOCUMENTS, "every value is somewhere");
    assert_eq!(counters.unmapped(), [("inventor".to_owned(), 20 * DOCUMENTS - 29)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_in_one_partition_does_not_hold_up_the_others() {
    let Some(redis) = TestRedis::start() else { return };
    let server = BulkServer::start(|_| Behaviour::Good).await;
    server.set_delay(Duration::from_millis(20));
    const FLOOD: u64 = 600;
    for partitions in [1, 8] {
        let settings = RedisSettings {
            name: format!("lanes{partitions}"),
            partitions,
            ..RedisSettings::new(redis.url())
        };
        let buffer = RedisBuffer::new(&settings).unwrap();
        let base = u64::from(partitions) * 100;
        push(&buffer, &frames_of("flood", base, FLOOD, |_| "a word too much ".repeat(20))).await;
        // Of eight quiet files most are in other partitions than the flood.
        for quiet in 1..=8 {
            push(&buffer, &frames_of("quiet", base + quiet, 1, |offset| format!("line {offset}"))).await;
        }
        let worker = Worker::new(Arc::new(buffer.clone()), index(&server), crate::outcomes::settings(ONCE));
        let (stop, stopped) = oneshot::channel::<()>();
        let running = tokio::spawn(worker.run(async { drop(stopped.await) }));
        until("half of the quiet files are indexed", async || {
            let mut arrived = 0;
            for quiet in 1..=8 {
                arrived += u64::from(indexed(&buffer, base + quiet).await == end(1));
            }
            arrived >= 4
        })
        .await;
        let of_flood = indexed(&buffer, base).await / end(1);
        eprintln!("{partitions} partitions: {of_flood} of {FLOOD} frames of the flood came before");
        if partitions > 1 {
            assert!(of_flood < FLOOD / 2, "{of_flood} of {FLOOD} frames of the flood came first");
        }
        drop(stop);
        running.await.unwrap().unwrap();
    }
}
