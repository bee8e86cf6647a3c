//! Lines of the Container Runtime Interface: `2026-11-21T10:00:00.123456789Z stdout F text`.
//!
//! Tags are separated by colons; the first says `P`, a piece that the next goes on, or `F`, the last piece or a whole
//! line. <https://github.com/kubernetes/design-proposals-archive/blob/main/node/kubelet-cri-logging.md>

use memchr::memchr;
use weir_record::Timestamp;

use super::envelope::{Piece, Stream};

/// Unwraps a line; none where it is none of these.
pub(super) fn read(line: &[u8]) -> Option<Piece<'_>> {
    // Nearly every other line is told by its first byte.
    if !line.first()?.is_ascii_digit() {
        return None;
    }
    let (time, rest) = word(line)?;
    let (stream, rest) = word(rest)?;
    let (tags, text) = word(rest).unwrap_or((rest, b""));
    let is_partial = match tags.split(|&byte| byte == b':').next()? {
        b"P" => true,
        b"F" => false,
        _ => return None,
    };
    let stream = Stream::from_name(stream)?;
    Some(Piece { time: Timestamp::parse_rfc3339(time)?, stream, is_partial, text })
}

fn word(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr(b' ', text)?;
    Some((&text[..end], &text[end + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, stream: Stream, is_partial: bool, text: &str) {
        let piece = read(line.as_bytes()).expect("wrapped");
        assert_eq!((piece.stream, piece.is_partial), (stream, is_partial), "{line}");
        assert_eq!(piece.text, text.as_bytes(), "{line}");
    }

    #[test]
    fn whole_lines_pieces_and_empty_lines_are_read() {
        check(
            "2026-11-21T10:00:00.123456789Z stdout F hello  world ",
            Stream::Stdout,
            false,
            "hello  world ",
        );
        check("2026-11-21T10:00:00.1+01:00 stderr P  \tat x", Stream::Stderr, true, " \tat x");
        check("2026-11-21T10:00:00Z stdout F ", Stream::Stdout, false, "");
        check("2026-11-21T10:00:00Z stdout F", Stream::Stdout, false, "");
        check("2026-11-21T10:00:00Z stdout P:more:tags x", Stream::Stdout, true, "x");
    }

    #[test]
    fn the_time_keeps_its_nanoseconds_and_its_zone_counts() {
        let time = |line: &str| read(line.as_bytes()).expect("wrapped").time.to_string();
        assert_eq!(time("2026-11-21T10:00:00.123456789Z stdout F x"), "2026-11-21T10:00:00.123456789Z");
        assert_eq!(time("2026-11-21T10:00:00.5+02:00 stdout F x"), "2026-11-21T08:00:00.500Z");
    }

    #[test]
    fn what_is_written_otherwise_is_left_alone() {
        for line in [
            "",
            "hello",
            "2026-11-21T10:00:00Z",
            "2026-11-21T10:00:00Z INFO F x",
            "2026-11-21T10:00:00Z stdout x",
            "2026-11-21T10:00:00Z stdout FULL x",
            "2026-11-21T10:00:00 stdout F x",
            "2026-13-21T10:00:00Z stdout F x",
        ] {
            assert_eq!(read(line.as_bytes()), None, "{line}");
        }
    }
}
