//! The embedded index: what a kill leaves, what is a duplicate, who may open it, what is removed.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use weir_indexer::embedded::EmbeddedError;
use weir_indexer::{
    Batch, DeadLetter, DocumentSettings, Embedded, EmbeddedSettings, Index, Outcome, Search, SearchRequest,
};
use weir_record::Query;

use crate::support::*;

pub fn settings(data: &Path) -> EmbeddedSettings {
    EmbeddedSettings {
        data: data.to_owned(),
        retention: Duration::from_secs(86_400 * 365 * 100),
        max_bytes: 1 << 40,
        namespace: "default".to_owned(),
    }
}

/// One frame of `count` records of the file `number`, from record `first` on.
pub fn frame_of(number: u64, first: u64, count: u64) -> Vec<u8> {
    let fragments: Vec<String> =
        (first..first + count).map(|n| plain((n % 3600) as i64, &format!("record {n}"))).collect();
    frame(file(number), first * RECORD_BYTES, "shop", &fragments)
}

pub fn batch_of(frames: &[Vec<u8>]) -> Arc<Batch> {
    batch(DocumentSettings::default(), frames)
}

pub async fn bulk(index: &Embedded, frames: &[Vec<u8>]) -> Vec<Outcome> {
    let batch = batch_of(frames);
    index.bulk(&batch, &everything(&batch)).await.expect("committed")
}

pub async fn total(index: &Embedded, query: &str) -> u64 {
    let request = SearchRequest { limit: 0, ..SearchRequest::new(Query::parse(query).expect(query)) };
    index.search(&request).await.expect("an answer").total
}

pub fn count(outcomes: &[Outcome], outcome: &Outcome) -> usize {
    outcomes.iter().filter(|other| *other == outcome).count()
}

#[tokio::test]
async fn what_was_indexed_is_there_after_reopening_and_a_repeat_is_a_duplicate() {
    let directory = tempfile::tempdir().expect("a directory");
    let index = Embedded::open(&settings(directory.path())).expect("a new index");
    assert_eq!(index.positions(), []);
    let outcomes = bulk(&index, &[frame_of(1, 0, 100), frame_of(2, 50, 10)]).await;
    assert_eq!(outcomes, vec![Outcome::Indexed; 110]);
    drop(index);

    let index = Embedded::open(&settings(directory.path())).expect("the same index");
    let mut positions = index.positions();
    positions.sort();
    let mut expected = [(file(1), 100 * RECORD_BYTES), (file(2), 60 * RECORD_BYTES)];
    expected.sort();
    assert_eq!(positions, expected);
    // Cut differently: the first half was there.
    let outcomes = bulk(&index, &[frame_of(1, 50, 100)]).await;
    assert_eq!(count(&outcomes, &Outcome::Duplicate), 50);
    assert_eq!(count(&outcomes, &Outcome::Indexed), 50);
    assert_eq!(total(&index, "*").await, 160);
    assert_eq!(total(&index, "\"record 149\"").await, 1);
}

#[tokio::test]
async fn frames_of_one_bulk_that_overlap_are_indexed_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let index = Embedded::open(&settings(directory.path())).expect("a new index");
    // A shipper that was sent back pushes anew what in part still waits.
    let outcomes = bulk(&index, &[frame_of(1, 5, 10), frame_of(2, 0, 3), frame_of(1, 0, 20)]).await;
    assert_eq!(count(&outcomes, &Outcome::Duplicate), 10);
    assert_eq!(total(&index, "*").await, 23);
    assert_eq!(total(&index, "\"record 7\"").await, 1);
}

#[tokio::test]
async fn bytes_without_records_advance_the_position_too_and_a_gap_holds_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let index = Embedded::open(&settings(directory.path())).expect("a new index");
    bulk(&index, &[frame_of(1, 0, 10), frame_of(1, 10, 0)]).await;
    let empty = frame(file(1), 10 * RECORD_BYTES, "shop", &[]);
    assert_eq!(bulk(&index, &[empty]).await, []);
    bulk(&index, &[frame_of(1, 20, 10)]).await;
    assert_eq!(index.positions(), [(file(1), 10 * RECORD_BYTES)], "records 10 to 19 are missing");
    bulk(&index, &[frame_of(1, 10, 10)]).await;
    assert_eq!(index.positions(), [(file(1), 30 * RECORD_BYTES)]);
}

