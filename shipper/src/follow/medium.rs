//! The bytes of a content, wherever they are: in a plain file, or in a compressed one.
//!
//! Offsets are always those of the uncompressed content. A plain file is read at any position. A compressed one is
//! decoded in order; the last bytes are kept so that a short step back costs nothing, and a long one starts again.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use bzip2::bufread::MultiBzDecoder;
use flate2::bufread::MultiGzDecoder;
use rustix::fs::SeekFrom;
use rustix::io::Errno;

use super::discover::COMPRESSED;
use super::open::{open_log, read_fully};
use super::records::WINDOW_BYTES_MAX;
use crate::settings::READ_BYTES;

/// Decoded bytes that are kept for steps back: more than the longest window that reading looks at together.
const TAIL_BYTES_MAX: usize = WINDOW_BYTES_MAX + READ_BYTES;

/// Bytes before the position that is read which are kept in any case: a content check covers as many.
const STEP_BACK_BYTES: u64 = 4096;

/// Bytes of one decoding step, and of one read of the compressed file.
const STEP_BYTES: usize = 64 * 1024;

/// Bytes of a content's beginning that its head covers, and that a decoder keeps.
pub const HEAD_BYTES: usize = 1024;

/// Bytes that tell a codec.
pub const MAGIC_BYTES_MAX: u64 = 4;

/// How a content is compressed; told by the first bytes, never by the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// RFC 1952, any number of members.
    Gzip,
    /// RFC 8878, any number of frames.
    Zstd,
    /// Any number of streams.
    Bzip2,
}

impl Codec {
    const MAGICS: [(&'static [u8], Codec); 3] =
        [(b"\x1f\x8b\x08", Codec::Gzip), (b"\x28\xb5\x2f\xfd", Codec::Zstd), (b"BZh", Codec::Bzip2)];

    /// The codec of a file with these first bytes.
    pub fn of(head: &[u8]) -> Option<Codec> {
        Self::MAGICS.iter().find(|(magic, _)| head.starts_with(magic)).map(|(_, codec)| *codec)
    }

    /// Whether these bytes, the whole file so far, may become a compressed one.
    pub fn may_become(head: &[u8]) -> bool {
        !head.is_empty()
            && Self::MAGICS.iter().any(|(magic, _)| head.len() < magic.len() && magic.starts_with(head))
    }

    /// Whether a name says that its file is compressed. The bytes decide; a name tells what an empty file will be.
    pub fn is_name(path: &Path) -> bool {
        path.extension().and_then(|ending| ending.to_str()).is_some_and(|ending| COMPRESSED.contains(&ending))
    }

    fn decoder(self, source: Positional) -> io::Result<Box<dyn Read + Send>> {
        let source = BufReader::with_capacity(STEP_BYTES, source);
        Ok(match self {
            Codec::Gzip => Box::new(MultiGzDecoder::new(source)),
            Codec::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(source)?),
            Codec::Bzip2 => Box::new(MultiBzDecoder::new(source)),
        })
    }
}

/// What is known of the length of a content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// It ends here, as far as it is written.
    Exactly(u64),
    /// It goes on after these bytes, which are decoded already.
    Beyond(u64),
    /// The compressed file breaks off here: it is still being written, or whoever wrote it died.
    BreaksOff(u64),
    /// What follows cannot be decoded.
    Damaged(u64),
}

impl Extent {
    /// Bytes that can be read at least.
    pub fn bytes(self) -> u64 {
        let (Extent::Exactly(bytes)
        | Extent::Beyond(bytes)
        | Extent::BreaksOff(bytes)
        | Extent::Damaged(bytes)) = self;
        bytes
    }
}

/// The bytes of one content.
pub enum Medium {
    /// As they are.
    Plain(File),
    /// To be decoded.
    Compressed(Box<Decoded>),
}

