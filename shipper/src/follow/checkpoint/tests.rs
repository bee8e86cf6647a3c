use std::os::unix::fs::PermissionsExt as _;
use std::time::Instant;

use super::*;
use crate::disk::testing::{Fault, FaultyDisk, Image};

const BIRTH: i64 = 1_795_212_000_123_456_789;

type Entries = HashMap<FileIdentity, Entry>;

fn identity(inode: u64) -> FileIdentity {
    FileIdentity { device: 0xfd01, inode, birth_nanos: BIRTH + inode as i64 * 1000, generation: 0 }
}

fn entry(inode: u64, pushed: u64) -> Entry {
    let identity = identity(inode);
    Entry {
        identity,
        sequence_base: identity.birth_nanos,
        indexed: pushed / 2,
        pushed,
        check: ContentCheck { offset: pushed, hash: inode.wrapping_mul(0x9e37_79b9_7f4a_7c15) },
        head: Head { length: 1024, hash: !inode },
        size: pushed + 7,
        changed_nanos: identity.birth_nanos + 5_000_000_000,
        state: EntryState::Live,
        path: PathBuf::from(format!("/var/log/apps/service-{}/app-{inode}.log", inode % 100)),
    }
}

fn extremes() -> Vec<Entry> {
    let odd = FileIdentity { device: u64::MAX, inode: u64::MAX, birth_nanos: i64::MIN, generation: u32::MAX };
    let most = Entry {
        identity: odd,
        sequence_base: i64::MAX,
        indexed: u64::MAX,
        pushed: 0,
        check: ContentCheck { offset: u64::MAX, hash: u64::MAX },
        head: Head { length: u32::MAX, hash: u64::MAX },
        size: u64::MAX,
        changed_nanos: i64::MAX,
        state: EntryState::TwinOf(odd),
        path: format::to_path(b"/\xff\xfe/not text"),
    };
    let gone =
        Entry { state: EntryState::Vanished { at_secs: u64::MAX }, head: Head::default(), ..entry(1, 0) };
    let bare =
        Entry { state: EntryState::Skipped, path: PathBuf::new(), size: 0, pushed: u64::MAX, ..entry(2, 5) };
    vec![most, gone, bare, entry(3, 100)]
}

fn open(state: &Path) -> Checkpoint {
    Checkpoint::open(state).expect("opened")
}

fn bytes_of(state: &Path) -> Vec<u8> {
    fs::read(state.join(FILE_NAME)).expect("read")
}

/// What a checkpoint of these bytes holds.
fn load(bytes: &[u8]) -> Checkpoint {
    let state = tempfile::tempdir().expect("a directory");
    fs::write(state.path().join(FILE_NAME), bytes).expect("written");
    open(state.path())
}

fn map(entries: impl IntoIterator<Item = Entry>) -> Entries {
    entries.into_iter().map(|entry| (entry.identity, entry)).collect()
}

#[test]
fn a_saved_checkpoint_reads_back_as_itself() {
    let state = tempfile::tempdir().expect("a directory");
    let mut checkpoint = open(state.path());
    assert_eq!((checkpoint.provenance(), checkpoint.entries().count()), (Provenance::Nothing, 0));
    for entry in extremes() {
        checkpoint.put(entry);
    }
    checkpoint.set_scanned_at(42);
    checkpoint.save().expect("saved");
    let read = open(state.path());
    assert_eq!((read.provenance(), read.scanned_at()), (Provenance::Whole, 42));
    assert_eq!(read.entries, map(extremes()));

    checkpoint.remove(&identity(3));
    checkpoint.put(entry(1, 9));
    checkpoint.set_scanned_at(43);
    checkpoint.save().expect("saved");
    let read = open(state.path());
    assert_eq!((read.entries, read.scanned_at), (checkpoint.entries, 43));
}

#[test]
fn a_first_save_leaves_a_trace_and_one_without_changes_writes_nothing() {
    let state = tempfile::tempdir().expect("a directory");
    open(state.path()).save().expect("saved");
    let mut checkpoint = open(state.path());
    assert_eq!(checkpoint.provenance(), Provenance::Whole, "a first start is known as such");
    checkpoint.put(entry(1, 10));
    checkpoint.save().expect("saved");
    let before = bytes_of(state.path());
    checkpoint.put(entry(1, 10));
    checkpoint.set_scanned_at(99);
    checkpoint.save().expect("saved");
    assert_eq!(bytes_of(state.path()), before);
}

