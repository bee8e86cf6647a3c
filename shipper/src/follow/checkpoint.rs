//! The checkpoint: how far each file was read, in one file that is replaced as a whole.
//!
//! ```text
//!  "WEIRCKPT" | version u32 | scanned at, ns u64 | count u32 | count × entry | CRC-32 of all before u32
//!  entry: device u64 | inode u64 | birth ns i64 | generation u32 | sequence base i64 | indexed u64 | pushed u64
//!       | check offset u64 | check hash u64 | path length u16 | path
//! ```
//! Little-endian. Written to a temporary file, synced, renamed over the old one, and the directory synced: after a
//! crash there is the old checkpoint or the new one. Losing it may cost duplicates that `_id` removes, never lines.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use weir_record::FileIdentity;

const MAGIC: &[u8; 8] = b"WEIRCKPT";
const VERSION: u32 = 1;
const FILE_NAME: &str = "checkpoint";

/// What is remembered of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Who it is.
    pub identity: FileIdentity,
    /// `event.sequence` of its first byte.
    pub sequence_base: i64,
    /// Everything before this offset is indexed: the safe point.
    pub indexed: u64,
    /// Everything before this offset was in the buffer: a hint.
    pub pushed: u64,
    /// Proof that the file is still the one that was read.
    pub check: ContentCheck,
    /// Where it was last seen.
    pub path: PathBuf,
}

/// Hash of the bytes before an offset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ContentCheck {
    /// End of the hashed bytes.
    pub offset: u64,
    /// Their hash.
    pub hash: u64,
}

/// All entries, and when they were written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checkpoint {
    /// When the last scan before it began, nanoseconds since 1970; zero where nothing was ever saved. Every file that
    /// was born before is among the entries, or is indexed, or is not wanted.
    pub scanned_at: u64,
    /// One for each file.
    pub entries: Vec<Entry>,
}

/// Why a checkpoint could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The file is there and cannot be read.
    #[error("cannot read the checkpoint {path}")]
    Read {
        /// The checkpoint.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file cannot be replaced.
    #[error("cannot write the checkpoint {path}")]
    Write {
        /// The checkpoint.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Checkpoint {
    /// Reads the checkpoint under `state`. None was ever written: an empty one. A damaged one, or one of a later
    /// version, is set aside under a name that says so, with a warning: the buffer still knows where to go on, and
    /// `_id` removes what is read twice.
    pub fn load(state: &Path) -> Result<Checkpoint, CheckpointError> {
        let path = state.join(FILE_NAME);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Checkpoint::default()),
            Err(source) => return Err(CheckpointError::Read { path, source }),
        };
        match Checkpoint::decode(&bytes) {
            Ok(checkpoint) => Ok(checkpoint),
            Err(fault) => {
                let aside = state.join(format!("{FILE_NAME}.{}", fault.suffix()));
                tracing::warn!(path = %path.display(), aside = %aside.display(), "{}", fault.sentence());
                fs::rename(&path, &aside).map_err(|source| CheckpointError::Write { path, source })?;
                Ok(Checkpoint::default())
            }
        }
    }

    /// Replaces the checkpoint under `state`.
    pub fn save(&self, state: &Path) -> Result<(), CheckpointError> {
        let path = state.join(FILE_NAME);
        self.replace(state, &path).map_err(|source| CheckpointError::Write { path, source })
    }

    fn replace(&self, state: &Path, path: &Path) -> io::Result<()> {
        let temporary = path.with_extension("new");
        let mut file = File::create(&temporary)?;
        file.write_all(&self.encode())?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        File::open(state)?.sync_all()
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64 + self.entries.len() * 160);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&self.scanned_at.to_le_bytes());
        out.extend_from_slice(&(self.entries.len() as u32).to_le_bytes());
        for entry in &self.entries {
            entry.encode(&mut out);
        }
        let sum = crc32fast::hash(&out);
        out.extend_from_slice(&sum.to_le_bytes());
        out
    }

    fn decode(bytes: &[u8]) -> Result<Checkpoint, Fault> {
        let mut reader = Reader(bytes);
        if reader.take(MAGIC.len()).ok_or(Fault::Damaged)? != MAGIC {
            return Err(Fault::Damaged);
        }
        if reader.u32().ok_or(Fault::Damaged)? != VERSION {
            return Err(Fault::Version);
        }
        let (body, sum) = bytes.split_last_chunk::<4>().ok_or(Fault::Damaged)?;
        if crc32fast::hash(body) != u32::from_le_bytes(*sum) {
            return Err(Fault::Damaged);
        }
        reader.checkpoint().ok_or(Fault::Damaged)
    }
}

