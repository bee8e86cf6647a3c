//! The embedded index on a disk that does not keep what it was given, or has no room.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use weir_indexer::{
    Embedded, EmbeddedSettings, Index, IndexError, IndexHealth, Outcome, Search, SearchRequest,
};
use weir_record::Query;

use crate::embedded::{batch_of, bulk, count, directories, frame_of, settings, total};
use crate::support::*;

/// Records of one bulk, which fills a partition under [`small`].
const FULL: u64 = 1000;

/// Partitions of the index that is damaged; the last one is the active one.
const PARTITIONS: u64 = 3;

/// Longer than anything here takes, unless it is broken.
const PATIENCE: Duration = Duration::from_secs(60);

/// A partition for each bulk.
fn small(data: &Path) -> EmbeddedSettings {
    EmbeddedSettings { max_bytes: 1 << 20, ..settings(data) }
}

/// Fills an index of [`PARTITIONS`] partitions of [`FULL`] records each, and a few in the active one.
async fn fill(data: &Path) {
    let index = Embedded::open(&small(data)).expect("a new index");
    for partition in 0..PARTITIONS - 1 {
        bulk(&index, &[frame_of(1, partition * FULL, FULL)]).await;
    }
    let rest = frame_of(1, (PARTITIONS - 1) * FULL, 100);
    bulk(&index, &[rest, frame_of(2, 0, 100)]).await;
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry").path();
        let target = to.join(entry.file_name().expect("a name"));
        if entry.is_dir() {
            copy(&entry, &target);
        } else {
            fs::copy(&entry, &target).expect("copied");
        }
    }
}

/// Something that happens to a file.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Flipped,
    Cut,
    Emptied,
    Removed,
}

impl Fault {
    fn strike(self, file: &Path) {
        let mut bytes = fs::read(file).expect("there");
        match self {
            Fault::Flipped => {
                let middle = bytes.len() / 2;
                bytes[middle] ^= 0x10;
            }
            Fault::Cut => bytes.truncate(bytes.len() * 2 / 3),
            Fault::Emptied => bytes.clear(),
            Fault::Removed => return fs::remove_file(file).expect("removed"),
        }
        fs::write(file, bytes).expect("written");
    }
}

/// The largest file of a partition whose name ends so.
fn victim(data: &Path, partition: u64, ending: &str) -> PathBuf {
    let directory = data.join(format!("partitions/{partition:010}"));
    let files = fs::read_dir(directory).expect("a partition").map(|entry| entry.expect("an entry").path());
    let named = files.filter(|path| path.to_string_lossy().ends_with(ending));
    named.max_by_key(|path| path.metadata().expect("there").len()).expect(ending)
}

/// The numbers of all records, as often as they are found.
async fn numbers(index: &Embedded) -> Vec<u64> {
    let mut numbers = Vec::new();
    let mut after = None;
    loop {
        let request = SearchRequest { limit: 5000, after, ..SearchRequest::new(Query::All) };
        let hits = index.search(&request).await.expect("an answer").hits;
        let Some(last) = hits.last() else { break };
        after = Some(last.cursor.clone());
        for hit in &hits {
            let document: serde_json::Value = serde_json::from_str(hit.document.get()).expect("JSON");
            numbers.push(document["log.offset"].as_u64().expect("an offset") / RECORD_BYTES);
        }
    }
    numbers.sort_unstable();
    numbers
}

/// Sends what each file's position asks for, as a shipper does after a start; a few more records come with it.
async fn send_again(index: &Embedded, ends: &[(u64, u64)]) {
    let positions = index.positions();
    for (number, end) in ends {
        let position = positions.iter().find(|(key, _)| *key == file(*number)).map_or(0, |(_, at)| *at);
        let first = position / RECORD_BYTES;
        if first < *end {
            bulk(index, &[frame_of(*number, first, end - first)]).await;
        }
    }
}

/// The records of both files, once each.
fn all_records() -> Vec<u64> {
    let mut all: Vec<u64> = (0..(PARTITIONS - 1) * FULL + 100).chain(0..100).collect();
    all.sort_unstable();
    all
}

