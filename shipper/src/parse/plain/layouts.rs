//! Layouts that several programs share, and that are certain by more than a time and a level.

use weir_record::{Level, Timestamp};

use super::super::cut::Cut;
use super::super::zone::Clock;
use super::header::Header;
use super::parts::{is_logger, logger_and_line};
use super::words::{Words, number};

/// `2026-11-20 21:39:19,123 [myid:1] - INFO  [main:QuorumPeerConfig@124] - Reading configuration` (ZooKeeper): thread,
/// class and line of the code.
pub(super) fn zookeeper(line: &str, moment: Timestamp, length: usize) -> Option<Header<'_>> {
    let mut words = Words::at(line, length);
    let mut header = Header::stamped(moment, 0);
    if words.skip(" [myid:") {
        header.attribute("myid", words.until("]")?);
    }
    words.skip(" - ").then_some(())?;
    header.level = Some(capital_level(words.word()?)?);
    words.skip("[").then_some(())?;
    // Threads are called `QuorumPeer[myid=2]/0.0.0.0:2181`.
    let place = words.until("] - ")?;
    let (thread, place) = place.rsplit_once(':')?;
    let (class, origin_line) = place.rsplit_once('@')?;
    header.thread = Some(thread);
    header.logger = Some(class).filter(|class| is_logger(class));
    header.logger?;
    header.origin = Some(("", number(origin_line)?));
    header.lifts_pairs = true;
    header.message_start = words.position();
    Some(header)
}

/// `2026-11-20T21:39:19.123456Z  INFO request{id=7}: shop::http: done latency=1ms` (Rust's `tracing`): the level is
/// filled to five letters; threads and spans are shown on demand.
pub(super) fn tracing(line: &str, moment: Timestamp, length: usize) -> Option<Header<'_>> {
    const LEVELS: [(&str, Level); 5] = [
        ("  INFO ", Level::Info),
        ("  WARN ", Level::Warning),
        (" ERROR ", Level::Error),
        (" DEBUG ", Level::Debug),
        (" TRACE ", Level::Trace),
    ];
    let is_exact = line[..length].ends_with('Z') && line.as_bytes().get(10) == Some(&b'T');
    is_exact.then_some(())?;
    let (filled, level) = LEVELS.iter().find(|(filled, _)| line[length..].starts_with(filled))?;
    let mut words = Words::at(line, length + filled.len());
    let mut header = Header { time: Some(moment), level: Some(*level), ..Header::default() };
    thread_of_tracing(&mut words, &mut header);
    let start = words.position();
    let mut spans_end = start;
    while let Some(length) = span_length(words.rest()) {
        words.advance(length);
        spans_end = words.position() - 1;
        words.skip(" ");
    }
    header.pairs = &line[start..spans_end];
    place_of_tracing(&mut words, &mut header);
    if header.origin.is_none() {
        let target = words.until(": ").filter(|target| is_target(target))?;
        header.logger = Some(target);
        place_of_tracing(&mut words, &mut header);
    }
    if !header.pairs.is_empty() {
        header.attribute("spans", header.pairs);
    }
    header.lifts_pairs = true;
    header.message_start = words.position();
    Some(header)
}

/// `main ThreadId(01) `, or one of the two.
fn thread_of_tracing<'l>(words: &mut Words<'l>, header: &mut Header<'l>) {
    let before = *words;
    let mut name = None;
    if !words.rest().starts_with("ThreadId(") {
        name = words.word().filter(|_| words.rest().starts_with("ThreadId("));
        if name.is_none() {
            *words = before;
            return;
        }
    }
    let is_id = words.skip("ThreadId(");
    match words.until(") ").and_then(number).filter(|_| is_id) {
        Some(id) => {
            header.thread_id = Some(u64::from(id));
            header.thread = name;
        }
        None => *words = before,
    }
}

/// `src/main.rs:17: `, on demand too.
fn place_of_tracing<'l>(words: &mut Words<'l>, header: &mut Header<'l>) {
    let place = words.rest().cut(": ").and_then(|(place, _)| Some((place, place.rsplit_once(':')?)));
    if let Some((place, (file, line))) = place
        && file.ends_with(".rs")
        && !file.contains(' ')
        && let Some(line) = number(line)
    {
        header.origin = Some((file, line));
        words.advance(place.len() + 2);
    }
}