#[tokio::test]
async fn a_frame_that_was_sent_in_parts_is_done_with_its_parts() {
    let directory = tempfile::tempdir().expect("a directory");
    let index = Embedded::open(&settings(directory.path())).expect("a new index");
    let batch = batch_of(&[frame_of(1, 0, 10), frame_of(2, 0, 10)]);
    index.bulk(&batch, &[0, 1, 2, 5, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19]).await.expect("committed");
    drop(index);
    let index = Embedded::open(&settings(directory.path())).expect("the same index");
    let positions: BTreeMap<_, _> = index.positions().into_iter().collect();
    assert_eq!(positions, BTreeMap::from([(file(1), 3 * RECORD_BYTES), (file(2), 10 * RECORD_BYTES)]));
    let outcomes = bulk(&index, &[frame_of(1, 0, 10)]).await;
    let duplicates: Vec<usize> = (0..10).filter(|n| outcomes[*n] == Outcome::Duplicate).collect();
    assert_eq!(duplicates, [0, 1, 2, 5]);
    assert_eq!(total(&index, "*").await, 20);
}

#[tokio::test]
async fn a_fragment_that_is_no_json_is_rejected_alone() {
    let directory = tempfile::tempdir().expect("a directory");
    let index = Embedded::open(&settings(directory.path())).expect("a new index");
    let fragments = [plain(0, "good"), "\"message\":broken".to_owned(), plain(1, "good")];
    let batch = batch_of(&[frame(file(1), 0, "shop", &fragments)]);
    let rejected_id = String::from_utf8(batch.items()[1].id.to_text().to_vec()).expect("base64");
    let outcomes = index.bulk(&batch, &everything(&batch)).await.expect("committed");
    assert!(matches!(&outcomes[1], Outcome::Rejected { status: 400, .. }), "{outcomes:?}");
    assert_eq!(count(&outcomes, &Outcome::Indexed), 2);

    // It is kept with the commit that counts its bytes as done, whatever becomes of the worker.
    assert_eq!(total(&index, "dataset:dead_letter").await, 1);
    let letter = DeadLetter {
        id: rejected_id,
        target: "logs-shop-default".to_owned(),
        pipeline: None,
        document: bytes::Bytes::from_static(b"{\"message\":broken}"),
        status: 400,
        reason: "no JSON".to_owned(),
        attempts: 1,
        first_time: DAY,
        time: DAY,
        replays: 0,
    };
    let other = DeadLetter { id: "another".to_owned(), ..letter.clone() };
    let outcomes = index.dead_letters(&[letter, other]).await.expect("committed");
    assert_eq!(outcomes, [Outcome::Duplicate, Outcome::Indexed]);
    assert_eq!(total(&index, "*").await, 2, "dead letters are no log records");
    assert_eq!(total(&index, "dataset:dead_letter").await, 2);
}

#[tokio::test]
async fn a_second_instance_is_refused_until_the_first_is_gone() {
    let directory = tempfile::tempdir().expect("a directory");
    let first = Embedded::open(&settings(directory.path())).expect("a new index");
    let second = Embedded::open(&settings(directory.path()));
    assert!(matches!(second, Err(EmbeddedError::InUse { .. })));
    drop(first);
    Embedded::open(&settings(directory.path())).expect("free again");
}

/// Partition directories, whole and set aside.
pub fn directories(data: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(data.join("partitions")).expect("a directory");
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("an entry"))
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().expect("text"))
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn the_oldest_partitions_go_when_space_is_used_up_and_the_offsets_stay() {
    let directory = tempfile::tempdir().expect("a directory");
    // So little space that each commit fills a partition, and all but the active one have to go.
    let small = EmbeddedSettings { max_bytes: 1000, ..settings(directory.path()) };
    let index = Embedded::open(&small).expect("a new index");
    for round in 0..4 {
        bulk(&index, &[frame_of(1, round * 10, 10)]).await;
    }
    // The last removal is made after its bulk was answered.
    drop(index);
    assert_eq!(directories(directory.path()).len(), 1, "{:?}", directories(directory.path()));
    let index = Embedded::open(&small).expect("the same index");
    assert_eq!(index.documents(), 0);
    assert_eq!(index.positions(), [(file(1), 40 * RECORD_BYTES)]);
}

