//! The journal of one input: what was received and is not yet indexed, as ordinary log files.
//!
//! ```text
//! state/journal/<input>/current.log            being written
//!                       current.log.00000001   full: renamed, followed like any rotated log, removed when indexed
//!                       mark                   what the input wants to know after a restart (the journal's cursor)
//! ```
//! Lines are appended, and count as received once [`Journal::sync`] has returned. A fault never loses what was synced:
//! what a failed write left of a line is cut back, a failed sync gives the segment up and begins another (after it,
//! the system may have forgotten what it could not write), and a line that a crash left without its end is ended at the next start: nobody was told that it is
//! there, but showing it is better than losing it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use memchr::memrchr;

/// A segment is renamed, and the next begun, when it would grow beyond this. Small enough that the disk is freed as
/// the index goes on, large enough that directories stay short: 64 segments in a journal of 1 GiB.
pub const SEGMENT_BYTES: u64 = 16 << 20;

/// A bounded journal has at least this many segments, so that there is always one that can be removed.
const SEGMENTS_MIN: u64 = 4;

const CURRENT: &str = "current.log";
const MARK: &str = "mark";

/// The operations of the file system that a journal is made of; tests let each of them fail.
pub trait Storage: Send + 'static {
    /// Opens a file for appending; makes it where it is missing.
    fn open(&self, path: &Path) -> io::Result<File> {
        OpenOptions::new().create(true).append(true).read(true).open(path)
    }

    /// Appends some of `bytes`; returns how many.
    fn write(&self, mut file: &File, bytes: &[u8]) -> io::Result<usize> {
        file.write(bytes)
    }

    /// Cuts the file.
    fn cut(&self, file: &File, length: u64) -> io::Result<()> {
        file.set_len(length)
    }

    /// Waits until the file's bytes are on the disk.
    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_data()
    }

    /// Renames a file, over another if there is one.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    /// Waits until the directory's names are on the disk.
    fn sync_directory(&self, directory: &Path) -> io::Result<()> {
        File::open(directory)?.sync_all()
    }
}

/// The real file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

impl Storage for Disk {}

/// Why lines are not in the journal.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The journal has as many bytes as it may.
    #[error("the journal {} is full: {bytes} of at most {bytes_max} bytes wait for the index", directory.display())]
    Full {
        /// Of the journal.
        directory: PathBuf,
        /// What it holds.
        bytes: u64,
        /// What it may hold.
        bytes_max: u64,
    },
    /// The system refused.
    #[error("cannot write the journal {}", directory.display())]
    Write {
        /// Of the journal.
        directory: PathBuf,
        /// How many of the bytes are in the journal nevertheless: whole lines.
        kept: usize,
        /// What the system said.
        source: io::Error,
    },
}

impl AppendError {
    /// How many of the bytes are in the journal nevertheless: whole lines.
    pub fn kept(&self) -> usize {
        match self {
            AppendError::Full { .. } => 0,
            AppendError::Write { kept, .. } => *kept,
        }
    }
}

/// One input's journal; nobody else writes to its directory.
pub struct Journal<S = Disk> {
    storage: S,
    directory: PathBuf,
    /// None after a fault: the next append begins a new segment.
    current: Option<File>,
    /// Of the current segment: whole lines.
    length: u64,
    /// Whether the current segment has bytes that [`Journal::sync`] has to wait for.
    unsynced: bool,
    /// Bytes of the other segments, when they were last looked at.
    rotated_bytes: u64,
    next_number: u64,
    bytes_max: u64,
    segment_bytes: u64,
    mark: Option<Vec<u8>>,
    torn: bool,
}

impl<S: Storage> Journal<S> {
    /// Opens the journal in `directory`, or makes it. It holds at most `bytes_max` bytes.
    pub fn open(directory: PathBuf, bytes_max: u64, storage: S) -> io::Result<Journal<S>> {
        if !directory.exists() {
            fs::create_dir_all(&directory)?;
            // `state/journal/<input>`: a directory is there after a power cut only if the one around it is synced.
            for around in directory.ancestors().skip(1).take(2) {
                storage.sync_directory(around)?;
            }
        }
        let mut journal = Journal {
            storage,
            directory,
            current: None,
            length: 0,
            unsynced: false,
            rotated_bytes: 0,
            next_number: 1,
            bytes_max,
            segment_bytes: SEGMENT_BYTES.min(bytes_max / SEGMENTS_MIN).max(1),
            mark: None,
            torn: false,
        };
        journal.count_rotated()?;
        if journal.path(CURRENT).exists() {
            journal.continue_segment()?;
        }
        Ok(journal)
    }