/// The length of `request{method=GET path="/a"}:` at the start, its colon included.
fn span_length(text: &str) -> Option<usize> {
    let name = text.find(['{', ' ', ':'])?;
    text[name..].starts_with('{').then_some(())?;
    (is_target(&text[..name])).then_some(())?;
    let (fields, _) = text[name..].cut("}:")?;
    // A name can be looked for no further than the fields of its span.
    (!fields[1..].has(b'{')).then_some(name + fields.len() + 2)
}

/// Whether a text is a path of Rust's modules.
fn is_target(text: &str) -> bool {
    !text.is_empty()
        && text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':' | b'-' | b'.'))
}

/// `2026-11-20 21:39:19.123 | INFO     | shop.cart:add:12 - added` (loguru).
pub(super) fn loguru(line: &str, moment: Timestamp, length: usize) -> Option<Header<'_>> {
    let mut words = Words::at(line, length);
    words.skip(" | ").then_some(())?;
    let level = words.until("| ")?.trim_end();
    // Its own levels are among those of others.
    let level = match level {
        "SUCCESS" => Level::Info,
        _ => capital_level(level)?,
    };
    let (place, origin_line) = words.until(" - ")?.rsplit_once(':')?;
    let (module, function) = place.rsplit_once(':')?;
    let mut header = Header::stamped(moment, words.position());
    header.level = Some(level);
    header.logger = Some(module).filter(|module| is_logger(module));
    header.logger?;
    header.function = Some(function);
    header.origin = Some(("", number(origin_line)?));
    header.lifts_pairs = true;
    Some(header)
}

/// `2026-11-20 21:39:19,123:INFO:shop.api:started`, `..:shop.api:INFO:started`, `..:INFO:started` (Python, by formats that
/// many use), and with two colons each.
pub(super) fn colons(line: &str, moment: Timestamp, length: usize) -> Option<Header<'_>> {
    let mut words = Words::at(line, length);
    if words.skip("::") {
        return double_colons(words, moment);
    }
    words.skip(":").then_some(())?;
    words.skip(" ");
    let first = words.until(":")?;
    let mut header = Header { time: Some(moment), level: capital_level(first), ..Header::default() };
    let is_name = |name: &str| is_logger(name) && !name.has(b'/');
    let second = words.rest().cut_byte(b':');
    match (header.level, second) {
        // A word with a blank behind its colon may be the message's, one with slashes is an address' scheme.
        (Some(_), Some((name, message)))
            if is_name(name)
                && (name.has(b'.') || !message.starts_with(' '))
                && !message.starts_with("//")
                && !message.starts_with(':') =>
        {
            header.logger = Some(name);
            words.advance(name.len() + 1);
        }
        (Some(_), _) => {}
        (None, second) => {
            let (level, _) = second?;
            header.level = Some(capital_level(level)?);
            header.logger = Some(first).filter(|name| is_name(name));
            header.logger?;
            words.advance(level.len() + 1);
        }
    }
    words.skip(" ");
    header.message_start = words.position();
    header.lifts_pairs = true;
    Some(header)
}

/// `2026.11.20 21:39:19.123456 [ 847 ] {6f1a-query} <Warning> TCPHandler: text` (ClickHouse): thread, query, level, logger.
pub(super) fn clickhouse(line: &str, moment: Timestamp, length: usize) -> Option<Header<'_>> {
    let mut words = Words::at(line, length);
    words.skip(" [ ").then_some(())?;
    let thread = number(words.until(" ] {")?)?;
    let query = words.until("} <")?;
    let level = Level::from_name(words.until("> ")?.as_bytes())?;
    let mut header = Header::stamped(moment, words.position());
    header.level = Some(level);
    header.thread_id = Some(u64::from(thread));
    if !query.is_empty() {
        header.attribute("query_id", query);
    }
    // `default.cart (6f1a)` is a logger's name, too.
    if let Some(logger) = words.until(": ").filter(|name| !name.is_empty() && name.len() <= LOGGER_BYTES_MAX)
    {
        header.logger = Some(logger);
        header.message_start = words.position();
    }
    Some(header)
}