async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition().await {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn whatever_is_damaged_is_set_aside_and_rebuilt_and_nothing_is_there_twice() {
    let directory = tempfile::tempdir().expect("a directory");
    let whole = directory.path().join("whole");
    fill(&whole).await;
    let all = [Fault::Flipped, Fault::Cut, Fault::Emptied, Fault::Removed];
    let mut faults: Vec<(u64, &str, Fault)> = Vec::new();
    for partition in 1..=PARTITIONS {
        faults.extend(all.map(|fault| (partition, "meta.json", fault)));
        faults.extend([Fault::Flipped, Fault::Removed].map(|fault| (partition, ".store", fault)));
    }
    // Of the other files each fault strikes another partition.
    let mut partitions = (1..=PARTITIONS).cycle();
    for ending in [".term", ".idx", ".pos", ".fast", ".fieldnorm", ".managed.json"] {
        for fault in
            all.into_iter().filter(|fault| ending != ".managed.json" || matches!(fault, Fault::Emptied))
        {
            faults.push((partitions.next().expect("no end"), ending, fault));
        }
    }
    for (number, (partition, ending, fault)) in faults.iter().enumerate() {
        let what = format!("{ending} of partition {partition}: {fault:?}");
        let data = directory.path().join(number.to_string());
        copy(&whole, &data);
        fault.strike(&victim(&data, *partition, ending));
        check_damage(&data, *partition, &what).await;
        fs::remove_dir_all(&data).expect("removed");
    }
}

/// One partition of `data` is damaged.
async fn check_damage(data: &Path, partition: u64, what: &str) {
    let held = if partition == PARTITIONS { 200 } else { FULL };
    let mut index = Embedded::open(&small(data)).expect(what);
    let is_aside = || directories(data).iter().any(|name| name.contains("damaged"));
    if !is_aside() {
        // What only a checksum tells is found beside everything else, and rebuilt after the next start.
        until(what, async || is_aside()).await;
        let health = index.health().expect("it keeps files");
        let expected =
            IndexHealth { partitions_set_aside: 1, documents_set_aside: held, bytes_taken_back: 0 };
        assert_eq!(health, expected, "{what}");
        drop(index);
        index = Embedded::open(&small(data)).expect(what);
    }
    let lost = index.health().expect("it keeps files");
    assert_eq!(lost.partitions_set_aside, 1, "{what}");
    assert_eq!(total(&index, "*").await, all_records().len() as u64 - held, "{what}: the rest is found");
    let from = (partition - 1) * FULL * RECORD_BYTES;
    let position = index.positions().iter().find(|(key, _)| *key == file(1)).map(|(_, at)| *at);
    assert_eq!(position, Some(from), "{what}: the position goes back to where the partition began");

    let ends = [(1, (PARTITIONS - 1) * FULL + 100), (2, 100)];
    send_again(&index, &ends).await;
    assert_eq!(numbers(&index).await, all_records(), "{what}");
    drop(index);
    let index = Embedded::open(&small(data)).expect(what);
    assert_eq!(index.health(), Some(IndexHealth::default()), "{what}: it is said once");
    assert_eq!(numbers(&index).await, all_records(), "{what}");
    let again = bulk(&index, &[frame_of(1, 0, ends[0].1)]).await;
    assert_eq!(count(&again, &Outcome::Duplicate) as u64, ends[0].1, "{what}");
}

#[tokio::test]
async fn partitions_that_are_damaged_one_after_the_other_are_each_rebuilt() {
    let directory = tempfile::tempdir().expect("a directory");
    let data = directory.path();
    fill(data).await;
    let ends = [(1, (PARTITIONS - 1) * FULL + 100), (2, 100)];
    // The second one, then what it was rebuilt in, then two at once, then the whole directory of what those are in.
    for victims in [&[2][..], &[4], &[1, 3], &[8]] {
        for partition in victims {
            let path = data.join(format!("partitions/{partition:010}"));
            if *partition == 8 {
                fs::remove_dir_all(&path).expect("there");
            } else {
                Fault::Cut.strike(&path.join("meta.json"));
            }
        }
        let index = Embedded::open(&small(data)).expect("opened without them");
        assert_eq!(index.health().expect("files").partitions_set_aside, victims.len() as u64, "{victims:?}");
        assert!(total(&index, "*").await < all_records().len() as u64, "{victims:?}");
        send_again(&index, &ends).await;
        assert_eq!(numbers(&index).await, all_records(), "{victims:?}");
    }
    assert_eq!(directories(data).iter().filter(|name| name.contains("damaged")).count(), 2, "two are kept");
}

#[tokio::test]
async fn a_search_that_meets_damage_has_it_set_aside_while_everything_runs() {
    let directory = tempfile::tempdir().expect("a directory");
    fill(directory.path()).await;
    let index = Embedded::open(&small(directory.path())).expect("whole");
    let lost = FULL;
    // In place: the index has the file mapped.
    let store = victim(directory.path(), 1, ".store");
    let length = store.metadata().expect("there").len() as usize;
    let damaged = fs::File::options().write(true).open(&store).expect("writable");
    std::os::unix::fs::FileExt::write_all_at(&damaged, &vec![0xa5; length * 2 / 3], 0).expect("written");
    until("the rest is found", async || {
        let request = SearchRequest { limit: 5000, ..SearchRequest::new(Query::All) };
        let found = index.search(&request).await;
        found.is_ok_and(|found| found.total == all_records().len() as u64 - lost)
    })
    .await;
    assert!(directories(directory.path())[0].contains("damaged"), "{:?}", directories(directory.path()));
    let outcomes = bulk(&index, &[frame_of(2, 100, 10)]).await;
    assert_eq!(count(&outcomes, &Outcome::Indexed), 10, "what comes in is indexed");
    // With a new partition old ones are looked at: what was set aside is not forgotten.
    bulk(&index, &[frame_of(3, 0, FULL)]).await;
    drop(index);
    let index = Embedded::open(&small(directory.path())).expect("opened without it");
    let position = index.positions().into_iter().find(|(key, _)| *key == file(1));
    assert_eq!(position, Some((file(1), 0)), "the next start has its records sent again");
}

const SMALL_DISK: &str = "WEIR_TEST_EMBEDDED_SMALL_DISK";

/// Not a test of its own: runs where [`SMALL_DISK`] is a file system of four megabytes.
#[tokio::test]
async fn child_on_a_small_disk() {
    let Some(data) = std::env::var_os(SMALL_DISK).map(PathBuf::from) else { return };
    // Others have taken most of the room.
    let ballast = data.join("ballast");
    fs::write(&ballast, vec![0; 2_500_000]).expect("room for that");
    let path = data.join("index");
    let mut index = Embedded::open(&settings(&path)).expect("a new index");
    let mut stored = 0;
    let mut refusals = 0;
    while refusals < 5 {
        let batch = batch_of(&[frame_of(1, stored, 500)]);
        match index.bulk(&batch, &everything(&batch)).await {
            Ok(outcomes) => {
                assert_eq!(outcomes, vec![Outcome::Indexed; 500], "after {stored}");
                stored += 500;
                assert!(stored < 100_000, "the disk has no end");
            }
            Err(error @ IndexError::Write(_)) => {
                assert!(error.is_transient(), "{error}");
                refusals += 1;
                // A start finds no room either, and goes on with what there is.
                if refusals % 2 == 0 {
                    drop(index);
                    index = Embedded::open(&settings(&path)).expect("opened on a full disk");
                }
            }
            Err(other) => panic!("{other}"),
        }
        assert_eq!(total(&index, "*").await, stored, "what was acknowledged is found, and no more");
    }
    assert!(stored > 0, "the disk is too small for the test");
    fs::remove_file(&ballast).expect("there");
    // By itself, without a start.
    let outcomes = bulk(&index, &[frame_of(1, stored - 500, 1000)]).await;
    assert_eq!((count(&outcomes, &Outcome::Duplicate), count(&outcomes, &Outcome::Indexed)), (500, 500));
    drop(index);
    let index = Embedded::open(&settings(&path)).expect("whole");
    assert_eq!(numbers(&index).await, (0..stored + 500).collect::<Vec<u64>>());
    println!("refused {refusals} times after {stored} records");
}

#[test]
fn a_full_disk_refuses_and_goes_on_by_itself_when_there_is_room() {
    let directory = tempfile::tempdir().expect("a directory");
    // A namespace of its own: the file system is gone with its process.
    let script = "mount -t tmpfs -o size=4m tmpfs \"$0\" || exit 77; exec \"$@\"";
    let output = Command::new("unshare")
        .args(["--mount", "--map-root-user", "sh", "-c", script])
        .arg(directory.path())
        .arg(std::env::current_exe().expect("this program"))
        .args(["--exact", "damage::child_on_a_small_disk", "--nocapture"])
        .env(SMALL_DISK, directory.path())
        .output();
    let text = |output: &std::process::Output| {
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    };
    match output {
        Ok(output) if output.status.success() => {
            assert!(text(&output).contains("refused 5 times"), "{}", text(&output));
        }
        Ok(output) if output.status.code() != Some(77) && !text(&output).contains("unshare failed") => {
            panic!("{}", text(&output));
        }
        other => eprintln!("SKIPPED: nobody may mount a file system of four megabytes here: {other:?}"),
    }
}

const CHILD: &str = "WEIR_TEST_EMBEDDED_KILLED";

/// Kills of the next test.
const KILLS: usize = 15;

/// Longest time from a start to a kill.
const LIFE_MILLISECONDS: u64 = 1500;

/// Not a test of its own: the process that the next test kills, at any moment. Small partitions and small commits, so
/// that it merges, and begins new ones, all the time. Prints what was acknowledged.
#[tokio::test]
async fn child_that_is_killed_at_any_moment() {
    let Some(data) = std::env::var_os(CHILD).map(PathBuf::from) else { return };
    let large_partitions = EmbeddedSettings { max_bytes: 20 << 20, ..settings(&data) };
    let index = Arc::new(Embedded::open(&large_partitions).expect("an index"));
    let mut end = index.positions().first().map_or(0, |(_, end)| end / RECORD_BYTES);
    println!("began at {end}");
    loop {
        let bulks = [40, 1, 300, 7].map(|count| {
            let batch = batch_of(&[frame_of(1, end, count)]);
            end += count;
            let selection = everything(&batch);
            tokio::spawn(index.bulk(&batch, &selection))
        });
        for bulk in bulks {
            bulk.await.expect("no panic").expect("committed");
        }
        println!("acknowledged {end}");
    }
}

#[tokio::test]
async fn after_many_kills_at_random_moments_every_record_is_there_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut random = Random::new();
    let mut acknowledged = 0;
    for kill in 0..KILLS {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "damage::child_that_is_killed_at_any_moment", "--nocapture"])
            .env(CHILD, directory.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("started");
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        // Some die while they start, which is recovery of recovery.
        std::thread::sleep(Duration::from_millis(random.below(LIFE_MILLISECONDS)));
        child.kill().expect("killed");
        child.wait().expect("gone");
        let told = output.lines().map_while(Result::ok);
        let last = told.filter_map(|line| line.strip_prefix("acknowledged ")?.parse::<u64>().ok()).last();
        acknowledged = acknowledged.max(last.unwrap_or(0));
        if kill % 5 < 4 {
            continue; // the next life opens it
        }
        let index = Embedded::open(&settings(directory.path())).expect("opened after a kill");
        assert_eq!(index.health(), Some(IndexHealth::default()), "a kill is no damage");
        let end = index.positions().first().map_or(0, |(_, end)| end / RECORD_BYTES);
        assert!(end >= acknowledged, "{end} records, {acknowledged} were acknowledged");
        let numbers = numbers(&index).await;
        assert_eq!(numbers.len() as u64, end, "each record up to the position, once");
        assert_eq!(numbers.into_iter().collect::<BTreeSet<u64>>(), (0..end).collect());
    }
    println!("{KILLS} kills, {acknowledged} records acknowledged");
    assert!(acknowledged > 0, "nothing was ever committed: the test is too hasty");
}
