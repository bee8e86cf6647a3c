//! What needs another clock, or a fault at a place of its own: all else is tested from outside.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use weir_record::{Decoder, FileIdentity, FrameBuilder, Group, Query, SourceId};

use super::clock::now_seconds;
use super::*;
use crate::batch::DocumentSettings;
use crate::search::SearchRequest;

const RECORD_BYTES: u64 = 100;

/// Documents that fill a partition under [`settings`].
const FULL: u64 = 4000;

fn settings(data: &Path, retention_days: u64) -> EmbeddedSettings {
    EmbeddedSettings {
        data: data.to_owned(),
        retention: Duration::from_secs(retention_days * 86_400),
        max_bytes: 10 << 20,
        namespace: "default".to_owned(),
    }
}

/// `count` documents of 1 kB from record `first` on, of the time now.
fn batch(first: u64, count: u64) -> Arc<Batch> {
    let identity = FileIdentity { device: 1, inode: 1, birth_nanos: 0, generation: 0 };
    let file = FileKey::new(SourceId::from_name("test"), &identity);
    let mut builder = FrameBuilder::new(file, first * RECORD_BYTES, 1).expect("a compressor");
    let group = builder.group(&Group { dataset: "shop".into(), fields: r#""service.name":"shop""#.into() });
    let time = weir_record::Timestamp::from_nanos(now_seconds() * NANOS_PER_SECOND, 3).expect("after 1970");
    for number in first..first + count {
        let text = format!(r#""@timestamp":"{time}","message":"{number} {}""#, "x".repeat(1_000));
        builder.document().extend_from_slice(text.as_bytes());
        builder.commit(number * RECORD_BYTES, None, number, group);
    }
    let mut frames = Vec::new();
    builder.finish((first + count) * RECORD_BYTES, 1, &mut frames);
    let mut batch = Batch::new(DocumentSettings::default());
    let mut decoder = Decoder::new().expect("a decompressor");
    frames.iter().for_each(|frame| batch.push(&decoder.decode(&frame.bytes).expect("whole"), 1));
    Arc::new(batch)
}

async fn bulk(index: &Embedded, first: u64, count: u64) -> Vec<Outcome> {
    let batch = batch(first, count);
    let all: Vec<u32> = (0..count as u32).collect();
    index.bulk(&batch, &all).await.expect("committed")
}

async fn total(index: &Embedded) -> u64 {
    let request = SearchRequest { limit: 0, ..SearchRequest::new(Query::All) };
    index.search(&request).await.expect("an answer").total
}

#[tokio::test]
async fn a_clock_that_jumps_removes_nothing_and_repeats_nothing() {
    const DAY: i64 = 86_400;
    let directory = tempfile::tempdir().expect("a directory");
    let clock = Arc::new(AtomicI64::new(now_seconds()));
    let open = || {
        let told = Arc::clone(&clock);
        let wall = WallClock::new(move || told.load(Ordering::Relaxed));
        Embedded::open_at(&settings(directory.path(), 14), wall).expect("an index")
    };
    let index = open();
    bulk(&index, 0, FULL).await;
    bulk(&index, FULL, 10).await;
    let mut expected = FULL + 10;
    for hours in [30 * 24, -1, 1, 365 * 24, -40 * 24, 0] {
        clock.store(now_seconds() + hours * DAY / 24, Ordering::Relaxed);
        // While it runs, and after a restart, which looks at the age of all partitions.
        bulk(&index, expected, 10).await;
        expected += 10;
    }
    drop(index);
    for hours in [30 * 24, -1, 365 * 24, -40 * 24, 30 * 24, 0] {
        clock.store(now_seconds() + hours * DAY / 24, Ordering::Relaxed);
        let index = open();
        assert_eq!(bulk(&index, expected - 10, 10).await, vec![Outcome::Duplicate; 10], "{hours} hours");
        bulk(&index, expected, 10).await;
        expected += 10;
        drop(index);
        let index = open();
        assert_eq!(total(&index).await, expected, "{hours} hours");
        let positions: Vec<u64> = index.positions().iter().map(|(_, end)| *end).collect();
        assert_eq!(positions, [expected * RECORD_BYTES], "{hours} hours");
        assert!(index.shared.partitions().len() > 1, "none that could be removed");
    }
}

#[tokio::test]
async fn a_commit_that_failed_after_it_was_made_is_not_made_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let index = Embedded::open(&settings(directory.path(), 14)).expect("an index");
    bulk(&index, 0, 10).await;
    drop(index);
    let path = directory.path().join("partitions");
    let found = open_partitions(&path).expect("whole");
    let active = Arc::clone(found.partitions.last().expect("one"));
    let shared = Arc::new(Shared {
        data: directory.path().to_owned(),
        partitions: RwLock::new((found.partitions, 0)),
        positions: Mutex::default(),
        health: Health::default(),
        _lock: lock(directory.path()).expect("free"),
    });
    let clock = Clock::new(WallClock::system(), None);
    let settings = settings(directory.path(), 14);
    // As after a commit that landed, and whose end was not seen.
    let stale = offsets::Offsets::default();
    active.committed(offsets::Summary::default()).expect("readable");
    let mut writer = Writer::new(Arc::clone(&shared), settings, active, stale, 0, clock).expect("a writer");
    writer.fail_all("as the test says");
    assert_eq!(shared.positions.lock().expect("no panic").len(), 1);
    drop((writer, shared));
    let index = Embedded::open(&self::settings(directory.path(), 14)).expect("the same index");
    assert_eq!(bulk(&index, 0, 10).await, vec![Outcome::Duplicate; 10]);
    assert_eq!(total(&index).await, 10);
}
