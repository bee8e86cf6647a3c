//! How far each file had come before it was read again: what has to be where.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use weir_buffer::FileLedger;
use weir_record::{FileKey, SourceId};
use weir_shipper::reread::KnownContent;

/// Where a record has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the index.
    Index,
    /// In the buffer, or already further.
    Buffer,
    /// Nowhere: the buffer has lost it, and has not noticed yet.
    Lost,
    /// In the file alone.
    File,
}

/// How far one file had come.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// The name that it was written under, where the checkpoint knows it.
    pub path: Option<PathBuf>,
    /// How often it was truncated before.
    pub generation: u32,
    indexed: u64,
    ledger: Option<FileLedger>,
}

impl Standing {
    /// Where the record at `offset` has to be.
    pub fn place_of(&self, offset: u64) -> Place {
        if offset < self.indexed {
            return Place::Index;
        }
        let Some(ledger) = &self.ledger else { return Place::File };
        if ledger.done.iter().any(|range| range.contains(&offset)) {
            return Place::Index;
        }
        if ledger.missing().iter().any(|range| range.contains(&offset)) {
            return Place::Lost;
        }
        if ledger.position.pushed.is_some_and(|pushed| offset < pushed) { Place::Buffer } else { Place::File }
    }
}

/// How far all files of one shipper had come.
pub struct Standings {
    files: HashMap<FileKey, Standing>,
    seen: HashSet<FileKey>,
}

impl Standings {
    /// From what the checkpoint and the buffer knew. Of the buffer's files those of `source` count.
    pub fn new(known: &[KnownContent], ledger: Vec<FileLedger>, source: SourceId) -> Standings {
        let mut files: HashMap<FileKey, Standing> = known
            .iter()
            .map(|known| {
                let path = Some(known.path.clone());
                let (generation, indexed) = (known.generation, known.indexed);
                (known.file, Standing { path, generation, indexed, ledger: None })
            })
            .collect();
        for ledger in ledger.into_iter().filter(|ledger| ledger.file.source == source) {
            let file = files.entry(ledger.file).or_default();
            file.indexed = file.indexed.max(ledger.position.indexed.unwrap_or(0));
            file.ledger = Some(ledger);
        }
        Standings { files, seen: HashSet::new() }
    }

    /// Of a file that was read again; a new one had come nowhere.
    pub fn of(&mut self, file: &FileKey) -> Standing {
        self.seen.insert(*file);
        self.files.get(file).cloned().unwrap_or_default()
    }

    /// Files that the checkpoint knows and of which nothing could be read again, and how many bytes of them were pushed
    /// and are neither indexed nor in the buffer.
    pub fn gone(&self) -> (u64, u64) {
        let is_gone =
            |file: &FileKey, standing: &Standing| standing.path.is_some() && !self.seen.contains(file);
        let gone = self.files.iter().filter(|(file, standing)| is_gone(file, standing));
        let ledgers: Vec<&FileLedger> = gone.filter_map(|(_, standing)| standing.ledger.as_ref()).collect();
        let missing = |ledger: &&FileLedger| -> u64 {
            ledger.missing().iter().map(|range| range.end - range.start).sum()
        };
        (ledgers.len() as u64, ledgers.iter().map(missing).sum())
    }
}

#[cfg(test)]
mod tests {
    use weir_buffer::Position;
    use weir_record::FileIdentity;

    use super::*;

    fn key(source: &str) -> FileKey {
        let identity = FileIdentity { device: 1, inode: 2, birth_nanos: 3, generation: 0 };
        FileKey::new(SourceId::from_name(source), &identity)
    }

    fn ledger(source: &str) -> FileLedger {
        FileLedger {
            file: key(source),
            position: Position { pushed: Some(100), indexed: Some(20) },
            done: std::iter::once(40..50).collect(),
            waiting: vec![20..40, 60..100],
        }
    }

    #[test]
    fn the_ledger_says_where_a_record_has_to_be() {
        let here = SourceId::from_name("here");
        let mut standings = Standings::new(&[], vec![ledger("here"), ledger("elsewhere")], here);
        let standing = standings.of(&key("here"));
        for (offset, place) in [
            (0, Place::Index),
            (19, Place::Index),
            (20, Place::Buffer),
            (45, Place::Index),
            (50, Place::Lost),
            (99, Place::Buffer),
            (100, Place::File),
        ] {
            assert_eq!(standing.place_of(offset), place, "{offset}");
        }
        assert_eq!(standings.gone(), (0, 0), "other shippers' files are not ours to judge");
    }

    #[test]
    fn a_buffer_that_has_forgotten_a_file_is_believed_less_than_the_checkpoint() {
        let known = KnownContent { file: key("here"), generation: 0, path: "/log/a".into(), indexed: 50 };
        let mut standings = Standings::new(&[known], Vec::new(), SourceId::from_name("here"));
        let standing = standings.of(&key("here"));
        assert_eq!((standing.place_of(49), standing.place_of(50)), (Place::Index, Place::File));
    }

    #[test]
    fn of_a_file_that_is_gone_the_lost_bytes_are_counted() {
        let known = KnownContent { file: key("here"), generation: 0, path: "/log/a".into(), indexed: 20 };
        let here = SourceId::from_name("here");
        assert_eq!(Standings::new(&[known], vec![ledger("here")], here).gone(), (1, 10));
        assert_eq!(Standings::new(&[], vec![ledger("here")], here).gone(), (0, 0), "another shipper's");
    }
}