/// A compressed file, decoded as far as it was asked for.
pub struct Decoded {
    file: Arc<File>,
    codec: Codec,
    decoder: Box<dyn Read + Send>,
    /// The first decoded bytes.
    head: Vec<u8>,
    /// The last decoded bytes.
    tail: Vec<u8>,
    /// Offset of the first byte of `tail`.
    tail_start: u64,
    end: End,
}

/// How decoding stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Ahead,
    Reached,
    /// The compressed file broke off when it had this many bytes.
    BrokeOff(u64),
    Damaged,
}

impl Medium {
    /// Opens a regular file, and looks at its first bytes.
    ///
    /// # Errors
    /// It cannot be opened or read, or is no regular file.
    pub fn open(path: &Path) -> io::Result<Medium> {
        Medium::of(open_log(path)?)
    }

    /// Looks at the first bytes of an open file.
    pub fn of(file: File) -> io::Result<Medium> {
        let mut head = [0; MAGIC_BYTES_MAX as usize];
        let read = read_fully(&file, &mut head, 0)?;
        match Codec::of(head.get(..read).unwrap_or_default()) {
            None => Ok(Medium::Plain(file)),
            Some(codec) => Ok(Medium::Compressed(Box::new(Decoded::new(file, codec)?))),
        }
    }

    /// The same file, looked at again.
    pub fn again(medium: Medium) -> io::Result<Medium> {
        match medium {
            Medium::Plain(file) => Medium::of(file),
            Medium::Compressed(_) => Ok(medium),
        }
    }

    /// Whether a compressed content was decoded to an end that will not move. Nobody knows that of a plain one.
    pub fn is_complete(&self) -> bool {
        matches!(self, Medium::Compressed(decoded) if matches!(decoded.end, End::Reached | End::Damaged))
    }

    /// The file itself.
    pub fn file(&self) -> &File {
        match self {
            Medium::Plain(file) => file,
            Medium::Compressed(decoded) => &decoded.file,
        }
    }

    /// Reads the content from `offset` until `buffer` is full or there is no more for now; returns the bytes read.
    pub fn read(&mut self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        match self {
            Medium::Plain(file) => read_fully(file, buffer, offset),
            Medium::Compressed(decoded) => decoded.read(buffer, offset),
        }
    }

    /// How long the content is, as far as that is known without decoding more.
    pub fn extent(&self) -> io::Result<Extent> {
        match self {
            Medium::Plain(file) => Ok(Extent::Exactly(file.metadata()?.len())),
            Medium::Compressed(decoded) => decoded.extent(),
        }
    }

    /// The first offset from this one on that is not known to lie in a hole of a sparse file.
    pub fn next_data(&self, offset: u64) -> io::Result<u64> {
        let Medium::Plain(file) = self else { return Ok(offset) };
        match rustix::fs::seek(file, SeekFrom::Data(offset)) {
            Ok(data) => Ok(data),
            // The hole reaches to the end.
            Err(Errno::NXIO) => Ok(file.metadata()?.len().max(offset)),
            // This file system knows nothing of holes.
            Err(_) => Ok(offset),
        }
    }

    /// The first [`HEAD_BYTES`] of the content, or as many as there are. Never starts a decoder again.
    pub fn head(&mut self) -> io::Result<Vec<u8>> {
        match self {
            Medium::Plain(file) => {
                let mut head = vec![0; HEAD_BYTES];
                let read = read_fully(file, &mut head, 0)?;
                head.truncate(read);
                Ok(head)
            }
            Medium::Compressed(decoded) => {
                while decoded.head.len() < HEAD_BYTES && decoded.decode(0)? {}
                Ok(decoded.head.clone())
            }
        }
    }

    /// The last bytes of a gzip file say how long its last member is, modulo 2^32: enough to recognise a content
    /// without decoding all of it.
    pub fn stated_bytes(&self) -> Option<u32> {
        let Medium::Compressed(decoded) = self else { return None };
        let length = decoded.file.metadata().ok()?.len();
        let at = length.checked_sub(4).filter(|_| decoded.codec == Codec::Gzip)?;
        let mut bytes = [0; 4];
        decoded.file.read_exact_at(&mut bytes, at).ok()?;
        Some(u32::from_le_bytes(bytes))
    }
}

