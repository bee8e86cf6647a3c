//! What a container engine writes around each line: its time, its stream, and whether it is whole.

use weir_record::Timestamp;

use super::{cri, docker};

/// How an engine wraps the lines of its containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrapping {
    /// The Container Runtime Interface's: containerd, CRI-O, Podman's `k8s-file`.
    Cri,
    /// Docker's `json-file`.
    Docker,
}

/// Which of its outputs a container wrote to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Stream {
    /// Reads `stdout` or `stderr`.
    pub(super) fn from_name(name: &[u8]) -> Option<Stream> {
        match name {
            b"stdout" => Some(Stream::Stdout),
            b"stderr" => Some(Stream::Stderr),
            _ => None,
        }
    }

    /// The name, as in `log.iostream`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        }
    }
}

/// One line of a container's log file: a line of the container, or a piece of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece<'l> {
    /// When the engine got it.
    pub time: Timestamp,
    /// Where from.
    pub stream: Stream,
    /// Whether the next piece of the same stream goes on the line.
    pub is_partial: bool,
    /// What the container wrote, without a newline.
    pub text: &'l [u8],
}

impl Wrapping {
    /// How this line is wrapped, if it is.
    pub fn of(line: &[u8]) -> Option<Wrapping> {
        if cri::read(line).is_some() {
            return Some(Wrapping::Cri);
        }
        docker::read(line, &mut Vec::new()).map(|_| Wrapping::Docker)
    }

    /// Unwraps a line (no newline, no trailing CR); none where it is not wrapped so. `scratch` is used where the text
    /// does not stand in the line as it is.
    pub fn read<'l>(self, line: &'l [u8], scratch: &'l mut Vec<u8>) -> Option<Piece<'l>> {
        match self {
            Wrapping::Cri => cri::read(line),
            Wrapping::Docker => docker::read(line, scratch),
        }
    }
}

/// What is known of a record beside its text.
#[derive(Clone, Copy, Debug, Default)]
pub struct Envelope<'e> {
    /// Whether something was taken out of the text.
    pub is_redacted: bool,
    /// `@timestamp` where the text states none.
    pub time: Option<Timestamp>,
    /// `log.iostream`.
    pub stream: Option<Stream>,
    /// The bytes that the text was decoded from, where not all of them could be: kept in `event.original`.
    pub undecodable: Option<&'e [u8]>,
    /// Whether its last piece is missing.
    pub is_partial: bool,
}
