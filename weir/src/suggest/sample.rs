//! Whole lines from a file of any size: its head, and parts spread evenly over the rest.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

/// Bytes of the head.
const HEAD_BYTES: u64 = 512 * 1024;

/// Further parts.
const PARTS: u64 = 16;

/// Bytes of one of them.
const PART_BYTES: u64 = 32 * 1024;

/// What was read.
#[derive(Debug)]
pub struct Sample {
    /// Whole lines, each with its newline.
    pub bytes: Vec<u8>,
    /// Whether that is all there is.
    pub is_whole: bool,
}

/// Lines of a file.
pub fn of_file(file: &mut File) -> io::Result<Sample> {
    let length = file.metadata()?.len();
    let mut sample = of_stream(file)?;
    if sample.is_whole {
        return Ok(sample);
    }
    let stride = length.saturating_sub(HEAD_BYTES) / PARTS;
    for part in 0..PARTS {
        // A file that grows is longer than it was; one that was cut ends early. Both give whole lines.
        file.seek(SeekFrom::Start(HEAD_BYTES + part * stride))?;
        let bytes = read(file, PART_BYTES)?;
        sample.bytes.extend_from_slice(whole_lines(after_first_newline(&bytes)));
    }
    Ok(sample)
}

/// Lines of the beginning of a stream.
pub fn of_stream(input: &mut dyn Read) -> io::Result<Sample> {
    let mut bytes = read(input, HEAD_BYTES + 1)?;
    let is_whole = bytes.len() as u64 <= HEAD_BYTES;
    if !is_whole {
        bytes.truncate(whole_lines(&bytes).len());
    }
    Ok(Sample { bytes, is_whole })
}

fn read(input: &mut dyn Read, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    input.take(bytes_max).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn after_first_newline(bytes: &[u8]) -> &[u8] {
    memchr::memchr(b'\n', bytes).map_or(&[], |newline| &bytes[newline + 1..])
}

fn whole_lines(bytes: &[u8]) -> &[u8] {
    memchr::memrchr(b'\n', bytes).map_or(&[], |newline| &bytes[..=newline])
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_large_file_is_read_in_part_from_its_head_to_its_end_and_lines_stay_whole() {
        let mut file = tempfile::tempfile().expect("a file");
        let lines: String = (0..400_000).map(|number| format!("line {number:06}\n")).collect();
        file.write_all(lines.as_bytes()).expect("written");
        file.rewind().expect("rewound");
        let sample = of_file(&mut file).expect("read");
        assert!(!sample.is_whole && sample.bytes.len() < 1_100_000);
        let text = String::from_utf8(sample.bytes).expect("UTF-8");
        assert!(text.lines().all(|line| line.len() == 11 && line.starts_with("line ")));
        let last = text.lines().last().and_then(|line| line[5..].parse::<u32>().ok());
        assert!(last > Some(375_000), "{last:?}");
    }

    #[test]
    fn a_small_file_is_read_whole_its_last_line_without_a_newline_too() {
        let sample = of_stream(&mut &b"a\nb"[..]).expect("read");
        assert_eq!((sample.bytes.as_slice(), sample.is_whole), (&b"a\nb"[..], true));
    }
}