#[test]
fn version_1_is_read_and_written_as_the_present_one() {
    let state = tempfile::tempdir().expect("a directory");
    fs::write(state.path().join(FILE_NAME), include_bytes!("golden/version-1")).expect("written");
    let mut checkpoint = open(state.path());
    assert_eq!(
        (checkpoint.provenance(), checkpoint.scanned_at(), checkpoint.entries().count()),
        (Provenance::Whole, 42, 3)
    );
    let old =
        checkpoint.entries.get(&FileIdentity { device: 7, inode: 2, birth_nanos: BIRTH, generation: 2 });
    let old = old.expect("known").clone();
    assert_eq!((old.sequence_base, old.indexed, old.pushed), (-5, 100, 200));
    assert_eq!(old.check, ContentCheck { offset: 200, hash: u64::MAX });
    assert_eq!((old.head, old.state), (Head::default(), EntryState::Live));
    assert_eq!(old.path, Path::new("/var/log/app-2.log"));
    checkpoint.save().expect("saved");
    assert_eq!(open(state.path()).entries, checkpoint.entries);
    assert_eq!(bytes_of(state.path())[8], 2);
}

#[test]
fn the_present_version_is_read_for_ever() {
    let golden = include_bytes!("golden/version-2");
    assert_eq!(
        format::encode_base(42, map(extremes()).values()),
        golden,
        "the format changed: it needs a new version"
    );
    assert_eq!(load(golden).entries, map(extremes()));
}

#[test]
fn a_later_version_is_kept_aside_until_and_after_it_is_replaced() {
    let state = tempfile::tempdir().expect("a directory");
    let mut later = include_bytes!("golden/version-2").to_vec();
    later[8] = 9;
    fs::write(state.path().join(FILE_NAME), &later).expect("written");
    // A crash before the first save: the next start sees the same.
    for _ in 0..2 {
        let checkpoint = open(state.path());
        assert_eq!((checkpoint.provenance(), checkpoint.entries().count()), (Provenance::Partial, 0));
    }
    let mut checkpoint = open(state.path());
    checkpoint.put(entry(1, 5));
    checkpoint.save().expect("saved");
    assert_eq!(fs::read(state.path().join("checkpoint.version-9")).expect("kept"), later);
    assert_eq!(open(state.path()).entries, map([entry(1, 5)]));
}

/// A file with a base and some appended batches; the states after each, and where each ends.
fn batches() -> (Vec<u8>, Vec<(usize, Entries)>) {
    let state = tempfile::tempdir().expect("a directory");
    let mut checkpoint = open(state.path());
    let mut states = Vec::new();
    for round in 0..5 {
        checkpoint.put(entry(round, round * 100 + 1));
        checkpoint.put(entry(9, round * 1000));
        checkpoint.remove(&identity(round.wrapping_sub(2)));
        checkpoint.set_scanned_at(round);
        checkpoint.save().expect("saved");
        states.push((bytes_of(state.path()).len(), checkpoint.entries.clone()));
    }
    (bytes_of(state.path()), states)
}

#[test]
fn every_cut_leaves_the_state_of_the_last_whole_batch() {
    let (bytes, states) = batches();
    for length in 0..bytes.len() {
        let read = load(&bytes[..length]);
        match states.iter().rev().find(|(end, _)| *end <= length) {
            Some((_, expected)) => {
                assert_eq!(
                    (&read.entries, read.provenance()),
                    (expected, Provenance::Whole),
                    "cut at {length}"
                );
            }
            None => assert_eq!(
                (read.entries.len(), read.provenance()),
                (0, Provenance::Partial),
                "cut at {length}"
            ),
        }
    }
}

#[test]
fn every_flipped_bit_leaves_the_state_before_its_batch_and_damage_in_the_middle_is_told() {
    let (bytes, states) = batches();
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let read = format::decode(&flipped);
        let hit = states.iter().position(|(end, _)| *end > bit / 8).expect("inside");
        let expected = hit.checked_sub(1).map(|before| states[before].1.clone()).unwrap_or_default();
        assert_eq!(read.entries, expected, "bit {bit}");
        // A torn tail is normal; with a whole batch behind it, it is damage.
        let is_torn = read.flaw.expect("noticed") == Flaw::TornTail;
        assert_eq!(is_torn, hit == states.len() - 1, "bit {bit}");
    }
}

