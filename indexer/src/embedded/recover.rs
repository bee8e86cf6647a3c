//! Opening what the last life left: whole partitions, half made ones, damaged ones.
//!
//! What a damaged partition held is taken out of the offsets, so that the files' positions go back, and whoever has the
//! log files sends it again. That is committed before the damage is dealt with for good: a kill in between repeats it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::clock::now_seconds;
use super::ledger::{self, Beginning, LEDGER};
use super::offsets::Offsets;
use super::partition::{Damage, Opened, Partition, bytes_below};
use super::{EmbeddedError, Health};

/// Extension of a partition that is being removed.
const REMOVED: &str = "removed";

/// Part of the extension of a partition that was set aside.
const DAMAGED: &str = "damaged";

/// Damaged partitions that are kept for whoever wants to look into them; older ones are removed.
const SET_ASIDE_MAX: usize = 2;

/// What a directory of partitions holds.
pub(super) struct Found {
    pub partitions: Vec<Arc<Partition>>,
    /// Of the newest commit, whose number is `commit`, without what was lost.
    pub offsets: Offsets,
    pub commit: u64,
    /// Number of the next partition.
    pub next: u64,
    pub damaged: Vec<Damaged>,
}

/// A partition that cannot be used any more.
pub(super) struct Damaged {
    number: u64,
    reason: String,
    /// As far as its last commit can be read.
    documents: Option<u64>,
    /// What it held, as far as that is known: without its ledger nothing is.
    lost: Option<Offsets>,
}

/// Opens all partitions below `path`.
pub(super) fn open_partitions(path: &Path) -> Result<Found, EmbeddedError> {
    let directories = partition_directories(path)?;
    let ledgers = ledgers(path)?;
    let numbers: BTreeSet<u64> = directories.keys().chain(ledgers.keys()).copied().collect();
    let mut found = Found {
        partitions: Vec::new(),
        offsets: Offsets::default(),
        commit: 0,
        next: numbers.last().map_or(1, |last| last + 1),
        damaged: Vec::new(),
    };
    for number in &numbers {
        let is_last = directories.keys().next_back() == Some(number);
        let opened = match directories.get(number) {
            Some(directory) => open(directory, *number, is_last)?,
            None => Opened::Empty,
        };
        let ledger = ledgers.get(number).and_then(Option::as_ref);
        match opened {
            Opened::Whole(partition, offsets) => {
                (found.commit, found.offsets) = (partition.summary().commit, offsets);
                found.partitions.push(Arc::from(partition));
            }
            Opened::Damaged(damage) => found.note_damage(*number, damage, ledger),
            Opened::Empty if ledger.is_some_and(|ledger| ledger.is_used && !ledger.is_settled) => {
                let reason = "its files are missing".to_owned();
                found.note_damage(*number, Damage { reason, commit: None }, ledger);
            }
            Opened::Empty => remove_unused(path, *number, directories.get(number), ledger)?,
        }
    }
    found.find_lost(&ledgers);
    Ok(found)
}

/// The last one is verified as a whole, before anything is added to it.
fn open(directory: &Path, number: u64, is_last: bool) -> Result<Opened, EmbeddedError> {
    match Partition::open(directory, number)? {
        Opened::Whole(partition, offsets) if is_last => Ok(match partition.verify() {
            Ok(()) => Opened::Whole(partition, offsets),
            Err(reason) => Opened::Damaged(Damage { reason, commit: Some((partition.summary(), offsets)) }),
        }),
        opened => Ok(opened),
    }
}

impl Found {
    /// Goes on with the offsets of a damaged partition, as far as they are known.
    fn note_damage(&mut self, number: u64, damage: Damage, ledger: Option<&Beginning>) {
        let documents = damage.commit.as_ref().map(|(summary, _)| summary.documents);
        match (damage.commit, ledger) {
            (Some((summary, offsets)), _) => (self.commit, self.offsets) = (summary.commit, offsets),
            // Where it began, and where the files begin that it knew first.
            (None, Some(ledger)) => self.offsets = ledger.offsets.clone(),
            (None, None) => {}
        }
        self.damaged.push(Damaged { number, reason: damage.reason, documents, lost: None });
    }

    /// Takes what damaged partitions held out of the offsets: what was indexed when the next one began, or is now, and
    /// was not when they began.
    fn find_lost(&mut self, ledgers: &BTreeMap<u64, Option<Beginning>>) {
        let mut left = self.offsets.clone();
        for damaged in &mut self.damaged {
            let began = ledgers.get(&damaged.number).and_then(Option::as_ref);
            let next = ledgers.range(damaged.number + 1..).next().map(|(_, next)| next.as_ref());
            let ended = match next {
                Some(next) => next.map(|next| &next.offsets),
                None => Some(&self.offsets),
            };
            if let (Some(began), Some(ended)) = (began, ended) {
                let lost = ended.without(&began.offsets);
                left.remove(&lost);
                damaged.lost = Some(lost);
            }
        }
        self.offsets = left;
    }
}

