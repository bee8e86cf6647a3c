//! Who gets how much: services that flood, services that invent fields, records that may be missing.

use std::collections::BTreeSet;
use std::sync::Arc;

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

/// Drains a backlog of two services; how many documents of the flood were stored before the last of the other.
async fn flood_before_quiet(weights: &[(&str, f64)]) -> u64 {
    let Some(redis) = TestRedis::start() else { return 0 };
    let server = BulkServer::start(|_| Behaviour::Good).await;
    let weights = weights.iter().map(|(service, weight)| ((*service).to_owned(), *weight)).collect();
    let settings = RedisSettings { weights, ..RedisSettings::new(redis.url()) };
    let buffer = RedisBuffer::new(&settings).unwrap();
    let message = |offset| format!("line {offset} of a service that has much to say");
    push(&buffer, &frames_of("flood", 1, FLOOD, message)).await;
    for quiet in 2..10 {
        push(&buffer, &frames_of("quiet", quiet, 25, message)).await;
    }
    let worker = Worker::new(Arc::new(buffer.clone()), index(&server), crate::outcomes::settings(ONCE));
    let counts = worker.run(std::future::pending()).await.unwrap();
    assert_eq!(counts.indexed, (FLOOD + QUIET) * DOCUMENTS);
    let order = server.order();
    let last = order.iter().rposition(|stream| stream.contains("quiet")).unwrap();
    order[..last].iter().filter(|stream| stream.contains("flood")).count() as u64
}

const FLOOD: u64 = 2000;
const QUIET: u64 = 200;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_slows_another_service_by_its_share_and_weights_shift_it() {
    let fair = flood_before_quiet(&[]).await;
    let favoured = flood_before_quiet(&[("quiet", 4.0)]).await;
    let (fair, favoured) = (fair as f64 / DOCUMENTS as f64, favoured as f64 / DOCUMENTS as f64);
    eprintln!("{fair} of {FLOOD} frames of the flood before the last of {QUIET}; with weight 4, {favoured}");
    // As many for each, and what was claimed before the two were known, and bulks that overtake each other.
    assert!(fair < 2.0 * QUIET as f64, "{fair} frames of the flood came first");
    assert!(favoured < fair * 0.75, "{favoured} with a weight, {fair} without");
}
