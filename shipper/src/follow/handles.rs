//! How many files are open: as many as were used lately, up to a limit.

use std::collections::{BTreeMap, HashMap};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use weir_record::FileKey;

/// The files that are open, in the order of their use.
pub struct Handles {
    limit: usize,
    uses: u64,
    by_use: BTreeMap<u64, FileKey>,
    by_file: HashMap<FileKey, u64>,
}

impl Handles {
    /// At most `limit`, and at most half of what the process may open at once: its soft limit is raised as far as the
    /// system allows, the rest is for sockets and the like.
    pub fn new(limit: usize) -> Handles {
        let allowed =
            raise_limit().map_or(limit, |allowed| usize::try_from(allowed / 2).unwrap_or(usize::MAX));
        let limit = limit.min(allowed).max(1);
        Handles { limit, uses: 0, by_use: BTreeMap::new(), by_file: HashMap::new() }
    }

    /// A file was just used; it is open now, or not.
    pub fn used(&mut self, file: FileKey, is_open: bool) {
        self.forget(&file);
        if is_open {
            self.uses += 1;
            self.by_use.insert(self.uses, file);
            self.by_file.insert(file, self.uses);
        }
    }

    /// A file is not followed any more.
    pub fn forget(&mut self, file: &FileKey) {
        if let Some(number) = self.by_file.remove(file) {
            self.by_use.remove(&number);
        }
    }

    /// How many are open.
    pub fn count(&self) -> usize {
        self.by_use.len()
    }

    /// Whether more are open than should be.
    pub fn is_over(&self) -> bool {
        self.count() > self.limit
    }

    /// The open files, the one that was not used for the longest time first.
    pub fn oldest(&self) -> impl Iterator<Item = FileKey> {
        self.by_use.values().copied()
    }
}

/// Raises the soft limit of open files to the hard one; returns what it is then, none if there is none.
fn raise_limit() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        Ok(()) => maximum,
        Err(_) => current,
    }
}

#[cfg(test)]
mod tests {
    use weir_record::{FileIdentity, SourceId};

    use super::*;

    #[test]
    fn the_least_recently_used_file_comes_first() {
        let key = |inode| {
            let identity = FileIdentity { device: 1, inode, birth_nanos: 0, generation: 0 };
            FileKey::new(SourceId([0; 16]), &identity)
        };
        let mut handles = Handles::new(2);
        for inode in [1, 2, 3, 1] {
            handles.used(key(inode), true);
        }
        assert!(handles.is_over());
        assert_eq!(handles.oldest().collect::<Vec<_>>(), [key(2), key(3), key(1)]);
        handles.used(key(2), false);
        handles.forget(&key(9));
        assert!(!handles.is_over());
        assert_eq!(handles.count(), 2);
    }
}