impl Damaged {
    /// Says what is wrong, moves the partition away, and notes that this was dealt with: the offsets without it are
    /// committed.
    pub fn set_aside(&self, partitions: &Path, health: &Health) -> Result<(), EmbeddedError> {
        let error = |source| EmbeddedError::Directory { path: partitions.to_owned(), source };
        let aside = move_aside(partitions, self.number).map_err(error)?;
        let (files, bytes) = self.lost.as_ref().map_or((0, 0), |lost| (lost.files(), lost.bytes()));
        health.note_damage(self.documents.unwrap_or(0), bytes);
        let (partition, reason, documents) = (self.number, &*self.reason, self.documents);
        let set_aside = aside.map(|aside| aside.display().to_string());
        let what = match &self.lost {
            Some(_) => "its records are sent again from those log files that are still there",
            None => "which records it held is not known: they are not sent again",
        };
        tracing::error!(
            partition,
            reason,
            documents,
            files,
            bytes,
            set_aside,
            "a partition of the index is damaged and was set aside: {what}"
        );
        ledger::settle(partitions, self.number).map_err(error)
    }
}

/// Gives the directory of a partition a name that says that it is damaged; none where there is no directory. Of those
/// that have such a name only the newest are kept.
pub(super) fn move_aside(partitions: &Path, number: u64) -> io::Result<Option<PathBuf>> {
    let directory = directory_of(partitions, number);
    if !directory.exists() {
        return Ok(None);
    }
    let aside = directory.with_extension(format!("{DAMAGED}-{}", now_seconds()));
    fs::rename(&directory, &aside)?;
    let mut all = set_aside(partitions);
    all.sort();
    for old in all.iter().rev().skip(SET_ASIDE_MAX) {
        fs::remove_dir_all(old)?;
    }
    Ok(Some(aside))
}

/// Bytes of the partitions that were set aside.
pub(super) fn set_aside_bytes(partitions: &Path) -> u64 {
    set_aside(partitions).iter().map(|path| bytes_below(path)).sum()
}

fn set_aside(partitions: &Path) -> Vec<PathBuf> {
    let is_aside = |path: &PathBuf| {
        path.extension().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(DAMAGED))
    };
    let Ok(entries) = fs::read_dir(partitions) else { return Vec::new() };
    entries.flatten().map(|entry| entry.path()).filter(is_aside).collect()
}

/// Removes a partition for good. Renamed first: a crash in the middle must not leave half a partition.
pub(super) fn remove_partition(partitions: &Path, number: u64) -> io::Result<()> {
    ledger::settle(partitions, number)?;
    let directory = directory_of(partitions, number);
    let doomed = directory.with_extension(REMOVED);
    fs::rename(&directory, &doomed)?;
    fs::remove_dir_all(&doomed)
}

/// Removes ledgers of partitions before `oldest`: nobody needs to know any more where those ended. Not the ledger of one
/// that was set aside, and whose records were not asked for again yet.
pub(super) fn remove_ledgers(partitions: &Path, oldest: u64) {
    let Ok(entries) = fs::read_dir(partitions) else { return };
    let is_needed =
        |path: &Path| ledger::read(path).is_some_and(|ledger| ledger.is_used && !ledger.is_settled);
    for path in entries.flatten().map(|entry| entry.path()) {
        if let Some(number) = ledger_number(&path).filter(|number| *number < oldest && !is_needed(&path)) {
            ledger::remove(partitions, number);
        }
    }
}

/// What a kill left of a partition that was being made or removed.
fn remove_unused(
    partitions: &Path,
    number: u64,
    directory: Option<&PathBuf>,
    ledger: Option<&Beginning>,
) -> Result<(), EmbeddedError> {
    if let Some(directory) = directory {
        fs::remove_dir_all(directory)
            .map_err(|source| EmbeddedError::Directory { path: directory.clone(), source })?;
    }
    if ledger.is_some_and(|ledger| !ledger.is_settled) {
        ledger::remove(partitions, number);
    }
    Ok(())
}

fn directory_of(partitions: &Path, number: u64) -> PathBuf {
    partitions.join(format!("{number:010}"))
}

fn ledger_number(path: &Path) -> Option<u64> {
    path.extension().filter(|name| *name == LEDGER)?;
    path.file_stem()?.to_str()?.parse().ok()
}

/// By number; none where one cannot be read.
fn ledgers(path: &Path) -> Result<BTreeMap<u64, Option<Beginning>>, EmbeddedError> {
    let error = |source| EmbeddedError::Directory { path: path.to_owned(), source };
    let mut ledgers = BTreeMap::new();
    for entry in fs::read_dir(path).map_err(error)? {
        let path = entry.map_err(error)?.path();
        ledgers.extend(ledger_number(&path).map(|number| (number, ledger::read(&path))));
    }
    Ok(ledgers)
}

/// By number; what was to be removed is removed.
fn partition_directories(path: &Path) -> Result<BTreeMap<u64, PathBuf>, EmbeddedError> {
    let error = |source| EmbeddedError::Directory { path: path.to_owned(), source };
    let mut directories = BTreeMap::new();
    for entry in fs::read_dir(path).map_err(error)? {
        let directory = entry.map_err(error)?.path();
        if directory.extension().is_some_and(|extension| extension == REMOVED) {
            fs::remove_dir_all(&directory).map_err(error)?;
        }
        let number = directory.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
        directories.extend(number.map(|number| (number, directory)));
    }
    Ok(directories)
}
