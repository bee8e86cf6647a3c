//! An event that is written over several lines, as far as it has been read: which lines can come next.

use super::super::access;
use super::super::journald::{self, Export};
use super::super::plain::{begins_csvlog, is_open_behind, level_at_start};
use super::super::time::begins_with_time;
use super::super::trace::{exception_header, is_frame, is_python_error, is_ruby_frame};
use super::super::windows::List;
use super::Preset;
use super::lines::{
    begins_clause, begins_with_level, has_property, is_bare_time, is_cause, is_console_category, is_free,
    is_go, is_go_panic, is_indented, is_java_thread, is_java_util, is_klog, is_node_source, is_of_clickhouse,
    is_opening_json, is_php, is_ruby, is_ruby_logger, is_rust, is_rust_panic, is_rust_panic_inside,
    is_slow_log_head, is_traceback, is_zap, is_zap_frame, may_be_json, opens_object,
};

/// What has been read of an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Event {
    /// A whole line: nothing goes on it.
    #[default]
    Whole,
    /// One line of text. `stamped`: it begins with a time, or is the first of a program that indents what follows.
    Text { stamped: bool },
    /// Behind a line that is nothing but a time: what has none of its own is of it.
    Block,
    /// Inside a stack trace of frames (Java, .NET, JavaScript), or of other text of which all further lines are indented.
    /// `stamped`: it began with such a line.
    Frames { stamped: bool },
    /// Behind the header of an exception that a line with a time tells of, or of its cause: what it says may go on.
    ErrorText(Further),
    /// In the frames behind it.
    ErrorFrames,
    /// Behind Python's `Traceback (most recent call last):`. `timed`: a line with a time tells of it.
    Traceback { timed: bool },
    /// Behind the exception of a traceback: what it says may go on.
    TracebackEnd { timed: bool, further: Further },
    /// Behind the blank line after it, or the sentence that tells of the next one.
    TracebackChain { timed: bool },
    /// Behind a line with a time and no text: a report may follow.
    Heading,
    /// In that report, as Spring Boot writes of what keeps an application from starting.
    Report(Further),
    /// Behind a line of zap's console that may show a trace, or in that trace.
    Zap,
    /// In a panic of Go.
    Go,
    /// Behind `thread '..' panicked at ..:`: the message follows.
    RustPanic,
    /// Behind a panic's message, or in an error's causes.
    Rust,
    /// Behind the source line that JavaScript shows before an uncaught error.
    NodeSource,
    /// In that error's trace.
    NodeTrace,
    /// In a statement of SQL whose further lines are not indented.
    Statement,
    /// Behind a request in Gin's access log: its errors follow.
    Gin,
    /// In an exception of Ruby.
    Ruby,
    /// Behind PHP's `Stack trace:`.
    Php,
    /// Inside a JSON object; how many brackets are open.
    Json { depth: u32 },
    /// Behind the first of two lines of `java.util.logging`: the level and the message follow.
    JavaUtil,
    /// In an entry of MySQL's slow log. `has_query`: its statement has begun.
    SlowQuery { has_query: bool },
    /// In an event of Windows that a tool lists.
    Windows(List),
    /// In an entry of the journal's export format.
    Export(Export),
    /// Behind a line of ClickHouse's that shows a stack trace, or in that.
    ClickHouse,
    /// In a quoted value of PostgreSQL's comma-separated log.
    Quoted,
    /// In the three lines that MySQL begins a slow log with, at every start.
    SlowLogHead,
}

/// How many lines have gone on a text that are not indented: any text can stand there, another writer's too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Further(u8);

impl Further {
    /// Most of them.
    const MAX: u8 = 50;

    /// Takes one more; none where it begins an event, or there were too many.
    fn next(self, line: &[u8], preset: Preset) -> Option<Further> {
        const PAIRS: [&[u8]; 5] = [b"time=", b"ts=", b"t=", b"level=", b"lvl="];
        let is_text = || {
            let text = std::str::from_utf8(line).unwrap_or_default();
            Event::begin(line, preset) == Event::Text { stamped: false }
                && level_at_start(text).is_none()
                && exception_header(text).is_none()
                && !PAIRS.iter().any(|key| line.starts_with(key))
        };
        let goes_on = !line.trim_ascii().is_empty() && (is_indented(line) || is_text());
        (goes_on && self.0 < Further::MAX).then_some(Further(self.0 + 1))
    }
}

