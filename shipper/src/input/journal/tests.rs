//! Crash points: every operation fails once, the power goes at every operation, and the last lines are damaged.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt as _;
use std::sync::{Arc, Mutex};

use tempfile::TempDir;

use super::*;

/// What happens at the chosen operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// It fails; a write has written half. Later ones succeed: a disk that was full for a moment.
    Once,
    /// It fails, and so does everything after it: the machine is dead.
    PowerCut,
}

#[derive(Debug)]
enum NameChange {
    Created(PathBuf),
    Renamed(PathBuf, PathBuf, Option<Vec<u8>>),
}

#[derive(Debug, Default)]
struct State {
    operations: usize,
    /// By inode: what is sure to be on the disk.
    synced: HashMap<u64, u64>,
    /// Since the directory was synced.
    changes: Vec<NameChange>,
}

/// The real file system, with a fault at one operation, and the memory of what was synced.
#[derive(Clone)]
struct Faulty {
    state: Arc<Mutex<State>>,
    at: usize,
    fault: Fault,
}

impl Faulty {
    fn new(at: usize, fault: Fault) -> Faulty {
        Faulty { state: Arc::default(), at, fault }
    }

    fn fails(&self) -> bool {
        let mut state = self.state.lock().expect("one thread");
        state.operations += 1;
        match self.fault {
            Fault::Once => state.operations == self.at,
            Fault::PowerCut => state.operations >= self.at,
        }
    }

    fn check(&self) -> io::Result<()> {
        if self.fails() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    /// Leaves the directory as a power cut may: names since the last sync of the directory are undone, files lose
    /// what was not synced; of that, `keeps` stays.
    fn cut_power(&self, directory: &Path, keeps: impl Fn(u64) -> u64) {
        let mut state = self.state.lock().expect("one thread");
        for entry in fs::read_dir(directory).expect("listed") {
            let path = entry.expect("an entry").path();
            let metadata = fs::metadata(&path).expect("there");
            let synced = state.synced.get(&metadata.ino()).copied().unwrap_or(0);
            let kept = synced + keeps(metadata.len().saturating_sub(synced));
            File::options().write(true).open(&path).expect("opened").set_len(kept).expect("cut");
        }
        if keeps(1) == 1 {
            return;
        }
        for change in state.changes.drain(..).rev() {
            match change {
                NameChange::Created(path) => fs::remove_file(path).expect("removed"),
                NameChange::Renamed(from, to, replaced) => {
                    fs::rename(&to, from).expect("renamed back");
                    if let Some(replaced) = replaced {
                        fs::write(to, replaced).expect("written");
                    }
                }
            }
        }
    }
}

impl Storage for Faulty {
    fn open(&self, path: &Path) -> io::Result<File> {
        self.check()?;
        let is_new = !path.exists();
        let file = Disk.open(path)?;
        if is_new {
            self.state.lock().expect("one thread").changes.push(NameChange::Created(path.into()));
        }
        Ok(file)
    }

    fn write(&self, file: &File, bytes: &[u8]) -> io::Result<usize> {
        if self.fails() {
            Disk.write(file, &bytes[..bytes.len() / 2])?;
            // Half is written, then half of the rest, and then nothing more goes.
            return match self.fault {
                Fault::Once if bytes.len() / 2 > 0 => {
                    self.state.lock().expect("one thread").operations = self.at - 1;
                    Ok(bytes.len() / 2)
                }
                _ => Err(io::ErrorKind::StorageFull.into()),
            };
        }
        Disk.write(file, bytes)
    }

    fn cut(&self, file: &File, length: u64) -> io::Result<()> {
        self.check()?;
        Disk.cut(file, length)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        self.check()?;
        let metadata = file.metadata()?;
        self.state.lock().expect("one thread").synced.insert(metadata.ino(), metadata.len());
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.check()?;
        let change = NameChange::Renamed(from.into(), to.into(), fs::read(to).ok());
        self.state.lock().expect("one thread").changes.push(change);
        Disk.rename(from, to)
    }