#[tokio::test]
async fn partitions_whose_newest_record_is_too_old_are_removed() {
    let directory = tempfile::tempdir().expect("a directory");
    let month = Duration::from_secs(86_400 * 30);
    let monthly = EmbeddedSettings { retention: month, max_bytes: 10 << 20, ..settings(directory.path()) };
    let index = Embedded::open(&monthly).expect("a new index");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs() as i64;
    let days_ago = |days: i64| now - DAY / SECOND - days * 86_400;
    let fill = |first: u64, seconds: i64| {
        let text = "x".repeat(1000);
        let fragments: Vec<String> = (0..4000).map(|_| plain(seconds, &text)).collect();
        frame(file(1), first * RECORD_BYTES, "shop", &fragments)
    };
    bulk(&index, &[fill(0, days_ago(40))]).await;
    bulk(&index, &[fill(4000, days_ago(20))]).await;
    drop(index);
    let index = Embedded::open(&monthly).expect("the same index");
    assert_eq!(total(&index, "*").await, 4000);
    assert_eq!(total(&index, "offset>=400000").await, 4000, "the newer ones");
    assert_eq!(index.positions(), [(file(1), 8000 * RECORD_BYTES)]);
}

#[tokio::test]
async fn a_damaged_partition_is_set_aside_and_the_rest_goes_on() {
    let directory = tempfile::tempdir().expect("a directory");
    let small = EmbeddedSettings { max_bytes: 1 << 20, ..settings(directory.path()) };
    let index = Embedded::open(&small).expect("a new index");
    let large = |round: u64| frame_of(1, round * 3000, 3000);
    bulk(&index, &[large(0)]).await;
    bulk(&index, &[large(1)]).await;
    drop(index);
    let partitions = directories(directory.path());
    assert!(partitions.len() >= 2, "{partitions:?}");
    let meta = directory.path().join("partitions").join(&partitions[0]).join("meta.json");
    std::fs::write(&meta, "{").expect("written");

    let index = Embedded::open(&settings(directory.path())).expect("opened without it");
    assert_eq!(total(&index, "*").await, 3000);
    assert_eq!(index.positions(), [(file(1), 0)], "what the damaged one held is asked for again");
    assert!(directories(directory.path())[0].contains("damaged"));
}

const CHILD: &str = "WEIR_TEST_EMBEDDED_CHILD";

/// Not a test of its own: the process that the next test kills. Prints each position that was committed.
#[tokio::test]
async fn child_that_is_killed() {
    let Ok(data) = std::env::var(CHILD) else { return };
    let index = Arc::new(Embedded::open(&settings(Path::new(&data))).expect("an index"));
    let start = index.positions().first().map_or(0, |(_, end)| end / RECORD_BYTES);
    let mut running = Vec::new();
    for round in 0..100_000 {
        let batch = batch_of(&[frame_of(1, start + round * 200, 200)]);
        let selection = everything(&batch);
        running.push(tokio::spawn(index.bulk(&batch, &selection)));
        if running.len() == 4 {
            running.remove(0).await.expect("no panic").expect("committed");
            println!("committed {}", start + (round - 2) * 200);
        }
    }
}

#[tokio::test]
async fn after_a_kill_documents_and_offsets_agree() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut acknowledged = 0;
    for round in 0..4 {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "embedded::child_that_is_killed", "--nocapture"])
            .env(CHILD, directory.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("started");
        let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        // Killed after some commits, wherever it is then.
        let committed = lines
            .map_while(Result::ok)
            .filter_map(|line| line.strip_prefix("committed ")?.parse::<u64>().ok())
            .nth(2 + round * 3);
        child.kill().expect("killed");
        child.wait().expect("gone");
        acknowledged = acknowledged.max(committed.expect("it commits"));

        let index = Embedded::open(&settings(directory.path())).expect("opened after a kill");
        let [(_, end)] = index.positions()[..] else { panic!("one file: {:?}", index.positions()) };
        let documents = total(&index, "*").await;
        assert_eq!(documents * RECORD_BYTES, end, "each record up to the position, once");
        assert!(documents >= acknowledged, "{documents} documents, {acknowledged} were acknowledged");
        assert_eq!(total(&index, &format!("\"record {}\"", documents - 1)).await, 1);
        assert_eq!(total(&index, &format!("\"record {documents}\"")).await, 0);
    }
}
