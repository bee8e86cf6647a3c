//! The few things that a durable file does to a disk, so that a test can cut the power between any two of them.

use std::fs::{self, File};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::Path;

/// A disk: the real one, or in tests one whose power can be cut.
pub trait Disk {
    /// An open file.
    type File;

    /// Creates a file, or empties the one that is there.
    fn create(&self, path: &Path) -> io::Result<Self::File>;

    /// Opens a file for writing at its end.
    fn open_at_end(&self, path: &Path) -> io::Result<Self::File>;

    /// Bytes in a file.
    fn length(&self, file: &Self::File) -> io::Result<u64>;

    /// Cuts a file, and goes to its new end.
    fn cut(&self, file: &mut Self::File, length: u64) -> io::Result<()>;

    /// Appends bytes.
    fn write(&self, file: &mut Self::File, bytes: &[u8]) -> io::Result<()>;

    /// Waits until a file's bytes are on the disk.
    fn sync(&self, file: &Self::File) -> io::Result<()>;

    /// Renames over what is there.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a name.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Waits until a directory's names are on the disk.
    fn sync_directory(&self, directory: &Path) -> io::Result<()>;
}

/// The disk of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    type File = File;

    fn create(&self, path: &Path) -> io::Result<File> {
        File::create(path)
    }

    fn open_at_end(&self, path: &Path) -> io::Result<File> {
        let mut file = File::options().write(true).open(path)?;
        file.seek(SeekFrom::End(0))?;
        Ok(file)
    }

    fn length(&self, file: &File) -> io::Result<u64> {
        Ok(file.metadata()?.len())
    }

    fn cut(&self, file: &mut File, length: u64) -> io::Result<()> {
        file.set_len(length)?;
        file.seek(SeekFrom::Start(length))?;
        Ok(())
    }

    fn write(&self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        file.write_all(bytes)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_data()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_directory(&self, directory: &Path) -> io::Result<()> {
        File::open(directory)?.sync_all()
    }
}

#[cfg(test)]
pub mod testing;
