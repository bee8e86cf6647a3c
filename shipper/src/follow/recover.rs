//! Following without a checkpoint, or with a part of one: what the buffer knows says which files are known.
//!
//! The identities are the same again, so the buffer's offsets fit. What only the checkpoint knew has to be concluded:
//! how often a file was truncated, which files are copies of what it held before, and which were never wanted.

use std::cmp::Reverse;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::time::Instant;

use weir_buffer::Position;
use weir_record::FileIdentity;

use super::Follower;
use super::checkpoint::{ContentCheck, Entry, Head, Provenance};
use super::discover::is_rotated;
use super::file::Presence;
use super::medium::Medium;
use super::meet::Arrival;
use super::proof::{check_before, head_of};
use super::scan::Sighting;

/// A file that was truncated before.
struct Truncated {
    identity: FileIdentity,
    path: PathBuf,
    source: usize,
}

impl Follower {
    /// At the first start, or after the state was lost: of the rotated files those are wanted that the buffer knows,
    /// and those that are younger than the oldest it knows.
    pub(super) fn without_history(&mut self, arrivals: Vec<(Arrival, Position)>) -> Vec<(Arrival, Position)> {
        let known = arrivals
            .iter()
            .filter(|(arrival, position)| position.pushed.is_some() || arrival.entry.identity.generation > 0);
        let oldest = known.map(|(arrival, _)| arrival.entry.identity.birth_nanos).min();
        let mut wanted = Vec::with_capacity(arrivals.len());
        for (arrival, position) in arrivals {
            let is_history = position.pushed.is_none()
                && arrival.sighting.as_ref().is_some_and(|sighting| {
                    sighting.presence == Presence::Gone
                        && oldest.is_none_or(|oldest| written_until(sighting) <= oldest)
                });
            match arrival.sighting {
                Some(sighting) if is_history => {
                    self.skip(&sighting);
                }
                sighting => wanted.push((Arrival { sighting, ..arrival }, position)),
            }
        }
        wanted
    }

    /// Without a whole checkpoint only the buffer knows how often a file was truncated: the last generation that it
    /// knows is the one on the disk.
    pub(super) fn probe_generations(
        &mut self,
        mut arrivals: Vec<(Arrival, Position)>,
    ) -> Vec<(Arrival, Position)> {
        if self.checkpoint.provenance() == Provenance::Whole {
            return arrivals;
        }
        let mut open: Vec<usize> =
            (0..arrivals.len()).filter(|&at| arrivals[at].1.pushed.is_some()).collect();
        while !open.is_empty() {
            let next = |at: usize| {
                let identity = arrivals[at].0.entry.identity;
                FileIdentity { generation: identity.generation + 1, ..identity }
            };
            let later: Vec<FileIdentity> = open.iter().map(|&at| next(at)).collect();
            let Some(positions) = self.locate(later.iter().map(|identity| self.key(identity)).collect())
            else {
                return arrivals;
            };
            let mut still_open = Vec::new();
            for ((at, identity), position) in open.into_iter().zip(later).zip(positions) {
                if position.pushed.is_none() {
                    continue;
                }
                let (arrival, known) = &mut arrivals[at];
                let (indexed, pushed, check) = (0, 0, ContentCheck::default());
                arrival.entry = Entry {
                    identity,
                    indexed,
                    pushed,
                    check,
                    head: Head::default(),
                    ..arrival.entry.clone()
                };
                *known = position;
                still_open.push(at);
            }
            open = still_open;
        }
        for (arrival, position) in &mut arrivals {
            if position.pushed.is_some_and(|pushed| is_shorter(arrival, pushed)) {
                // Truncated once more, while nobody looked.
                arrival.entry.identity.generation += 1;
                arrival.entry.indexed = 0;
                *position = Position::default();
            }
        }
        arrivals
    }

    /// The copies of a file that was truncated: the youngest is of the generation that was over last. One that is as
    /// long as what was pushed of its generation is known; the youngest may also be longer.
    pub(super) fn recover_copies(
        &mut self,
        mut arrivals: Vec<(Arrival, Position)>,
        now: Instant,
    ) -> Vec<(Arrival, Position)> {
        for original in self.truncated(&arrivals) {
            let (mut copies, others): (Vec<_>, Vec<_>) = arrivals
                .into_iter()
                .partition(|(arrival, position)| position.pushed.is_none() && is_copy_of(arrival, &original));
            arrivals = others;
            copies.sort_by_key(|(arrival, _)| Reverse(arrival.sighting.as_ref().map(modified)));
            let mut over = self.generations_over(&original).into_iter().peekable();
            let mut is_youngest = true;
            for (arrival, position) in copies {
                let known = over.peek().copied().is_some_and(|generation| {
                    self.recover_copy(&original, generation, &arrival, is_youngest, now)
                });
                is_youngest = false;
                if known {
                    over.next();
                } else {
                    arrivals.push((arrival, position));
                }
            }
        }
        arrivals
    }

