//! What a shipper is told to do, checked and resolved: the configuration file and the command line both end here.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use weir_record::{Field, Query, SourceId};

use crate::backfill::Period;
use crate::follow::TextRules;
use crate::geo::Geo;
use crate::metadata::HostFields;
use crate::parse::{Format, FormatError, Multiline, PatternError, PatternLibrary, Patterns, Zone};
use crate::redact::Redactor;
use crate::shape::Step;

/// All that one shipper does.
#[derive(Clone, Debug)]
pub struct ShipSettings {
    /// Directory of the checkpoint and its lock.
    pub state: PathBuf,
    /// Whose files these are: part of every record's identity.
    pub source: SourceId,
    /// `host.name` of every record.
    pub host: String,
    /// What to follow.
    pub sources: Vec<SourceSettings>,
    /// When to stop.
    pub mode: Mode,
    /// How long to wait for what.
    pub timing: Timing,
    /// How much of the system it takes.
    pub limits: Limits,
    /// Deleted files that are not read to their end yet are kept open, up to this many bytes.
    pub deleted_bytes_max: u64,
}

/// How long the follower waits before it draws a conclusion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// A file that was rotated away or removed, and did not grow for this long, is finished: its unterminated last
    /// line is sent. What cannot be found anywhere for this long has vanished.
    pub rotated_quiet: Duration,
    /// A copy or compressed twin that did not change for this long is complete, and what it was made of stays.
    pub copy_quiet: Duration,
}

impl Default for Timing {
    fn default() -> Timing {
        Timing { rotated_quiet: Duration::from_secs(5), copy_quiet: Duration::from_secs(5) }
    }
}

/// How much of the system a shipper takes at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Log files that are open at once; never more than half of what the process may open.
    pub handles: usize,
    /// Idle files whose growth the kernel is to tell; each costs it about a kilobyte. The others are polled.
    pub watches: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { handles: 1024, watches: 65_536 }
    }
}

/// Default of [`ShipSettings::deleted_bytes_max`].
pub const DELETED_BYTES_MAX: u64 = 1 << 30;

/// How long a shipper runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Until it is told to stop.
    Follow,
    /// Until an input has ended (standard input), and its records are where [`Settled`] says.
    Input(Settled),
    /// Until every file was read to its end, and its records are where [`Settled`] says.
    Once(Settled),
}

/// When `--once` calls a record done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// The buffer has it.
    Pushed,
    /// The worker has indexed it.
    Indexed,
}

/// One `[[source]]`.
#[derive(Clone, Debug)]
pub struct SourceSettings {
    /// `service.name`; none: the line's own, else from the path.
    pub service: Option<String>,
    /// Globs, `**` included.
    pub paths: Vec<String>,
    /// Globs of full paths or of file names that are left alone.
    pub exclude: Vec<String>,
    /// How lines are read.
    pub format: Format,
    /// Patterns that take the format's place.
    pub patterns: Option<Patterns>,
    /// The patterns that others may name.
    pub pattern_library: PatternLibrary,
    /// Names of the columns of separated values; none: the first line has them.
    pub columns: Vec<String>,
    /// Which lines are joined.
    pub multiline: Multiline,
    /// Of time stamps that name none.
    pub zone: Zone,
    /// What the files' bytes are, and what their lines are turned into before they are parsed.
    pub text: TextRules,
    /// Where a file that is met for the first time is read from.
    pub start: Start,
    /// `service.environment`.
    pub environment: Option<String>,
    /// `labels.*`.
    pub labels: Vec<(String, String)>,
    /// What is known of this machine, in every record that it wrote.
    pub host_fields: HostFields,
    /// What tells where each `source.ip` is.
    pub geo: Option<Arc<Geo>>,
    /// The ingest pipeline that the records go through in the index.
    pub pipeline: Option<String>,
    /// The event times that are wanted.
    pub period: Period,
    /// What is taken out of lines before anything else is done with them.
    pub redactor: Option<Arc<Redactor>>,
    /// What is done to parsed records, in this order.
    pub shape: Vec<Step>,
    /// A record that matches one of these is not shipped, and counted.
    pub drop: Vec<Query>,
    /// Whether a rotated file is deleted from disk once it is finished and indexed: the journal of an input.
    pub remove_when_indexed: bool,
    /// What stands in records for the path of a file that is only the journal of an input; none: the path itself.
    pub origin: Option<Origin>,
}