    fn sync_directory(&self, _: &Path) -> io::Result<()> {
        self.check()?;
        self.state.lock().expect("one thread").changes.clear();
        Ok(())
    }
}

/// Small, so that a few lines fill segments.
const BYTES_MAX: u64 = 200;

/// Every line in the journal, in order.
fn lines(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(directory)
        .expect("listed")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"))
        .filter(|name| name.starts_with("current.log."))
        .collect();
    names.sort();
    names.push("current.log".to_owned());
    let read = |name: &String| fs::read_to_string(directory.join(name)).unwrap_or_default();
    names.iter().map(read).flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
}

/// Appends and syncs groups of three lines; returns those that were received.
fn write_groups(journal: &mut Journal<Faulty>, groups: std::ops::Range<usize>) -> Vec<String> {
    let mut received = Vec::new();
    for group in groups {
        let texts: Vec<String> = (0..3).map(|line| format!("line {group}-{line}")).collect();
        let bytes = texts.iter().fold(String::new(), |all, text| all + text + "\n");
        journal.set_mark(format!("mark {group}").as_bytes());
        if journal.append(bytes.as_bytes()).and_then(|()| journal.sync()).is_ok() {
            received.extend(texts);
        }
    }
    received
}

#[test]
fn lines_are_kept_in_order_over_segments_and_restarts() {
    let directory = TempDir::new().expect("a directory");
    let open = || Journal::open(directory.path().into(), 1 << 20, Disk).expect("opened");
    open().append(b"a\nb\n").expect("appended");
    let mut journal = open();
    journal.segment_bytes = 6;
    journal.append(b"c\n").expect("appended");
    journal.append(b"d\n").expect("appended");
    assert!(directory.path().join("current.log.00000001").exists());
    assert_eq!(lines(directory.path()), ["a", "b", "c", "d"]);
    assert_eq!(open().bytes(), 8);
    assert!(!open().was_torn());
}

#[test]
fn every_operation_may_fail_once_and_what_was_received_stays_and_the_journal_goes_on() {
    let mut failed = 0;
    for at in 1.. {
        let directory = TempDir::new().expect("a directory");
        let storage = Faulty::new(at, Fault::Once);
        let mut journal = Journal::open(directory.path().into(), BYTES_MAX, storage.clone()).expect("opened");
        let received = write_groups(&mut journal, 0..6);
        failed += usize::from(received.len() < 18);
        let found = lines(directory.path());
        assert!(received.iter().all(|line| found.contains(line)), "operation {at}: {received:?} {found:?}");
        // A half write and the failure after it may fall into two groups.
        assert!(received.len() >= 12, "operation {at}: the journal did not go on: {received:?}");
        assert!(found.is_sorted(), "operation {at}: {found:?}");
        if storage.state.lock().expect("one thread").operations < at {
            break;
        }
    }
    assert!(failed > 10, "only {failed} operations failed");
}

#[test]
fn the_power_may_go_at_every_operation_and_what_was_received_stays() {
    let keeps: [fn(u64) -> u64; 3] = [|_| 0, |unsynced| unsynced, |unsynced| unsynced / 2];
    for at in 1.. {
        let mut operations = 0;
        for keeps in keeps {
            let directory = TempDir::new().expect("a directory");
            let storage = Faulty::new(at, Fault::PowerCut);
            let received = match Journal::open(directory.path().into(), BYTES_MAX, storage.clone()) {
                Ok(mut journal) => write_groups(&mut journal, 0..6),
                Err(_) => Vec::new(),
            };
            storage.cut_power(directory.path(), keeps);
            operations = storage.state.lock().expect("one thread").operations;

            let second = Faulty::new(usize::MAX, Fault::Once);
            let mut journal = Journal::open(directory.path().into(), 1 << 20, second).expect("opened again");
            let later = write_groups(&mut journal, 6..8);
            assert_eq!(later.len(), 6, "operation {at}");
            let found = lines(directory.path());
            for line in received.iter().chain(&later) {
                assert!(found.contains(line), "operation {at}: {line} of {received:?} is lost: {found:?}");
            }
            let marked = last_mark(directory.path(), |_| None).expect("read");
            assert!(received.len() < 15 || marked.is_some(), "operation {at}: the mark is lost");
        }
        if operations < at {
            assert!(at > 30, "only {at} operations");
            return;
        }
    }
}

#[test]
fn the_last_lines_may_be_cut_anywhere_and_every_other_line_stays() {
    let text = "first\nsecond\nthird\n";
    for length in 0..=text.len() {
        let directory = TempDir::new().expect("a directory");
        fs::write(directory.path().join(CURRENT), &text[..length]).expect("written");
        let mut journal = Journal::open(directory.path().into(), 1 << 20, Disk).expect("opened");
        journal.append(b"next\n").expect("appended");
        let mut expected: Vec<&str> = text[..length].lines().collect();
        expected.push("next");
        assert_eq!(lines(directory.path()), expected, "cut at {length}");
        assert_eq!(journal.was_torn(), !text[..length].is_empty() && !text[..length].ends_with('\n'));
    }
}

#[test]
fn any_bit_of_the_last_lines_may_flip_and_only_the_line_it_is_in_changes() {
    let text = b"first\nsecond\nthird\n";
    for bit in 0..text.len() * 8 {
        let mut flipped = text.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let directory = TempDir::new().expect("a directory");
        let path = directory.path().join(CURRENT);
        fs::write(&path, &flipped).expect("written");
        let mut journal = Journal::open(directory.path().into(), 1 << 20, Disk).expect("opened");
        journal.append(b"next\n").expect("appended");
        let found = fs::read(path).expect("read");
        let mut expected = flipped.clone();
        while expected.last() == Some(&0) {
            expected.pop();
        }
        if expected.last() != Some(&b'\n') {
            expected.push(b'\n');
        }
        expected.extend_from_slice(b"next\n");
        assert_eq!(found, expected, "bit {bit}");
    }
}

#[test]
fn nuls_that_a_power_cut_leaves_are_no_line() {
    let directory = TempDir::new().expect("a directory");
    let path = directory.path().join(CURRENT);
    fs::write(&path, [b"first\n".as_slice(), &[0; 10_000]].concat()).expect("written");
    let mut journal = Journal::open(directory.path().into(), 1 << 20, Disk).expect("opened");
    journal.append(b"next\n").expect("appended");
    assert!(journal.was_torn());
    assert_eq!(fs::read(path).expect("read"), b"first\nnext\n");
}

#[test]
fn a_full_journal_refuses_until_a_segment_is_removed() {
    let directory = TempDir::new().expect("a directory");
    let mut journal = Journal::open(directory.path().into(), 40, Disk).expect("opened");
    let mut accepted = 0;
    while journal.append(b"123456789\n").is_ok() {
        accepted += 1;
    }
    assert_eq!(accepted, 4);
    assert!(matches!(
        journal.append(b"123456789\n"),
        Err(AppendError::Full { bytes: 40, bytes_max: 40, .. })
    ));
    assert_eq!(lines(directory.path()).len(), 4);
    fs::remove_file(directory.path().join("current.log.00000002")).expect("removed");
    journal.append(b"123456789\n").expect("there is room");
    // What waits in the current segment alone can be removed too.
    for name in ["current.log.00000001", "current.log.00000003", "current.log.00000004"] {
        fs::remove_file(directory.path().join(name)).expect("removed");
    }
    assert_eq!(journal.count_rotated().expect("counted"), 0);
}

#[test]
fn the_mark_is_the_last_line_s_or_the_one_before_its_segment() {
    let directory = TempDir::new().expect("a directory");
    let found = |expected: Option<&str>| {
        let find = |line: &[u8]| line.starts_with(b"c").then(|| line.to_vec());
        let mark = last_mark(directory.path(), find).expect("read");
        assert_eq!(mark.as_deref(), expected.map(str::as_bytes));
    };
    found(None);
    let mut journal = Journal::open(directory.path().into(), 1 << 20, Disk).expect("opened");
    journal.append(b"c1\nc2\nx\n").expect("appended");
    found(Some("c2"));
    journal.set_mark(b"c2");
    journal.begin_segment().expect("begun");
    found(Some("c2"));
    journal.append(b"c3\n").expect("appended");
    found(Some("c3"));
}

#[test]
fn a_real_full_disk_refuses_and_recovers_and_leaves_no_half_line() {
    // A device that is always full answers for the disk, after the first bytes.
    #[derive(Clone)]
    struct Switch(Arc<Mutex<bool>>);
    impl Storage for Switch {
        fn write(&self, file: &File, bytes: &[u8]) -> io::Result<usize> {
            if *self.0.lock().expect("one thread") {
                return match bytes.len() {
                    ..=5 => File::options().write(true).open("/dev/full")?.write(bytes),
                    _ => Disk.write(file, &bytes[..5]),
                };
            }
            Disk.write(file, bytes)
        }
    }
    let directory = TempDir::new().expect("a directory");
    let full = Arc::new(Mutex::new(true));
    let mut journal =
        Journal::open(directory.path().into(), 1 << 20, Switch(Arc::clone(&full))).expect("opened");
    for _ in 0..3 {
        let error = journal.append(b"ab\ncdefgh\n").expect_err("full");
        let AppendError::Write { kept, source, .. } = error else { panic!("{error}") };
        assert_eq!((kept, source.kind()), (3, io::ErrorKind::StorageFull));
    }
    *full.lock().expect("one thread") = false;
    journal.append(b"whole\n").expect("appended");
    assert_eq!(lines(directory.path()), ["ab", "ab", "ab", "whole"]);
}
