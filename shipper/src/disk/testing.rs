//! A disk in memory that fails at a chosen operation, and tells what a power cut would leave of it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::Disk;

/// What happens at the chosen operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The power is cut: nothing works any more.
    PowerCut,
    /// The disk is full: half of a write is done, the operation fails, and the next one works.
    DiskFull,
}

/// What a directory holds.
pub type Image = BTreeMap<PathBuf, Vec<u8>>;

/// A disk in memory. Clones are the same disk.
#[derive(Clone)]
pub struct FaultyDisk(Rc<RefCell<State>>);

struct State {
    contents: Vec<Content>,
    /// As a program sees them.
    names: BTreeMap<PathBuf, usize>,
    /// As they are after a power cut, at least.
    synced_names: BTreeMap<PathBuf, usize>,
    /// Operations until the fault.
    left: usize,
    fault: Fault,
    done: usize,
}

#[derive(Clone, Default)]
struct Content {
    bytes: Vec<u8>,
    synced: Vec<u8>,
}

impl FaultyDisk {
    /// An empty disk whose operation number `at` fails, from zero.
    pub fn new(fault: Fault, at: usize) -> FaultyDisk {
        let (contents, names, synced_names) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
        FaultyDisk(Rc::new(RefCell::new(State { contents, names, synced_names, left: at, fault, done: 0 })))
    }

    /// How many operations went well.
    pub fn done(&self) -> usize {
        self.0.borrow().done
    }

    /// What a program finds that reads the disk now.
    pub fn image(&self) -> Image {
        let state = self.0.borrow();
        state.names.iter().map(|(path, &file)| (path.clone(), state.contents[file].bytes.clone())).collect()
    }

    /// What may be found after a power cut now: names as before or after their last changes, and of what was written
    /// and not synced any length, or zeros.
    pub fn images_after_power_cut(&self) -> Vec<Image> {
        let state = self.0.borrow();
        let mut images = Vec::new();
        for names in [&state.synced_names, &state.names] {
            let mut combinations = vec![Image::new()];
            for (path, &file) in names {
                let versions = state.contents[file].after_power_cut();
                combinations = versions
                    .iter()
                    .flat_map(|version| {
                        combinations.iter().cloned().map(|mut image| {
                            image.insert(path.clone(), version.clone());
                            image
                        })
                    })
                    .collect();
            }
            images.extend(combinations);
        }
        images
    }

    fn step(&self) -> Result<(), io::Error> {
        let mut state = self.0.borrow_mut();
        if state.left > 0 {
            state.left -= 1;
            state.done += 1;
            return Ok(());
        }
        match state.fault {
            Fault::PowerCut => Err(io::Error::other("the power is gone")),
            Fault::DiskFull => {
                state.left = usize::MAX;
                Err(io::ErrorKind::StorageFull.into())
            }
        }
    }

    fn content<T>(&self, file: usize, act: impl FnOnce(&mut Content) -> T) -> T {
        act(&mut self.0.borrow_mut().contents[file])
    }

    fn find(&self, path: &Path) -> io::Result<usize> {
        self.0.borrow().names.get(path).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Content {
    fn after_power_cut(&self) -> Vec<Vec<u8>> {
        let common = self.bytes.iter().zip(&self.synced).take_while(|(one, other)| one == other).count();
        let mut versions: Vec<Vec<u8>> = vec![self.synced.clone()];
        versions.extend((common..=self.bytes.len()).map(|length| self.bytes[..length].to_vec()));
        // The new length is there, the new bytes are not.
        let mut zeros = self.bytes[..common].to_vec();
        zeros.resize(self.bytes.len(), 0);
        versions.push(zeros);
        versions
    }
}

impl Disk for FaultyDisk {
    type File = usize;

    fn create(&self, path: &Path) -> io::Result<usize> {
        self.step()?;
        let mut state = self.0.borrow_mut();
        let next = state.contents.len();
        let file = *state.names.entry(path.to_path_buf()).or_insert(next);
        if file == next {
            state.contents.push(Content::default());
        }
        state.contents[file].bytes.clear();
        Ok(file)
    }

    fn open_at_end(&self, path: &Path) -> io::Result<usize> {
        self.step()?;
        self.find(path)
    }

    fn length(&self, file: &usize) -> io::Result<u64> {
        Ok(self.content(*file, |content| content.bytes.len() as u64))
    }

    fn cut(&self, file: &mut usize, length: u64) -> io::Result<()> {
        self.step()?;
        self.content(*file, |content| content.bytes.truncate(length as usize));
        Ok(())
    }

    fn write(&self, file: &mut usize, bytes: &[u8]) -> io::Result<()> {
        let result = self.step();
        let written = if result.is_ok() { bytes } else { &bytes[..bytes.len() / 2] };
        self.content(*file, |content| content.bytes.extend_from_slice(written));
        result
    }

    fn sync(&self, file: &usize) -> io::Result<()> {
        self.step()?;
        self.content(*file, |content| content.synced = content.bytes.clone());
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step()?;
        let file = self.find(from)?;
        let mut state = self.0.borrow_mut();
        state.names.remove(from);
        state.names.insert(to.to_path_buf(), file);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.step()?;
        self.find(path)?;
        self.0.borrow_mut().names.remove(path);
        Ok(())
    }

    fn sync_directory(&self, _: &Path) -> io::Result<()> {
        self.step()?;
        let mut state = self.0.borrow_mut();
        state.synced_names = state.names.clone();
        Ok(())
    }
}