impl Decoded {
    fn new(file: File, codec: Codec) -> io::Result<Decoded> {
        let file = Arc::new(file);
        let decoder = codec.decoder(Positional { file: Arc::clone(&file), offset: 0 })?;
        Ok(Decoded {
            file,
            codec,
            decoder,
            head: Vec::new(),
            tail: Vec::new(),
            tail_start: 0,
            end: End::Ahead,
        })
    }

    fn tail_end(&self) -> u64 {
        self.tail_start + self.tail.len() as u64
    }

    fn read(&mut self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        if let End::BrokeOff(length) = self.end
            && self.file.metadata()?.len() != length
        {
            self.restart()?;
        }
        if offset < self.tail_start {
            self.restart()?;
        }
        let wanted = offset + buffer.len() as u64;
        while self.tail_end() < wanted && self.decode(offset)? {}
        let start = (offset - self.tail_start).min(self.tail.len() as u64) as usize;
        let there = self.tail.get(start..).unwrap_or_default();
        let read = there.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..read), there.get(..read)) {
            to.copy_from_slice(from);
        }
        Ok(read)
    }

    fn extent(&self) -> io::Result<Extent> {
        let bytes = self.tail_end();
        Ok(match self.end {
            End::Ahead => Extent::Beyond(bytes),
            End::Reached => Extent::Exactly(bytes),
            End::BrokeOff(length) if self.file.metadata()?.len() != length => Extent::Beyond(bytes),
            End::BrokeOff(_) => Extent::BreaksOff(bytes),
            End::Damaged => Extent::Damaged(bytes),
        })
    }

    fn restart(&mut self) -> io::Result<()> {
        self.decoder = self.codec.decoder(Positional { file: Arc::clone(&self.file), offset: 0 })?;
        self.head.clear();
        self.tail.clear();
        self.tail_start = 0;
        self.end = End::Ahead;
        Ok(())
    }

    /// Decodes one more step. `needed`: bytes before this offset may be let go. False: there is no more.
    fn decode(&mut self, needed: u64) -> io::Result<bool> {
        if self.end != End::Ahead {
            return Ok(false);
        }
        if self.tail.len() >= TAIL_BYTES_MAX {
            let keep_from = needed.saturating_sub(STEP_BACK_BYTES).min(self.tail_end());
            let unneeded = keep_from.saturating_sub(self.tail_start) as usize;
            self.tail.drain(..unneeded);
            self.tail_start += unneeded as u64;
        }
        let length = self.tail.len();
        self.tail.resize(length + STEP_BYTES, 0);
        let outcome = self.decoder.read(self.tail.get_mut(length..).unwrap_or_default());
        let read = *outcome.as_ref().unwrap_or(&0);
        self.tail.truncate(length + read);
        match outcome {
            Ok(0) => self.end = End::Reached,
            Ok(_) => self.keep_head(length),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                self.end = End::BrokeOff(self.file.metadata()?.len());
            }
            // The system could not read the file: that says nothing about what is in it.
            Err(error) if error.raw_os_error().is_some() => return Err(error),
            Err(_) => self.end = End::Damaged,
        }
        Ok(self.end == End::Ahead)
    }

    fn keep_head(&mut self, from: usize) {
        let missing = HEAD_BYTES - self.head.len();
        let fresh = self.tail.get(from..).unwrap_or_default();
        self.head.extend_from_slice(fresh.get(..missing).unwrap_or(fresh));
    }
}

/// Reads a file in order without moving the position that its handle has.
struct Positional {
    file: Arc<File>,
    offset: u64,
}

impl Read for Positional {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.offset)?;
        self.offset += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests;