impl Event {
    /// Reads a first line.
    pub(super) fn begin(line: &[u8], preset: Preset) -> Event {
        match line.first() {
            Some(b'{' | b'[') if allows(preset, Preset::Json) && is_opening_json(line) => {
                return next_json(0, line).unwrap_or_default();
            }
            Some(b'{' | b'<') => return Event::Whole,
            Some(b'_') if journald::is_export(line) => return Event::Export(Export::Fields),
            Some(b'#') if line.starts_with(b"# Time: ") || line.starts_with(b"# User@Host: ") => {
                return Event::SlowQuery { has_query: false };
            }
            Some(_) if is_slow_log_head(line) => return Event::SlowLogHead,
            Some(b'T') if is_traceback(line) => return Event::Traceback { timed: false },
            Some(b'g' | b'p' | b'f') if is_go_panic(line) => return Event::Go,
            Some(b't') if is_rust_panic(line) => return Event::RustPanic,
            Some(b'[') if line.starts_with(b"[GIN] ") => return Event::Gin,
            Some(b'E') if line.starts_with(b"Error: ") => return Event::Rust,
            Some(b'/' | b'f' | b'n') if is_node_source(line) => return Event::NodeSource,
            _ => {}
        }
        if let Some(list) = List::begin(line) {
            return Event::Windows(list);
        }
        let is_timed = begins_with_time(line);
        if is_timed && is_bare_time(line) && allows(preset, Preset::Indented) {
            return Event::Block;
        }
        if is_timed && begins_csvlog(line) {
            return if is_open_behind(line, false) { Event::Quoted } else { Event::Whole };
        }
        if is_timed && line.ends_with(b"always include the lines below):") {
            return Event::ClickHouse;
        }
        if is_timed && is_zap(line) {
            return Event::Zap;
        }
        let is_stamped = is_timed || begins_with_level(line) || is_klog(line);
        if is_stamped && is_java_util(line) {
            return Event::JavaUtil;
        }
        // Syslog and access logs are whole as they are.
        let is_syslog = is_timed
            && matches!(line, [first, _, _, b' ', day, ..] if *first != b'[' && !day.is_ascii_alphabetic());
        if is_syslog || std::str::from_utf8(line).is_ok_and(access::is_access) {
            return Event::Whole;
        }
        if is_stamped && is_rust_panic_inside(line) {
            return Event::RustPanic;
        }
        if is_traceback(line) {
            return Event::Traceback { timed: is_timed };
        }
        if is_timed && line.trim_ascii_end().ends_with(b" :") {
            return Event::Heading;
        }
        if opens_object(line) && allows(preset, Preset::Json) {
            return Event::Json { depth: 1 };
        }
        if is_java_thread(line) || line.starts_with(b"Hibernate:") || line.starts_with(b"terminate called ") {
            return Event::Frames { stamped: true };
        }
        let indents =
            is_stamped || is_console_category(line) || is_ruby_logger(line) || preset == Preset::Indented;
        Event::Text { stamped: indents }
    }

    /// Whether also a line that begins with a time goes on: bytes of the journal, whose number is known.
    pub(super) fn holds_any_line(self) -> bool {
        matches!(self, Event::Export(Export::Length { .. } | Export::Value { .. }))
    }

    /// Whether a further line could go on.
    pub(super) fn may_go_on(self) -> bool {
        !matches!(self, Event::Whole | Event::Json { depth: 0 })
    }