/// `2026-11-20 21:39:19.12 spid51      Starting up database 'shop'.` (Microsoft's SQL Server): the part that speaks, filled
/// to a width, behind hundredths of a second.
pub(super) fn sql_server(line: &str, moment: Timestamp, length: usize) -> Option<Header<'_>> {
    const PART_BYTES: usize = "spid51      ".len();
    let part = line.get(length + 1..length + 1 + PART_BYTES)?.trim_end_matches(' ');
    let is_session = |part: &str| {
        part.strip_prefix("spid").is_some_and(|id| number(id.strip_suffix('s').unwrap_or(id)).is_some())
    };
    let has_hundredths = || line.as_bytes()[..length].iter().rev().position(|byte| *byte == b'.') == Some(2);
    let is_part = matches!(part, "Server" | "Logon" | "Backup") || is_session(part);
    (is_part && has_hundredths()).then_some(())?;
    let mut header = Header::stamped(moment, length + 1 + PART_BYTES);
    header.logger = Some(part);
    Some(header)
}

/// A longer text before a colon is no logger's name.
const LOGGER_BYTES_MAX: usize = 128;

/// `2026-11-20 21:39:19,123 25 INFO shop odoo.addons.base.models.res_users: Login` (Odoo): process, level, database
/// (`?` where there is none) and logger.
pub(super) fn odoo(line: &str, moment: Timestamp, length: usize) -> Option<Header<'_>> {
    let mut words = Words::at(line, length);
    let pid = words.number()?;
    let level = capital_level(words.word()?)?;
    let database = words.word()?;
    let logger = words.word()?.strip_suffix(':')?;
    let is_odoo =
        ["odoo.", "openerp.", "werkzeug", "py.warnings"].iter().any(|name| logger.starts_with(name));
    (is_odoo && is_logger(logger)).then_some(())?;
    let mut header = Header::stamped(moment, words.position());
    header.level = Some(level);
    header.pid = Some(pid);
    header.logger = Some(logger);
    if database != "?" {
        header.attribute("database", database);
    }
    Some(header)
}

/// `2026/11/20 21:39:19 ...web/auth/auth.go:200:SignIn() [I] failed` (Gitea, Forgejo): the place in the code, whose path
/// may be cut, and a level's letter.
pub(super) fn gitea(line: &str, moment: Timestamp, length: usize) -> Option<Header<'_>> {
    let mut words = Words::at(line, length);
    let (place, function) = words.word()?.strip_suffix("()")?.rsplit_once(':')?;
    let (file, origin_line) = place.rsplit_once(':').filter(|(file, _)| file.ends_with(".go"))?;
    words.skip("[").then_some(())?;
    let level = match words.until("] ")? {
        "T" => Level::Trace,
        "D" => Level::Debug,
        "I" => Level::Info,
        "W" => Level::Warning,
        "E" => Level::Error,
        "C" => Level::Critical,
        "F" => Level::Fatal,
        _ => return None,
    };
    let mut header = Header::stamped(moment, words.position());
    header.level = Some(level);
    header.origin = Some((file, number(origin_line)?));
    header.function = Some(function);
    Some(header)
}

/// `INFO::shop.api::started`, `WARNING::[interface:657] started`.
fn double_colons(mut words: Words<'_>, moment: Timestamp) -> Option<Header<'_>> {
    let level = capital_level(words.until("::")?)?;
    let mut header = Header::stamped(moment, 0);
    header.level = Some(level);
    header.lifts_pairs = true;
    let before = words;
    let name = if words.skip("[") { words.until("]") } else { words.until("::") };
    let (name, origin_line) = name.map(logger_and_line).unwrap_or_default();
    if is_logger(name) && !name.has(b':') {
        header.logger = Some(name);
        header.origin = origin_line.map(|line| ("", line));
    } else {
        words = before;
    }
    words.blanks();
    header.message_start = words.position();
    Some(header)
}

/// `176 [main] INFO  org.foo.Bar context - started` (log4j's TTCC): milliseconds since the program began.
pub(super) fn ttcc(line: &str) -> Option<Header<'_>> {
    let mut words = Words::at(line, 0);
    let uptime = words.word().filter(|word| number(word).is_some())?;
    words.skip("[").then_some(())?;
    let thread = words.until("] ")?;
    let level = capital_level(words.word()?)?;
    let logger = words.word().filter(|name| is_logger(name))?;
    let context = if words.skip("- ") { "" } else { words.until(" - ")? };
    let mut header =
        Header { level: Some(level), thread: Some(thread), logger: Some(logger), ..Header::default() };
    header.attribute("uptime_ms", uptime);
    if !context.is_empty() {
        header.attribute("context", context);
    }
    header.lifts_pairs = true;
    header.message_start = words.position();
    Some(header)
}