impl Entry {
    fn encode(&self, out: &mut Vec<u8>) {
        let path = self.path.as_os_str().as_bytes();
        let path = path.get(..path.len().min(usize::from(u16::MAX))).unwrap_or_default();
        out.extend_from_slice(&self.identity.device.to_le_bytes());
        out.extend_from_slice(&self.identity.inode.to_le_bytes());
        out.extend_from_slice(&self.identity.birth_nanos.to_le_bytes());
        out.extend_from_slice(&self.identity.generation.to_le_bytes());
        out.extend_from_slice(&self.sequence_base.to_le_bytes());
        for number in [self.indexed, self.pushed, self.check.offset, self.check.hash] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&(path.len() as u16).to_le_bytes());
        out.extend_from_slice(path);
    }
}

/// Why a checkpoint's bytes are not used.
enum Fault {
    Damaged,
    Version,
}

impl Fault {
    const fn suffix(&self) -> &'static str {
        match self {
            Fault::Damaged => "damaged",
            Fault::Version => "other-version",
        }
    }

    const fn sentence(&self) -> &'static str {
        match self {
            Fault::Damaged => {
                "the checkpoint is damaged: it was set aside, files go on from where the buffer knows"
            }
            Fault::Version => {
                "the checkpoint is of another version of Weir: it was set aside, files go on from where the buffer knows"
            }
        }
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn u16(&mut self) -> Option<u16> {
        Some(u16::from_le_bytes(self.take(2)?.try_into().ok()?))
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    fn u64(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }

    fn checkpoint(&mut self) -> Option<Checkpoint> {
        let scanned_at = self.u64()?;
        let count = self.u32()?;
        let entries = (0..count).map(|_| self.entry()).collect::<Option<Vec<Entry>>>()?;
        Some(Checkpoint { scanned_at, entries })
    }

    fn entry(&mut self) -> Option<Entry> {
        let identity = FileIdentity {
            device: self.u64()?,
            inode: self.u64()?,
            birth_nanos: self.u64()? as i64,
            generation: self.u32()?,
        };
        let sequence_base = self.u64()? as i64;
        let (indexed, pushed) = (self.u64()?, self.u64()?);
        let check = ContentCheck { offset: self.u64()?, hash: self.u64()? };
        let length = self.u16()?;
        let path = PathBuf::from(OsStr::from_bytes(self.take(usize::from(length))?));
        Some(Entry { identity, sequence_base, indexed, pushed, check, path })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Checkpoint {
        let entry = |inode: u64| Entry {
            identity: FileIdentity {
                device: 7,
                inode,
                birth_nanos: 1_795_212_000_123_456_789,
                generation: 2,
            },
            sequence_base: -5,
            indexed: 100,
            pushed: 200,
            check: ContentCheck { offset: 200, hash: u64::MAX },
            path: PathBuf::from(format!("/var/log/app-{inode}.log")),
        };
        Checkpoint { scanned_at: 42, entries: (0..3).map(entry).collect() }
    }

    #[test]
    fn a_saved_checkpoint_reads_back_as_itself() {
        let state = tempfile::tempdir().expect("a directory");
        assert_eq!(Checkpoint::load(state.path()).expect("nothing there"), Checkpoint::default());
        example().save(state.path()).expect("written");
        assert_eq!(Checkpoint::load(state.path()).expect("read"), example());
    }

    #[test]
    fn every_cut_and_every_flipped_bit_is_noticed_and_the_file_kept_aside() {
        let bytes = example().encode();
        for length in 0..bytes.len() {
            assert!(Checkpoint::decode(&bytes[..length]).is_err(), "cut at {length}");
        }
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(Checkpoint::decode(&flipped).is_err(), "bit {bit}");
        }
        let state = tempfile::tempdir().expect("a directory");
        fs::write(state.path().join(FILE_NAME), &bytes[..bytes.len() - 1]).expect("written");
        assert_eq!(Checkpoint::load(state.path()).expect("goes on"), Checkpoint::default());
        assert!(state.path().join("checkpoint.damaged").exists());
    }
}