    /// Reads one more line, which does not begin with a time; none where it is of another event.
    pub(super) fn next(self, line: &[u8], preset: Preset) -> Option<Event> {
        match self {
            Event::Whole => None,
            Event::Json { depth } => (depth > 0 && may_be_json(line)).then(|| next_json(depth, line))?,
            Event::SlowQuery { has_query } => next_slow_query(has_query, line),
            Event::ClickHouse => is_of_clickhouse(line).then_some(Event::ClickHouse),
            Event::Quoted => Some(if is_open_behind(line, true) { Event::Quoted } else { Event::Whole }),
            Event::Windows(list) => list.next(line).map(Event::Windows),
            Event::Export(export) => export.next(line).map(Event::Export),
            Event::SlowLogHead => {
                let is_head = line.starts_with(b"Tcp port: ")
                    || line.starts_with(b"Time ")
                    || line.starts_with(b"Time\t");
                is_head.then_some(Event::SlowLogHead)
            }
            Event::RustPanic => is_free(line).then_some(Event::Rust),
            Event::JavaUtil => {
                let text = std::str::from_utf8(line).ok()?;
                level_at_start(text).map(|_| Event::Text { stamped: true })
            }
            Event::NodeSource => next_node_source(line),
            Event::NodeTrace => (line.is_empty() || next_frames(true, line).is_some()).then_some(self),
            Event::Statement => next_statement(line, preset),
            Event::Text { stamped } => next_text(stamped, line, preset),
            Event::Block => is_free(line).then_some(Event::Block),
            Event::Frames { stamped } => next_frames(stamped, line),
            Event::ErrorText(further) => next_error_text(further, line, preset),
            Event::ErrorFrames if is_cause(line) => Some(Event::ErrorText(Further::default())),
            Event::ErrorFrames => next_frames(false, line).map(|_| Event::ErrorFrames),
            Event::Traceback { .. } | Event::TracebackEnd { .. } | Event::TracebackChain { .. } => {
                self.next_traceback(line, preset)
            }
            Event::Heading if line.is_empty() => Some(Event::Report(Further::default())),
            Event::Heading => next_text(true, line, preset),
            Event::Report(further) if line.is_empty() => Some(Event::Report(further)),
            Event::Report(further) => further.next(line, preset).map(Event::Report),
            Event::Zap if is_zap_frame(line) => Some(Event::Zap),
            Event::Zap => next_text(true, line, preset),
            Event::Go => is_go(line).then_some(Event::Go),
            Event::Rust => is_rust(line).then_some(Event::Rust),
            Event::Gin => line.starts_with(b"Error #").then_some(Event::Gin),
            Event::Ruby => is_ruby(line).then_some(Event::Ruby),
            Event::Php => is_php(line).then_some(Event::Php),
        }
    }

    fn next_traceback(self, line: &[u8], preset: Preset) -> Option<Event> {
        let is_sentence = line.starts_with(b"During handling of the above exception")
            || line.starts_with(b"The above exception was the direct cause");
        match self {
            Event::Traceback { .. } if is_indented(line) => Some(self),
            Event::Traceback { timed } => {
                is_python_error(line).then_some(Event::TracebackEnd { timed, further: Further::default() })
            }
            Event::TracebackEnd { timed, .. } | Event::TracebackChain { timed }
                if line.is_empty() || is_sentence =>
            {
                Some(Event::TracebackChain { timed })
            }
            Event::TracebackEnd { timed: false, .. } => is_indented(line).then_some(self),
            Event::TracebackEnd { timed, further } => {
                further.next(line, preset).map(|further| Event::TracebackEnd { timed, further })
            }
            Event::TracebackChain { timed } if is_traceback(line) => Some(Event::Traceback { timed }),
            // SQLAlchemy's, behind a blank line.
            Event::TracebackChain { timed: true } if line.starts_with(b"[SQL: ") => {
                Some(Event::TracebackEnd { timed: true, further: Further::default() })
            }
            _ => None,
        }
    }
}

/// Whether a preset takes what `own` writes.
fn allows(preset: Preset, own: Preset) -> bool {
    preset == Preset::Auto || preset == own
}

