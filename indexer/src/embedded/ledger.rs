//! What was in the index when a partition began: beside the partition, so that it outlives damage to it.
//!
//! ```text
//! <partitions>/0000000003.ledger    one line each: CRC-32, blank, JSON
//!   {"began":{"format":1,"files":[..]}}    every range of every file that was indexed before
//!   {"file":["<key>",4096]}                a file that the index did not know then, and the byte it begins at
//!   "used"                                 documents were committed to the partition
//!   "settled"                              it is gone, and that was dealt with
//! ```
//! The ranges of one partition are those of the next ledger without those of its own. Lines are only added, each behind
//! a newline: one that was cut by a full disk or a kill spoils no other.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use weir_record::FileKey;

use super::offsets::{Offsets, Row, checked, key_text, read_key, with_checksum};

/// Extension of a ledger's file.
pub(super) const LEDGER: &str = "ledger";

/// Version of [`Began`].
const FORMAT: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Began {
    format: u32,
    files: Vec<Row>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Began(Began),
    File(String, u64),
    Used,
    Settled,
}

/// Adds to the ledger of the active partition.
pub(super) struct Ledger {
    file: File,
    is_used: bool,
}

/// What a ledger says.
pub(super) struct Beginning {
    /// What was indexed before, and where files begin that came later.
    pub offsets: Offsets,
    /// Whether documents were committed to the partition.
    pub is_used: bool,
    /// Whether the partition is gone, and that was dealt with.
    pub is_settled: bool,
}

impl Ledger {
    /// Makes the ledger of a partition that is about to begin. `now`: seconds since 1970.
    pub fn create(partitions: &Path, number: u64, offsets: &Offsets, now: i64) -> io::Result<Ledger> {
        let (path, new) = (path(partitions, number), partitions.join("new.ledger"));
        let began = Line::Began(Began { format: FORMAT, files: offsets.to_rows(now) });
        let mut file = File::create(&new)?;
        file.write_all(line(&began)?.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, &path)?;
        File::open(partitions)?.sync_all()?;
        Ok(Ledger { file: File::options().append(true).open(&path)?, is_used: false })
    }

    /// Goes on with the one of a partition; none where there is none.
    pub fn open(partitions: &Path, number: u64) -> Option<Ledger> {
        let path = path(partitions, number);
        let is_used = read(&path)?.is_used;
        Some(Ledger { file: File::options().append(true).open(&path).ok()?, is_used })
    }

    /// Notes, on the disk, that documents are about to be committed, of files that begin there.
    pub fn note(&mut self, files: &[(FileKey, u64)]) -> io::Result<()> {
        if self.is_used && files.is_empty() {
            return Ok(());
        }
        let mut text = String::new();
        for (file, start) in files {
            text.push_str(&line(&Line::File(key_text(file), *start))?);
        }
        text.push_str(&line(&Line::Used)?);
        self.file.write_all(text.as_bytes())?;
        self.file.sync_data()?;
        self.is_used = true;
        Ok(())
    }
}

/// Notes that a partition is gone, and that nothing is left to do about it. Without a ledger nothing is noted.
pub(super) fn settle(partitions: &Path, number: u64) -> io::Result<()> {
    match File::options().append(true).open(path(partitions, number)) {
        Ok(mut file) => {
            file.write_all(line(&Line::Settled)?.as_bytes())?;
            file.sync_data()
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Removes a ledger that no partition needs any more.
pub(super) fn remove(partitions: &Path, number: u64) {
    if let Err(error) = fs::remove_file(path(partitions, number)) {
        tracing::debug!(number, %error, "cannot remove a ledger");
    }
}

/// Reads a ledger; none where its first line is not there, or not as it was written.
pub(super) fn read(path: &Path) -> Option<Beginning> {
    let bytes = fs::read(path).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let lines = text.lines().filter_map(|line| serde_json::from_str(checked(line)?).ok());
    let mut beginning = None;
    for line in lines {
        match (line, &mut beginning) {
            (Line::Began(began), None) if began.format == FORMAT => {
                let offsets = Offsets::from_rows(began.files)?;
                beginning = Some(Beginning { offsets, is_used: false, is_settled: false });
            }
            (Line::File(key, start), Some(beginning)) => {
                beginning.offsets.begin(read_key(&key)?, start, 0);
            }
            (Line::Used, Some(beginning)) => beginning.is_used = true,
            (Line::Settled, Some(beginning)) => beginning.is_settled = true,
            _ => return None,
        }
    }
    beginning
}

pub(super) fn path(partitions: &Path, number: u64) -> PathBuf {
    partitions.join(format!("{number:010}.{LEDGER}"))
}

fn line(line: &Line) -> io::Result<String> {
    Ok(format!("\n{}\n", with_checksum(&serde_json::to_string(line)?)))
}

#[cfg(test)]
mod tests {
    use weir_record::SourceId;

    use super::*;

    fn key(name: &str) -> FileKey {
        FileKey { source: SourceId::from_name(name), file: [7; 16] }
    }

    /// A ledger of a partition that began after `[100, 200)` of a file, and in which another one began at 50.
    fn written(directory: &Path) -> PathBuf {
        let mut offsets = Offsets::default();
        offsets.begin(key("old"), 100, 1);
        offsets.insert(&key("old"), 100, 200);
        let mut ledger = Ledger::create(directory, 3, &offsets, 1).expect("written");
        ledger.note(&[(key("new"), 50)]).expect("written");
        settle(directory, 3).expect("written");
        path(directory, 3)
    }

    #[test]
    fn a_ledger_says_what_was_indexed_before_and_which_files_began() {
        let directory = tempfile::tempdir().expect("a directory");
        let read = read(&written(directory.path())).expect("as written");
        let mut positions = read.offsets.positions();
        positions.sort();
        let mut expected = [(key("old"), 200), (key("new"), 50)];
        expected.sort();
        assert_eq!(positions, expected);
        assert!(read.is_used && read.is_settled && read.offsets.contains(&key("old"), 150));
    }

    #[test]
    fn a_cut_or_changed_line_says_nothing_and_the_others_stay() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = written(directory.path());
        let whole = fs::read(&path).expect("there");
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).expect("written");
            if let Some(cut) = read(&path) {
                assert!(cut.offsets.contains(&key("old"), 150), "cut at {length}");
            }
            // What is added behind a torn line is read all the same.
            if read(&path).is_some() {
                settle(directory.path(), 3).expect("written");
                assert!(read(&path).is_some_and(|read| read.is_settled), "cut at {length}");
            }
        }
        for at in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[at] ^= 4;
            fs::write(&path, &flipped).expect("written");
            if let Some(read) = read(&path) {
                assert!(!read.offsets.contains(&key("old"), 200), "byte {at}");
                assert!(read.offsets.contains(&key("old"), 199), "byte {at}");
            }
        }
    }
}
