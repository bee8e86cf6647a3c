//! Opening log files safely, and telling who they are.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::UNIX_EPOCH;

use rustix::fs::OFlags;
use weir_record::FileIdentity;

use super::medium::Medium;
use super::text::Encoding;

/// Bytes of a file's head that tell text from everything else.
const SNIFF_BYTES: usize = 4096;

/// Where a tar archive says that it is one.
const TAR_MAGIC_AT: usize = 257;

/// A shorter run of NULs is no hole.
pub const HOLE_BYTES_MIN: usize = 64;

/// Holes that a log may have in its first bytes.
const HOLES_MAX: usize = 2;

/// Who a file is: the parts of its identity that the file system tells, in generation 0.
pub fn identity(metadata: &Metadata) -> FileIdentity {
    let birth = metadata.created().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    FileIdentity {
        device: metadata.dev(),
        inode: metadata.ino(),
        birth_nanos: birth.map_or(0, |birth| birth.as_nanos() as i64),
        generation: 0,
    }
}

/// Opens a regular file for reading. A FIFO, device or socket is refused and never waited for: the file is opened
/// without blocking, and looked at through the handle, not the path.
pub fn open_log(path: &Path) -> io::Result<File> {
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits() as i32;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let kind = file.metadata()?.file_type();
    if kind.is_file() {
        return Ok(file);
    }
    let what = if kind.is_dir() {
        "a directory"
    } else if kind.is_fifo() {
        "a FIFO"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    };
    Err(io::Error::new(io::ErrorKind::InvalidInput, format!("it is {what}, not a file")))
}

/// Opens the file at `path`; none if nothing is there, or if it is not, or no longer, the one that is meant.
pub fn open_same(path: &Path, meant: FileIdentity) -> io::Result<Option<Medium>> {
    let file = match open_log(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let same = identity(&file.metadata()?) == meant;
    if same { Medium::of(file).map(Some) } else { Ok(None) }
}

/// Reads from `offset` until `buffer` is full or the file ends; returns the bytes read.
pub fn read_fully(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// What a content that is no text log seems to be; none for text and for what is still empty.
pub fn not_text(medium: &mut Medium, encoding: Encoding) -> io::Result<Option<&'static str>> {
    let mut head = [0; SNIFF_BYTES];
    let read = medium.read(&mut head, 0)?;
    Ok(classify(head.get(..read).unwrap_or_default(), encoding))
}

fn classify(head: &[u8], encoding: Encoding) -> Option<&'static str> {
    const MAGICS: [(&[u8], &str); 6] = [
        (b"\xfd7zXZ\0", "xz-compressed"),
        (b"\x04\x22\x4d\x18", "lz4-compressed"),
        (b"PK\x03\x04", "a zip archive"),
        (b"LPKSHHRH", "a systemd journal"),
        (b"\x7fELF", "a program"),
        (b"SQLite format 3\0", "a database"),
    ];
    if let Some((_, what)) = MAGICS.iter().find(|(magic, _)| head.starts_with(magic)) {
        return Some(what);
    }
    if encoding.or_of_mark(head).is_wide() {
        return None;
    }
    if head.get(TAR_MAGIC_AT..).is_some_and(|rest| rest.starts_with(b"ustar")) {
        return Some("a tar archive");
    }
    // A log may hold a few stray control bytes, and holes, which read as long runs of NULs; a binary file is full of
    // both.
    let is_odd = |byte: u8| byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r' | 0x1b | 0x08);
    let runs = head.chunk_by(|one, other| (*one == 0) == (*other == 0));
    let holes = runs.filter(|run| run.first() == Some(&0) && run.len() >= HOLE_BYTES_MIN);
    let in_holes: usize = holes.take(HOLES_MAX).map(<[u8]>::len).sum();
    let odd = head.iter().filter(|&&byte| is_odd(byte)).count() - in_holes;
    (odd * 10 > head.len() - in_holes).then_some("binary")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_told_from_archives_and_binaries() {
        assert_eq!(classify(b"", Encoding::UTF_8), None);
        assert_eq!(classify(b"2026-11-20 hello\n", Encoding::UTF_8), None);
        assert_eq!(classify("\u{1b}[31mrot\u{1b}[0m größe\n".as_bytes(), Encoding::UTF_8), None);
        assert_eq!(classify(b"PK\x03\x04rest", Encoding::UTF_8), Some("a zip archive"));
        assert_eq!(classify(b"LPKSHHRH....", Encoding::UTF_8), Some("a systemd journal"));
        assert_eq!(classify(&[b"2026-11-20 hello\n".as_slice(), &[0; 4000]].concat(), Encoding::UTF_8), None);
        assert_eq!(classify(&[0; 4096], Encoding::UTF_8), None);
        assert_eq!(
            classify(&[[0; 100].as_slice(), b"a", &[0; 100], b"b", &[0; 100]].concat(), Encoding::UTF_8),
            Some("binary")
        );
        assert_eq!(classify(&[0, 0, 0, 2, b't', b't', b'y', 0, 0, 0], Encoding::UTF_8), Some("binary"));
    }

    #[test]
    fn a_fifo_is_refused_and_never_waited_for() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0)
            .expect("made");
        let error = open_log(&path).expect_err("refused");
        assert_eq!(error.to_string(), "it is a FIFO, not a file");
        assert!(open_log(Path::new("/dev/zero")).is_err());
        assert!(open_log(directory.path()).is_err());
    }
}