#[test]
fn after_damage_and_after_a_torn_tail_the_next_save_is_whole_again() {
    let (bytes, states) = batches();
    for (at, aside) in [(states[1].0 + 20, true), (bytes.len() - 3, false)] {
        let state = tempfile::tempdir().expect("a directory");
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        fs::write(state.path().join(FILE_NAME), &damaged).expect("written");
        let mut checkpoint = open(state.path());
        checkpoint.put(entry(77, 7));
        checkpoint.save().expect("saved");
        let read = open(state.path());
        assert_eq!((read.provenance(), read.entries), (Provenance::Whole, checkpoint.entries));
        let kept = fs::read(state.path().join("checkpoint.damaged")).ok();
        assert_eq!(kept, aside.then_some(damaged));
    }
}

/// One way through every operation: a first file, appended batches, and a file that is written anew. Stops at the first
/// error, or goes on. Returns the state of the last save that went well, and the checkpoint.
fn play(disk: &FaultyDisk, state: &Path, at_error: AtError) -> (Entries, Checkpoint<FaultyDisk>) {
    let mut checkpoint = Checkpoint::open_on(disk.clone(), state).expect("opened");
    checkpoint.compact_bytes_min = 0;
    let mut saved = Entries::new();
    for round in 0..6 {
        checkpoint.put(entry(round, 10));
        checkpoint.put(entry(100, round));
        checkpoint.remove(&identity(round.wrapping_sub(2)));
        if checkpoint.save().is_ok() {
            saved = checkpoint.entries.clone();
        } else if at_error == AtError::Stop {
            break;
        }
    }
    (saved, checkpoint)
}

#[derive(PartialEq)]
enum AtError {
    Stop,
    GoOn,
}

fn restore(image: &Image, from: &Path) -> tempfile::TempDir {
    let state = tempfile::tempdir().expect("a directory");
    for (path, bytes) in image {
        fs::write(state.path().join(path.strip_prefix(from).expect("below")), bytes).expect("written");
    }
    state
}

#[test]
fn a_power_cut_at_any_operation_leaves_the_old_state_or_the_new_one() {
    let nowhere = tempfile::tempdir().expect("a directory");
    let whole = FaultyDisk::new(Fault::PowerCut, usize::MAX);
    play(&whole, nowhere.path(), AtError::Stop);
    assert!(whole.done() > 20, "{} operations", whole.done());
    for at in 0..=whole.done() {
        let disk = FaultyDisk::new(Fault::PowerCut, at);
        let (old, stopped) = play(&disk, nowhere.path(), AtError::Stop);
        for (number, image) in disk.images_after_power_cut().iter().enumerate() {
            let state = restore(image, nowhere.path());
            let mut found = open(state.path());
            let right = found.entries == old || found.entries == stopped.entries;
            assert!(right, "operation {at}, image {number}: {:?}", found.entries);
            assert_ne!(found.provenance(), Provenance::Partial, "operation {at}, image {number}");
            // Whatever is there, one can go on from it. Not tried with each: a sync takes its time.
            if number % 32 == at % 32 {
                found.put(entry(55, 5));
                found.save().expect("saved");
                assert_eq!(open(state.path()).entries, found.entries, "operation {at}, image {number}");
            }
        }
    }
}

#[test]
fn a_full_disk_at_any_operation_loses_nothing_once_there_is_room_again() {
    let nowhere = tempfile::tempdir().expect("a directory");
    let whole = FaultyDisk::new(Fault::DiskFull, usize::MAX);
    let (expected, _) = play(&whole, nowhere.path(), AtError::GoOn);
    for at in 0..whole.done() {
        let disk = FaultyDisk::new(Fault::DiskFull, at);
        let (_, mut checkpoint) = play(&disk, nowhere.path(), AtError::GoOn);
        checkpoint.save().expect("there is room again");
        let read = open(restore(&disk.image(), nowhere.path()).path());
        assert_eq!(
            (read.provenance(), read.entries),
            (Provenance::Whole, expected.clone()),
            "operation {at}"
        );
    }
}

#[test]
fn a_directory_that_cannot_be_written_is_an_error_and_is_tried_again() {
    let state = tempfile::tempdir().expect("a directory");
    let mut checkpoint = open(state.path());
    checkpoint.put(entry(1, 1));
    let gone = state.path().join("gone");
    fs::create_dir(&gone).expect("made");
    checkpoint.directory.clone_from(&gone);
    fs::remove_dir(&gone).expect("removed");
    let error = checkpoint.save().expect_err("refused");
    assert!(error.to_string().starts_with("cannot write the checkpoint /"), "{error}");
    fs::create_dir(&gone).expect("made");
    checkpoint.save().expect("saved");
    assert_eq!(open(&gone).entries, map([entry(1, 1)]));
}