fn next_text(stamped: bool, line: &[u8], preset: Preset) -> Option<Event> {
    if is_indented(line) {
        if is_ruby_frame(line) {
            return Some(Event::Ruby);
        }
        return match is_frame(line) {
            true => Some(Event::Frames { stamped }),
            false => stamped.then_some(Event::Text { stamped }),
        };
    }
    if is_frame(line) {
        return Some(Event::Frames { stamped });
    }
    if is_ruby_frame(line) && (stamped || allows(preset, Preset::Ruby)) {
        return Some(Event::Ruby);
    }
    if line == b"Stack trace:" || line == b"[stacktrace]" {
        return Some(Event::Php);
    }
    if !stamped {
        return None;
    }
    // VMware's further lines.
    if line.starts_with(b"-->") {
        return Some(Event::Text { stamped });
    }
    if is_traceback(line) {
        return Some(Event::Traceback { timed: true });
    }
    // MariaDB says in a second line what is ready for connections.
    if line.starts_with(b"Version: '") && allows(preset, Preset::Sql) {
        return Some(Event::Text { stamped });
    }
    // A panic itself is written by the runtime, behind whatever line was the last; a dump alone is of its log line.
    if line.starts_with(b"goroutine ") && is_go_panic(line) {
        return Some(Event::Go);
    }
    if preset == Preset::Sql || begins_clause(line) {
        return next_statement(line, preset);
    }
    // So is what nobody caught, in .NET and Java.
    if line.starts_with(b"Unhandled exception. ") || line.starts_with(b"Exception in thread \"") {
        return None;
    }
    let text = std::str::from_utf8(line).ok()?;
    exception_header(text).map(|_| Event::ErrorText(Further::default()))
}

/// What an exception says is any text up to its first frame.
fn next_error_text(further: Further, line: &[u8], preset: Preset) -> Option<Event> {
    if is_cause(line) {
        return Some(Event::ErrorText(Further::default()));
    }
    match is_frame(line) {
        true => Some(Event::ErrorFrames),
        false => further.next(line, preset).map(Event::ErrorText),
    }
}

fn next_frames(stamped: bool, line: &[u8]) -> Option<Event> {
    if stamped && is_cause(line) {
        return Some(Event::ErrorText(Further::default()));
    }
    let goes_on = is_frame(line)
        || stamped && is_indented(line)
        // What JavaScript shows of an error's properties, .NET between its traces, and gRPC for Node between its two.
        || matches!(line, b"}" | b"]" | b"]}")
        || line == b"for call at"
        || is_indented(line) && has_property(line)
        || line.starts_with(b"Node.js v");
    goes_on.then_some(Event::Frames { stamped })
}

fn next_node_source(line: &[u8]) -> Option<Event> {
    if line.is_empty()
        || is_indented(line)
        || line.starts_with(b"throw ")
        || line.iter().all(|byte| *byte == b'^')
    {
        return Some(Event::NodeSource);
    }
    let is_error = memchr::memmem::find(line, b"Error").is_some();
    (is_error && is_free(line)).then_some(Event::NodeTrace)
}

/// A statement's further line. Told that they are SQL, all lines without a time are.
fn next_statement(line: &[u8], preset: Preset) -> Option<Event> {
    const FURTHER: [&[u8]; 6] = [b"AND ", b"OR ", b"ON ", b"SET ", b"AS ", b")"];
    let is_further = is_indented(line)
        || begins_clause(line)
        || FURTHER.iter().any(|word| line.starts_with(word))
        || preset == Preset::Sql && is_free(line) && !line.is_empty();
    is_further.then_some(Event::Statement)
}

/// Counts the brackets of a line outside of strings.
fn next_json(depth: u32, line: &[u8]) -> Option<Event> {
    let (mut depth, mut in_string, mut escaped) = (depth, false, false);
    for byte in line {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.checked_sub(1)?,
            _ => {}
        }
    }
    Some(Event::Json { depth })
}

fn next_slow_query(has_query: bool, line: &[u8]) -> Option<Event> {
    // A statement of the protocol's own stands as a comment.
    if line.starts_with(b"# ") && !line.starts_with(b"# administrator command: ") {
        let is_first = line.starts_with(b"# Time: ");
        return (!has_query && !is_first).then_some(Event::SlowQuery { has_query: false });
    }
    (!line.is_empty() && !is_slow_log_head(line)).then_some(Event::SlowQuery { has_query: true })
}