    /// The generations of a file that are over and that nobody follows, the last one first.
    fn generations_over(&mut self, original: &Truncated) -> Vec<(FileIdentity, Position)> {
        let generations: Vec<FileIdentity> = (0..original.identity.generation)
            .rev()
            .map(|generation| FileIdentity { generation, ..original.identity })
            .filter(|identity| !self.files.contains_key(&self.key(identity)))
            .collect();
        let positions = self.locate(generations.iter().map(|one| self.key(one)).collect());
        generations.into_iter().zip(positions.unwrap_or_default()).collect()
    }

    /// Goes on in the copy of a generation. False: it is another file.
    fn recover_copy(
        &mut self,
        original: &Truncated,
        (generation, position): (FileIdentity, Position),
        arrival: &Arrival,
        is_youngest: bool,
        now: Instant,
    ) -> bool {
        let (Some(sighting), Some(pushed)) = (&arrival.sighting, position.pushed) else { return false };
        let Ok((size, check, head)) = measure(sighting, pushed) else { return false };
        if size < pushed || (size > pushed && !is_youngest) {
            return false;
        }
        let entry = Entry {
            identity: generation,
            indexed: position.indexed.unwrap_or(0),
            pushed,
            check,
            head,
            size,
            changed_nanos: 0,
            path: original.path.clone(),
            ..arrival.entry.clone()
        };
        self.checkpoint.put(entry.clone());
        self.follow(Arrival { entry, source: original.source, sighting: None }, position, now);
        self.adopt(generation, sighting, now);
        true
    }

    /// The files that were truncated at least once, as far as the buffer knows.
    fn truncated(&self, arrivals: &[(Arrival, Position)]) -> Vec<Truncated> {
        let arriving = arrivals.iter().map(|(arrival, _)| Truncated {
            identity: arrival.entry.identity,
            path: arrival.entry.path.clone(),
            source: arrival.source,
        });
        let followed = self.files.values().filter(|file| file.is_at_base()).map(|file| Truncated {
            identity: file.identity,
            path: file.path.clone(),
            source: file.source,
        });
        arriving.chain(followed).filter(|file| file.identity.generation > 0).collect()
    }
}

/// Whether a file has less than what was pushed of it. Of a compressed one its length says nothing.
fn is_shorter(arrival: &Arrival, pushed: u64) -> bool {
    let Some(sighting) = &arrival.sighting else { return false };
    sighting.found.metadata.len() < pushed
        && sighting.open().is_ok_and(|medium| matches!(medium, Medium::Plain(_)))
}

fn is_copy_of(arrival: &Arrival, original: &Truncated) -> bool {
    arrival.sighting.as_ref().is_some_and(|sighting| {
        is_rotated(&original.path, &sighting.found.path)
            && sighting.who.birth_nanos > original.identity.birth_nanos
    })
}

/// How long a content is, with its proofs for an offset.
fn measure(sighting: &Sighting, offset: u64) -> io::Result<(u64, ContentCheck, Head)> {
    let mut medium = sighting.open()?;
    let head = head_of(&medium.head()?);
    let check = check_before(&mut medium, offset)?;
    // Decodes a compressed one to its end.
    medium.read(&mut [], u64::MAX)?;
    Ok((medium.extent()?.bytes(), check, head))
}

/// When a file was last written, nanoseconds since 1970; copying and compressing keep the order.
fn modified(sighting: &Sighting) -> i64 {
    let metadata = &sighting.found.metadata;
    metadata.mtime().saturating_mul(1_000_000_000).saturating_add(metadata.mtime_nsec())
}

/// A moment up to which a file was written, or before, nanoseconds since 1970: its birth, and for a compressed one,
/// which is born later, its change time, which compressing keeps.
fn written_until(sighting: &Sighting) -> i64 {
    modified(sighting).min(sighting.who.birth_nanos)
}