#[test]
fn a_checkpoint_that_cannot_be_read_stops_the_start_and_is_left_as_it_is() {
    let state = tempfile::tempdir().expect("a directory");
    // Root reads everything, but not a directory.
    fs::create_dir(state.path().join(FILE_NAME)).expect("made");
    let error = Checkpoint::open(state.path()).map(drop).expect_err("refused");
    assert!(error.to_string().starts_with("cannot read the checkpoint /"), "{error}");
}

#[test]
fn one_that_somebody_removed_or_cut_is_written_anew() {
    let state = tempfile::tempdir().expect("a directory");
    let path = state.path().join(FILE_NAME);
    let mut checkpoint = open(state.path());
    checkpoint.put(entry(1, 1));
    checkpoint.save().expect("saved");
    fs::remove_file(&path).expect("removed");
    checkpoint.put(entry(2, 2));
    checkpoint.save().expect("saved");
    assert_eq!(open(state.path()).entries, checkpoint.entries);
    fs::write(&path, b"").expect("cut");
    checkpoint.put(entry(3, 3));
    checkpoint.save().expect("saved");
    assert_eq!(open(state.path()).entries, map((1..4).map(|inode| entry(inode, inode))));
    assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o111, 0);
}

#[test]
fn entries_of_files_long_gone_are_forgotten_and_those_of_others_never() {
    let gone = |inode, at_secs| Entry { state: EntryState::Vanished { at_secs }, ..entry(inode, 1) };
    let state = tempfile::tempdir().expect("a directory");
    let mut checkpoint = open(state.path());
    let month = VANISHED_SECS_MAX;
    for entry in [entry(1, 1), gone(2, 10), gone(3, 11)] {
        checkpoint.put(entry);
    }
    checkpoint.expire(10 + month);
    assert_eq!(checkpoint.entries().count(), 3);
    checkpoint.expire(11 + month);
    assert_eq!(checkpoint.entries, map([entry(1, 1), gone(3, 11)]));
    for inode in 10..10 + VANISHED_ENTRIES_MAX as u64 {
        checkpoint.put(gone(inode, 12));
    }
    checkpoint.expire(13);
    assert_eq!(checkpoint.entries().count(), VANISHED_ENTRIES_MAX + 1);
    assert!(!checkpoint.entries.contains_key(&identity(3)), "the oldest went");
}

#[test]
fn a_hundred_thousand_entries_are_compact_and_a_few_changes_cheap() {
    const COUNT: u64 = 100_000;
    let state = tempfile::tempdir().expect("a directory");
    let timed = |what: &str, act: &mut dyn FnMut()| {
        let begin = Instant::now();
        act();
        eprintln!("{what}: {:?}", begin.elapsed());
    };
    let mut checkpoint = open(state.path());
    timed("put", &mut || (0..COUNT).for_each(|inode| checkpoint.put(entry(inode, inode * 1000))));
    timed("save whole", &mut || checkpoint.save().expect("saved"));
    let whole = bytes_of(state.path()).len() as u64;
    eprintln!("bytes an entry: {:.1}", whole as f64 / COUNT as f64);
    assert!(whole < COUNT * 100);
    (0..10).for_each(|inode| checkpoint.put(entry(inode, inode * 2000)));
    timed("save ten changes", &mut || checkpoint.save().expect("saved"));
    let batch = bytes_of(state.path()).len() as u64 - whole;
    assert!(batch < 10 * 150, "{batch} bytes for ten changes");
    let mut read = open(state.path());
    timed("load", &mut || read = open(state.path()));
    assert!(read.entries == checkpoint.entries);

    // Changing for ever does not grow the file for ever.
    for round in 0..30 {
        (0..COUNT / 10).for_each(|inode| checkpoint.put(entry(inode, inode * 3000 + round)));
        checkpoint.save().expect("saved");
    }
    let grown = bytes_of(state.path()).len() as u64;
    assert!(
        grown < whole * COMPACT_FACTOR + COMPACT_BYTES_MIN + whole / 5,
        "{grown} bytes, {whole} at first"
    );
    assert!(open(state.path()).entries == checkpoint.entries);
}