/// `[12345.678901] usb 1-1: new device`, `[    0.000000][    T0] Linux version 6.1.0` (the kernel's ring buffer): the
/// seconds since it booted, which are no time, and on demand the task or the processor.
pub(super) fn kernel(line: &str) -> Option<Header<'_>> {
    const FRACTION_DIGITS: usize = 6;
    /// More are seconds since 1970.
    const SECONDS_DIGITS_MAX: usize = 9;
    let mut words = Words::at(line, 1);
    let uptime = words.until("]")?.trim_start_matches(' ');
    let (seconds, fraction) = uptime.cut_byte(b'.')?;
    number(seconds).filter(|_| seconds.len() <= SECONDS_DIGITS_MAX)?;
    number(fraction).filter(|_| fraction.len() == FRACTION_DIGITS)?;
    let mut header = Header { lifts_pairs: true, ..Header::default() };
    header.attribute("uptime_s", uptime);
    if words.skip("[") {
        let caller = words.until("]")?.trim_start_matches(' ');
        let id = caller.strip_prefix(['T', 'C'])?;
        number(id)?;
        header.attribute("caller", caller);
    }
    words.skip(" ").then_some(())?;
    header.message_start = words.position();
    Some(header)
}

/// `INFO  [main] 2026-11-20 21:39:19,123 StorageService.java:42 - started` (Cassandra), `[INFO ] 2026-.. [main] Main - x`
/// (log4j 2), `INFO 2026-.. views 42 140 loaded` (Django), `INFO: 2026/11/20 21:39:19 main.go:42: started` (Go).
pub(super) fn level_first<'l>(line: &'l str, clock: &mut Clock) -> Option<(Header<'l>, Family)> {
    let mut words = Words::at(line, 0);
    let level = match words.skip("[") {
        true => words.until("]")?.trim_end(),
        // Go's programs like to set `INFO: ` before their log's time.
        false => words.word().map(|level| level.strip_suffix(':').unwrap_or(level))?,
    };
    let level = capital_level(level)?;
    words.blanks();
    let mut thread = None;
    if words.skip("[") {
        thread = Some(words.until("] ")?);
        words.blanks();
    }
    let (moment, length) = clock.read_prefix(words.rest().as_bytes())?;
    words.advance(length);
    words.skip(" ").then_some(())?;
    words.blanks();
    let mut header = Header::behind(line, words.position(), level);
    header.time = Some(moment);
    header.thread = thread.or(header.thread);
    if header.message_start == words.position()
        && let Some(end) = module_and_process(&mut words, &mut header)
    {
        header.message_start = end;
        return Some((header, Family::Python));
    }
    let family = match header.origin {
        Some((file, _)) if file.ends_with(".go") => Family::Go,
        Some(_) => Family::Java,
        None if header.thread.is_some() => Family::Java,
        None => Family::Any,
    };
    Some((header, family))
}

/// Whose a layout is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Go,
    Java,
    Python,
    Any,
}

/// Django's `views 42 140735 message`. Returns where the message begins.
fn module_and_process<'l>(words: &mut Words<'l>, header: &mut Header<'l>) -> Option<usize> {
    let module = words.word().filter(|name| is_logger(name) && !name.ends_with(':'))?;
    let pid = words.number()?;
    let thread = words.word()?.parse::<u64>().ok()?;
    header.logger = Some(module);
    header.pid = Some(pid);
    header.thread_id = Some(thread);
    Some(words.position())
}

/// A level's name in capitals.
pub(super) fn capital_level(name: &str) -> Option<Level> {
    let is_name = name.len() > 2 && name.bytes().all(|byte| byte.is_ascii_uppercase());
    Level::from_name(name.as_bytes()).filter(|_| is_name)
}