/// Where the lines of a journal came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// `log.file.path` of the records, such as `stdin` or `syslog udp://127.0.0.1:5514`.
    pub name: String,
    /// `service.name`, where neither the configuration nor the line names one.
    pub service: String,
    /// Who wrote the lines.
    pub host: LineHost,
}

/// The machine that the lines of an input are from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineHost {
    /// The shipper's own: `host.name` is its name.
    Here,
    /// Any: `host.name` is what the line states.
    Stated,
}

/// A format that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SetFormatError {
    /// Its name is not known.
    #[error(transparent)]
    Name(#[from] FormatError),
    /// The pattern.
    #[error(transparent)]
    Pattern(#[from] PatternError),
}

/// Where a new file is read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// Its first byte.
    Beginning,
    /// What is written from now on. Only for files that are there when the shipper meets their directory for the
    /// first time: a file that appears later is new, and is read from its beginning.
    End,
}

impl SourceSettings {
    /// Follows `paths` with every default.
    pub fn new(paths: Vec<String>) -> SourceSettings {
        SourceSettings {
            service: None,
            paths,
            exclude: Vec::new(),
            format: Format::Auto,
            patterns: None,
            pattern_library: PatternLibrary::default(),
            columns: Vec::new(),
            multiline: Multiline::default(),
            zone: Zone::local(),
            text: TextRules::default(),
            start: Start::Beginning,
            environment: None,
            labels: Vec::new(),
            host_fields: HostFields::default(),
            geo: None,
            pipeline: None,
            period: Period::default(),
            redactor: None,
            shape: Vec::new(),
            drop: Vec::new(),
            remove_when_indexed: false,
            origin: None,
        }
    }

    /// Sets the format by its name, or by one pattern or several (`grok:...`, `regex:...`).
    ///
    /// # Errors
    /// An unknown name, or a pattern that cannot be used.
    pub fn set_format<T: AsRef<str>>(&mut self, told: &[T]) -> Result<(), SetFormatError> {
        (self.format, self.patterns) = match (Patterns::of_formats(told, &self.pattern_library), told) {
            (Some(patterns), _) => (Format::Plain, Some(patterns?)),
            (None, [name]) => (name.as_ref().parse()?, None),
            (None, _) => (Format::Auto, None),
        };
        Ok(())
    }

    /// Whether the lines themselves state their host: then the shipper's is not theirs.
    pub fn states_host(&self) -> bool {
        self.origin.as_ref().is_some_and(|origin| origin.host == LineHost::Stated)
    }

    /// Whether the source's patterns name this path.
    pub fn names(&self, path: &std::path::Path) -> bool {
        crate::follow::Globs::new(self).is_ok_and(|globs| globs.matches(path))
    }

    /// The schema fields that the shared fragment of this source's frames settles. `service.name` is among them only
    /// where it is configured: else a line's own counts.
    pub fn settled_fields(&self) -> impl Iterator<Item = Field> {
        let service = self.service.as_ref().map(|_| Field::ServiceName);
        let environment = self.environment.as_ref().map(|_| Field::ServiceEnvironment);
        let host = (!self.states_host()).then_some(Field::HostName);
        [Field::LogFilePath].into_iter().chain(host).chain(service).chain(environment)
    }
}

/// Growth of a busy file is polled this often: it bounds the latency of a line.
pub const POLL_INTERVAL_MIN: Duration = Duration::from_millis(10);

/// An idle file is polled this often: it bounds the cost of thousands of them.
pub const POLL_INTERVAL_MAX: Duration = Duration::from_secs(1);

/// Globs are walked this often when no directory event came: network file systems send none.
pub const SCAN_INTERVAL: Duration = Duration::from_secs(2);

/// A record that the next line could continue is held this long at the end of a file.
pub const HOLD: Duration = Duration::from_millis(200);

/// One file's share before the next file's turn, so that a flood does not starve the others.
pub const TURN_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Bytes of one read.
pub const READ_BYTES: usize = 256 * 1024;

/// Frames between the reading thread and the pushing task: with 65 kB each, this bounds what waits in memory.
pub const FRAMES_IN_FLIGHT: usize = 64;

/// Checkpoints are written this often while they change.
pub const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(5);

/// A handle without growth is closed after this long once all it holds is indexed.
pub const IDLE_CLOSE: Duration = Duration::from_secs(60);

/// A stop waits this long for what was read to reach the buffer.
pub const STOP_DEADLINE: Duration = Duration::from_secs(10);