    /// Whether a crash had left a line without its end.
    pub fn was_torn(&self) -> bool {
        self.torn
    }

    /// The segment that is being written.
    pub fn current_path(directory: &Path) -> PathBuf {
        directory.join(CURRENT)
    }

    /// Bytes that the journal holds, as far as it knows: the follower removes segments without telling.
    pub fn bytes(&self) -> u64 {
        self.rotated_bytes + self.length
    }

    /// A segment is not written beyond this, unless by one line.
    pub fn segment_bytes(&self) -> u64 {
        self.segment_bytes
    }

    /// Looks which segments are left.
    pub fn count_rotated(&mut self) -> io::Result<u64> {
        let mut bytes = 0;
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            let name = entry.file_name();
            let number = name
                .to_str()
                .and_then(|name| name.strip_prefix(CURRENT)?.strip_prefix('.')?.parse::<u64>().ok());
            if let Some(number) = number {
                // Removed since it was listed: then it has no bytes either.
                bytes += entry.metadata().map_or(0, |metadata| metadata.len());
                self.next_number = self.next_number.max(number + 1);
            }
        }
        self.rotated_bytes = bytes;
        Ok(bytes)
    }

    /// Appends whole lines, each with its newline. They are received when [`Journal::sync`] has returned.
    pub fn append(&mut self, lines: &[u8]) -> Result<(), AppendError> {
        self.make_room(lines.len() as u64)?;
        let (mut written, fault) = self.write(lines);
        let Some(source) = fault else { return Ok(()) };
        // What a failed write has left is no line. Whole lines stay: the follower may have read them already.
        let kept = memrchr(b'\n', lines.get(..written).unwrap_or_default()).map_or(0, |newline| newline + 1);
        if kept < written && self.cut(self.length - (written - kept) as u64).is_err() {
            // The rest of the line stays where it is, and the next line begins elsewhere.
            self.current = None;
        }
        written = kept;
        Err(self.write_error(written, source))
    }

    /// Waits until everything appended is on the disk.
    pub fn sync(&mut self) -> Result<(), AppendError> {
        let Some(file) = self.current.as_ref().filter(|_| self.unsynced) else { return Ok(()) };
        let result = self.storage.sync(file);
        self.unsynced = false;
        result.map_err(|source| {
            self.current = None;
            self.write_error(0, source)
        })
    }

    /// What [`last_mark`] answers once the segments that hold the last lines are gone.
    pub fn set_mark(&mut self, mark: &[u8]) {
        self.mark = Some(mark.to_vec());
    }

    fn make_room(&mut self, bytes: u64) -> Result<(), AppendError> {
        let fits = |journal: &Self| journal.bytes() + bytes <= journal.bytes_max;
        if !fits(self) {
            self.count_rotated().map_err(|source| self.write_error(0, source))?;
        }
        let full = !fits(self);
        // Only a segment that is no longer written to can be removed.
        if self.current.is_none() || self.length > 0 && (full || self.length + bytes > self.segment_bytes) {
            self.begin_segment().map_err(|source| self.write_error(0, source))?;
        }
        if full {
            let (directory, bytes) = (self.directory.clone(), self.bytes());
            return Err(AppendError::Full { directory, bytes, bytes_max: self.bytes_max });
        }
        Ok(())
    }

    /// How much was written, and why not all.
    fn write(&mut self, lines: &[u8]) -> (usize, Option<io::Error>) {
        let mut written = 0;
        let Some(file) = &self.current else { return (0, Some(io::Error::other("there is no segment"))) };
        while let Some(rest) = lines.get(written..).filter(|rest| !rest.is_empty()) {
            match self.storage.write(file, rest) {
                Ok(0) => return (written, Some(io::ErrorKind::WriteZero.into())),
                Ok(count) => {
                    written += count;
                    self.length += count as u64;
                    self.unsynced = true;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return (written, Some(error)),
            }
        }
        (written, None)
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        if let Some(file) = &self.current {
            self.storage.cut(file, length)?;
            self.length = length;
        }
        Ok(())
    }

    /// Renames the current segment, if there is one, and begins the next.
    fn begin_segment(&mut self) -> io::Result<()> {
        if let Some(file) = self.current.as_ref().filter(|_| self.unsynced) {
            let result = self.storage.sync(file);
            self.unsynced = false;
            if let Err(error) = result {
                self.current = None;
                return Err(error);
            }
        }
        self.current = None;
        self.save_mark()?;
        let current = self.path(CURRENT);
        if current.exists() {
            let rotated = self.path(&format!("{CURRENT}.{:08}", self.next_number));
            self.storage.rename(&current, &rotated)?;
            self.next_number += 1;
            self.rotated_bytes += self.length;
        }
        self.length = 0;
        let file = self.storage.open(&current)?;
        // Before the first line of the new segment can be received, its name is.
        self.storage.sync_directory(&self.directory)?;
        self.current = Some(file);
        Ok(())
    }

    /// Goes on in the segment of the last life.
    fn continue_segment(&mut self) -> io::Result<()> {
        let file = self.storage.open(&self.path(CURRENT))?;
        let size = file.metadata()?.len();
        let end = end_of_text(&file, size)?;
        if end < size {
            self.storage.cut(&file, end)?;
        }
        let has_half_line = !ends_with_newline(&file, end)?;
        self.torn = end < size || has_half_line;
        self.length = end;
        self.current = Some(file);
        self.unsynced = true;
        if has_half_line {
            let (_, fault) = self.write(b"\n");
            if let Some(fault) = fault {
                tracing::warn!(journal = %self.directory.display(), error = %fault, "cannot go on in the last segment: the next is begun");
                self.current = None;
            }
        }
        // Names and bytes of a life that ended before it synced them; a fault here is one of the next append.
        if self.sync().is_err() || self.storage.sync_directory(&self.directory).is_err() {
            self.current = None;
        }
        Ok(())
    }

    fn save_mark(&self) -> io::Result<()> {
        let Some(mark) = &self.mark else { return Ok(()) };
        let temporary = self.path("mark.new");
        let file = self.storage.open(&temporary)?;
        self.storage.cut(&file, 0)?;
        let written = self.storage.write(&file, mark)?;
        if written < mark.len() {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.storage.sync(&file)?;
        self.storage.rename(&temporary, &self.path(MARK))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn write_error(&self, kept: usize, source: io::Error) -> AppendError {
        AppendError::Write { directory: self.directory.clone(), kept, source }
    }
}

/// What the input marked last: `find` in the lines of the current segment, the last first; else what [`Journal::set_mark`]
/// had when that segment was begun.
pub fn last_mark(directory: &Path, find: impl Fn(&[u8]) -> Option<Vec<u8>>) -> io::Result<Option<Vec<u8>>> {
    let read = |name: &str| match fs::read(directory.join(name)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        read => read,
    };
    // At most one segment, once at each start.
    if let Some(found) = read(CURRENT)?.rsplit(|&byte| byte == b'\n').find_map(find) {
        return Ok(Some(found));
    }
    Ok(Some(read(MARK)?).filter(|mark| !mark.is_empty()))
}

/// Where the text ends before the NULs that a power cut may leave at the end of a file.
fn end_of_text(file: &File, size: u64) -> io::Result<u64> {
    let mut block = [0; 4096];
    let mut end = size;
    while end > 0 {
        let length = end.min(block.len() as u64);
        let block = block.get_mut(..length as usize).unwrap_or_default();
        file.read_exact_at(block, end - length)?;
        if let Some(last) = block.iter().rposition(|&byte| byte != 0) {
            return Ok(end - length + last as u64 + 1);
        }
        end -= length;
    }
    Ok(0)
}

fn ends_with_newline(file: &File, size: u64) -> io::Result<bool> {
    let mut last = *b"\n";
    if size > 0 {
        file.read_exact_at(&mut last, size - 1)?;
    }
    Ok(last == *b"\n")
}

#[cfg(test)]
mod tests;
